//! The `session` section, and what is kept for how long.

use serde::Deserialize;

/// How chat sessions are named and shared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionConfig {
    pub scope: SessionScope,
    /// The name of the main session: `agent:<agent>:<main_key>`.
    pub main_key: String,
    pub dm_scope: DmScope,
    /// Messages that start the session afresh.
    pub reset_triggers: Vec<String>,
    /// Minutes without a message after which the session starts afresh.
    pub idle_minutes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionScope {
    #[default]
    PerSender,
    Global,
}

impl SessionScope {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerSender => "per-sender",
            Self::Global => "global",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DmScope {
    #[default]
    Main,
    PerPeer,
    PerChannelPeer,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            scope: SessionScope::PerSender,
            main_key: "main".to_owned(),
            dm_scope: DmScope::Main,
            reset_triggers: vec!["/new".to_owned(), "/reset".to_owned()],
            idle_minutes: None,
        }
    }
}

/// What is kept for how long. Absent means for ever, or without a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RetentionConfig {
    pub messages: Retention,
    pub runs: Retention,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Retention {
    pub max_age_days: Option<u64>,
    /// Entries of one session (messages), or of one job (runs).
    pub max_entries: Option<u64>,
}
