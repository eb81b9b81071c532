//! What clients see of a run: `agent` and `chat` events.

use super::{LiveRun, Origin};
use crate::agent::{ToolCall, Verbosity};
use crate::gateway::Gateway;
use crate::gateway::broadcast::Weight;
use crate::gateway::tools::ToolResult;
use crate::gateway::transcript::write_result;
use crate::limits::CHAT_DELTA_MS;
use crate::state::{Message, Text};
use crate::wire::json::Writer;
use serde_json::Value;

/// The last words of a run.
pub(super) enum Last<'a> {
    /// It answered; an empty text has no message.
    Final(&'a str),
    /// It failed.
    Error(&'a str),
    /// It was stopped.
    Aborted(&'static str),
}

impl Gateway {
    pub(super) fn send_lifecycle_start(&mut self, slot: u64) {
        let started_at = self.now.unix_ms;
        self.send_agent_event(slot, "lifecycle", move |w| {
            w.field_str("phase", "start");
            w.field_u64("startedAt", started_at);
        });
    }

    pub(super) fn send_lifecycle_end(&mut self, slot: u64, error: Option<&str>) {
        let ended_at = self.now.unix_ms;
        self.send_agent_event(slot, "lifecycle", |w| {
            w.field_str("phase", if error.is_some() { "error" } else { "end" });
            w.field_opt_str("error", error);
            w.field_u64("endedAt", ended_at);
        });
    }

    /// More text: an `agent` event each time, a `chat` event with all of it at most every
    /// [`CHAT_DELTA_MS`].
    pub(super) fn on_delta(&mut self, slot: u64, delta: &str) {
        let now_ms = self.now.mono_ms;
        let Some(run) = self.runs.by_slot.get_mut(&slot) else {
            return;
        };
        run.text.push_str(delta);
        let text = std::mem::take(&mut run.text);
        self.send_agent_event(slot, "assistant", |w| {
            w.field_str("text", &text);
            w.field_str("delta", delta);
        });
        let Some(run) = self.runs.by_slot.get_mut(&slot) else {
            return;
        };
        let due = run
            .delta_mono_ms
            .is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= CHAT_DELTA_MS);
        if due {
            run.delta_mono_ms = Some(now_ms);
            let head = ChatHead::of(run);
            let timestamp = self.now.unix_ms;
            self.broadcast_chat(&head.stored_key, "chat", Weight::MayDrop, |_, w| {
                w.object(|w| {
                    head.write(w, "delta");
                    w.key("message");
                    write_assistant(w, &text, timestamp);
                });
            });
        }
        if let Some(run) = self.runs.by_slot.get_mut(&slot) {
            run.text = text;
            let (len, row) = (run.text.len(), run.row.clone());
            match run.origin {
                Origin::Http => self.on_http_delta(&row.run_id, delta),
                // Somebody in a chat waits for it.
                Origin::Channel => self.on_draft_grown(slot, &row, len),
                _ => {}
            }
        }
    }

    /// The last `chat` event of a run.
    pub(super) fn send_chat_last(&mut self, run: &LiveRun, last: &Last<'_>) {
        let head = ChatHead::of(run);
        let timestamp = self.now.unix_ms;
        self.broadcast_chat(&head.stored_key, "chat", Weight::Must, |_, w| {
            w.object(|w| match last {
                Last::Final(text) => {
                    head.write(w, "final");
                    if !text.is_empty() {
                        w.key("message");
                        write_assistant(w, text, timestamp);
                    }
                }
                Last::Error(message) => {
                    head.write(w, "error");
                    w.field_str("errorMessage", message);
                }
                Last::Aborted(reason) => {
                    head.write(w, "aborted");
                    w.field_str("stopReason", reason);
                }
            });
        });
    }

    /// A message that no model made, as the one `chat` event of its run.
    pub(in crate::gateway) fn send_injected(
        &mut self,
        run_id: &str,
        (stored_key, session_key): (&str, &str),
        seq: u64,
        message: &Message,
    ) {
        let head = ChatHead {
            run_id: run_id.into(),
            stored_key: stored_key.into(),
            session_key: session_key.into(),
            seq,
        };
        self.broadcast_chat(&head.stored_key, "chat", Weight::Must, |_, w| {
            w.object(|w| {
                head.write(w, "final");
                w.key("message");
                w.raw(message.body.as_bytes());
            });
        });
    }

    /// A tool begins; only sessions that want to see tool work are told.
    pub(super) fn send_tool_start(&mut self, slot: u64, call: &ToolCall, arguments: &Value) {
        self.send_tool_event(slot, |w| {
            w.field_str("phase", "start");
            w.field_str("name", &call.name);
            w.field_str("toolCallId", &call.id);
            w.key("args");
            w.value(arguments);
        });
    }

    /// A tool has its result.
    pub(super) fn send_tool_result(&mut self, slot: u64, call: &ToolCall, result: &ToolResult) {
        self.send_tool_event(slot, |w| {
            w.field_str("phase", "result");
            w.field_str("name", &call.name);
            w.field_str("toolCallId", &call.id);
            w.field_bool("isError", result.is_error);
            w.key("result");
            w.object(|w| write_result(w, result));
        });
    }

    /// Where tool work is not shown its events use up their numbers all the same.
    fn send_tool_event(&mut self, slot: u64, data: impl FnOnce(&mut Writer<'_>)) {
        let Some(run) = self.runs.by_slot.get(&slot) else {
            return;
        };
        let verbosity = self.verbosity_of(&run.row.session_key);
        if verbosity != Verbosity::Off {
            self.send_agent_event(slot, "tool", data);
        } else if let Some(run) = self.runs.by_slot.get_mut(&slot) {
            run.seq += 1;
        }
    }

    fn send_agent_event(&mut self, slot: u64, stream: &str, data: impl FnOnce(&mut Writer<'_>)) {
        let Some(run) = self.runs.by_slot.get_mut(&slot) else {
            return;
        };
        run.seq += 1;
        let head = ChatHead::of(run);
        let ts = self.now.unix_ms;
        let weight = if stream == "lifecycle" {
            Weight::Must
        } else {
            Weight::MayDrop
        };
        self.broadcast_chat(&head.stored_key, "agent", weight, |_, w| {
            w.object(|w| {
                w.field_str("runId", &head.run_id);
                w.field_str("stream", stream);
                w.key("data");
                w.object(data);
                w.field_str("sessionKey", &head.session_key);
                w.field_u64("seq", head.seq);
                w.field_u64("ts", ts);
            });
        });
    }
}

struct ChatHead {
    run_id: Text,
    /// As it is stored, and as its client wrote it.
    stored_key: Text,
    session_key: Text,
    seq: u64,
}

impl ChatHead {
    fn of(run: &LiveRun) -> Self {
        Self {
            run_id: run.row.run_id.clone(),
            stored_key: run.row.session_key.clone(),
            session_key: run.shown_key.clone(),
            seq: run.seq,
        }
    }

    fn write(&self, w: &mut Writer<'_>, state: &str) {
        w.field_str("runId", &self.run_id);
        w.field_str("sessionKey", &self.session_key);
        w.field_u64("seq", self.seq);
        w.field_str("state", state);
    }
}

/// Writes an assistant's message as `chat` events carry it.
pub(in crate::gateway) fn write_assistant(w: &mut Writer<'_>, text: &str, timestamp: u64) {
    w.object(|w| {
        w.field_str("role", "assistant");
        w.key("content");
        w.array(|w| {
            w.object(|w| {
                w.field_str("type", "text");
                w.field_str("text", text);
            });
        });
        w.field_u64("timestamp", timestamp);
    });
}
