//! Log lines as values. Who decides emits them; `io::log` writes them.
//!
//! What this folder holds is pure: how a line is escaped, masked, counted and shown to clients.

pub mod client;
pub mod console;
pub mod file;
pub mod iso;
pub mod mask;
pub mod repeat;

use serde::Deserialize;
use serde_json::Value;

/// How much a line matters. The order is from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As a setting: nothing is written. No line has it.
    Silent,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// As in the file: lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// One line, before it is escaped, masked and cut.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub unix_ms: u64,
    pub level: Level,
    /// Who says it, e.g. `gateway/ws`.
    pub subsystem: &'static str,
    /// A sentence without values that differ from line to line, so that repeats can be counted.
    pub message: String,
    /// The values, in the order in which they are written.
    pub fields: Vec<(&'static str, Value)>,
}

impl LogLine {
    /// A line without fields.
    pub fn new(
        unix_ms: u64,
        level: Level,
        subsystem: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            unix_ms,
            level,
            subsystem,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// The same line with one field more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

/// A piece of the log file, as `logs.tail` answers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tail {
    /// The file's path.
    pub file: String,
    /// Where to go on from: the end of what was read.
    pub cursor: u64,
    /// The file's size in bytes.
    pub size: u64,
    /// Whole lines, oldest first.
    pub lines: Vec<String>,
    /// Older lines were left out.
    pub truncated: bool,
    /// The cursor was not of this file: it was read anew.
    pub reset: bool,
}
