//! Clients' keys and the proofs that they make with them.

use crate::gateway::auth::ed25519::{Key, encode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// The text that a proof signs, by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Without nonce: the oldest clients.
    V1,
    /// With the nonce of the challenge.
    V2,
    /// With platform and device family as well.
    V3,
}

/// A client's key pair, the same for the same seed.
pub struct Device {
    pair: Ed25519KeyPair,
    /// Lower-case hex SHA-256 of the public key.
    pub id: String,
    /// The public key, base64url without padding.
    pub public_key: String,
}

impl Device {
    /// The device of a number.
    ///
    /// # Panics
    ///
    /// Never: every seed is a private key.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0x5a; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(&bytes).expect("a seed of 32 bytes");
        let public_key = encode(pair.public_key().as_ref());
        let id = Key::decode(&public_key)
            .expect("a key of our own")
            .device_id();
        Self {
            pair,
            id,
            public_key,
        }
    }

    /// Puts a proof for the `connect` parameters into them, as `device`.
    pub fn sign(&self, params: &mut Value, proof: Proof, nonce: &str, signed_at_ms: u64) {
        let field = |path: &str| params.pointer(path).and_then(Value::as_str).unwrap_or("");
        let scopes: Vec<&str> = params["scopes"]
            .as_array()
            .map(|scopes| scopes.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let role = match field("/role") {
            "" => "operator",
            role => role,
        };
        let core = [
            self.id.as_str(),
            field("/client/id"),
            field("/client/mode"),
            role,
            &scopes.join(","),
            &signed_at_ms.to_string(),
            ["token", "deviceToken", "bootstrapToken"]
                .map(|name| field(&format!("/auth/{name}")))
                .into_iter()
                .find(|secret| !secret.is_empty())
                .unwrap_or(""),
        ]
        .join("|");
        let text = match proof {
            Proof::V1 => format!("v1|{core}"),
            Proof::V2 => format!("v2|{core}|{nonce}"),
            Proof::V3 => format!(
                "v3|{core}|{nonce}|{}|{}",
                field("/client/platform").to_lowercase(),
                field("/client/deviceFamily").to_lowercase()
            ),
        };
        let mut device = json!({
            "id": self.id,
            "publicKey": self.public_key,
            "signature": encode(self.pair.sign(text.as_bytes()).as_ref()),
            "signedAt": signed_at_ms,
        });
        if proof != Proof::V1 {
            device["nonce"] = nonce.into();
        }
        params["device"] = device;
    }
}
