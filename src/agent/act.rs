//! What a tool asks this machine for, and what it is told: plain data, as steps are.
//!
//! ```text
//! core   Effect(Act)  ──> io::hands ──> a thread: host::perform(&Act)
//! core   Input(Acted) <── channel   <── Printed*, then one that ends it
//! ```

use crate::config::Secret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// One thing to be done on the gateway's own machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Looks where a command would be executed and which programs its names mean there.
    Find(Find),
    /// Executes a command.
    Run(Box<Order>),
    /// Lines of a text file below a workspace.
    Read {
        at: Below,
        /// From 1.
        first_line: u64,
        lines_max: u64,
    },
    /// Makes a file below a workspace, or replaces it.
    Write { at: Below, text: String },
    /// Replaces a text in a file below a workspace.
    Edit {
        at: Below,
        old: String,
        new: String,
        /// Everywhere; else it has to be there exactly once.
        all: bool,
    },
    /// The texts of those of these files that are in a folder.
    Notes {
        folder: String,
        names: &'static [&'static str],
    },
    /// Keeps a file below a workspace, in a folder that is bounded.
    Keep { at: Below, bytes: Arc<[u8]> },
    /// Whether a file below a workspace could be loaded; the answer is an empty text.
    Check { at: Below, bytes_max: u64 },
    /// The whole of a file below a workspace.
    Load { at: Below, bytes_max: u64 },
    /// The text of a page of the public web.
    Web { url: String },
    /// One request to a browser control server; the answer is `{result, files?}` as text.
    Browser(Box<Browse>),
}

/// A request to a browser control server.
#[derive(Clone, Debug, PartialEq)]
pub struct Browse {
    /// The server's own; nothing else of it is ever asked for.
    pub address: SocketAddr,
    /// The server's own secret, which goes nowhere else.
    pub token: Secret,
    /// `{method, path, query?, body?, profile?, timeoutMs?}`
    pub request: Value,
    /// Whose files an answer may name, besides the system's folder for what is temporary.
    pub media: String,
}

/// A file below a workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Below {
    /// The workspace; `~` is the home.
    pub workspace: String,
    /// As the model wrote it.
    pub path: String,
}

/// What a command needs before it may be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// Where it is executed unless `cwd` says so; made where it is not there.
    pub workspace: String,
    pub cwd: Option<String>,
    /// Variables besides the process's own.
    pub env: BTreeMap<String, String>,
    /// The names of its programs.
    pub programs: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The folder, absolute and without links.
    pub folder: String,
    /// Of the gateway's own user, for patterns.
    pub home: Option<String>,
    /// Absolute paths by name; what is not there is left out.
    pub programs: BTreeMap<String, String>,
    /// Folders of programs that are links, and where each leads.
    pub links: Vec<(String, String)>,
}

/// A command that may be executed.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The program's path.
    pub program: String,
    /// With the program's own name in front.
    pub argv: Vec<String>,
    pub folder: String,
    pub env: BTreeMap<String, String>,
    /// When its process group is killed.
    pub timeout_ms: u64,
}

/// What came of an [`Act`]. All but `Printed` end it.
#[derive(Clone, Debug, PartialEq)]
pub enum Acted {
    Found(Found),
    /// The ends of what a command has printed so far.
    Printed(Printed),
    Ended(Ended),
    Text(String),
    Bytes(Arc<[u8]>),
    /// Names and texts.
    Notes(Vec<(&'static str, String)>),
    /// What is wrong, and what mends it.
    Failed(String),
}

/// The ends of a command's two streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    /// None where it was killed or never began.
    pub exit_code: Option<i32>,
    pub timed_out: bool,
    /// It was killed because somebody wanted it.
    pub stopped: bool,
    pub printed: Printed,
    /// Why it never began, or which signal ended it.
    pub error: Option<String>,
}
