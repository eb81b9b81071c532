//! Nodes that are connected, and the calls on their way to them.
//!
//! ```text
//! node.invoke ── known key? allowed? ──> call ── node.invoke.request ──> node
//!                                         │ <── node.invoke.result ─────┘
//!                                         ├ its deadline
//!                                         └ the node is gone
//! ```
//!
//! A call belongs to the very connection that it was sent to. Whichever comes first of result,
//! deadline and loss ends it; what comes later finds nothing to end.

pub mod calls;
mod execs;
pub mod invoke;
mod kept;
pub mod policy;
pub mod progress;
pub mod queue;
mod registry;
pub mod repeats;
mod seen;
mod subscriptions;

pub use registry::{Node, NodeFacts, sorted};

use super::Gateway;
use super::dispatch::KeptCall;
use super::method::nodes::many::ManyCalls;
use crate::ids::ConnId;
use crate::state::Text;
use crate::wire::envelope::Parser;
use calls::{Call, Calls};
use queue::Queue;
use registry::Registry;
use repeats::Repeats;
use std::collections::BTreeMap;
use subscriptions::Subscriptions;

/// Scratch memory larger than this goes back to the allocator.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// The nodes' side of the gateway.
#[derive(Default)]
pub struct Fleet {
    /// Who is connected, by device.
    pub registry: Registry,
    /// When those that are away went, until their rows say it (milliseconds since 1970).
    went: BTreeMap<Text, u64>,
    calls: Calls,
    pub subscriptions: Subscriptions,
    queue: Queue,
    /// Calls of many nodes at once.
    pub many: ManyCalls,
    /// Calls whose node has gone; they are ended once the input that took it is dealt with.
    lost: Vec<Call>,
    /// Idempotency keys of `node.invoke`.
    pub repeats: Repeats,
    /// Parameters and results as text; its memory is used again.
    scratch: Vec<u8>,
    /// For JSON that comes inside a string.
    parser: Parser,
}

impl Fleet {
    /// Calls get numbers from `random` on, so that a late result for another process's call is
    /// none of ours.
    pub fn seed(&mut self, random: u64) {
        self.calls.seed(random);
    }

    /// Calls that wait for their node.
    pub fn calls_len(&self) -> usize {
        self.calls.len()
    }

    /// Somebody asked for a call again that is on its way: it is told the same.
    pub fn also(&mut self, number: u64, caller: KeptCall) {
        if let Some(call) = self.calls.get_mut(number) {
            call.also.push(caller);
        }
    }

    /// Forgets idempotency keys that are too old.
    pub fn forget(&mut self, now_ms: u64) {
        self.repeats.forget(now_ms);
    }
}

impl Gateway {
    /// A node has joined. An older connection of the same node is closed: it is one node.
    pub(super) fn register_node(&mut self, conn: ConnId, facts: NodeFacts) {
        let Some(live) = self.peers.get(conn).and_then(|peer| peer.live()) else {
            return;
        };
        let Some(device_id) = live.device_id.as_deref() else {
            debug_assert!(false, "a node without device");
            return;
        };
        let row = self.state.devices().get(device_id);
        let device_id = row.map_or_else(|| Text::from(device_id), |row| row.device_id.clone());
        self.fleet.went.remove(&device_id);
        let node = Node::new(device_id, conn, facts, row.map(|row| &**row));
        if let Some(old) = self.fleet.registry.insert(node) {
            self.lose_calls(&old.calls);
            self.close(
                old.conn,
                1008,
                "replaced by a newer connection of this node",
            );
        }
    }

    /// A node's connection takes part no more. A late close of an older one changes nothing.
    pub(super) fn unregister_node(&mut self, conn: ConnId) {
        self.fleet.subscriptions.remove_node(conn);
        if let Some(node) = self.fleet.registry.remove(conn) {
            self.lose_calls(&node.calls);
            self.fleet.went.insert(node.device_id, self.now.unix_ms);
        }
    }

    fn lose_calls(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Some(call) = self.take_call(*number) {
                self.fleet.lost.push(call);
            }
        }
    }

    /// Ends the calls of nodes that have gone. Whoever waits for them may do anything then, so it
    /// is done when nothing else is.
    pub(super) fn end_lost_calls(&mut self) {
        while let Some(call) = self.fleet.lost.pop() {
            let failure = invoke::InvokeFailure::disconnected(&call.command);
            self.end_call(call, invoke::Answer::Failed(&failure));
        }
    }

    /// What must hold between peers, registry and calls.
    pub(super) fn check_nodes(&self) {
        let fleet = &self.fleet;
        assert_eq!(fleet.registry.len(), self.nodes.len());
        let mut calls = 0;
        for (device_id, node) in fleet.registry.iter() {
            let live = self.peers.get(node.conn).and_then(|peer| peer.live());
            let own = live.and_then(|live| live.device_id.as_deref());
            assert_eq!(own, Some(&**device_id), "a node that is not there");
            let is_its = |number: &u64| {
                let call = fleet.calls.get(*number);
                call.is_some_and(|call| call.node == node.conn)
            };
            assert!(node.calls.iter().all(is_its));
            calls += node.calls.len();
        }
        assert_eq!(calls, fleet.calls.len());
        assert!(fleet.lost.is_empty());
    }
}
