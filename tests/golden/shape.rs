//! When two frames have the same shape.
//!
//! The same keys with the same JSON types all the way down; of a list the first entry counts,
//! of a conversation's messages each. Where either side is empty or cut there is nothing to
//! compare. Values may differ (ids, times, names, counts) but for words of the protocol and
//! what an error says.

use serde_json::Value;
use std::collections::BTreeMap;

/// Members whose values are words of the protocol.
const WORDS: &[&str] = &[
    "type",
    "ok",
    "status",
    "state",
    "stream",
    "phase",
    "role",
    "code",
    "decision",
    "aborted",
    "retryable",
    "protocol",
    "deleted",
    "compacted",
    "inject",
];

/// Lists whose entries are compared one by one.
const IN_ORDER: &[&str] = &["messages", "content"];

/// Members whose content depends on the configuration or on what a session has been through.
const FREE: &[&str] = &["parsed", "config", "schema", "uiHints", "entry"];

/// Members whose values the gateway gives out and clients send back.
const GIVEN: &[&str] = &[
    "requestId",
    "deviceId",
    "deviceToken",
    "token",
    "hash",
    "sessionId",
];

/// Compares `ours` with what was `recorded`. Differences are added, texts that stand for each
/// other are learned.
pub struct Comparison<'a> {
    /// What is compared, such as `res:health`.
    pub label: &'a str,
    pub differences: &'a mut Vec<String>,
    pub learned: &'a mut BTreeMap<String, String>,
}

impl Comparison<'_> {
    pub fn frame(&mut self, recorded: &Value, ours: &Value) {
        for part in ["ok", "payload", "stateVersion"] {
            self.member(recorded, ours, part, "");
        }
        self.member(recorded, ours, "error", "");
    }

    fn member(&mut self, recorded: &Value, ours: &Value, key: &str, path: &str) {
        let path = format!("{path}/{key}");
        match (recorded.get(key), ours.get(key)) {
            (None, None) => {}
            (Some(_), None) => self.add(&path, "missing"),
            (None, Some(_)) => self.add(&path, "extra"),
            (Some(recorded), Some(ours)) => self.value(recorded, ours, key, &path),
        }
    }

    fn value(&mut self, recorded: &Value, ours: &Value, key: &str, path: &str) {
        let is_word = WORDS.contains(&key) || path == "/error/message";
        match (recorded, ours) {
            (Value::Object(one), Value::Object(other)) => {
                let is_free = FREE.contains(&key);
                if one.is_empty() || other.is_empty() || is_free {
                    return;
                }
                for key in one.keys() {
                    self.member(recorded, ours, key, path);
                }
                for key in other.keys().filter(|key| !one.contains_key(*key)) {
                    self.member(recorded, ours, key, path);
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                let len = if IN_ORDER.contains(&key) {
                    usize::MAX
                } else {
                    1
                };
                for (recorded, ours) in one.iter().zip(other).take(len) {
                    self.value(recorded, ours, "", &format!("{path}/0"));
                }
            }
            (Value::String(one), Value::String(other)) => {
                let is_error = path == "/error/message" && words_of(one) == words_of(other);
                if is_word && one != other && !is_error {
                    self.add(path, &format!("is {other:?}, was {one:?}"));
                } else if GIVEN.contains(&key) || path == "/payload/id" {
                    self.learned.insert(one.clone(), other.clone());
                }
            }
            _ if kind(recorded) != kind(ours) => {
                let text = format!("is {}, was {}", kind(ours), kind(recorded));
                self.add(path, &text);
            }
            _ if is_word && recorded != ours => {
                self.add(path, &format!("is {ours}, was {recorded}"));
            }
            _ => {}
        }
    }

    fn add(&mut self, path: &str, what: &str) {
        self.differences
            .push(format!("{} {path} {what}", self.label));
    }
}

/// What clients look for in an error: what stands before the advice in brackets.
pub fn words_of(message: &str) -> &str {
    message.split(" (").next().unwrap_or("")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
