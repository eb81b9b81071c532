//! The `sessions` tool: other conversations of the same agents, read and written to.

use super::{CallTag, Ran, Tool, ToolResult, Use};
use crate::gateway::Gateway;
use crate::gateway::dispatch::Stop;
use crate::gateway::runs::{Origin, Request};
use crate::gateway::transcript::{cut_chars, text_of};
use crate::limits::{CHAT_TEXT_BYTES_MAX, FACTS_LIST_MAX, PREVIEW_BYTES_MAX, PREVIEW_CHARS};
use crate::log::iso::iso_utc;
use crate::now::Now;
use crate::state::{Delivery, Page, Text};
use serde_json::{Value, json};

/// Messages of `history` where the model names no number, and at most.
const HISTORY: (u64, u64) = (20, 50);

pub const TOOL: Tool = Tool {
    name: "sessions",
    description: "Other conversations of this gateway. list: all sessions, newest first. history: \
        the last messages of one. send: give a message to another session; its agent answers \
        there, not here.",
    schema: r#"{
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["list", "history", "send"]},
            "session": {"type": "string", "description": "history, send: the session's key"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50},
            "message": {"type": "string", "description": "send: what to say"}
        },
        "required": ["action"],
        "additionalProperties": false
    }"#,
    acts: |arguments| arguments["action"] == "send",
    run,
};

fn run(gateway: &mut Gateway, _: Now, it: &Use<'_>) -> Result<Ran, String> {
    match it.action(&["list", "history", "send"])? {
        "list" => Ok(Ran::Done(gateway.list_for_tool())),
        "history" => {
            let key = gateway.session_for_tool(it.required("session")?)?;
            let limit = it.arguments["limit"].as_u64().unwrap_or(HISTORY.0);
            Ok(gateway.history_for_tool(it.tag, &key, limit.clamp(1, HISTORY.1)))
        }
        _ => gateway.send_for_tool(it),
    }
}

impl Gateway {
    fn session_for_tool(&self, text: &str) -> Result<Text, String> {
        let key = self
            .session_key(text)
            .map_err(|refusal| refusal.message.into_owned())?;
        if self.session(&key).is_none() {
            return Err(format!(
                "there is no session {text:?}; the action list shows them"
            ));
        }
        Ok(key)
    }

    fn list_for_tool(&self) -> ToolResult {
        let rows = self.sessions_newest_first(None);
        let total = rows.len();
        let shown: Vec<Value> = rows
            .into_iter()
            .take(FACTS_LIST_MAX)
            .map(|session| {
                json!({
                    "session": &*session.key,
                    "label": session.label.as_deref(),
                    "updated": iso_utc(session.updated_at_ms),
                    "messages": self.state.transcript(&session.session_id).message_count(),
                })
            })
            .collect();
        ToolResult::json(json!({"sessions": shown, "total": total}))
    }

    fn history_for_tool(&mut self, tag: CallTag, key: &str, limit: u64) -> Ran {
        let id = self.session(key).map(|session| session.session_id.clone());
        self.read_messages(
            id.unwrap_or_default(),
            None,
            limit as usize,
            (PREVIEW_BYTES_MAX, 0),
            move |gateway, _, page| {
                let result = match page {
                    Ok(page) => ToolResult::json(history(&page)),
                    Err(fault) => {
                        ToolResult::error(format!("the transcript cannot be read: {fault}"))
                    }
                };
                gateway.on_tool_done(tag, result);
            },
        );
        Ran::Later(Box::new(|_| {}))
    }

    fn send_for_tool(&mut self, it: &Use<'_>) -> Result<Ran, String> {
        let session_key = self.session_for_tool(it.required("session")?)?;
        let message = it.required("message")?;
        if session_key == *it.session_key {
            return Err("that is this session: answer here instead".into());
        }
        if it.origin == Origin::Tool {
            // Else two sessions could talk to each other for ever.
            return Err("not from a session that was itself given its message this way".into());
        }
        if message.len() > CHAT_TEXT_BYTES_MAX {
            return Err(format!(
                "the message is longer than {CHAT_TEXT_BYTES_MAX} bytes"
            ));
        }
        self.check_may_speak(&session_key)
            .map_err(|refusal| refusal.message.into_owned())?;
        let prompt = format!("The message comes from your session {}.", it.session_key);
        self.give_message(it.tag, session_key, message.to_owned(), prompt.into());
        Ok(Ran::Later(Box::new(|_| {})))
    }

    fn give_message(&mut self, tag: CallTag, session_key: Text, message: String, prompt: Text) {
        if !self.is_tool_open(tag) {
            return;
        }
        let request = Request {
            origin: Origin::Tool,
            run_id: self.uuid().into(),
            session_key: session_key.clone(),
            shown_key: session_key.clone(),
            message: message.clone(),
            images: Vec::new(),
            thinking: None,
            extra_prompt: Some(prompt.clone()),
            timeout_ms: None,
            delivery: Delivery::default(),
            fingerprint: [0; 32],
            also: Vec::new(),
        };
        let run_id = request.run_id.clone();
        let accepted = self.accept_run(
            request,
            Box::new(move |gateway, _, result| {
                let result = match result {
                    Ok(()) => ToolResult::json(json!({"sent": true, "runId": &*run_id})),
                    Err(fault) => ToolResult::error(format!("the message is not sent: {fault}")),
                };
                gateway.on_tool_done(tag, result);
                None
            }),
        );
        match accepted {
            Ok(()) => {}
            Err(Stop::Busy) => self.commits.wait(Box::new(move |gateway, _| {
                gateway.give_message(tag, session_key, message, prompt);
            })),
            Err(Stop::Refuse(refusal)) => {
                self.on_tool_done(tag, ToolResult::error(refusal.message.into_owned()));
            }
        }
    }
}

fn history(page: &Page) -> Value {
    let said = page.messages.iter().filter_map(|row| {
        let text = text_of(&row.message.body)?;
        Some(json!({
            "role": &*row.message.role,
            "at": iso_utc(row.message.ts),
            "text": cut_chars(&text, PREVIEW_CHARS.1),
        }))
    });
    json!({"messages": said.collect::<Vec<_>>(), "hasOlder": page.has_older})
}
