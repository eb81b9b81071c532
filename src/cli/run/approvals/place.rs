//! Whose approvals file is meant: the gateway's or a node's.

use serde_json::{Value, json};

use super::super::super::exit::Failure;
use super::super::super::setup::Session;
use crate::cli::run::nodes::choose::choose;
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
                let node = choose(typed, session)?;
                node.check_is_there()?;
                Some((node.id, node.name))
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
