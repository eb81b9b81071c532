//! `POST /tools/invoke`: one tool, used by a program that shows the gateway's secret and not by a
//! model. What an agent may use and what a person has to approve holds here as it does there.

use super::Fault;
use crate::gateway::Gateway;
use crate::gateway::runs::Origin;
use crate::gateway::timers::Timer;
use crate::gateway::tools::{CallTag, Cancel, Known, Ran, ToolResult, Use};
use crate::gateway::transcript::write_result;
use crate::ids::ConnId;
use crate::limits::{TOOL_DEADLINE_MS, TOOL_INVOKES_MAX};
use crate::wire::json::Writer;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Above all numbers of runs: no run's call has such a tag.
const FIRST: u64 = 1 << 63;

/// Calls that requests wait for.
#[derive(Default)]
pub struct Invokes {
    by_tag: BTreeMap<CallTag, Invoke>,
    given: u64,
}

struct Invoke {
    conn: ConnId,
    cancel: Option<Cancel>,
}

impl Invokes {
    /// Whether a request waits for this call.
    pub fn is_open(&self, tag: CallTag) -> bool {
        self.by_tag.contains_key(&tag)
    }

    /// What stops the tool, from now on; whether somebody waits for it.
    pub fn put_cancel(&mut self, tag: CallTag, cancel: Cancel) -> Option<Cancel> {
        match self.by_tag.get_mut(&tag) {
            Some(invoke) => {
                invoke.cancel = Some(cancel);
                None
            }
            None => Some(cancel),
        }
    }

    /// Takes out what stops the tool.
    pub fn take_cancel(&mut self, tag: CallTag) -> Option<Cancel> {
        self.by_tag.get_mut(&tag)?.cancel.take()
    }
}

impl Gateway {
    pub(super) fn invoke_tool(&mut self, conn: ConnId, body: &Value) -> Result<(), Fault> {
        let invalid = |text: &str| Err(Fault::invalid(text));
        let name = body["tool"].as_str().map(str::trim).unwrap_or_default();
        if name.is_empty() {
            return invalid("tools.invoke requires body.tool");
        }
        let mut arguments = match &body["args"] {
            Value::Null => Value::Object(Map::new()),
            args if args.is_object() => args.clone(),
            _ => return invalid("args must be an object"),
        };
        let session_key = match body["sessionKey"].as_str().map(str::trim) {
            Some(key) if !key.is_empty() => self
                .session_key(key)
                .map_err(|refusal| Fault::invalid(refusal.message))?,
            _ => self.session_key_of(self.default_agent()).into(),
        };
        let agent = self.agent_of_session(&session_key).to_owned();
        let known = self.check_agent(&agent);
        known.map_err(|refusal| Fault::invalid(refusal.message))?;
        let Some(tool) = self.tool_of(&agent, name) else {
            return Err(Fault {
                kind: "not_found",
                ..Fault::not_found(format!("Tool not available: {name}"))
            });
        };
        if let (Some(action), true) = (body["action"].as_str(), arguments["action"].is_null())
            && takes_action(&tool)
        {
            arguments["action"] = action.into();
        }
        if self.invokes.by_tag.len() >= TOOL_INVOKES_MAX {
            return Err(Fault::failed(
                503,
                "too many tools are in use; try again later",
            ));
        }
        self.invokes.given += 1;
        let tag = CallTag {
            run: FIRST + self.invokes.given,
            generation: 0,
            index: 0,
        };
        // It has shown its secret, and may wait for as long as its tool takes.
        self.waiting.done(conn);
        let invoke = Invoke { conn, cancel: None };
        self.invokes.by_tag.insert(tag, invoke);
        let it = Use {
            tag,
            arguments: &arguments,
            session_key: &session_key,
            origin: Origin::Http,
        };
        match self.use_tool(&tool, &it) {
            Ok(Ran::Done(result)) => self.on_tool_done(tag, result),
            Ok(Ran::Later(cancel)) => {
                if self.invokes.put_cancel(tag, cancel).is_none() {
                    let until_ms = self.now.mono_ms.saturating_add(TOOL_DEADLINE_MS);
                    self.timers.set(until_ms, Timer::Tool(tag));
                }
            }
            Err(fault) => self.on_tool_done(tag, ToolResult::error(fault)),
        }
        Ok(())
    }

    /// The tool that a request waits for has its result; whether one does.
    pub(in crate::gateway) fn answer_invoke(&mut self, tag: CallTag, result: &ToolResult) -> bool {
        let Some(invoke) = self.invokes.by_tag.remove(&tag) else {
            return false;
        };
        self.timers.clear(Timer::Tool(tag));
        if result.is_error {
            let fault = Fault {
                kind: "tool_error",
                ..Fault::invalid(&result.text)
            };
            self.answer_invoke_fault(invoke.conn, &fault);
            return true;
        }
        let mut out = Vec::new();
        Writer::new(&mut out).object(|w| {
            w.field_bool("ok", true);
            w.key("result");
            w.object(|w| write_result(w, result));
        });
        self.answer_json(invoke.conn, 200, &out);
        true
    }

    /// `{ok, error: {type, message}}`, as the ecosystem answers here.
    pub(super) fn answer_invoke_fault(&mut self, conn: ConnId, fault: &Fault) {
        let mut out = Vec::new();
        Writer::new(&mut out).object(|w| {
            w.field_bool("ok", false);
            w.key("error");
            w.object(|w| {
                w.field_str("type", fault.kind);
                w.field_str("message", &fault.message);
            });
        });
        self.answer_json(conn, fault.status, &out);
    }

    /// A connection is gone: its tools are stopped.
    pub(in crate::gateway) fn stop_invokes(&mut self, conn: ConnId) {
        let of_conn = |(_, invoke): &(&CallTag, &Invoke)| invoke.conn == conn;
        let tags = self.invokes.by_tag.iter().filter(of_conn);
        for tag in tags.map(|(tag, _)| *tag).collect::<Vec<_>>() {
            self.timers.clear(Timer::Tool(tag));
            let cancel = self.invokes.by_tag.remove(&tag).and_then(|it| it.cancel);
            if let Some(cancel) = cancel {
                cancel(self);
            }
        }
    }
}

fn takes_action(tool: &Known) -> bool {
    let schema: Value = serde_json::from_str(&tool.spec().schema).unwrap_or_default();
    schema["properties"]["action"].is_object()
}
