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
}

impl Default for HooksConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/hooks".to_owned(),
            token: None,
            max_body_bytes: 256 * 1024,
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
