//! `node.event`: what a node tells of its own accord.
//!
//! ```text
//! voice.transcript {text, sessionKey?}       somebody spoke: a run begins
//! agent.request {message, sessionKey?, …}    a run begins
//! chat.subscribe, chat.unsubscribe           whose chat events the node wants
//! exec.started, exec.finished, exec.denied   of a command that this connection was asked for
//! ```
//!
//! An event that nobody knows is taken and means nothing.

use crate::agent::Thinking;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::runs::{Origin, Request};
use crate::gateway::{Gateway, Refusal};
use crate::limits::{NODE_EXEC_OUTPUT_CHARS_MAX, NODE_TEXT_CHARS_MAX};
use crate::now::Now;
use crate::state::{Delivery, Text};
use serde_json::Value;

/// `node.event`.
pub fn event(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let payload = Payload(payload_of(params));
    match params.required_text("event") {
        "voice.transcript" => transcript(gateway, call, &payload),
        "agent.request" => request(gateway, call, &payload),
        "chat.subscribe" => {
            let key = gateway.session_key(payload.required("sessionKey")?)?;
            if !gateway.fleet.subscriptions.has_room(call.conn) {
                let text = "too many subscriptions of one node (send chat.unsubscribe first)";
                return Err(Refusal::unavailable(text).into());
            }
            gateway.fleet.subscriptions.add(call.conn, &key);
            gateway.take_event(call)
        }
        "chat.unsubscribe" => {
            let key = gateway.session_key(payload.required("sessionKey")?)?;
            gateway.fleet.subscriptions.remove(call.conn, &key);
            gateway.take_event(call)
        }
        event @ ("exec.started" | "exec.finished" | "exec.denied") => {
            gateway.believe_exec(now, call, event, &payload)?;
            gateway.queue_system_event(&gateway.exec_line(call, event, &payload));
            gateway.take_event(call)
        }
        _ => gateway.take_event(call),
    }
}

/// The payload, as a value or as text.
fn payload_of(params: Params<'_, '_>) -> Value {
    match params.text("payloadJSON") {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => params
            .get("payload")
            .or_else(|| params.get("payloadJSON"))
            .map_or(Value::Null, |payload| payload.to_value()),
    }
}

struct Payload(Value);

impl Payload {
    /// A text that is not blank.
    fn text(&self, name: &str) -> Option<&str> {
        let text = self.0[name].as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| {
            Refusal::invalid(format!("invalid node.event payload: {name} must be a text"))
        })
    }

    fn message(&self, name: &str) -> Result<&str, Refusal> {
        let text = self.required(name)?;
        if text.chars().count() > NODE_TEXT_CHARS_MAX {
            return Err(Refusal::invalid(format!(
                "invalid node.event payload: {name} is longer than {NODE_TEXT_CHARS_MAX} characters"
            )));
        }
        Ok(text)
    }
}

fn transcript(gateway: &mut Gateway, call: Call<'_>, payload: &Payload) -> Handled {
    let text = payload.message("text")?;
    let main = gateway.main_session_key();
    let shown = payload.text("sessionKey").unwrap_or(&main);
    let run = Run {
        run_id: format!("voice-{}", gateway.uuid()),
        message: text,
        shown_key: shown,
        thinking: Some(Thinking::Low),
        timeout_ms: None,
        delivery: Delivery::default(),
    };
    gateway.run_for_node(call, run)
}

fn request(gateway: &mut Gateway, call: Call<'_>, payload: &Payload) -> Handled {
    let message = payload.message("message")?;
    let live = gateway.peers.get(call.conn).and_then(|peer| peer.live());
    let node_id = live.and_then(|live| live.device_id.as_deref());
    let own = format!("node-{}", node_id.unwrap_or_default());
    let channel = payload.text("channel");
    let channel = channel.filter(|channel| gateway.is_known_channel(channel));
    let run = Run {
        run_id: format!("node-{}", gateway.uuid()),
        message,
        shown_key: payload.text("sessionKey").unwrap_or(&own),
        thinking: Thinking::asked(payload.text("thinking").unwrap_or_default())
            .map_err(|fault| Refusal::invalid(format!("invalid node.event payload: {fault}")))?,
        timeout_ms: payload.0["timeoutSeconds"]
            .as_u64()
            .map(|seconds| seconds.saturating_mul(1_000)),
        delivery: Delivery {
            deliver: payload.0["deliver"] == true && channel.is_some(),
            channel: channel.map(Text::from),
            to: payload.text("to").map(Text::from),
            ..Delivery::default()
        },
    };
    gateway.run_for_node(call, run)
}

/// A run that a node asks for.
struct Run<'a> {
    run_id: String,
    message: &'a str,
    shown_key: &'a str,
    thinking: Option<Thinking>,
    timeout_ms: Option<u64>,
    delivery: Delivery,
}

impl Gateway {
    fn take_event(&mut self, call: Call<'_>) -> Handled {
        self.reply(call, |_, w| w.object(|w| w.field_bool("ok", true)));
        Ok(Outcome::Done)
    }

    /// Begins a run; the node is answered once it is stored.
    fn run_for_node(&mut self, call: Call<'_>, run: Run<'_>) -> Handled {
        let session_key = self.session_key(run.shown_key)?;
        self.check_may_speak(&session_key)?;
        let request = Request {
            origin: Origin::Node,
            run_id: run.run_id.into(),
            session_key,
            shown_key: run.shown_key.into(),
            message: run.message.to_owned(),
            images: Vec::new(),
            thinking: run.thinking,
            extra_prompt: None,
            timeout_ms: run.timeout_ms,
            delivery: run.delivery,
            fingerprint: [0; 32],
            also: Vec::new(),
        };
        let call = call.keep();
        self.accept_run(
            request,
            Box::new(move |gateway, _, result| {
                match result {
                    Ok(()) => {
                        gateway.reply_kept(&call, |_, w| w.object(|w| w.field_bool("ok", true)));
                    }
                    Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
                }
                None
            }),
        )?;
        Ok(Outcome::Later)
    }

    /// Refuses what is told of a command that this connection was not asked for.
    fn believe_exec(
        &mut self,
        now: Now,
        call: Call<'_>,
        event: &str,
        payload: &Payload,
    ) -> Result<(), Refusal> {
        let node = self.fleet.registry.at_mut(call.conn);
        let is_believed = node.is_some_and(|node| {
            let run_id = payload.text("runId").unwrap_or("");
            let session_key = payload.text("sessionKey").unwrap_or("");
            let is_last = event != "exec.started";
            let execs = &mut node.execs;
            execs.believe(run_id, session_key, is_last, now.mono_ms)
        });
        match is_believed {
            true => Ok(()),
            false => Err(Refusal::invalid(format!(
                "{event}: this node was not asked for such a run"
            ))),
        }
    }

    /// What the main session's next run is told.
    fn exec_line(&self, call: Call<'_>, event: &str, payload: &Payload) -> String {
        let live = self.peers.get(call.conn).and_then(|peer| peer.live());
        let node = live.and_then(|live| live.device_id.as_deref());
        let node = node.unwrap_or_default();
        let id = payload.text("runId").map(|id| format!(" id={id}"));
        let id = id.unwrap_or_default();
        let more = |name: &str, before: &str| {
            let text = payload.text(name).unwrap_or("");
            let text: String = text.chars().take(NODE_EXEC_OUTPUT_CHARS_MAX).collect();
            if text.is_empty() {
                text
            } else {
                format!("{before}{text}")
            }
        };
        match event {
            "exec.started" => format!("Exec started (node={node}{id}){}", more("command", ": ")),
            "exec.finished" => {
                let code = match (
                    payload.0["timedOut"] == true,
                    payload.0["exitCode"].as_i64(),
                ) {
                    (true, _) => "timeout".to_owned(),
                    (false, Some(code)) => format!("code {code}"),
                    (false, None) => "code ?".to_owned(),
                };
                let output = more("output", "\n");
                format!("Exec finished (node={node}{id}, {code}){output}")
            }
            _ => {
                let reason = more("reason", ", ");
                let command = more("command", ": ");
                format!("Exec denied (node={node}{id}{reason}){command}")
            }
        }
    }
}
