//! Requests for pairing that wait for a person.

use super::{ClientFacts, Role, Text, Texts, UnixMs};
use serde::{Deserialize, Serialize};

/// A device that asked to be paired, or for more than it was approved for.
///
/// At most one a device; the core lets it expire after `PAIRING_TTL_MS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingPairing {
    pub request_id: Text,
    pub device_id: Text,
    /// The raw Ed25519 key, base64url without padding.
    pub public_key: Text,
    pub client: ClientFacts,
    /// The roles asked for, in the order of [`Role`], without repeats.
    pub roles: Vec<Role>,
    /// The scopes asked for.
    pub scopes: Texts,
    /// Capabilities and commands that a node declared.
    pub caps: Texts,
    pub commands: Texts,
    /// The client asks not to be shown to a person.
    #[serde(default)]
    pub silent: bool,
    /// The device was paired before.
    #[serde(default)]
    pub is_repair: bool,
    pub ts: UnixMs,
}
