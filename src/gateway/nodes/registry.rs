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
    pub fn new(conn: ConnId, mut facts: NodeFacts, row: Option<&Device>) -> Self {
        if let Some(row) = row {
            share(&mut facts.caps, &row.caps);
            share(&mut facts.commands, &row.commands);
        }
        Self {
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

/// Connected nodes by device id.
#[derive(Default)]
pub struct Registry {
    by_id: BTreeMap<Text, Node>,
}

impl Registry {
    /// The node of a device.
    pub fn get(&self, device_id: &str) -> Option<&Node> {
        self.by_id.get(device_id)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, device_id: &str) -> Option<&mut Node> {
        self.by_id.get_mut(device_id)
    }

    /// The same with its id, which others may share.
    pub fn get_with_id(&self, device_id: &str) -> Option<(&Text, &Node)> {
        self.by_id.get_key_value(device_id)
    }

    /// Puts a node in the place of an older connection of the same one, which is given back.
    pub fn insert(&mut self, device_id: Text, node: Node) -> Option<Node> {
        self.by_id.insert(device_id, node)
    }

    /// Takes a node out, if this is its connection.
    pub fn remove(&mut self, device_id: &str, conn: ConnId) -> Option<Node> {
        self.get(device_id).filter(|node| node.conn == conn)?;
        self.by_id.remove(device_id)
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Every connected node, by device id.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Node)> {
        self.by_id.iter()
    }
}
