//! Devices that were paired, and what each role was granted.

use super::{Text, UnixMs};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Sorted or as-given texts that many rows share, such as scopes and commands.
pub type Texts = Arc<[Text]>;

/// The empty list.
pub fn no_texts() -> Texts {
    Arc::default()
}

/// What a connection acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A person's client: CLI, web page, app.
    Operator,
    /// A machine that offers commands.
    Node,
}

impl Role {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Node => "node",
        }
    }

    /// Reads the word on the wire; None for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "operator" => Some(Self::Operator),
            "node" => Some(Self::Node),
            _ => None,
        }
    }
}

/// What a client said about itself, for people to recognise it by. Nothing here was verified
/// but `remote_ip`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<Text>,
    /// The address that the connection came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<Text>,
}

/// A keypair that was paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Lower-case hex SHA-256 of the raw public key.
    pub device_id: Text,
    /// The raw Ed25519 key, base64url without padding.
    pub public_key: Text,
    pub client: ClientFacts,
    /// What an operator calls it, whatever it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// One entry a role, in the order of [`Role`].
    pub grants: Vec<Grant>,
    /// Capabilities that were approved (nodes).
    #[serde(default, skip_serializing_if = "is_empty")]
    pub caps: Texts,
    /// Commands that were approved (nodes).
    #[serde(default, skip_serializing_if = "is_empty")]
    pub commands: Texts,
    pub created_at_ms: UnixMs,
    pub approved_at_ms: UnixMs,
    pub last_seen_ms: UnixMs,
}

impl Device {
    /// The name that people know it by: the one that it was given, else its own.
    pub fn shown_name(&self) -> Option<&Text> {
        self.name.as_ref().or(self.client.display_name.as_ref())
    }

    /// What this role was granted, if it was paired for it.
    pub fn grant(&self, role: Role) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.role == role)
    }

    /// The grant of `role`, made empty where there was none; keeps the order of `grants`.
    pub fn grant_mut(&mut self, role: Role) -> &mut Grant {
        let at = match self.grants.binary_search_by_key(&role, |grant| grant.role) {
            Ok(at) => at,
            Err(at) => {
                let scopes = no_texts();
                self.grants.insert(
                    at,
                    Grant {
                        role,
                        scopes,
                        token: None,
                    },
                );
                at
            }
        };
        &mut self.grants[at]
    }
}

/// What a device may do in one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub role: Role,
    /// Scopes that were approved.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub scopes: Texts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Box<DeviceToken>>,
}

/// The secret that a paired device may show instead of the gateway's own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceToken {
    /// The token itself: every `hello-ok` repeats it until it is rotated.
    pub token: Text,
    /// The scopes that it carries, within the grant's.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub scopes: Texts,
    pub created_at_ms: UnixMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<UnixMs>,
    /// A revoked token stays, so that its holder can be told why it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<UnixMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<UnixMs>,
}

impl std::fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceToken")
            .field("token", &"<secret>")
            .field("scopes", &self.scopes)
            .field("created_at_ms", &self.created_at_ms)
            .field("revoked_at_ms", &self.revoked_at_ms)
            .finish_non_exhaustive()
    }
}

fn is_empty(list: &Texts) -> bool {
    list.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_made_on_demand_keeps_the_order_of_roles() {
        let mut device = super::super::tables::fixture::device(1);
        device.grants.clear();
        device.grant_mut(Role::Node);
        device.grant_mut(Role::Operator).scopes = Arc::from([Text::from("operator.read")]);
        let roles: Vec<Role> = device.grants.iter().map(|grant| grant.role).collect();
        assert_eq!(roles, [Role::Operator, Role::Node]);
        assert_eq!(
            device.grant(Role::Operator).map(|grant| grant.scopes.len()),
            Some(1)
        );
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let mut device = super::super::tables::fixture::device(1);
        device.grant_mut(Role::Node).token = Some(Box::new(DeviceToken {
            token: "hush".into(),
            scopes: no_texts(),
            created_at_ms: 1,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        }));
        assert!(!format!("{device:?}").contains("hush"));
    }
}
