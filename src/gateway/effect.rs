//! The core's surface: what goes in, and what the world is asked to do.

use super::auth::secret::GatewaySecret;
use super::memory::Memory;
use super::metrics::Load;
use crate::agent::{Act, Acted, CancelToken, RunTag, Step, StepOutput};
use crate::channels::{Order, Report};
use crate::config::Config;
use crate::config::document::Document;
use crate::config::plan::{self, WriteKind};
use crate::ids::ConnId;
use crate::log::LogLine;
use crate::mcp;
use crate::state::{StoreAnswer, StoreRequest};
use crate::tailnet::Tailnet;
use crate::tailnet::person::Person;
use crate::wire::http::Head;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything that can happen to the gateway.
pub enum Input<'a> {
    /// Frames may be sent: [`super::Gateway::upgrade`] agreed, and 101 is on its way.
    Opened { conn: ConnId },
    /// A text message: `padded[..len]`, with readable bytes behind it.
    Text {
        conn: ConnId,
        padded: &'a mut [u8],
        len: usize,
    },
    /// A plain HTTP request, body and all.
    Http {
        conn: ConnId,
        head: &'a Head<'a>,
        body: &'a [u8],
    },
    /// The connection is gone. Exactly once for each accepted one.
    Closed {
        conn: ConnId,
        /// For the log.
        why: &'static str,
    },
    /// A worker's output.
    Step(StepOutput),
    /// The pool did not take a step.
    StepRefused { tag: RunTag, message: String },
    /// What comes of an [`Effect::Act`].
    Acted { ticket: u64, acted: Acted },
    /// What came of a channel's call.
    Channel(Report),
    /// Something about a server of tools.
    Mcp(mcp::Report),
    /// The store's answer to [`Effect::Store`].
    Store(StoreAnswer),
    /// The answer to [`Effect::Fetch`].
    Fetched { ticket: u64, result: FetchResult },
    /// The configuration file was read again, at SIGHUP or because it changed.
    Config(Result<Box<LoadedConfig>, String>),
    /// How much memory is used, where there is a limit.
    Memory(Memory),
    /// Something was found out about the tailnet.
    Tailnet(Tailnet),
    /// A signal asked the process to end.
    Shutdown { reason: &'static str },
    /// A deadline passed.
    Expire,
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
    /// Read or write a file, or ask about a person, then answer with [`Input::Fetched`].
    Fetch { ticket: u64, fetch: Fetch },
    /// Execute one step of a run.
    Step(Box<Step>),
    /// Do something on this machine, then answer with [`Input::Acted`].
    Act {
        ticket: u64,
        act: Box<Act>,
        cancel: CancelToken,
    },
    /// Something for the threads of a channel, which answer with [`Input::Channel`].
    Channel(Order),
    /// Something for the thread of a server of tools, which answers with [`Input::Mcp`].
    Mcp(mcp::Order),
    /// Write a line to the log.
    Log(LogLine),
    /// Give back what memory is spare; whoever holds much of it by messages without an end goes.
    Relieve { code: u16, reason: &'static str },
    /// No more connections are accepted.
    StopAccepting,
    /// Everything is said; end the process.
    Exit,
    /// Going on would put what was answered in doubt: end the process for its supervisor.
    Abort { message: String },
}

/// What the core may ask the world for. It never waits for the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetch {
    /// Lines of the log file, as `logs.tail` wants them.
    LogTail {
        cursor: Option<u64>,
        limit: usize,
        max_bytes: usize,
    },
    /// The configuration file as it is now, as `config.get` shows it.
    Config,
    /// Plan a change of the configuration file and do it.
    WriteConfig {
        kind: WriteKind,
        raw: String,
        base_hash: Option<String>,
    },
    /// The file of a time zone; without a name that of this machine's own zone.
    Zone { name: Option<String> },
    /// A file below `root`, or its page for a path that names none.
    StaticFile { root: String, path: String },
    /// Who is behind an address of the tailnet.
    Person { ip: IpAddr },
    /// What the loop and the threads have done, and what waits for them.
    Load,
}

/// What came back.
pub enum FetchResult {
    /// A piece of the log.
    LogTail(crate::log::Tail),
    /// The answer to `config.get`.
    Config(serde_json::Value),
    /// The configuration file was replaced; this is what it means now.
    ConfigWritten {
        loaded: Box<LoadedConfig>,
        /// `{ok, path, config}`.
        payload: serde_json::Value,
        /// Paths of changes that take effect only at the next start.
        at_next_start: Vec<String>,
    },
    /// The change was refused; the file is as it was.
    ConfigRefused(plan::Refusal),
    /// The bytes of a time zone's file.
    Zone(Vec<u8>),
    /// A file's media type and bytes.
    File {
        media_type: &'static str,
        bytes: Vec<u8>,
    },
    /// Who it is; None where it is nobody, or nobody says.
    Person(Option<Person>),
    /// What the loop and the threads have done.
    Load(Load),
    /// There is no such thing.
    Missing,
    /// The disk failed; the text says what and where.
    Failed(String),
}

/// The configuration file and what it means.
pub struct LoadedConfig {
    /// The file as it was read.
    pub document: Document,
    /// The resolved configuration.
    pub config: Arc<Config>,
    /// What a client has to show, from the file, the environment or the state directory.
    pub secret: GatewaySecret,
}
