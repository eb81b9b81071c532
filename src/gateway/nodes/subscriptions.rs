//! Which nodes want to hear of which chat sessions.

use crate::ids::ConnId;
use crate::limits::NODE_SUBSCRIPTIONS_MAX;
use crate::state::Text;
use std::collections::{BTreeMap, BTreeSet};

/// Connections of nodes by the stored key of a session. A node that goes hears nothing more; one
/// that comes back subscribes anew.
#[derive(Default)]
pub struct Subscriptions {
    by_session: BTreeMap<Text, BTreeSet<ConnId>>,
    by_node: BTreeMap<ConnId, BTreeSet<Text>>,
}

impl Subscriptions {
    /// Whether the node has not subscribed to too much already.
    pub fn has_room(&self, conn: ConnId) -> bool {
        let held = self.by_node.get(&conn).map_or(0, BTreeSet::len);
        held < NODE_SUBSCRIPTIONS_MAX
    }

    /// The node hears of the session from now on.
    pub fn add(&mut self, conn: ConnId, session_key: &Text) {
        let nodes = self.by_session.entry(session_key.clone()).or_default();
        nodes.insert(conn);
        let sessions = self.by_node.entry(conn).or_default();
        sessions.insert(session_key.clone());
    }

    /// The node hears of the session no more.
    pub fn remove(&mut self, conn: ConnId, session_key: &str) {
        if let Some(sessions) = self.by_node.get_mut(&conn) {
            sessions.remove(session_key);
            if sessions.is_empty() {
                self.by_node.remove(&conn);
            }
        }
        self.forget(conn, session_key);
    }

    /// The node has gone.
    pub fn remove_node(&mut self, conn: ConnId) {
        for session_key in self.by_node.remove(&conn).unwrap_or_default() {
            self.forget(conn, &session_key);
        }
    }

    fn forget(&mut self, conn: ConnId, session_key: &str) {
        if let Some(nodes) = self.by_session.get_mut(session_key) {
            nodes.remove(&conn);
            if nodes.is_empty() {
                self.by_session.remove(session_key);
            }
        }
    }

    /// Nodes that hear of the session.
    pub fn of(&self, session_key: &str) -> impl Iterator<Item = ConnId> {
        let nodes = self.by_session.get(session_key);
        nodes.into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_node_that_went() {
        let mut subscriptions = Subscriptions::default();
        let (one, other) = (ConnId::new(1, 0), ConnId::new(2, 0));
        let session = Text::from("agent:main:main");
        subscriptions.add(one, &session);
        subscriptions.add(one, &"agent:main:b".into());
        subscriptions.add(other, &session);
        subscriptions.remove(one, "agent:main:b");
        subscriptions.remove(one, "agent:main:b");
        assert_eq!(subscriptions.of(&session).count(), 2);
        subscriptions.remove_node(one);
        assert_eq!(subscriptions.of(&session).collect::<Vec<_>>(), [other]);
        subscriptions.remove_node(other);
        assert!(subscriptions.by_session.is_empty() && subscriptions.by_node.is_empty());
    }

    #[test]
    fn a_node_subscribes_to_a_bounded_number() {
        let mut subscriptions = Subscriptions::default();
        let node = ConnId::new(1, 0);
        for n in 0..NODE_SUBSCRIPTIONS_MAX {
            assert!(subscriptions.has_room(node));
            subscriptions.add(node, &format!("s{n}").into());
        }
        assert!(!subscriptions.has_room(node));
    }
}
