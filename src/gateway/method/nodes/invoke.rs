//! `node.invoke` and `node.invoke.result`: a call on its way to a node and back.

use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::nodes::calls::Waiter;
use crate::gateway::nodes::invoke::{Answer, InvokeFailure, Order, not_allowed};
use crate::gateway::nodes::policy::{Asker, allowed};
use crate::gateway::nodes::queue;
use crate::gateway::nodes::repeats::{RepeatState, Sent};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{NODE_PROGRESS_BYTES_MAX, QUEUED_CALL_TTL_MS};
use crate::now::Now;
use crate::state::{NodeCall, NodeCallState, Text};
use crate::wire::json::Writer;

use super::super::chat::fingerprint;

const KEY_OF_ANOTHER_CALL: &str =
    "invalid node.invoke params: idempotencyKey was used for another call";
/// Whoever asks for it may say that a person approved; a node believes that.
pub(super) const SYSTEM_RUN: &str = "system.run";

/// `node.invoke`: answered when the node has, or its time is over, or it has gone.
pub fn invoke(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let mut scratch = gateway.take_scratch();
    if let Some(json) = params.get("params") {
        Writer::new(&mut scratch).json(json);
    }
    let params_json = std::str::from_utf8(&scratch).unwrap_or_default();
    let handled = invoke_with(gateway, call, params, params_json);
    gateway.keep_scratch(scratch);
    handled
}

fn invoke_with(
    gateway: &mut Gateway,
    call: Call<'_>,
    params: Params<'_, '_>,
    params_json: &str,
) -> Handled {
    let node_id = params.required_text("nodeId").trim();
    let command = params.required_text("command").trim();
    let idempotency_key = params.required_text("idempotencyKey");
    let kept = gateway.state.node_calls().get(idempotency_key);
    if kept.is_some() || params.bool("queue") == Some(true) {
        return queued(gateway, call, params, params_json);
    }
    let key = fingerprint(&[idempotency_key]);
    let what = fingerprint(&[node_id, command, params_json]);
    match gateway.fleet.repeats.get(&key) {
        None => {}
        Some(repeat) if repeat.fingerprint != what => {
            return Err(Refusal::invalid(KEY_OF_ANOTHER_CALL).into());
        }
        Some(repeat) => {
            return match repeat.state {
                RepeatState::InFlight(number) => {
                    gateway.fleet.also(number, call.keep());
                    Ok(Outcome::Later)
                }
                RepeatState::Done(_) => {
                    gateway.answer_again(call.conn, call.id, (node_id, command), &key)?;
                    Ok(Outcome::Done)
                }
            };
        }
    }
    if !gateway.fleet.repeats.has_room() {
        return Err(Refusal {
            retryable: true,
            ..Refusal::unavailable("too many calls of nodes are in flight; try again later")
        }
        .into());
    }
    let approved = approval(gateway, call, params)?;
    let order = Order {
        node_id,
        command,
        params_json: (!params_json.is_empty()).then_some(params_json),
        timeout_ms: params.u64("timeoutMs"),
        idempotency_key: Some(idempotency_key),
        asker: Asker::Client,
        key: Some(key),
        progress: params.bool("progress") == Some(true),
    };
    let number = gateway.send_call(order, || Waiter::Caller(call.keep()))?;
    gateway.use_approval(approved);
    gateway.fleet.repeats.begin(key, what, number);
    Ok(Outcome::Later)
}

/// A call that is kept until its node has answered, or a repeat of one.
fn queued(
    gateway: &mut Gateway,
    call: Call<'_>,
    params: Params<'_, '_>,
    params_json: &str,
) -> Handled {
    let node_id = params.required_text("nodeId").trim();
    let command = params.required_text("command").trim();
    let key = params.required_text("idempotencyKey");
    if gateway.commits.is_reserved(&queue::lock(key)) {
        return Err(Stop::Busy);
    }
    let params_json = (!params_json.is_empty()).then_some(params_json);
    let other = || Refusal::invalid(KEY_OF_ANOTHER_CALL);
    if let Some(row) = gateway.state.node_calls().get(key).cloned() {
        let is_same = *row.node_id == *node_id
            && *row.command == *command
            && row.params_json.as_deref() == params_json;
        return match is_same {
            true => gateway.repeat_queued(call, &row),
            false => Err(other().into()),
        };
    }
    if gateway.fleet.repeats.get(&fingerprint(&[key])).is_some() {
        return Err(other().into());
    }
    let device = gateway.paired_node(params)?;
    let config = &gateway.config().gateway.nodes;
    allowed(command, Asker::Client, &device.commands, &device, config)
        .map_err(|reason| not_allowed(command, reason))?;
    let (ttl_ms, ttl_ms_max) = QUEUED_CALL_TTL_MS;
    let ttl_ms = params.u64("ttlMs").unwrap_or(ttl_ms).min(ttl_ms_max);
    let row = NodeCall {
        key: key.into(),
        node_id: device.device_id.clone(),
        command: command.into(),
        params_json: params_json.map(Text::from),
        timeout_ms: params.u64("timeoutMs"),
        state: NodeCallState::Waiting,
        created_at_ms: gateway.now.unix_ms,
        expires_at_ms: gateway.now.unix_ms + ttl_ms,
    };
    let approved = approval(gateway, call, params)?;
    let outcome = gateway.queue_call(call, row)?;
    gateway.use_approval(approved);
    Ok(outcome)
}

/// The decision that a call says it has, if it says so.
fn approval(
    gateway: &Gateway,
    call: Call<'_>,
    params: Params<'_, '_>,
) -> Result<Option<usize>, Refusal> {
    if params.required_text("command").trim() != SYSTEM_RUN {
        return Ok(None);
    }
    let node_id = params.required_text("nodeId").trim();
    gateway.find_approval(call.conn, node_id, Params::new(params.get("params")))
}

/// `node.invoke.result`: the first one of the connection that was asked ends the call; any other
/// is taken and means nothing.
pub fn result(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    check_own(gateway, call, params)?;
    let is_awaited = if params.bool("ok") == Some(true) {
        end_ok(gateway, call, params)
    } else {
        let error = Params::new(params.get("error"));
        let failure = InvokeFailure::of_node(error.text("code"), error.text("message"));
        let answer = Answer::Failed(&failure);
        gateway.on_invoke_result(call.conn, params.required_text("id"), answer)
    };
    Ok(gateway.take_from_node(call, is_awaited))
}

/// `node.invoke.progress`: the next piece of a call's output; any other is taken and means nothing.
pub fn progress(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    check_own(gateway, call, params)?;
    let chunk = params.text("chunk").unwrap_or("");
    if chunk.len() > NODE_PROGRESS_BYTES_MAX {
        return Err(Refusal::invalid("progress chunk too large").into());
    }
    let id = params.required_text("invokeId");
    let seq = params.u64("seq").unwrap_or(0);
    let is_awaited = gateway.on_invoke_progress(call.conn, id, seq, chunk);
    Ok(gateway.take_from_node(call, is_awaited))
}

/// A node speaks for itself alone.
fn check_own(gateway: &Gateway, call: Call<'_>, params: Params<'_, '_>) -> Result<(), Refusal> {
    let live = gateway.peers.get(call.conn).and_then(|peer| peer.live());
    let own = live.and_then(|live| live.device_id.as_deref());
    match own == Some(params.required_text("nodeId")) {
        true => Ok(()),
        false => Err(Refusal::invalid("nodeId mismatch")),
    }
}

impl Gateway {
    fn take_from_node(&mut self, call: Call<'_>, is_awaited: bool) -> Outcome {
        self.reply(call, |_, w| {
            w.object(|w| {
                w.field_bool("ok", true);
                if !is_awaited {
                    w.field_bool("ignored", true);
                }
            });
        });
        Outcome::Done
    }
}

fn end_ok(gateway: &mut Gateway, call: Call<'_>, params: Params<'_, '_>) -> bool {
    let id = params.required_text("id");
    if let Some(text) = params.text("payloadJSON") {
        let sent = gateway.read_payload_text(text);
        return gateway.on_invoke_result(call.conn, id, Answer::Ok(Some(text), sent));
    }
    let Some(value) = params.get("payload").or_else(|| params.get("payloadJSON")) else {
        return gateway.on_invoke_result(call.conn, id, Answer::Ok(None, Sent::Value));
    };
    let mut scratch = gateway.take_scratch();
    Writer::new(&mut scratch).json(value);
    let text = std::str::from_utf8(&scratch).unwrap_or_default();
    let answer = Answer::Ok(Some(text), Sent::Value);
    let is_awaited = gateway.on_invoke_result(call.conn, id, answer);
    gateway.keep_scratch(scratch);
    is_awaited
}
