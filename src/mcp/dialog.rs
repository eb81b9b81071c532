//! One connection with a server: who it is, which tools it has, calls and their answers.
//!
//! ```text
//! new ──initialize──> answer ──initialized, tools/list──> pages ──> Up
//!                                  ^                          │
//!                                  └── tools/list_changed ────┘
//! ```

use super::message::{self, Message, PROTOCOL_VERSION, VERSIONS};
use super::tool::cut;
use super::{Answer, Call, News, Tool};
use crate::limits::{MCP_CALLS_MAX, MCP_PAGES_MAX, MCP_SCHEMAS_BYTES_MAX, MCP_TOOLS_MAX};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

const TITLE_BYTES_MAX: usize = 64;
/// What a server says when its tools are others.
const LIST_CHANGED: &str = "notifications/tools/list_changed";

/// The protocol's state.
#[derive(Default)]
pub struct Dialog {
    ids_given: u64,
    open: BTreeMap<u64, Asked>,
    events: VecDeque<Event>,
    title: String,
    /// What the server agreed on.
    version: Option<String>,
    has_tools: bool,
    /// Pages so far of the list that is being read.
    listing: Option<Vec<Tool>>,
    pages: usize,
    /// It changed while it was being read.
    lists_again: bool,
    is_up: bool,
}

/// A request of ours that is not answered.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Initialize,
    List,
    /// A call with this ticket.
    Call(u64),
}

/// What is to be done about a server.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// Send this; where it asks for something, under which id.
    Send {
        text: String,
        id: Option<u64>,
    },
    /// A request is answered or given up: nothing more is expected for it.
    Over {
        id: u64,
    },
    Tell(News),
    /// It does not speak as it should, and is of no use.
    Broken(String),
}

impl Dialog {
    /// Begins by saying who we are.
    pub fn begin() -> Self {
        let mut dialog = Self::default();
        let params = json!({
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "clawdia", "version": env!("CARGO_PKG_VERSION")},
        });
        dialog.ask(Asked::Initialize, "initialize", params);
        dialog
    }

    /// What the server agreed on, once it did.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether it said which tools it has.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Calls a tool.
    pub fn call(&mut self, ticket: u64, call: Call) {
        let calls = self.open.values().filter(|it| matches!(it, Asked::Call(_)));
        if calls.count() >= MCP_CALLS_MAX {
            let fault = format!("{MCP_CALLS_MAX} calls of this server are open; try again later");
            return self.done(ticket, Err(fault));
        }
        let params = json!({"name": call.tool, "arguments": call.arguments});
        self.ask(Asked::Call(ticket), "tools/call", params);
    }

    /// Nobody waits for a call any more: the server is told, its answer is not heard.
    pub fn cancel(&mut self, ticket: u64) {
        let is_it = |(_, asked): &(&u64, &Asked)| **asked == Asked::Call(ticket);
        let Some(id) = self.open.iter().find(is_it).map(|(id, _)| *id) else {
            return;
        };
        self.over(id);
        let params = json!({"requestId": id, "reason": "nobody waits for it any more"});
        self.send(
            message::notice("notifications/cancelled", Some(params)),
            None,
        );
    }

    /// Takes a message of the server.
    pub fn hear(&mut self, text: &str) {
        match message::read(text) {
            // Some servers greet on their output before they speak; that does no harm.
            None => {}
            Some(Message::Request { id, method }) => self.send(message::answer(&id, &method), None),
            Some(Message::Notice { method }) if method == LIST_CHANGED && self.is_up => {
                match self.listing {
                    Some(_) => self.lists_again = true,
                    None => self.list(),
                }
            }
            Some(Message::Notice { .. }) => {}
            Some(Message::Answer { id, result }) => self.on_answer(id, result),
        }
    }

    /// A request could not be sent or was not answered.
    pub fn fail(&mut self, id: u64, fault: String) {
        self.on_answer(id, Err(fault));
    }

    fn on_answer(&mut self, id: u64, result: Result<Value, String>) {
        // An answer to what was given up comes late and is of no interest.
        let Some(asked) = self.over(id) else {
            return;
        };
        match (asked, result) {
            (Asked::Call(ticket), result) => {
                self.done(ticket, result.map(|it| Answer::read(&it)));
            }
            (Asked::Initialize, Ok(result)) => self.on_initialized(&result),
            (Asked::List, Ok(result)) => self.on_page(&result),
            (Asked::Initialize, Err(fault)) => {
                self.broken(format!("it refused to begin: {fault}"));
            }
            (Asked::List, Err(fault)) => {
                self.broken(format!("it does not list its tools: {fault}"))
            }
        }
    }

    fn on_initialized(&mut self, result: &Value) {
        let version = result["protocolVersion"].as_str().unwrap_or("");
        if !VERSIONS.contains(&version) {
            let known = VERSIONS.join(", ");
            return self.broken(format!(
                "it speaks the protocol version {version:?}; here are {known}"
            ));
        }
        self.version = Some(version.to_owned());
        let info = &result["serverInfo"];
        let word = |name: &str| info[name].as_str().unwrap_or("");
        let title = format!("{} {}", word("name"), word("version"));
        self.title = cut(title.trim(), TITLE_BYTES_MAX).to_owned();
        self.has_tools = result["capabilities"]["tools"].is_object();
        self.send(message::notice("notifications/initialized", None), None);
        match self.has_tools {
            true => self.list(),
            false => self.up(Vec::new()),
        }
    }

    fn list(&mut self) {
        self.listing = Some(Vec::new());
        self.pages = 0;
        self.ask(Asked::List, "tools/list", json!({}));
    }

    fn on_page(&mut self, result: &Value) {
        let mut tools = self.listing.take().unwrap_or_default();
        let mut room = MCP_SCHEMAS_BYTES_MAX
            .saturating_sub(tools.iter().map(|tool| tool.schema.len()).sum::<usize>());
        let entries = result["tools"].as_array().map_or(&[][..], Vec::as_slice);
        for tool in entries.iter().filter_map(Tool::read) {
            let is_known = tools.iter().any(|known| known.name == tool.name);
            if tools.len() < MCP_TOOLS_MAX && tool.schema.len() <= room && !is_known {
                room -= tool.schema.len();
                tools.push(tool);
            }
        }
        self.pages += 1;
        let next = result["nextCursor"].as_str().filter(|it| !it.is_empty());
        match next {
            Some(cursor) if self.pages < MCP_PAGES_MAX => {
                self.listing = Some(tools);
                self.ask(Asked::List, "tools/list", json!({"cursor": cursor}));
            }
            _ if std::mem::take(&mut self.lists_again) => self.list(),
            _ => self.up(tools),
        }
    }

    fn up(&mut self, tools: Vec<Tool>) {
        self.is_up = true;
        let title = self.title.clone();
        self.events
            .push_back(Event::Tell(News::Up { title, tools }));
    }

    fn ask(&mut self, asked: Asked, method: &str, params: Value) {
        self.ids_given += 1;
        let id = self.ids_given;
        self.open.insert(id, asked);
        self.send(message::request(id, method, params), Some(id));
    }

    fn send(&mut self, text: String, id: Option<u64>) {
        self.events.push_back(Event::Send { text, id });
    }

    fn over(&mut self, id: u64) -> Option<Asked> {
        let asked = self.open.remove(&id)?;
        self.events.push_back(Event::Over { id });
        Some(asked)
    }

    fn done(&mut self, ticket: u64, result: Result<Answer, String>) {
        let news = News::Done { ticket, result };
        self.events.push_back(Event::Tell(news));
    }

    fn broken(&mut self, fault: String) {
        self.events.push_back(Event::Broken(fault));
    }
}

#[cfg(test)]
mod tests;
