//! What `status` tells of kept calls: how many wait, and of which nobody knows whether they were done.

use super::queue::UNKNOWN;
use crate::gateway::Gateway;
use crate::limits::QUEUED_CALL_KEPT_MS;
use crate::state::{NodeCall, NodeCallState};
use crate::wire::json::Writer;

/// The newest ones are enough to go and look.
const TOLD_MAX: usize = 10;

impl Gateway {
    /// Writes `nodeCalls {waiting, unknownCount, unknown}`, newest first, where there is anything
    /// to tell.
    pub(in crate::gateway) fn write_kept_calls(&self, w: &mut Writer<'_>) {
        let calls = self.state.node_calls();
        let waiting = calls.open().count();
        let is_unknown = |call: &&NodeCall| matches!(&call.state, NodeCallState::Failed { code, .. } if **code == *UNKNOWN);
        let unknown = || calls.ended().filter(is_unknown);
        let unknown_count = unknown().count();
        if waiting + unknown_count == 0 {
            return;
        }
        w.key("nodeCalls");
        w.object(|w| {
            w.field_u64("waiting", waiting as u64);
            w.field_u64("unknownCount", unknown_count as u64);
            w.key("unknown");
            w.array(|w| {
                for call in unknown().take(TOLD_MAX) {
                    w.object(|w| {
                        w.field_str("nodeId", &call.node_id);
                        w.field_str("command", &call.command);
                        w.field_str("idempotencyKey", &call.key);
                        let ended_ms = call.expires_at_ms.saturating_sub(QUEUED_CALL_KEPT_MS);
                        w.field_u64("endedAtMs", ended_ms);
                    });
                }
            });
        });
    }
}
