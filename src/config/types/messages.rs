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

impl QueueMode {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Followup => "followup",
            Self::Collect => "collect",
            Self::Steer => "steer",
            Self::Interrupt => "interrupt",
        }
    }

    /// The mode of a word, also of the ecosystem's other words for it.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "followup" => Self::Followup,
            "collect" => Self::Collect,
            "steer" | "queue" | "steer-backlog" | "steer+backlog" => Self::Steer,
            "interrupt" => Self::Interrupt,
            _ => return None,
        })
    }
}
