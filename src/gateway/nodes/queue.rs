//! Calls that are kept until their node has answered, over restarts of either side.
//!
//! ```text
//! node.invoke {queue} ──commit──> waiting ──commit──> sent ── result ──commit──> ended, for a day
//!                                    └── its time is over ─────────────┘
//! ```
//!
//! That it may have been sent is on disk before its first byte leaves. A node with the capability
//! `journal` never does a key twice, so it gets the call again until it answers. Any other node gets
//! it at most once: where its answer is lost the outcome is `UNKNOWN`.

use super::calls::Waiter;
use super::invoke::{DISCONNECTED, InvokeFailure, InvokeOutcome, Order, write_result};
use super::policy::Asker;
use super::repeats::Sent;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome};
use crate::gateway::{Code, Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::{QUEUED_CALL_KEPT_MS, QUEUED_CALLS_AT_ONCE_MAX, QUEUED_CALLS_EXPIRED_MAX};
use crate::log::{Level, LogLine};
use crate::state::{NodeCall, NodeCallState, Record, Text};
use crate::wire::json::Writer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What every node that keeps a journal of keys declares.
const JOURNAL: &str = "journal";

/// The code of a call of which nobody knows whether it was done.
pub(super) const UNKNOWN: &str = "UNKNOWN";

/// What lives in memory of the kept calls.
#[derive(Default)]
pub struct Queue {
    /// Callers by the key of the call that they wait for.
    callers: BTreeMap<Text, Vec<KeptCall>>,
    /// Keys that a connected node has, or gets as soon as the store has written so.
    under_way: BTreeSet<Text>,
    /// Ends that the store did not take yet.
    unsaved: BTreeMap<Text, NodeCallState>,
}

/// What is reserved while a call's row is being written.
pub fn lock(key: &str) -> Key {
    Key::NodeCall(key.into())
}

impl Gateway {
    /// After a start: what was sent to a node without a journal may or may not have been done.
    pub(in crate::gateway) fn resume_queue(&mut self) {
        let in_doubt = |call: &&Arc<NodeCall>| call.state == NodeCallState::Sent { journal: false };
        let calls = self.state.node_calls().open().filter(in_doubt);
        let keys: Vec<Text> = calls.map(|call| call.key.clone()).collect();
        for key in keys {
            self.end_queued(
                &key,
                unknown("the gateway ended while the node had the call"),
            );
        }
    }

    /// Stores a new call, then sends it or says that it waits.
    pub(in crate::gateway) fn queue_call(
        &mut self,
        call: Call<'_>,
        row: NodeCall,
    ) -> Result<Outcome, Refusal> {
        let bytes = row.key.len() + row.params_json.as_ref().map_or(0, |json| json.len());
        let Some(mut records) = self.state.node_calls().make_room(bytes) else {
            let text = "too many calls wait for their nodes; try again later";
            return Err(Refusal {
                retryable: true,
                ..Refusal::unavailable(text)
            });
        };
        let (key, node_id) = (row.key.clone(), row.node_id.clone());
        records.push(Record::NodeCallPut(Arc::new(row)));
        let caller = call.keep();
        self.commit(vec![lock(&key)], records, move |gateway, _, result| {
            if let Err(fault) = result {
                return gateway.refuse_kept(&caller, &Refusal::not_stored(&fault));
            }
            let callers = gateway.fleet.queue.callers.entry(key.clone()).or_default();
            callers.push(caller);
            gateway.offer_queued(&node_id);
            if !gateway.fleet.queue.under_way.contains(&key) {
                gateway.answer_queued(&key);
            }
        });
        Ok(Outcome::Later)
    }

    /// A repeat of a kept call: its outcome, or that it waits, or the outcome when it comes.
    pub(in crate::gateway) fn repeat_queued(&mut self, call: Call<'_>, row: &NodeCall) -> Handled {
        if self.fleet.queue.under_way.contains(&row.key) {
            let callers = self.fleet.queue.callers.entry(row.key.clone()).or_default();
            callers.push(call.keep());
            return Ok(Outcome::Later);
        }
        match outcome_of(row) {
            Some(Err(failure)) => Err(failure.refusal().into()),
            outcome => {
                self.reply(call, |_, w| write_row(w, row, outcome.as_ref()));
                Ok(Outcome::Done)
            }
        }
    }

    /// The same for the node of a connection that has just said hello.
    pub(in crate::gateway) fn offer_queued_to(&mut self, conn: ConnId) {
        let live = self.peers.get(conn).and_then(|peer| peer.live());
        if let Some(node_id) = live.and_then(|live| live.device_id.clone()) {
            self.offer_queued(&node_id);
        }
    }

    /// Gives a connected node what waits for it, oldest first, a few at a time.
    pub(in crate::gateway) fn offer_queued(&mut self, node_id: &str) {
        let Some(node) = self.fleet.registry.get(node_id) else {
            return;
        };
        let has_journal = node.facts.caps.iter().any(|cap| **cap == *JOURNAL);
        let under_way = &self.fleet.queue.under_way;
        let (busy, free): (Vec<&Arc<NodeCall>>, Vec<_>) = self
            .state
            .node_calls()
            .open_of(node_id)
            .take(2 * QUEUED_CALLS_AT_ONCE_MAX)
            .partition(|call| under_way.contains(&call.key));
        let places = QUEUED_CALLS_AT_ONCE_MAX.saturating_sub(busy.len());
        let next: Vec<Arc<NodeCall>> = free
            .into_iter()
            .filter(|call| !self.commits.is_reserved(&lock(&call.key)))
            .take(places)
            .cloned()
            .collect();
        for call in next {
            if self.now.unix_ms >= call.expires_at_ms {
                self.expire_queued(&call);
                continue;
            }
            match call.state {
                NodeCallState::Sent { journal: true } if has_journal => {
                    self.fleet.queue.under_way.insert(call.key.clone());
                    self.send_queued(&call, false);
                }
                NodeCallState::Sent { .. } => {
                    self.end_queued(&call.key, unknown("the node came back without its journal"));
                }
                _ => self.mark_sent(&call, has_journal),
            }
        }
    }

    /// Writes that the call may have been sent, then sends it.
    fn mark_sent(&mut self, call: &NodeCall, journal: bool) {
        self.fleet.queue.under_way.insert(call.key.clone());
        let row = Arc::new(NodeCall {
            state: NodeCallState::Sent { journal },
            ..call.clone()
        });
        let records = vec![Record::NodeCallPut(row.clone())];
        self.commit(vec![lock(&call.key)], records, move |gateway, _, result| {
            match result {
                Ok(()) => gateway.send_queued(&row, true),
                // It waits as before; the next look at the queue tries again.
                Err(_) => gateway.put_down(&row.key),
            }
        });
    }

    /// Sends a call whose row says so. `is_first` where no byte of it was ever sent before.
    fn send_queued(&mut self, call: &NodeCall, is_first: bool) {
        let node = self.fleet.registry.get(&call.node_id);
        let journal = call.state == NodeCallState::Sent { journal: true };
        // Between writing and sending another connection may have come.
        let is_same =
            node.is_some_and(|node| journal == node.facts.caps.iter().any(|cap| **cap == *JOURNAL));
        let key = call.key.clone();
        let sent = match is_same {
            true => self.send_call(
                Order {
                    node_id: &call.node_id,
                    command: &call.command,
                    params_json: call.params_json.as_deref(),
                    timeout_ms: call.timeout_ms,
                    idempotency_key: Some(&call.key),
                    asker: Asker::Client,
                    key: None,
                    progress: false,
                },
                || {
                    Waiter::Then(Box::new(move |gateway, _, outcome| {
                        gateway.on_queued_outcome(&key, outcome);
                    }))
                },
            ),
            false => Err(super::invoke::not_connected()),
        };
        match sent {
            Ok(_) => {}
            Err(refusal) if refusal.code == Code::InvalidRequest => {
                self.fleet.queue.under_way.remove(&call.key);
                let failed = failed("NOT_ALLOWED", &refusal.message);
                self.end_queued(&call.key, failed);
            }
            Err(_) if is_first => {
                let row = Arc::new(NodeCall {
                    state: NodeCallState::Waiting,
                    ..call.clone()
                });
                let key = call.key.clone();
                let records = vec![Record::NodeCallPut(row)];
                self.commit(vec![lock(&key)], records, move |gateway, _, _| {
                    gateway.put_down(&key);
                });
            }
            Err(_) => self.put_down(&call.key),
        }
    }

    /// The call is with no node now; whoever waits for it is told so.
    fn put_down(&mut self, key: &Text) {
        self.fleet.queue.under_way.remove(key);
        self.answer_queued(key);
    }

    fn on_queued_outcome(&mut self, key: &Text, outcome: InvokeOutcome) {
        self.fleet.queue.under_way.remove(key);
        let Some(call) = self.state.node_calls().get(key).cloned() else {
            return;
        };
        let journal = call.state == NodeCallState::Sent { journal: true };
        match outcome {
            InvokeOutcome::Ok { payload_json } => {
                let payload = payload_json;
                self.end_queued(key, NodeCallState::Ok { payload });
            }
            InvokeOutcome::Failed(failure) if failure.said_by_node => {
                self.end_queued(key, failed(&failure.code, &failure.message));
            }
            InvokeOutcome::Failed(failure) if journal => {
                self.answer_queued(key);
                // A newer connection may be here already. One that let the time pass gets the call
                // again when the queue is looked at.
                if failure.code == DISCONNECTED {
                    self.offer_queued(&call.node_id);
                }
            }
            InvokeOutcome::Failed(failure) => {
                self.end_queued(key, unknown(&failure.message));
            }
        }
    }

    /// Stores how a call ended, then tells whoever waits and sends the next.
    fn end_queued(&mut self, key: &Text, state: NodeCallState) {
        if self.commits.is_reserved(&lock(key)) {
            let key = key.clone();
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.end_queued(&key, state);
            }));
        }
        let Some(call) = self.state.node_calls().get(key).filter(|it| it.is_open()) else {
            return;
        };
        let row = Arc::new(NodeCall {
            state: state.clone(),
            expires_at_ms: self.now.unix_ms + QUEUED_CALL_KEPT_MS,
            ..NodeCall::clone(call)
        });
        if let NodeCallState::Failed { code, message } = &state {
            let line = LogLine::new(
                self.now.unix_ms,
                Level::Warn,
                "gateway/nodes",
                "a kept call has no result",
            );
            let line = line
                .with("node", &*row.node_id)
                .with("command", &*row.command);
            self.log_with(line.with("code", &**code).with("reason", &**message));
        }
        let records = vec![Record::NodeCallPut(row.clone())];
        self.commit(vec![lock(key)], records, move |gateway, _, result| {
            if result.is_err() {
                gateway.fleet.queue.unsaved.insert(row.key.clone(), state);
            }
            gateway.answer_queued(&row.key);
            gateway.offer_queued(&row.node_id);
        });
    }

    /// Tells everybody who waits for a call how it stands.
    fn answer_queued(&mut self, key: &Text) {
        let callers = self.fleet.queue.callers.remove(key).unwrap_or_default();
        let Some(row) = self.state.node_calls().get(key).cloned() else {
            return;
        };
        let outcome = outcome_of(&row);
        for caller in callers {
            match &outcome {
                Some(Err(failure)) => self.refuse_kept(&caller, &failure.refusal()),
                outcome => {
                    self.reply_kept(&caller, |_, w| write_row(w, &row, outcome.as_ref()));
                }
            }
        }
    }

    /// Ends calls whose time is over and forgets what was kept long enough; tries again what the
    /// store or a node did not take.
    pub(in crate::gateway) fn tend_queue(&mut self) {
        for (key, state) in std::mem::take(&mut self.fleet.queue.unsaved) {
            self.end_queued(&key, state);
        }
        let now_ms = self.now.unix_ms;
        let expired = self.state.node_calls().by_expiry();
        let expired: Vec<Arc<NodeCall>> = expired
            .take_while(|call| call.expires_at_ms <= now_ms)
            .take(QUEUED_CALLS_EXPIRED_MAX)
            .cloned()
            .collect();
        for call in expired {
            if self.commits.is_reserved(&lock(&call.key)) {
                continue;
            }
            if call.is_open() {
                self.expire_queued(&call);
                continue;
            }
            let key = call.key.clone();
            let records = vec![Record::NodeCallRemove { key }];
            // A failure is no loss: the next look tries again.
            self.commit(vec![lock(&call.key)], records, |_, _, _| {});
        }
        let nodes: BTreeSet<Text> = self
            .state
            .node_calls()
            .open()
            .take(QUEUED_CALLS_EXPIRED_MAX)
            .map(|call| call.node_id.clone())
            .collect();
        nodes.iter().for_each(|node_id| self.offer_queued(node_id));
    }

    fn expire_queued(&mut self, call: &NodeCall) {
        if self.fleet.queue.under_way.contains(&call.key) {
            return;
        }
        let state = match call.state {
            NodeCallState::Waiting => failed("EXPIRED", "the node did not come back in time"),
            _ => unknown("the node did not come back in time to say what it did"),
        };
        self.end_queued(&call.key, state);
    }
}

fn failed(code: &str, message: &str) -> NodeCallState {
    NodeCallState::Failed {
        code: code.into(),
        message: message.into(),
    }
}

fn unknown(why: &str) -> NodeCallState {
    failed(UNKNOWN, &format!("whether it was done is unknown: {why}"))
}

/// How a call ended; None for one that is open.
fn outcome_of(row: &NodeCall) -> Option<Result<Option<Text>, InvokeFailure>> {
    match &row.state {
        NodeCallState::Waiting | NodeCallState::Sent { .. } => None,
        NodeCallState::Ok { payload } => Some(Ok(payload.clone())),
        NodeCallState::Failed { code, message } => Some(Err(InvokeFailure {
            code: code.to_string().into(),
            message: message.to_string().into(),
            said_by_node: true,
        })),
    }
}

/// Writes the result, or `{ok, queued, nodeId, command, idempotencyKey, expiresAtMs}`.
fn write_row(
    w: &mut Writer<'_>,
    row: &NodeCall,
    outcome: Option<&Result<Option<Text>, InvokeFailure>>,
) {
    if let Some(Ok(payload)) = outcome {
        return write_result(
            w,
            &row.node_id,
            &row.command,
            payload.as_deref(),
            Sent::Json,
        );
    }
    w.object(|w| {
        w.field_bool("ok", true);
        w.field_bool("queued", true);
        w.field_str("nodeId", &row.node_id);
        w.field_str("command", &row.command);
        w.field_str("idempotencyKey", &row.key);
        w.field_u64("expiresAtMs", row.expires_at_ms);
    });
}
