//! Agent runs, so that a restart finds those that were under way.

use super::{Text, UnixMs};
use crate::limits::RUNS_ENDED_MAX;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Accepted, waits for its session's lane or a worker.
    Queued,
    Running,
    Ok,
    Error,
    Aborted,
    /// A restart found it with a step open that must not be repeated.
    Interrupted,
}

impl RunState {
    /// Nothing more will happen to the run.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Where a run's answer goes besides the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Delivery {
    pub deliver: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Text>,
    /// The message that it answers there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Text>,
}

/// One agent run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub run_id: Text,
    pub session_key: Text,
    pub session_id: Text,
    pub state: RunState,
    pub accepted_at_ms: UnixMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<UnixMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<UnixMs>,
    /// The open step may have acted on the world: it must not be repeated after a restart.
    #[serde(default)]
    pub open_step_has_side_effect: bool,
    #[serde(default)]
    pub delivery: Delivery,
    /// What the caller asked for beyond the message (thinking, timeout, model …), as JSON text,
    /// so that the run can go on after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Text>,
    /// What an ended run's caller is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
}

/// All open runs, and the `RUNS_ENDED_MAX` that ended last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTable {
    by_id: BTreeMap<Text, Arc<Run>>,
    /// Ids of queued and running ones.
    open: BTreeSet<Text>,
    /// (ended at, id), oldest first.
    ended: BTreeSet<(UnixMs, Text)>,
}

impl RunTable {
    pub fn get(&self, run_id: &str) -> Option<&Arc<Run>> {
        self.by_id.get(run_id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Every remembered run, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.by_id.values()
    }

    /// Queued and running runs, by id.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.open.iter().filter_map(|id| self.by_id.get(id))
    }

    pub(super) fn put(&mut self, run: &Arc<Run>) {
        self.remove(&run.run_id);
        match ended_key(run) {
            Some(key) => {
                self.ended.insert(key);
            }
            None => {
                self.open.insert(run.run_id.clone());
            }
        }
        self.by_id.insert(run.run_id.clone(), run.clone());
        while self.ended.len() > RUNS_ENDED_MAX {
            if let Some((_, oldest)) = self.ended.pop_first() {
                self.by_id.remove(&oldest);
            }
        }
    }

    pub(super) fn remove(&mut self, run_id: &str) {
        let Some(run) = self.by_id.remove(run_id) else {
            return;
        };
        match ended_key(&run) {
            Some(key) => self.ended.remove(&key),
            None => self.open.remove(run_id),
        };
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.ended.len() <= RUNS_ENDED_MAX);
        assert_eq!(self.by_id.len(), self.open.len() + self.ended.len());
        for (id, run) in &self.by_id {
            assert_eq!(*id, run.run_id);
            match ended_key(run) {
                Some(key) => assert!(self.ended.contains(&key)),
                None => assert!(self.open.contains(id)),
            }
        }
    }
}

/// Where an ended run stands in the order of ending; None for an open one.
fn ended_key(run: &Run) -> Option<(UnixMs, Text)> {
    let at = run.ended_at_ms.unwrap_or(run.accepted_at_ms);
    run.state.is_ended().then(|| (at, run.run_id.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::tables::fixture;
    use super::*;

    #[test]
    fn an_ended_run_leaves_the_open_ones_and_stays_findable() {
        let mut table = RunTable::default();
        let mut run = fixture::run(1);
        table.put(&Arc::new(run.clone()));
        assert_eq!(table.open().count(), 1);
        run.state = RunState::Ok;
        run.ended_at_ms = Some(9);
        table.put(&Arc::new(run.clone()));
        table.check_invariants();
        assert_eq!(table.open().count(), 0);
        assert_eq!(
            table.get(&run.run_id).map(|run| run.state),
            Some(RunState::Ok)
        );
    }

    #[test]
    fn the_oldest_ended_runs_are_forgotten_and_open_ones_never() {
        let mut table = RunTable::default();
        table.put(&Arc::new(fixture::run(0)));
        for n in 1..=RUNS_ENDED_MAX as u64 + 5 {
            let mut run = fixture::run(n);
            run.state = RunState::Error;
            run.ended_at_ms = Some(n);
            table.put(&Arc::new(run));
        }
        table.check_invariants();
        assert_eq!(table.len(), RUNS_ENDED_MAX + 1);
        assert!(table.get(&fixture::run(5).run_id).is_none());
        assert!(table.get(&fixture::run(6).run_id).is_some());
        assert!(table.get(&fixture::run(0).run_id).is_some());
    }
}
