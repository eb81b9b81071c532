//! A call of a node: sent, and ended exactly once, by a result, its deadline or the node's loss.

use super::calls::{Call, Waiter, read_id, write_id};
use super::execs::Execs;
use super::policy::{Asker, allowed};
use super::progress::{PROGRESS, Progress};
use super::repeats::{Kept, RepeatKey, Sent};
use crate::gateway::dispatch::KeptCall;
use crate::gateway::timers::Timer;
use crate::gateway::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::{
    INVOKE_TIMEOUT_MS, INVOKE_TIMEOUT_MS_MAX, JSON_PADDING_BYTES, NODE_CALLS_MAX,
    NODE_ERROR_BYTES_MAX, OUTBOX_SOFT_BYTES,
};
use crate::now::Now;
use crate::state::Text;
use crate::wire::envelope::write_response;
use crate::wire::json::Writer;
use std::borrow::Cow;

/// A call of a node by a part of the gateway.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub node_id: Text,
    pub command: Text,
    /// The command's parameters, as JSON text.
    pub params_json: Option<Text>,
    /// None or 0: [`INVOKE_TIMEOUT_MS`]; [`INVOKE_TIMEOUT_MS_MAX`] at most.
    pub timeout_ms: Option<u64>,
    /// Told to the node.
    pub idempotency_key: Option<Text>,
    /// May use commands that `node.invoke` may not, such as `system.execApprovals.*`.
    pub internal: bool,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvokeOutcome {
    /// The node did it.
    Ok {
        /// What it answered, as JSON text, if anything.
        payload_json: Option<Text>,
    },
    /// It did not, or nobody knows.
    Failed(InvokeFailure),
}

/// The code of a call whose node has gone.
pub const DISCONNECTED: &str = "DISCONNECTED";

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvokeFailure {
    /// `TIMEOUT`, `DISCONNECTED`, or the node's own word.
    pub code: Cow<'static, str>,
    /// The node's own words, or ours.
    pub message: Cow<'static, str>,
    /// The node said so; else nobody knows how far it came.
    pub said_by_node: bool,
}

impl InvokeFailure {
    fn timeout() -> Self {
        Self {
            code: "TIMEOUT".into(),
            message: "node invoke timed out".into(),
            said_by_node: false,
        }
    }

    /// The node has gone; whether it did it, nobody knows.
    pub(super) fn disconnected(command: &str) -> Self {
        Self {
            code: DISCONNECTED.into(),
            message: format!("node disconnected ({command})").into(),
            said_by_node: false,
        }
    }

    /// What a node says; nothing of it is believed to be short.
    pub fn of_node(code: Option<&str>, message: Option<&str>) -> Self {
        let said = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(cut);
        Self {
            code: said(code).map_or("UNAVAILABLE".into(), Cow::from),
            message: said(message).map_or("node invoke failed".into(), Cow::from),
            said_by_node: true,
        }
    }

    /// What whoever asked is told.
    pub fn refusal(&self) -> Refusal {
        Refusal::unavailable(self.message.clone()).with_details(|w| {
            w.object(|w| {
                w.key("nodeError");
                w.object(|w| {
                    w.field_str("code", &self.code);
                    w.field_str("message", &self.message);
                });
            });
        })
    }
}

/// How a call ended, before anybody keeps it.
#[derive(Clone, Copy)]
pub enum Answer<'a> {
    /// The payload and how the node sent it.
    Ok(Option<&'a str>, Sent),
    Failed(&'a InvokeFailure),
}

/// A call to be sent.
pub struct Order<'a> {
    pub node_id: &'a str,
    pub command: &'a str,
    pub params_json: Option<&'a str>,
    pub timeout_ms: Option<u64>,
    pub idempotency_key: Option<&'a str>,
    pub asker: Asker,
    /// Under which the outcome is remembered.
    pub key: Option<RepeatKey>,
    /// The caller wants to see what is printed while it runs.
    pub progress: bool,
}

impl Gateway {
    /// Calls a node; `then` gets the outcome, exactly once, later. Gives the call's number.
    ///
    /// # Errors
    ///
    /// The node is not connected, may not be asked for this, or has too much to do. Nothing was
    /// sent and `then` never runs.
    pub(in crate::gateway) fn invoke_node(
        &mut self,
        invocation: Invocation,
        then: impl FnOnce(&mut Gateway, Now, InvokeOutcome) + Send + 'static,
    ) -> Result<u64, Refusal> {
        let order = Order {
            node_id: &invocation.node_id,
            command: &invocation.command,
            params_json: invocation.params_json.as_deref(),
            timeout_ms: invocation.timeout_ms,
            idempotency_key: invocation.idempotency_key.as_deref(),
            asker: match invocation.internal {
                true => Asker::Gateway,
                false => Asker::Client,
            },
            key: None,
            progress: false,
        };
        self.send_call(order, || Waiter::Then(Box::new(then)))
    }

    /// Forgets a call: its outcome is told to nobody. The node is not stopped.
    pub(in crate::gateway) fn cancel_invoke(&mut self, number: u64) {
        self.take_call(number);
    }

    /// Sends a call to its node.
    pub(in crate::gateway) fn send_call(
        &mut self,
        order: Order<'_>,
        waiter: impl FnOnce() -> Waiter,
    ) -> Result<u64, Refusal> {
        let Some(node) = self.fleet.registry.get(order.node_id) else {
            return Err(not_connected());
        };
        let config = &self.config().gateway.nodes;
        let paired = self.state.devices().get(order.node_id);
        let command = match paired {
            Some(paired) => allowed(
                order.command,
                order.asker,
                &node.facts.commands,
                paired,
                config,
            ),
            None => Err("node is not paired"),
        }
        .map_err(|reason| not_allowed(order.command, reason))?;
        let conn = node.conn;
        if node.calls.len() >= NODE_CALLS_MAX || self.queued_len(conn) > OUTBOX_SOFT_BYTES {
            return Err(Refusal {
                retryable: true,
                ..Refusal::unavailable("the node has too many calls to answer; try again later")
            });
        }
        let call = Call {
            node: conn,
            node_id: node.device_id.clone(),
            command,
            waiter: waiter(),
            also: Vec::new(),
            key: order.key,
            progress: order.progress.then(|| {
                Box::new(Progress {
                    idempotency_key: order.idempotency_key.unwrap_or_default().into(),
                    next_seq: 0,
                })
            }),
        };
        // Other nodes are told nothing that they have not heard of.
        let is_shown = order.progress && node.facts.caps.iter().any(|cap| **cap == *PROGRESS);
        let number = self.fleet.calls.insert(call);
        if let Some(node) = self.fleet.registry.at_mut(conn) {
            node.calls.push(number);
            if Execs::is_exec(order.command) {
                node.execs
                    .begin(number, order.params_json, self.now.mono_ms);
            }
        }
        let timeout_ms = match order.timeout_ms {
            None | Some(0) => INVOKE_TIMEOUT_MS,
            Some(timeout_ms) => timeout_ms.min(INVOKE_TIMEOUT_MS_MAX),
        };
        self.set_timer(timeout_ms, Timer::Invoke(number));
        self.send_invoke_request(conn, number, timeout_ms, is_shown, &order);
        Ok(number)
    }

    fn send_invoke_request(
        &mut self,
        conn: ConnId,
        number: u64,
        timeout_ms: u64,
        is_shown: bool,
        order: &Order<'_>,
    ) {
        let id = write_id(number);
        self.send_unnumbered(conn, "node.invoke.request", |_, w| {
            w.object(|w| {
                w.field_str("id", std::str::from_utf8(&id).unwrap_or_default());
                w.field_str("nodeId", order.node_id);
                w.field_str("command", order.command);
                w.field_opt_str("paramsJSON", order.params_json);
                w.field_u64("timeoutMs", timeout_ms);
                w.field_opt_str("idempotencyKey", order.idempotency_key);
                if is_shown {
                    w.field_bool("progress", true);
                }
            });
        });
    }

    /// Takes a call out of everything that knows of it.
    pub(super) fn take_call(&mut self, number: u64) -> Option<Call> {
        let call = self.fleet.calls.remove(number)?;
        self.timers.clear(Timer::Invoke(number));
        if let Some(node) = self.fleet.registry.at_mut(call.node) {
            node.calls.retain(|other| *other != number);
            node.execs.end(number, self.now.mono_ms);
        }
        Some(call)
    }

    /// A node's result; false for one that nobody waits for on this connection.
    pub(in crate::gateway) fn on_invoke_result(
        &mut self,
        conn: ConnId,
        id: &str,
        answer: Answer<'_>,
    ) -> bool {
        let number = read_id(id).filter(|number| {
            let call = self.fleet.calls.get(*number);
            call.is_some_and(|call| call.node == conn)
        });
        let Some(call) = number.and_then(|number| self.take_call(number)) else {
            return false;
        };
        self.end_call(call, answer);
        true
    }

    /// A call's time is over.
    pub(in crate::gateway) fn on_invoke_over(&mut self, number: u64) {
        if let Some(call) = self.take_call(number) {
            self.end_call(call, Answer::Failed(&InvokeFailure::timeout()));
        }
    }

    /// Tells everybody who waits, and remembers the outcome.
    pub(super) fn end_call(&mut self, call: Call, answer: Answer<'_>) {
        if let Some(key) = call.key {
            let kept = match answer {
                Answer::Ok(payload, sent) => Kept::Ok(payload.map(Box::from), sent),
                Answer::Failed(failure) => Kept::Failed(failure.clone()),
            };
            self.fleet.repeats.end(key, self.now.mono_ms, kept);
        }
        for caller in &call.also {
            self.answer_caller(caller, &call.node_id, &call.command, answer);
        }
        match call.waiter {
            Waiter::Caller(caller) => {
                self.answer_caller(&caller, &call.node_id, &call.command, answer);
            }
            Waiter::Then(then) => then(self, self.now, outcome(answer)),
        }
    }

    fn answer_caller(
        &mut self,
        caller: &KeptCall,
        node_id: &str,
        command: &str,
        answer: Answer<'_>,
    ) {
        match answer {
            Answer::Ok(payload, sent) => {
                self.reply_kept(caller, |_, w| {
                    write_result(w, node_id, command, payload, sent);
                });
            }
            Answer::Failed(failure) => self.refuse_kept(caller, &failure.refusal()),
        }
    }

    /// Answers a repeat of a call that has ended.
    pub(in crate::gateway) fn answer_again(
        &mut self,
        conn: ConnId,
        id: &str,
        (node_id, command): (&str, &str),
        key: &RepeatKey,
    ) -> Result<(), Refusal> {
        // Taken out, so that the outbox can be written while it is read.
        let repeats = std::mem::take(&mut self.fleet.repeats);
        let answered = match repeats.kept(key) {
            Some(Kept::Ok(payload, sent)) => {
                self.send_text(conn, |_, w| {
                    write_response(w, id, |w| {
                        write_result(w, node_id, command, payload.as_deref(), *sent);
                    });
                });
                Ok(())
            }
            Some(Kept::Failed(failure)) => Err(failure.refusal()),
            Some(Kept::TooLarge) | None => Err(Refusal::unavailable(
                "the call was made before; its result was too large to be kept",
            )),
        };
        self.fleet.repeats = repeats;
        answered
    }

    /// How a text that a node sent as its payload reads: it may say that it is JSON and not be.
    pub(in crate::gateway) fn read_payload_text(&mut self, text: &str) -> Sent {
        let mut scratch = std::mem::take(&mut self.fleet.scratch);
        scratch.clear();
        scratch.extend_from_slice(text.as_bytes());
        scratch.resize(text.len() + JSON_PADDING_BYTES, 0);
        let sent = match self.fleet.parser.parse(&mut scratch, text.len()) {
            Ok(document) => {
                self.fleet.parser.recycle(document);
                Sent::Json
            }
            Err(_) => Sent::Text,
        };
        self.keep_scratch(scratch);
        sent
    }

    /// Memory for a text that is needed for a moment.
    pub(in crate::gateway) fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.fleet.scratch);
        scratch.clear();
        scratch
    }

    /// Gives it back, unless it has grown large.
    pub(in crate::gateway) fn keep_scratch(&mut self, scratch: Vec<u8>) {
        if scratch.capacity() <= super::SCRATCH_BYTES_MAX {
            self.fleet.scratch = scratch;
        }
    }
}

fn cut(text: &str) -> String {
    let mut len = text.len().min(NODE_ERROR_BYTES_MAX);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    text[..len].to_owned()
}

fn outcome(answer: Answer<'_>) -> InvokeOutcome {
    match answer {
        Answer::Ok(None, _) => InvokeOutcome::Ok { payload_json: None },
        Answer::Ok(Some(text), Sent::Json | Sent::Value) => InvokeOutcome::Ok {
            payload_json: Some(text.into()),
        },
        Answer::Ok(Some(text), Sent::Text) => {
            let mut json = Vec::new();
            Writer::new(&mut json).str(text);
            InvokeOutcome::Ok {
                payload_json: Some(String::from_utf8_lossy(&json).into()),
            }
        }
        Answer::Failed(failure) => InvokeOutcome::Failed(failure.clone()),
    }
}

/// Writes `{ok, nodeId, command, payload?, payloadJSON?}`.
pub(super) fn write_result(
    w: &mut Writer<'_>,
    node_id: &str,
    command: &str,
    payload: Option<&str>,
    sent: Sent,
) {
    w.object(|w| {
        w.field_bool("ok", true);
        w.field_str("nodeId", node_id);
        w.field_str("command", command);
        let Some(payload) = payload else {
            return;
        };
        w.key("payload");
        match sent {
            Sent::Value | Sent::Json => w.raw(payload.as_bytes()),
            Sent::Text => w.object(|w| w.field_str("payloadJSON", payload)),
        }
        if sent != Sent::Value {
            w.field_str("payloadJSON", payload);
        }
    });
}

/// There is no such node here now.
pub fn not_connected() -> Refusal {
    Refusal::unavailable("node not connected").with_details(|w| {
        w.object(|w| w.field_str("code", "NOT_CONNECTED"));
    })
}

/// It may not be asked for this.
pub fn not_allowed(command: &str, reason: &str) -> Refusal {
    Refusal::invalid("node command not allowed").with_details(|w| {
        w.object(|w| {
            w.field_str("reason", reason);
            w.field_str("command", command);
        });
    })
}
