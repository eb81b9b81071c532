//! Whose approvals file is meant: the gateway's or a node's.

use serde_json::{Value, json};

use super::super::super::exit::Failure;
use super::super::super::setup::Session;
use super::{list, text};
use crate::cli::text::short_id;

/// A place that keeps an approvals file.
pub struct Place {
    /// Id and name; None for the gateway.
    pub(super) node: Option<(String, String)>,
}

impl Place {
    /// The place that the options name.
    pub fn of(node: Option<&str>, gateway: bool, session: &mut Session) -> Result<Self, Failure> {
        let node = match (node, gateway) {
            (Some(_), true) => {
                return Err(Failure::usage("--node and --gateway exclude each other"));
            }
            (None, _) => None,
            (Some(typed), false) => {
                let all = session.call("node.list", &json!({}))?;
                Some(find(list(&all, "nodes"), typed)?)
            }
        };
        Ok(Self { node })
    }

    /// For people.
    pub fn name(&self) -> &str {
        self.node.as_ref().map_or("the gateway", |(_, name)| name)
    }

    /// What a command is told so that it means this place: empty for the gateway.
    pub fn option(&self) -> String {
        let node = self.node.as_ref();
        node.map_or_else(String::new, |(id, _)| format!(" --node {}", short_id(id)))
    }

    /// `{path, exists, hash, file}`.
    pub fn read(&self, session: &mut Session) -> Result<Value, Failure> {
        match &self.node {
            None => session.call("exec.approvals.get", &json!({})),
            Some((id, _)) => session.call("exec.approvals.node.get", &json!({"nodeId": id})),
        }
    }

    /// Stores `file` unless somebody changed what `hash` is of.
    pub fn write(&self, file: &Value, hash: &str, session: &mut Session) -> Result<Value, Failure> {
        let mut params = json!({"file": file, "baseHash": hash});
        match &self.node {
            None => session.call("exec.approvals.set", &params),
            Some((id, _)) => {
                params["nodeId"] = id.as_str().into();
                session.call("exec.approvals.node.set", &params)
            }
        }
    }
}

/// Id and name of the one node that is called so, or whose id begins so.
fn find(nodes: &[Value], typed: &str) -> Result<(String, String), Failure> {
    if typed.is_empty() {
        return Err(Failure::usage("--node is empty"));
    }
    let is_called = |node: &&Value| {
        [text(node, "nodeId"), text(node, "remoteIp")].contains(&typed)
            || text(node, "displayName").eq_ignore_ascii_case(typed)
    };
    let begins = |node: &&Value| text(node, "nodeId").starts_with(typed);
    let mut matching: Vec<&Value> = nodes.iter().filter(is_called).collect();
    if matching.is_empty() {
        matching = nodes.iter().filter(begins).collect();
    }
    match matching.as_slice() {
        [node] => {
            let id = text(node, "nodeId");
            let name = text(node, "displayName");
            let name = if name.is_empty() { id } else { name };
            Ok((id.to_owned(), name.to_owned()))
        }
        [] => Err(Failure::failed(format!("there is no node {typed}"))
            .mend("clawdia gateway call node.list")),
        _ => Err(Failure::failed(format!(
            "more than one node is called {typed}; use its id"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_id_name_or_address_where_that_is_clear() {
        let nodes = [
            json!({"nodeId": "aa11", "displayName": "Kitchen", "remoteIp": "192.0.2.7"}),
            json!({"nodeId": "aa22", "displayName": "aa11 too"}),
        ];
        for typed in ["aa11", "kitchen", "192.0.2.7", "aa1"] {
            assert_eq!(find(&nodes, typed).unwrap().0, "aa11", "{typed}");
        }
        for typed in ["aa", "", "attic"] {
            assert!(find(&nodes, typed).is_err(), "{typed}");
        }
    }
}
