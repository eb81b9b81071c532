//! The device proof of a `connect`: an Ed25519 signature over what the client claims.
//!
//! Key and signature are accepted as base64url without padding only, with zero trailing
//! bits: one key has one spelling, so it has one device id.

use super::ed25519::{self, Key, KeyError};
use super::replay::{Replay, Replays};
use crate::limits::PROOF_SKEW_MS;

/// `device` of a `connect`, as sent.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Lower-case hex SHA-256 of the raw key.
    pub id: &'a str,
    /// The raw 32-byte key, base64url without padding.
    pub public_key: &'a str,
    /// The 64-byte signature, base64url without padding.
    pub signature: &'a str,
    /// The client's clock in Unix milliseconds.
    pub signed_at_ms: u64,
    /// The nonce of the challenge; the oldest clients send none.
    pub nonce: Option<&'a str>,
}

/// What else of the `connect` is signed, as sent.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// `role`, or `operator` where it was absent.
    pub role: &'a str,
    /// `scopes` in the order sent, unknown names included.
    pub scopes: &'a [&'a str],
    /// `auth.token`, or empty.
    pub token: &'a str,
    /// `client.platform`; only version 3 signs it.
    pub platform: &'a str,
    /// `client.deviceFamily`, or empty; only version 3 signs it.
    pub device_family: &'a str,
}

/// What the gateway knows about the connection that sent the proof.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The nonce that this connection was challenged with.
    pub nonce: &'a str,
    /// Whether the connection is local.
    pub local: bool,
    /// The gateway's clock in Unix milliseconds.
    pub unix_ms: u64,
    /// What such a client probably signed. The other version counts as well, but to verify two signatures takes
    /// twice as long.
    pub first: Version,
}

/// Which text a client signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Without a nonce.
    V1,
    /// With the nonce of the challenge.
    V2,
    /// With platform and device family, too.
    V3,
}

/// Why a proof is refused. Its text is the message of `INVALID_REQUEST` and the close reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// The id is not the hash of the key.
    IdentityMismatch,
    /// The key is not 32 bytes, not canonical, or of small order.
    KeyInvalid,
    /// `signedAt` is too far off, or a proof without nonce was seen before.
    Expired,
    /// No nonce, and the connection is not local.
    NonceRequired,
    /// Not the nonce of this connection.
    NonceMismatch,
    /// The signature does not cover these fields.
    SignatureInvalid,
}

impl ProofError {
    /// What the peer is told.
    pub const fn text(self) -> &'static str {
        match self {
            Self::IdentityMismatch => "device identity mismatch",
            Self::KeyInvalid => "device public key invalid",
            Self::Expired => "device signature expired",
            Self::NonceRequired => "device nonce required",
            Self::NonceMismatch => "device nonce mismatch",
            Self::SignatureInvalid => "device signature invalid",
        }
    }
}

/// A verified proof. It lets nobody in before `spend`.
#[must_use = "a proof has to be spent, or one without nonce could be replayed"]
#[derive(Debug)]
pub struct Proof {
    device_id: String,
    version: Version,
    replay: Option<Replay>,
}

impl Proof {
    /// The proven device, for looking up its token and pairing.
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// What was signed.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Uses the proof up. To be called once the secret has matched, so that strangers
    /// cannot fill `replays`.
    pub fn spend(self, replays: &mut Replays, unix_ms: u64) -> Result<String, ProofError> {
        match self.replay {
            Some(replay) if !replays.accept(replay, unix_ms) => Err(ProofError::Expired),
            _ => Ok(self.device_id),
        }
    }
}

/// Checks a proof against the connection that sent it.
pub fn verify(claim: &Claim, signed: &Signed, expected: &Expected) -> Result<Proof, ProofError> {
    let key = Key::decode(claim.public_key).map_err(|KeyError| ProofError::KeyInvalid)?;
    let device_id = key.device_id();
    if claim.id != device_id {
        return Err(ProofError::IdentityMismatch);
    }
    if claim.signed_at_ms.abs_diff(expected.unix_ms) > PROOF_SKEW_MS {
        return Err(ProofError::Expired);
    }
    match claim.nonce {
        None if !expected.local => return Err(ProofError::NonceRequired),
        Some(nonce) if nonce != expected.nonce => return Err(ProofError::NonceMismatch),
        _ => {}
    }
    let signature =
        ed25519::decode_signature(claim.signature).ok_or(ProofError::SignatureInvalid)?;
    let core = core_text(claim, signed).ok_or(ProofError::SignatureInvalid)?;
    let covers = |version: &Version| {
        version
            .text(&core, claim, signed)
            .is_some_and(|text| key.verifies(text.as_bytes(), &signature))
    };
    let versions: &[Version] = match (claim.nonce, expected.first) {
        (None, _) => &[Version::V1],
        (Some(_), Version::V3) => &[Version::V3, Version::V2],
        (Some(_), _) => &[Version::V2, Version::V3],
    };
    let version = *versions
        .iter()
        .find(|version| covers(version))
        .ok_or(ProofError::SignatureInvalid)?;
    let until_ms = claim.signed_at_ms.saturating_add(PROOF_SKEW_MS);
    let unbound = claim.nonce.is_none();
    let replay = unbound.then(|| Replay::new(&device_id, &signature, until_ms));
    Ok(Proof {
        device_id,
        version,
        replay,
    })
}

impl Version {
    /// The text that is signed. None where a field holds a separator, for then one text would stand for several claims.
    fn text(self, core: &str, claim: &Claim, signed: &Signed) -> Option<String> {
        let nonce = claim.nonce.unwrap_or_default();
        match self {
            Self::V1 => Some(format!("v1|{core}")),
            Self::V2 => Some(format!("v2|{core}|{nonce}")),
            Self::V3 if is_plain(signed.platform) && is_plain(signed.device_family) => {
                let platform = signed.platform.trim().to_lowercase();
                let family = signed.device_family.trim().to_lowercase();
                Some(format!("v3|{core}|{nonce}|{platform}|{family}"))
            }
            Self::V3 => None,
        }
    }
}

/// What all versions have in common; None where a field holds a separator.
fn core_text(claim: &Claim, signed: &Signed) -> Option<String> {
    let names = [signed.client_id, signed.client_mode, signed.role];
    let plain = names
        .iter()
        .chain(signed.scopes)
        .all(|field| is_plain(field));
    // A comma inside the token separates nothing, and people choose their tokens.
    if !plain || !is_field(signed.token) {
        return None;
    }
    Some(format!(
        "{}|{}|{}|{}|{}|{}|{}",
        claim.id,
        signed.client_id,
        signed.client_mode,
        signed.role,
        signed.scopes.join(","),
        claim.signed_at_ms,
        signed.token,
    ))
}

fn is_plain(field: &str) -> bool {
    is_field(field) && !field.contains(',')
}

fn is_field(field: &str) -> bool {
    !field.contains('|') && !field.contains(char::is_control)
}

#[cfg(test)]
mod tests;
