//! The `messages` section: what becomes of messages that come while the agent is at work.

use serde::Deserialize;

/// How messages are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessagesConfig {
    pub queue: QueueConfig,
}

/// Messages that arrive during a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueConfig {
    pub mode: QueueMode,
}

/// What becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueMode {
    /// Each has a run of its own, one after the other.
    #[default]
    Followup,
    /// Those that wait are answered together.
    Collect,
    /// The run at work reads them before its next step.
    #[serde(alias = "queue", alias = "steer-backlog", alias = "steer+backlog")]
    Steer,
    /// They stop the run at work.
    Interrupt,
}
