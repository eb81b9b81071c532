//! `agent.wait`: calls that are answered when a run ends, or when their time is over.

use crate::gateway::Gateway;
use crate::gateway::dispatch::KeptCall;
use crate::gateway::timers::Timer;
use crate::state::{Run, RunState, Text};
use crate::wire::json::Writer;
use std::collections::BTreeMap;

/// Calls that wait for a run's end.
#[derive(Default)]
pub struct Waiters {
    by_number: BTreeMap<u64, (Text, KeptCall)>,
    given: u64,
}

impl Gateway {
    /// Answers the call when the run ends, or with `timeout` in `timeout_ms`.
    pub(in crate::gateway) fn wait_for_run(
        &mut self,
        call: KeptCall,
        run_id: &str,
        timeout_ms: u64,
    ) {
        self.runs.waiters.given += 1;
        let number = self.runs.waiters.given;
        let waiter = (Text::from(run_id), call);
        self.runs.waiters.by_number.insert(number, waiter);
        self.set_timer(timeout_ms, Timer::Wait(number));
    }

    /// The time of a waiting call is over.
    pub(in crate::gateway) fn on_wait_over(&mut self, number: u64) {
        if let Some((run_id, call)) = self.runs.waiters.by_number.remove(&number) {
            self.reply_kept(&call, |_, w| write_timeout(w, &run_id));
        }
    }

    /// A run ended: whoever waits for it is told.
    pub(super) fn on_run_known(&mut self, row: &Run) {
        let done: Vec<u64> = self
            .runs
            .waiters
            .by_number
            .iter()
            .filter(|(_, (run_id, _))| *run_id == row.run_id)
            .map(|(number, _)| *number)
            .collect();
        for number in done {
            if let Some((_, call)) = self.runs.waiters.by_number.remove(&number) {
                self.reply_kept(&call, |_, w| write_ended(w, row));
            }
        }
    }
}

/// `{runId, status:"timeout"}`.
pub(in crate::gateway) fn write_timeout(w: &mut Writer<'_>, run_id: &str) {
    w.object(|w| {
        w.field_str("runId", run_id);
        w.field_str("status", "timeout");
    });
}

/// `{runId, status, startedAt, endedAt, error?}`.
pub(in crate::gateway) fn write_ended(w: &mut Writer<'_>, row: &Run) {
    w.object(|w| {
        w.field_str("runId", &row.run_id);
        let ok = row.state == RunState::Ok;
        w.field_str("status", if ok { "ok" } else { "error" });
        w.field_opt_u64("startedAt", row.started_at_ms);
        w.field_opt_u64("endedAt", row.ended_at_ms);
        w.field_opt_str("error", row.error.as_deref());
    });
}
