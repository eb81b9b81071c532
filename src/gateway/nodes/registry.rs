//! Which nodes are connected, and what each says of itself.

use super::execs::Execs;
use crate::gateway::params::Params;
use crate::ids::ConnId;
use crate::state::{Device, Text, Texts};
use crate::wire::json::Json;
use std::collections::BTreeMap;

/// What a node says of itself in `connect`, besides what every client does.
#[derive(Default)]
pub struct NodeFacts {
    pub caps: Texts,
    pub commands: Texts,
    pub path_env: Option<Text>,
    pub device_family: Option<Box<str>>,
    pub model_identifier: Option<Box<str>>,
    /// What its user lets it do, such as `screenRecording`.
    pub permissions: Box<[(Box<str>, bool)]>,
}

impl NodeFacts {
    /// Out of the parameters of `connect` and their `client`.
    pub fn read(params: Params<'_, '_>, client: Params<'_, '_>) -> Self {
        let texts = |name: &str| sorted(params.texts(name));
        let text = |name: &str| client.text(name).map(Box::from);
        let permissions = params
            .get("permissions")
            .into_iter()
            .flat_map(Json::members);
        Self {
            caps: texts("caps"),
            commands: texts("commands"),
            path_env: params.text("pathEnv").map(Text::from),
            device_family: text("deviceFamily"),
            model_identifier: text("modelIdentifier"),
            permissions: permissions
                .filter_map(|(name, granted)| Some((name.into(), granted.as_bool()?)))
                .collect(),
        }
    }
}

/// Texts without blanks around them, in order, each once: as clients show them.
pub fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Texts {
    let mut texts: Vec<&str> = texts
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts.into_iter().map(Text::from).collect()
}

/// A node that is connected.
pub struct Node {
    pub device_id: Text,
    /// Where it is reached.
    pub conn: ConnId,
    /// What it said of itself.
    pub facts: NodeFacts,
    /// Numbers of the calls that it has not answered.
    pub calls: Vec<u64>,
    /// What it was asked to execute.
    pub execs: Execs,
}

impl Node {
    /// What the pairing holds as well is shared with it: most of a fleet is the same.
    pub fn new(device_id: Text, conn: ConnId, mut facts: NodeFacts, row: Option<&Device>) -> Self {
        if let Some(row) = row {
            share(&mut facts.caps, &row.caps);
            share(&mut facts.commands, &row.commands);
        }
        Self {
            device_id,
            conn,
            facts,
            calls: Vec::new(),
            execs: Execs::default(),
        }
    }
}

fn share(own: &mut Texts, stored: &Texts) {
    if *own == *stored {
        own.clone_from(stored);
    }
}

/// Connected nodes: found by device id, and by connection without a search, as the answer of a
/// call is.
#[derive(Default)]
pub struct Registry {
    by_id: BTreeMap<Text, ConnId>,
    by_slot: Vec<Option<Box<Node>>>,
}

impl Registry {
    /// The node of a device.
    pub fn get(&self, device_id: &str) -> Option<&Node> {
        self.at(*self.by_id.get(device_id)?)
    }

    /// The node of exactly this connection.
    pub fn at(&self, conn: ConnId) -> Option<&Node> {
        let node = self.by_slot.get(conn.slot())?.as_deref();
        node.filter(|node| node.conn == conn)
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, conn: ConnId) -> Option<&mut Node> {
        let node = self.by_slot.get_mut(conn.slot())?.as_deref_mut();
        node.filter(|node| node.conn == conn)
    }

    /// Puts a node in the place of an older connection of the same one, which is given back.
    pub fn insert(&mut self, node: Node) -> Option<Box<Node>> {
        let (device_id, conn) = (node.device_id.clone(), node.conn);
        let old = self.by_id.insert(device_id, conn);
        let old = old.and_then(|old| self.by_slot.get_mut(old.slot())?.take());
        if conn.slot() >= self.by_slot.len() {
            self.by_slot.resize_with(conn.slot() + 1, || None);
        }
        self.by_slot[conn.slot()] = Some(Box::new(node));
        old
    }

    /// Takes the node of this connection out.
    pub fn remove(&mut self, conn: ConnId) -> Option<Box<Node>> {
        self.at(conn)?;
        let node = self.by_slot[conn.slot()].take()?;
        self.by_id.remove(&node.device_id);
        Some(node)
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Every connected node, by device id.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Node)> {
        let node = |(id, conn): (_, &ConnId)| Some((id, self.at(*conn)?));
        self.by_id.iter().filter_map(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, conn: ConnId) -> Node {
        Node::new(id.into(), conn, NodeFacts::default(), None)
    }

    #[test]
    fn a_node_is_its_newest_connection() {
        let mut registry = Registry::default();
        let (old, new, other) = (ConnId::new(4, 0), ConnId::new(1, 3), ConnId::new(4, 1));
        assert!(registry.insert(node("a", old)).is_none());
        let replaced = registry.insert(node("a", new));
        assert_eq!(replaced.map(|node| node.conn), Some(old));
        assert!(registry.at(old).is_none() && registry.remove(old).is_none());
        registry.insert(node("b", other));
        assert!(registry.at(old).is_none(), "the slot is another node's now");
        let connected: Vec<&str> = registry.iter().map(|(id, _)| &**id).collect();
        assert_eq!(connected, ["a", "b"]);
        assert!(registry.remove(new).is_some() && registry.get("a").is_none());
        assert_eq!(registry.len(), 1);
    }
}
