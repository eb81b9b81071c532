//! `node.invokeMany`: one command on many nodes, a bounded number at a time. Each node's outcome is
//! an event to the caller as it comes; the response is the sum.

use super::super::chat::fingerprint;
use super::invoke::SYSTEM_RUN;
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome};
use crate::gateway::nodes::Node;
use crate::gateway::nodes::invoke::{Invocation, InvokeOutcome};
use crate::gateway::nodes::policy::Platform;
use crate::gateway::nodes::repeats::{Kept, RepeatKey, RepeatState, Sent};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{INVOKE_MANY_AT_ONCE, INVOKE_MANY_AT_ONCE_MAX, INVOKE_MANY_CALLS_MAX};
use crate::now::Now;
use crate::state::Text;
use crate::wire::json::Writer;
use std::collections::{BTreeMap, VecDeque};

/// One call of many nodes.
pub struct Many {
    caller: KeptCall,
    key: RepeatKey,
    idempotency_key: Text,
    command: Text,
    params_json: Option<Text>,
    timeout_ms: Option<u64>,
    /// Nodes that were not asked yet.
    waiting: VecDeque<Text>,
    at_once_max: usize,
    under_way: usize,
    total: usize,
    succeeded: usize,
}

/// All of them that have not ended.
#[derive(Default)]
pub struct ManyCalls {
    by_number: BTreeMap<u64, Many>,
    given: u64,
}

/// `node.invokeMany`.
pub fn invoke(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let json = |name: &str| {
        let mut out = Vec::new();
        Writer::new(&mut out).json(params.get(name)?);
        Some(String::from_utf8_lossy(&out).into_owned())
    };
    let (selector, params_json) = (json("selector").unwrap_or_default(), json("params"));
    let command = params.required_text("command").trim();
    // A decision is for one node: of many nobody can say that it was approved.
    if command == SYSTEM_RUN {
        let said = gateway.find_approval(call.conn, "", Params::new(params.get("params")))?;
        if said.is_some() {
            return Err(Refusal::invalid("an approval holds for one node: use node.invoke").into());
        }
    }
    let idempotency_key = params.required_text("idempotencyKey");
    let key = fingerprint(&[idempotency_key]);
    let what = fingerprint(&[
        "node.invokeMany",
        &selector,
        command,
        params_json.as_deref().unwrap_or_default(),
    ]);
    if let Some(repeat) = gateway.fleet.repeats.get(&key) {
        return match &repeat.state {
            _ if repeat.fingerprint != what => Err(Refusal::invalid(
                "invalid node.invokeMany params: idempotencyKey was used for another call",
            )
            .into()),
            RepeatState::Done(Kept::Ok(Some(summary), _)) => {
                let summary = summary.clone();
                gateway.reply(call, |_, w| w.raw(summary.as_bytes()));
                Ok(Outcome::Done)
            }
            _ => Err(Refusal {
                retryable: true,
                ..Refusal::unavailable("the same call is in flight")
            }
            .into()),
        };
    }
    if gateway.fleet.many.by_number.len() >= INVOKE_MANY_CALLS_MAX
        || !gateway.fleet.repeats.has_room()
    {
        return Err(Refusal {
            retryable: true,
            ..Refusal::unavailable("too many calls of many nodes are in flight; try again later")
        }
        .into());
    }
    let waiting = gateway.select_nodes(Params::new(params.get("selector")));
    let at_once = params.u64("parallelism").unwrap_or(INVOKE_MANY_AT_ONCE);
    let many = Many {
        caller: call.keep(),
        key,
        idempotency_key: idempotency_key.into(),
        command: command.into(),
        params_json: params_json.map(Text::from),
        timeout_ms: params.u64("timeoutMs"),
        total: waiting.len(),
        waiting,
        at_once_max: at_once.clamp(1, INVOKE_MANY_AT_ONCE_MAX) as usize,
        under_way: 0,
        succeeded: 0,
    };
    gateway.fleet.many.given += 1;
    let number = gateway.fleet.many.given;
    gateway.fleet.many.by_number.insert(number, many);
    gateway.fleet.repeats.begin(key, what, number);
    gateway.go_on_with_many(now, number);
    Ok(Outcome::Later)
}

impl Gateway {
    /// Nodes that the selector means, by id: those it names, connected or not, else connected ones
    /// that have all that it asks for.
    fn select_nodes(&self, selector: Params<'_, '_>) -> VecDeque<Text> {
        if selector.get("ids").is_some() {
            let mut ids: Vec<Text> = selector.texts("ids").map(Text::from).collect();
            ids.sort_unstable();
            ids.dedup();
            return ids.into();
        }
        let is_meant = |id: &Text, node: &Node| {
            let Some(device) = self.state.devices().get(id) else {
                return false;
            };
            let is_of_platform = selector.text("platform").is_none_or(|platform| {
                let own = Platform::of_client(&device.client);
                own != Platform::Unknown && own == Platform::of(Some(platform), None)
            });
            let has = |cap: &str| node.facts.caps.iter().any(|own| **own == *cap);
            let is_named = selector.text("name").is_none_or(|pattern| {
                let name = self.node_name(device).unwrap_or_default();
                is_like(&pattern.to_lowercase(), &name.to_lowercase())
            });
            is_of_platform && selector.texts("caps").all(has) && is_named
        };
        let nodes = self.fleet.registry.iter();
        nodes
            .filter(|(id, node)| is_meant(id, node))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Asks as many more nodes as may be asked at once; tells the sum after the last one.
    fn go_on_with_many(&mut self, now: Now, number: u64) {
        loop {
            let Some(many) = self.fleet.many.by_number.get_mut(&number) else {
                return;
            };
            let caller = self.peers.get(many.caller.conn);
            if caller.and_then(|peer| peer.live()).is_none() {
                // Nobody wants to know: those that were not asked are not.
                many.total -= many.waiting.len();
                many.waiting.clear();
            }
            if many.under_way >= many.at_once_max {
                return;
            }
            let Some(node_id) = many.waiting.pop_front() else {
                if many.under_way == 0 {
                    self.end_many(now, number);
                }
                return;
            };
            many.under_way += 1;
            let invocation = Invocation {
                node_id: node_id.clone(),
                command: many.command.clone(),
                params_json: many.params_json.clone(),
                timeout_ms: many.timeout_ms,
                // A key of the node's own, so that a journal of keys knows a repeat.
                idempotency_key: Some(format!("{}/{node_id}", many.idempotency_key).into()),
                internal: false,
            };
            let asked = node_id.clone();
            let sent = self.invoke_node(invocation, move |gateway, now, outcome| {
                let outcome = match outcome {
                    InvokeOutcome::Ok { payload_json } => Ok(payload_json),
                    InvokeOutcome::Failed(failure) => Err(failure.refusal()),
                };
                gateway.on_one_of_many(number, &asked, outcome);
                gateway.go_on_with_many(now, number);
            });
            if let Err(refusal) = sent {
                self.on_one_of_many(number, &node_id, Err(refusal));
            }
        }
    }

    fn on_one_of_many(
        &mut self,
        number: u64,
        node_id: &str,
        outcome: Result<Option<Text>, Refusal>,
    ) {
        let Some(many) = self.fleet.many.by_number.get_mut(&number) else {
            return;
        };
        many.under_way -= 1;
        many.succeeded += usize::from(outcome.is_ok());
        let (conn, key) = (many.caller.conn, many.idempotency_key.clone());
        if self.peers.get(conn).and_then(|peer| peer.live()).is_none() {
            return;
        }
        self.send_event(conn, "node.invokeMany.result", None, |_, w| {
            w.object(|w| {
                w.field_str("idempotencyKey", &key);
                w.field_str("nodeId", node_id);
                w.field_bool("ok", outcome.is_ok());
                match &outcome {
                    Ok(None) => {}
                    Ok(Some(json)) => {
                        w.key("payload");
                        w.raw(json.as_bytes());
                    }
                    Err(refusal) => {
                        w.key("error");
                        w.object(|w| {
                            w.field_str("code", refusal.code.as_str());
                            w.field_str("message", &refusal.message);
                            if let Some(details) = &refusal.details {
                                w.key("details");
                                w.raw(details);
                            }
                        });
                    }
                }
            });
        });
    }

    fn end_many(&mut self, now: Now, number: u64) {
        let Some(many) = self.fleet.many.by_number.remove(&number) else {
            return;
        };
        let mut summary = Vec::new();
        Writer::new(&mut summary).object(|w| {
            w.field_bool("ok", many.succeeded == many.total);
            w.field_str("command", &many.command);
            w.field_u64("total", many.total as u64);
            w.field_u64("succeeded", many.succeeded as u64);
            w.field_u64("failed", (many.total - many.succeeded) as u64);
        });
        self.reply_kept(&many.caller, |_, w| w.raw(&summary));
        let summary = String::from_utf8_lossy(&summary).into_owned();
        let kept = Kept::Ok(Some(summary.into()), Sent::Value);
        self.fleet.repeats.end(many.key, now.mono_ms, kept);
    }
}

/// Whether a name is like a pattern, a `*` of which stands for anything.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        // All but the last part may stand as early as they can.
        if let Some(part) = last.replace(part) {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("box", "box", true),
            ("box", "boxes", false),
            ("box-*", "box-7", true),
            ("*-box", "a-box-box", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*b", "ab", false),
            ("", "x", false),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
