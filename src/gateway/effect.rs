//! The core's surface: what goes in, and what the world is asked to do.

use super::auth::secret::GatewaySecret;
use crate::agent::{RunTag, Step, StepOutput};
use crate::config::Config;
use crate::ids::ConnId;
use crate::log::LogLine;
use crate::state::{StoreAnswer, StoreRequest};
use std::sync::Arc;

/// Everything that can happen to the gateway.
pub enum Input<'a> {
    /// Bytes of an unfinished handshake arrived.
    Heard { conn: ConnId },
    /// The WebSocket upgrade was answered with 101; [`super::Gateway::judge_upgrade`] agreed.
    Upgraded { conn: ConnId, head: Head<'a> },
    /// A text message: `padded[..len]`, with readable bytes behind it.
    Text {
        conn: ConnId,
        padded: &'a mut [u8],
        len: usize,
    },
    /// A plain HTTP request, body and all.
    Http {
        conn: ConnId,
        head: Head<'a>,
        body: &'a [u8],
    },
    /// The connection is gone. Exactly once for each accepted one.
    Closed { conn: ConnId },
    /// A worker's output.
    Step(StepOutput),
    /// The pool did not take a step.
    StepRefused { tag: RunTag, message: String },
    /// The store's answer to [`Effect::Store`].
    Store(StoreAnswer),
    /// The answer to [`Effect::Fetch`].
    Fetched { ticket: u64, result: FetchResult },
    /// The configuration file was read again, at SIGHUP or because it changed.
    Config(Result<Box<LoadedConfig>, String>),
    /// A signal asked the process to end.
    Shutdown { reason: &'static str },
    /// A deadline passed.
    Expire,
}

/// The head of an HTTP request, as far as the core cares.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// Path and query as sent.
    pub target: &'a str,
    /// Names as sent, values without surrounding blanks.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Head<'a> {
    /// The values of header `name`, whatever its case.
    pub fn values(self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The one value of header `name`, if it is text.
    pub fn text(self, name: &'a str) -> Option<&'a str> {
        self.values(name)
            .next()
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The target without its query.
    pub fn path(self) -> &'a str {
        self.target.split(['?', '#']).next().unwrap_or("")
    }
}

/// What the world is asked to do. Sends are not here: bytes go to outboxes.
pub enum Effect {
    /// Close with a close frame; what is queued goes out first.
    Close {
        conn: ConnId,
        code: u16,
        reason: String,
    },
    /// End a plain HTTP connection after its answer.
    Finish { conn: ConnId },
    /// The handshake is done: lift its deadline and message limit.
    Admitted { conn: ConnId },
    /// Ask the store, then answer with [`Input::Store`].
    Store(StoreRequest),
    /// Read or write a file, then answer with [`Input::Fetched`].
    Fetch { ticket: u64, fetch: Fetch },
    /// Execute one step of a run.
    Step(Box<Step>),
    /// Write a line to the log.
    Log(LogLine),
    /// Everything is said; end the process.
    Exit,
}

/// Files that the core may ask for. It never waits for the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetch {
    /// Lines of the log file, as `logs.tail` wants them.
    LogTail {
        cursor: Option<u64>,
        limit: usize,
        max_bytes: usize,
    },
    /// The configuration file as it is now.
    Config,
    /// Replace the configuration file, if it still has this hash.
    WriteConfig { base_hash: String, text: String },
    /// A static file below `gateway.controlUi.root`, or the page for any other path.
    StaticFile { path: String },
}

/// What came back from disk.
pub enum FetchResult {
    /// A piece of the log.
    LogTail(crate::log::Tail),
    /// The configuration file.
    Config(Box<LoadedConfig>),
    /// The configuration file was replaced; this is what it holds now.
    ConfigWritten(Box<LoadedConfig>),
    /// The configuration file is not what it was when the caller read it.
    ConfigChanged,
    /// A file's media type and bytes.
    File {
        media_type: &'static str,
        bytes: Vec<u8>,
    },
    /// There is no such thing.
    Missing,
    /// The disk failed; the text says what and where.
    Failed(String),
}

/// The configuration file and what it means.
pub struct LoadedConfig {
    /// The file's text; None where there is no file.
    pub raw: Option<String>,
    /// The resolved configuration.
    pub config: Arc<Config>,
    /// What a client has to show, from the file, the environment or the state directory.
    pub secret: GatewaySecret,
}
