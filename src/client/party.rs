//! Who connects: a person at the command line, or a node.

use serde_json::{Map, Value, json};

use super::error::ClientError;
use super::random;

/// The scopes of a person at the command line.
pub const OPERATOR_SCOPES: [&str; 5] = [
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.read",
    "operator.write",
];

/// What `connect` says about its sender, besides version, platform and proof.
#[derive(Clone, Debug)]
pub struct Party {
    /// `client.id`.
    pub client_id: &'static str,
    /// The role asked for; device tokens are kept apart by it.
    pub role: &'static str,
    /// The scopes asked for.
    pub scopes: &'static [&'static str],
    /// Further members of `client`.
    pub client: Map<String, Value>,
    /// Further members of `connect`.
    pub connect: Map<String, Value>,
    /// A one-time pairing code, sent where there is no other secret to show.
    pub code: Option<String>,
}

impl Party {
    /// A person at the command line of this machine.
    pub fn operator() -> Result<Self, ClientError> {
        let mut client = Map::new();
        client.insert("instanceId".into(), random::uuid()?.into());
        if let Some(name) = host_name() {
            client.insert("displayName".into(), name.into());
        }
        let mut connect = Map::new();
        connect.insert("caps".into(), json!([]));
        Ok(Self {
            client_id: "cli",
            role: "operator",
            scopes: &OPERATOR_SCOPES,
            client,
            connect,
            code: None,
        })
    }
}

/// What this machine calls itself.
pub fn host_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}
