//! The `logging`, `cron`, `hooks` and `ui` sections.

use crate::config::Secret;
use crate::log::Level;
use serde::Deserialize;

/// The gateway's log file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoggingConfig {
    /// Lines below it are not written; none are at `silent`.
    pub level: Level,
    /// Absent: `logs/clawdia.log` in the state directory.
    pub file: Option<String>,
    /// A file that would grow past it is rotated first.
    pub max_bytes: u64,
    /// Rotated files kept besides the current one.
    pub keep: u32,
    /// What the terminal shows of a gateway in the foreground.
    pub console_level: Option<Level>,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            level: Level::Info,
            file: None,
            max_bytes: crate::limits::LOG_FILE_BYTES_MAX,
            keep: crate::limits::LOG_FILES_KEPT,
            console_level: None,
        }
    }
}

/// Scheduled runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CronConfig {
    pub enabled: bool,
    pub max_concurrent_runs: usize,
}

impl Default for CronConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_concurrent_runs: 1,
        }
    }
}

/// Webhooks on the gateway's port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HooksConfig {
    pub enabled: bool,
    /// With a leading slash.
    pub path: String,
    pub token: Option<Secret>,
    pub max_body_bytes: usize,
    /// What requests at other paths mean; the first that fits counts.
    pub mappings: Vec<HookMapping>,
}

/// What a webhook of any shape means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HookMapping {
    #[serde(rename = "match")]
    pub matches: HookMatch,
    pub action: HookAction,
    /// `now` or `next-heartbeat`.
    pub wake_mode: Option<String>,
    pub agent_id: Option<String>,
    /// These are templates: `{{a.b[0]}}` is a value of the body.
    pub name: Option<String>,
    pub session_key: Option<String>,
    pub message_template: Option<String>,
    pub text_template: Option<String>,
    pub to: Option<String>,
    pub deliver: Option<bool>,
    pub channel: Option<String>,
    pub model: Option<String>,
    pub thinking: Option<String>,
    pub timeout_seconds: Option<u64>,
    /// A module in JavaScript, which is not run: requests are answered so.
    pub transform: Option<serde_json::Value>,
}

/// Which requests a mapping is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HookMatch {
    /// Behind the hooks' own path.
    pub path: Option<String>,
    /// The member `source` of the body.
    pub source: Option<String>,
}

/// What a mapped request starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookAction {
    /// A line for the main session.
    Wake,
    /// A run.
    #[default]
    Agent,
}

impl Default for HooksConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/hooks".to_owned(),
            token: None,
            max_body_bytes: 256 * 1024,
            mappings: Vec::new(),
        }
    }
}

/// How the web page shows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UiConfig {
    pub assistant: UiAssistant,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UiAssistant {
    pub name: Option<String>,
    pub avatar: Option<String>,
}
