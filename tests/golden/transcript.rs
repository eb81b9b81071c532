//! A transcript's file: one JSON object a line.

use clawdia::gateway::methods::find;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One recorded conversation, of one or more connections.
pub struct Transcript {
    /// The file's name without its ending.
    pub name: String,
    /// The configuration that the gateway had, where it matters.
    pub config: Option<String>,
    /// Sessions that there were before.
    pub sessions: Vec<Past>,
    pub lines: Vec<Line>,
    pub bytes_len: usize,
}

/// A session that there was when the recording began.
pub struct Past {
    pub key: String,
    pub session_id: String,
    pub label: Option<String>,
    /// Messages of user and assistant in turn.
    pub messages: u64,
}

/// One thing that happened.
pub struct Line {
    /// Milliseconds since the first one.
    pub at_ms: u64,
    /// A connection's number within the file.
    pub conn: u64,
    pub what: What,
}

pub enum What {
    /// A connection was opened with these header fields.
    Open(Vec<(String, String)>),
    /// The client sent a message that is not JSON.
    SentText(String),
    /// The client sent a frame.
    Sent(Value),
    /// The gateway sent a frame.
    Got(Value),
    /// The client closed.
    Left,
    /// The gateway closed with this code and reason.
    Closed(u16, String),
}

impl Transcript {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut config = None;
        let mut sessions = Vec::new();
        let mut lines = Vec::new();
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|fault| {
                panic!("{name}: {fault}: {line}");
            });
            if value["kind"] == "config" {
                config = value["text"].as_str().map(str::to_owned);
            } else if value["kind"] == "session" {
                let text = |name: &str| value[name].as_str().map(str::to_owned);
                sessions.push(Past {
                    key: text("key").unwrap(),
                    session_id: text("sessionId").unwrap(),
                    label: text("label"),
                    messages: value["messages"].as_u64().unwrap(),
                });
            } else {
                lines.push(Line {
                    at_ms: value["t"].as_u64().unwrap(),
                    conn: value["conn"].as_u64().unwrap(),
                    what: what(value),
                });
            }
        }
        Self {
            name,
            config,
            sessions,
            lines,
            bytes_len: text.len(),
        }
    }

    /// Whether the gateway serves every method that this recording shows at work.
    pub fn is_served(&self) -> bool {
        let refused = |message: &str| {
            ["unknown method", "missing scope", "unauthorized role"]
                .iter()
                .any(|start| message.starts_with(start))
        };
        let mut called = BTreeMap::new();
        self.lines.iter().all(|line| match &line.what {
            What::Sent(frame) => {
                if let (Some(id), Some(method)) = (frame["id"].as_str(), frame["method"].as_str()) {
                    called.insert(id, method);
                }
                true
            }
            What::Got(frame) if frame["type"] == "res" => {
                let message = frame["error"]["message"].as_str().unwrap_or("");
                let method = frame["id"].as_str().and_then(|id| called.get(id));
                refused(message) || method.is_none_or(|it| it.is_empty() || find(it).is_some())
            }
            _ => true,
        })
    }

    /// The methods that the clients called.
    pub fn methods(&self) -> BTreeSet<String> {
        let sent = |line: &Line| match &line.what {
            What::Sent(frame) => frame["method"].as_str().map(str::to_owned),
            _ => None,
        };
        self.lines.iter().filter_map(sent).collect()
    }
}

fn what(mut value: Value) -> What {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    match (value["kind"].as_str(), value["dir"].as_str()) {
        (Some("open"), _) => {
            let fields = value["headers"].as_object().into_iter().flatten();
            What::Open(fields.map(|(name, it)| (name.clone(), text(it))).collect())
        }
        (Some("frame"), Some("c>s")) if value["raw"] == true => {
            What::SentText(text(&value["frame"]))
        }
        (Some("frame"), Some("c>s")) => What::Sent(value["frame"].take()),
        (Some("frame"), _) => What::Got(value["frame"].take()),
        (Some("close"), _) if value["by"] == "client" => What::Left,
        _ => {
            let code = value["code"].as_u64().unwrap_or(0) as u16;
            What::Closed(code, text(&value["reason"]))
        }
    }
}
