//! Calls of nodes that were asked to be kept until the node has answered.

use super::{Record, Text, UnixMs};
use crate::limits::{QUEUED_CALLS_BYTES_MAX, QUEUED_CALLS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far a kept call has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeCallState {
    /// No byte of it was ever sent.
    Waiting,
    /// It may have been sent. A node that keeps a journal gets it again until it answers; of one
    /// that does not nobody knows.
    Sent { journal: bool },
    /// The node answered: a payload as JSON text, if any.
    Ok { payload: Option<Text> },
    /// It has no result.
    Failed { code: Text, message: Text },
}

/// One kept call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCall {
    /// The caller's idempotency key.
    pub key: Text,
    pub node_id: Text,
    pub command: Text,
    /// As JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_json: Option<Text>,
    /// What the node has for one try; None for the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    pub state: NodeCallState,
    pub created_at_ms: UnixMs,
    /// Open: it is not sent after this. Ended: the key is forgotten.
    pub expires_at_ms: UnixMs,
}

impl NodeCall {
    /// Whether its outcome is not known yet.
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            NodeCallState::Waiting | NodeCallState::Sent { .. }
        )
    }

    fn bytes(&self) -> usize {
        let params = self.params_json.as_ref().map_or(0, |json| json.len());
        let outcome = match &self.state {
            NodeCallState::Ok { payload } => payload.as_ref().map_or(0, |it| it.len()),
            NodeCallState::Failed { message, .. } => message.len(),
            NodeCallState::Waiting | NodeCallState::Sent { .. } => 0,
        };
        self.key.len() + params + outcome
    }
}

/// Kept calls by key; the open ones by node, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeCallTable {
    by_key: BTreeMap<Text, Arc<NodeCall>>,
    open: BTreeMap<Text, BTreeSet<(UnixMs, Text)>>,
    /// (expires at, key).
    by_expiry: BTreeSet<(UnixMs, Text)>,
    /// Ended ones by expiry: in this order they make room.
    ended: BTreeSet<(UnixMs, Text)>,
    bytes: usize,
}

impl NodeCallTable {
    /// The call with this key.
    pub fn get(&self, key: &str) -> Option<&Arc<NodeCall>> {
        self.by_key.get(key)
    }

    /// Open calls of a node, oldest first.
    pub fn open_of(&self, node_id: &str) -> impl Iterator<Item = &Arc<NodeCall>> {
        let keys = self.open.get(node_id).into_iter().flatten();
        keys.filter_map(|(_, key)| self.by_key.get(key))
    }

    /// All calls whose outcome is not known.
    pub fn open(&self) -> impl Iterator<Item = &Arc<NodeCall>> {
        let keys = self.open.values().flatten();
        keys.filter_map(|(_, key)| self.by_key.get(key))
    }

    /// Those that have ended, newest first.
    pub fn ended(&self) -> impl Iterator<Item = &NodeCall> {
        let keys = self.ended.iter().rev();
        keys.filter_map(|(_, key)| self.by_key.get(key).map(|call| &**call))
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The one that expires first, and those after it.
    pub fn by_expiry(&self) -> impl Iterator<Item = &Arc<NodeCall>> {
        let keys = self.by_expiry.iter();
        keys.filter_map(|(_, key)| self.by_key.get(key))
    }

    /// What must be forgotten before one more call of this size fits: ended ones. None where that
    /// is not enough.
    pub fn make_room(&self, bytes: usize) -> Option<Vec<Record>> {
        let mut len = self.by_key.len() + 1;
        let mut total = self.bytes + bytes;
        let mut removals = Vec::new();
        let mut oldest = self.ended.iter();
        while len > QUEUED_CALLS_MAX || total > QUEUED_CALLS_BYTES_MAX {
            let (_, key) = oldest.next()?;
            len -= 1;
            total -= self.get(key).map_or(0, |call| call.bytes());
            removals.push(Record::NodeCallRemove { key: key.clone() });
        }
        Some(removals)
    }

    pub(super) fn put(&mut self, call: &Arc<NodeCall>) {
        self.remove(&call.key);
        self.bytes += call.bytes();
        let expiry = (call.expires_at_ms, call.key.clone());
        if call.is_open() {
            let open = self.open.entry(call.node_id.clone()).or_default();
            open.insert((call.created_at_ms, call.key.clone()));
        } else {
            self.ended.insert(expiry.clone());
        }
        self.by_expiry.insert(expiry);
        self.by_key.insert(call.key.clone(), call.clone());
    }

    pub(super) fn remove(&mut self, key: &Text) {
        let Some(call) = self.by_key.remove(key) else {
            return;
        };
        self.bytes -= call.bytes();
        let expiry = (call.expires_at_ms, key.clone());
        self.by_expiry.remove(&expiry);
        self.ended.remove(&expiry);
        if let Some(open) = self.open.get_mut(&call.node_id) {
            open.remove(&(call.created_at_ms, key.clone()));
            if open.is_empty() {
                self.open.remove(&call.node_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::fixture;

    #[test]
    fn open_calls_are_found_by_node_and_ended_ones_make_room() {
        let mut table = NodeCallTable::default();
        for n in 0..4 {
            table.put(&Arc::new(fixture::node_call(n)));
        }
        let open: Vec<_> = table.open().map(|call| call.key.clone()).collect();
        assert_eq!(open, ["key-0".into(), "key-2".into()].map(|key: Text| key));
        assert_eq!(table.open_of("node-0").count(), 1);
        assert_eq!(table.make_room(1), Some(vec![]));
        let removals = table.make_room(QUEUED_CALLS_BYTES_MAX - 5);
        assert_eq!(removals, None, "open ones stay");
        let first = table.by_expiry().next().map(|call| call.key.clone());
        assert_eq!(first.as_deref(), Some("key-0"));
        for n in 0..4 {
            table.remove(&format!("key-{n}").into());
        }
        assert_eq!(table, NodeCallTable::default());
    }
}
