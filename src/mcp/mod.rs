//! Servers of tools by the Model Context Protocol, revision 2025-06-18: what the core says to
//! them, and how it is said.
//!
//! ```text
//! core   Effect::Mcp(Order) ──> a thread of the server ──> Dialog ──> pipe or HTTP
//! core   Input::Mcp(Report) <── channel and wake       <── Dialog <──
//! ```
//!
//! [`Dialog`] is the protocol without any pipe: texts in, texts and news out. A server is never
//! believed to keep to it: all that it says is bounded, and what cannot be read is left out.

mod dialog;
mod message;
mod tool;

pub use dialog::{Dialog, Event};
pub use message::{PROTOCOL_VERSION, VERSIONS};
pub use tool::{Answer, Picture, Tool};

use crate::config::types::McpServer;
use serde_json::Value;
use std::sync::Arc;

/// An order of the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A server is used from now on. Its slot is never given twice.
    Open {
        slot: u64,
        name: String,
        server: Arc<McpServer>,
    },
    /// It is used no more; calls that are open are answered no more.
    Close { slot: u64 },
    /// A call of a tool, answered by one [`News::Done`] unless it is cancelled before.
    Call { slot: u64, ticket: u64, call: Call },
    /// Nobody waits for a call any more.
    Cancel { slot: u64, ticket: u64 },
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// As the server calls the tool.
    pub tool: String,
    /// An object.
    pub arguments: Value,
}

/// Something about a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub slot: u64,
    pub news: News,
}

/// What there is to know.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It is ready, or its tools are others now.
    Up {
        /// As it names itself.
        title: String,
        tools: Vec<Tool>,
    },
    /// It ended or cannot be reached; it is tried again after `again_ms`.
    Down { fault: String, again_ms: u64 },
    /// A line of its standard error.
    Said(String),
    /// What came of a call; the error is one of the way, not of the tool.
    Done {
        ticket: u64,
        result: Result<Answer, String>,
    },
}
