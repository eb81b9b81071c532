//! Scheduled jobs: when each is due, what it starts, what became of it.
//!
//! ```text
//! cron.add ──commit──> job ──due──> main:     a line for the main session ──commit──> finished
//!                       ^           isolated: run and job in one transaction ── the run ends ──┐
//!                       └──────────── next time, history ──commit── finished <─────────────────┘
//! ```
//!
//! The next time is stored before a run begins, so a crash repeats nothing. What was missed
//! while the gateway was down runs once, late.

mod edit;
mod run;

pub(super) use edit::{changed, new_job, zone_of};

use super::Gateway;
use super::broadcast::Weight;
use super::commit::Key;
use super::timers::Timer;
use crate::limits::CRON_LOOK_MS;
use crate::schedule::{Expression, Zone};
use crate::state::{CronJob, Schedule, Text};
use crate::wire::json::Writer;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Jobs that are about to start: what their start changes is not stored yet.
#[derive(Default)]
pub struct Cron {
    starting: BTreeSet<Text>,
}

/// When a job runs next after a moment. None where it never does.
pub(super) fn next_run(job: &CronJob, now_ms: u64, zone: &Zone) -> Option<u64> {
    match &job.schedule {
        // Also one that is past, unless it has run since: it was missed.
        Schedule::At { at_ms } => {
            let last_ms = job.state.last_run_at_ms;
            last_ms
                .is_none_or(|last_ms| last_ms < *at_ms)
                .then_some(*at_ms)
        }
        Schedule::Every {
            every_ms,
            anchor_ms,
        } => {
            let anchor_ms = anchor_ms.unwrap_or(job.created_at_ms);
            match now_ms.checked_sub(anchor_ms) {
                None => Some(anchor_ms),
                Some(since_ms) => {
                    let steps = since_ms / (*every_ms).max(1) + 1;
                    anchor_ms.checked_add(steps.checked_mul(*every_ms)?)
                }
            }
        }
        Schedule::Cron { expr, .. } => Expression::parse(expr).ok()?.next_after(now_ms, zone),
    }
}

impl Gateway {
    /// Takes up what the last process left.
    pub(super) fn start_cron(&mut self) {
        let jobs = self.state.cron().jobs();
        let running: Vec<Arc<CronJob>> = jobs.filter(|job| job.run_id.is_some()).cloned().collect();
        for job in running {
            self.take_up_job(&job);
        }
        self.look_at_cron();
    }

    /// Starts what is due, as many as may run at a time, and looks again when the next is.
    pub(super) fn look_at_cron(&mut self) {
        self.timers.clear(Timer::Cron);
        if !self.config().cron.enabled || self.stopping {
            return;
        }
        let now_ms = self.now.unix_ms;
        let jobs = self.state.cron().jobs();
        let waits = |job: &&Arc<CronJob>| {
            job.enabled && job.run_id.is_none() && !self.cron.starting.contains(&job.id)
        };
        let mut times: Vec<(u64, Text)> = jobs
            .filter(waits)
            .filter_map(|job| Some((job.state.next_run_at_ms?, job.id.clone())))
            .collect();
        times.sort_unstable();
        let at_work = self.jobs_at_work();
        let room = self
            .config()
            .cron
            .max_concurrent_runs
            .saturating_sub(at_work);
        let next_ms = times
            .iter()
            .map(|(at_ms, _)| *at_ms)
            .find(|at_ms| *at_ms > now_ms);
        if let Some(next_ms) = next_ms {
            let wait_ms = (next_ms - now_ms).min(CRON_LOOK_MS);
            self.timers.set(self.now.mono_ms + wait_ms, Timer::Cron);
        }
        let due = times.into_iter().take_while(|(at_ms, _)| *at_ms <= now_ms);
        for (_, id) in due.take(room).collect::<Vec<_>>() {
            self.start_job(&id, None);
        }
    }

    /// Jobs that run or are about to.
    fn jobs_at_work(&self) -> usize {
        let jobs = self.state.cron().jobs();
        jobs.filter(|job| job.run_id.is_some()).count() + self.cron.starting.len()
    }

    /// Whether a job is about to start.
    pub(super) fn is_starting(&self, id: &Text) -> bool {
        self.cron.starting.contains(id)
    }

    /// When the first job is due.
    pub(super) fn next_cron_ms(&self) -> Option<u64> {
        let jobs = self.state.cron().jobs().filter(|job| job.enabled);
        let next = jobs.filter_map(|job| job.state.next_run_at_ms).min();
        next.filter(|_| self.config().cron.enabled)
    }

    /// The `cron` event of a job.
    pub(super) fn send_cron_event(
        &mut self,
        id: &str,
        action: &str,
        more: impl FnOnce(&mut Writer<'_>),
    ) {
        self.broadcast("cron", Weight::Must, None, |_, w| {
            w.object(|w| {
                w.field_str("jobId", id);
                w.field_str("action", action);
                more(w);
            });
        });
    }
}

/// What has to be free before a job is changed.
pub(super) fn job_lock(id: &str) -> Key {
    Key::CronJob(id.into())
}

/// A job as clients see it.
pub(super) fn shown(job: &CronJob) -> serde_json::Value {
    let mut value = serde_json::to_value(job).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("runId");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::fixture;

    #[test]
    fn an_interval_keeps_its_beat_and_never_overflows() {
        let mut job = fixture::cron_job(3);
        job.created_at_ms = 1_000;
        let zone = Zone::default();
        for (now_ms, next) in [(0, 1_000), (1_000, 4_000), (3_999, 4_000), (4_000, 7_000)] {
            assert_eq!(next_run(&job, now_ms, &zone), Some(next), "{now_ms}");
        }
        job.schedule = Schedule::Every {
            every_ms: u64::MAX,
            anchor_ms: Some(5),
        };
        assert_eq!(next_run(&job, 6, &zone), None);
        job.schedule = Schedule::At { at_ms: 7 };
        assert_eq!(next_run(&job, 9, &zone), Some(7));
    }
}
