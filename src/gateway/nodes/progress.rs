//! What a command prints while it runs, on its way from the node to the caller who asked for it.

use super::calls::{Waiter, read_id};
use crate::gateway::Gateway;
use crate::gateway::broadcast::Weight;
use crate::ids::ConnId;
use crate::state::Text;

/// The capability of a node that tells it when it is asked to.
pub const PROGRESS: &str = "progress";

/// Pieces of a call's output on their way to its caller.
pub struct Progress {
    /// By which the caller knows the call.
    pub idempotency_key: Text,
    /// The number of the next piece; others mean nothing.
    pub next_seq: u64,
}

impl Gateway {
    /// A piece of what a command prints, passed on in order to the caller that asked for it; false
    /// for one that nobody waits for on this connection. It changes no deadline.
    pub(in crate::gateway) fn on_invoke_progress(
        &mut self,
        conn: ConnId,
        id: &str,
        seq: u64,
        chunk: &str,
    ) -> bool {
        let call = read_id(id).and_then(|number| self.fleet.calls.get_mut(number));
        let Some(call) = call.filter(|call| call.node == conn) else {
            return false;
        };
        let (Some(progress), Waiter::Caller(caller)) = (&mut call.progress, &call.waiter) else {
            return false;
        };
        if progress.next_seq != seq {
            return false;
        }
        progress.next_seq += 1;
        let (to, key) = (caller.conn, progress.idempotency_key.clone());
        let (node_id, command) = (call.node_id.clone(), call.command.clone());
        let is_there = self.peers.get(to).is_some_and(|peer| peer.live().is_some());
        // An empty piece is a sign of life.
        if is_there && !chunk.is_empty() {
            let frame = self.encode("node.invoke.progress", None, |_, w| {
                w.object(|w| {
                    w.field_str("idempotencyKey", &key);
                    w.field_str("nodeId", &node_id);
                    w.field_str("command", &command);
                    w.field_u64("seq", seq);
                    w.field_str("chunk", chunk);
                });
            });
            self.deliver(to, frame, Weight::MayDrop);
        }
        true
    }
}
