//! A run is stopped by its clients, or because its session goes.

use super::end::run_keys;
use super::events::Last;
use super::{LiveRun, Over, RunPhase};
use crate::gateway::{Code, Gateway, Refusal};
use crate::state::{Record, Run, RunState, Session, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// Who stopped a run, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// `chat.abort`.
    Rpc,
    /// A message that is just a word to stop.
    Word,
    /// The session was reset or deleted.
    SessionGone,
    /// A newer message came, and the configuration says that it interrupts.
    Newer,
    /// Who asked for it over HTTP went away.
    ClientGone,
}

impl StopReason {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Word => "stop",
            Self::SessionGone => "session",
            Self::Newer => "interrupt",
            Self::ClientGone => "client",
        }
    }
}

impl Gateway {
    /// Stops one run of a session or all of them; the ids of those that were stopped. Their
    /// clients are told at once, late output is dropped, and their ends are stored.
    pub(in crate::gateway) fn stop_runs(
        &mut self,
        session_key: &str,
        run_id: Option<&str>,
        reason: StopReason,
    ) -> Vec<Text> {
        let mut stopped = Vec::new();
        for slot in self.runs.slots_of(session_key) {
            let Some(run) = self.runs.by_slot.get(&slot) else {
                continue;
            };
            let meant = run_id.is_none_or(|wanted| *run.row.run_id == *wanted);
            // An end that is being stored is too late to stop.
            if meant && run.phase != RunPhase::Ending {
                stopped.push(run.row.run_id.clone());
                self.stop_run(slot, reason);
            }
        }
        self.start_runs();
        stopped
    }

    fn stop_run(&mut self, slot: u64, reason: StopReason) {
        let Some(mut run) = self.runs.remove(slot) else {
            return;
        };
        run.cancel.cancel();
        self.close_draft(slot, &run.row.run_id);
        for cancel in run
            .round
            .take()
            .into_iter()
            .flat_map(|round| round.cancels())
        {
            cancel(self);
        }
        run.seq += 1;
        self.send_chat_last(&run, &Last::Aborted(reason.as_str()));
        if let Some(call) = run.call.take() {
            let response = aborted_payload(&run.row.run_id);
            let refusal = Refusal::new(Code::Unavailable, "the run was aborted");
            self.refuse_kept_with(&call, Some(response.as_bytes()), &refusal);
        }
        let mut row = Run::clone(&run.row);
        row.state = RunState::Aborted;
        row.started_at_ms = run.started_at_ms;
        row.ended_at_ms = Some(self.now.unix_ms);
        row.error = Some(Text::from("aborted"));
        let row = Arc::new(row);
        self.tell_starter(&Over {
            run: &run,
            row: &row,
            text: "",
            error: Some("aborted"),
            usage: run.used,
        });
        self.on_run_known(&row);
        self.store_stopped(run, row);
    }

    fn store_stopped(&mut self, run: LiveRun, row: Arc<Run>) {
        let keys = run_keys(&row, run.origin.method());
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.store_stopped(run, row);
            }));
        }
        let mut records = vec![Record::RunPut(row.clone())];
        if let Some(session) = self.state.sessions().get(&row.session_key) {
            records.push(Record::SessionPut(Arc::new(Session {
                aborted_last_run: true,
                ..Session::clone(session)
            })));
        }
        let response = match run.origin {
            super::Origin::Chat => ok_payload(&row.run_id),
            _ => aborted_payload(&row.run_id),
        };
        records.extend(self.key_done(&run, &response));
        self.commit(keys, records, move |gateway, _, result| {
            match result {
                // What was shown of its answer stays as it is.
                Ok(()) => gateway.tidy_drafts(),
                Err(_) => gateway.keep_unsaved(row),
            }
        });
    }
}

fn payload(run_id: &str, status: &str, summary: Option<&str>) -> Text {
    let mut out = Vec::new();
    Writer::new(&mut out).object(|w| {
        w.field_str("runId", run_id);
        w.field_str("status", status);
        w.field_opt_str("summary", summary);
    });
    String::from_utf8_lossy(&out).into()
}

pub(super) fn ok_payload(run_id: &str) -> Text {
    payload(run_id, "ok", None)
}

fn aborted_payload(run_id: &str) -> Text {
    payload(run_id, "error", Some("aborted"))
}
