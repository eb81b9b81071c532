//! Scheduled jobs, and what became of their last runs.

use super::{Text, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// When a job runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// Once.
    At { at_ms: UnixMs },
    /// Again and again, counted from an anchor: without one, from when the job was made.
    Every {
        every_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor_ms: Option<UnixMs>,
    },
    /// When a wall clock shows times of a pattern: in this zone, else the gateway's own.
    Cron {
        expr: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<Text>,
    },
}

/// Where a job has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A line for the main session.
    Main,
    /// A run in a session of the job's own.
    Isolated,
}

/// When the main session hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WakeMode {
    Now,
    NextHeartbeat,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Payload {
    SystemEvent {
        text: Text,
    },
    AgentTurn {
        message: Text,
        /// `provider/model`, instead of the agent's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<u64>,
        /// Whether the answer goes to a channel as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deliver: Option<bool>,
        #[serde(default, alias = "provider", skip_serializing_if = "Option::is_none")]
        channel: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        best_effort_deliver: Option<bool>,
    },
}

/// What the main session hears of an isolated run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Isolation {
    /// Stands before it; `Cron` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_to_main_prefix: Option<Text>,
    /// `summary` or `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_to_main_mode: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_to_main_max_chars: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CronStatus {
    Ok,
    Error,
    /// It was not even begun.
    Skipped,
}

/// Where a job stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CronState {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at_ms: Option<UnixMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_at_ms: Option<UnixMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at_ms: Option<UnixMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_status: Option<CronStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_duration_ms: Option<u64>,
}

/// One job, as clients see it but for `run_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CronJob {
    pub id: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Text>,
    pub name: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    pub enabled: bool,
    /// A job that runs once goes when it has run well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_run: Option<bool>,
    pub created_at_ms: UnixMs,
    pub updated_at_ms: UnixMs,
    pub schedule: Schedule,
    pub session_target: Target,
    pub wake_mode: WakeMode,
    pub payload: Payload,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    pub state: CronState,
    /// The run that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Text>,
}

/// One run of a job that has ended, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CronRun {
    pub ts: UnixMs,
    pub job_id: Text,
    /// Always `finished`.
    pub action: Text,
    pub status: CronStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Text>,
    pub run_at_ms: UnixMs,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at_ms: Option<UnixMs>,
}

/// All jobs by id, and the last runs of each, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronTable {
    jobs: BTreeMap<Text, Arc<CronJob>>,
    runs: BTreeMap<Text, VecDeque<Arc<CronRun>>>,
}

impl CronTable {
    pub fn get(&self, id: &str) -> Option<&Arc<CronJob>> {
        self.jobs.get(id)
    }

    pub fn jobs(&self) -> impl Iterator<Item = &Arc<CronJob>> {
        self.jobs.values()
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The last runs of a job, newest first.
    pub fn runs(&self, id: &str) -> impl Iterator<Item = &Arc<CronRun>> {
        self.runs
            .get(id)
            .into_iter()
            .flat_map(|runs| runs.iter().rev())
    }

    pub(super) fn put(&mut self, job: &Arc<CronJob>) {
        self.jobs.insert(job.id.clone(), job.clone());
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.jobs.remove(id);
        self.runs.remove(id);
    }

    /// Keeps the newest `kept` of the job's runs.
    pub(super) fn append(&mut self, run: &Arc<CronRun>, kept: usize) {
        let runs = self.runs.entry(run.job_id.clone()).or_default();
        runs.push_back(run.clone());
        while runs.len() > kept.max(1) {
            runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::fixture;
    use super::*;

    #[test]
    fn a_job_reads_back_as_it_was_written_and_with_the_words_of_the_wire() {
        let job = fixture::cron_job(3);
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<CronJob>(&text).unwrap(), job);
        for word in [
            r#""schedule":{"kind":"every","everyMs":3000}"#,
            r#""sessionTarget":"main""#,
            r#""wakeMode":"next-heartbeat""#,
            r#""payload":{"kind":"systemEvent","text":"t"}"#,
        ] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }

    #[test]
    fn only_the_newest_runs_are_kept() {
        let mut table = CronTable::default();
        for n in 1..=5 {
            table.append(&Arc::new(fixture::cron_run(1, n)), 3);
        }
        let kept: Vec<u64> = table.runs("job-1").map(|run| run.ts).collect();
        assert_eq!(kept, [5, 4, 3]);
        table.remove("job-1");
        assert_eq!(table, CronTable::default());
    }
}
