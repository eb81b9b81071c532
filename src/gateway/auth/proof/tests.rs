use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::gateway::auth::ed25519::encode;

const NOW_MS: u64 = 1_795_344_424_082;
const NONCE: &str = "51e64cd6-d4b7-46db-b8be-16875fa28741";

/// One proof as a client makes it: its fields, and the text that it signs.
struct Case {
    nonce: Option<&'static str>,
    signed_at_ms: u64,
    first: Version,
    signed: Signed<'static>,
    text: String,
    seed: [u8; 32],
}

impl Case {
    fn new(version: &str) -> Self {
        let seed = [7; 32];
        let id = device(&seed).1;
        let head = "cli|cli|operator|operator.admin,operator.read";
        let tail = match version {
            "v1" => String::new(),
            "v2" => format!("|{NONCE}"),
            _ => format!("|{NONCE}|linux|phone"),
        };
        Self {
            nonce: (version != "v1").then_some(NONCE),
            signed_at_ms: NOW_MS,
            first: Version::V2,
            signed: Signed {
                client_id: "cli",
                client_mode: "cli",
                role: "operator",
                scopes: &["operator.admin", "operator.read"],
                token: "secret",
                platform: "Linux",
                device_family: "Phone",
            },
            text: format!("{version}|{id}|{head}|{NOW_MS}|secret{tail}"),
            seed,
        }
    }

    fn verify(&self, local: bool) -> Result<Proof, ProofError> {
        self.verify_at(local, NOW_MS)
    }

    fn verify_at(&self, local: bool, unix_ms: u64) -> Result<Proof, ProofError> {
        let (pair, id) = device(&self.seed);
        let claim = Claim {
            id: &id,
            public_key: &encode(pair.public_key().as_ref()),
            signature: &encode(pair.sign(self.text.as_bytes()).as_ref()),
            signed_at_ms: self.signed_at_ms,
            nonce: self.nonce,
        };
        let expected = Expected {
            nonce: NONCE,
            local,
            unix_ms,
            first: self.first,
        };
        verify(&claim, &self.signed, &expected)
    }
}

fn device(seed: &[u8; 32]) -> (Ed25519KeyPair, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    let key = Key::decode(&encode(pair.public_key().as_ref())).unwrap();
    let id = key.device_id();
    (pair, id)
}

#[test]
fn a_proof_of_an_existing_client_verifies() {
    // Recorded from a web chat of protocol version 3.
    let claim = Claim {
        id: "2d8057f1a8e5e59b691436edb08760de1e85522f5cfcd2cb8b3e0b04662c5584",
        public_key: "y8jnZnyog4KYajaWAuZWiWQCJIL6wyKn0n7KQJUNMSU",
        signature: "qUJQZeG-v9zp_D-r0rSfpqG3uOjPm-LOB9TGO-TEihLTcQWQdKmbB1nMfyTh-WdoegutpPCg6Xa3sqjb8nQNAw",
        signed_at_ms: NOW_MS,
        nonce: Some(NONCE),
    };
    let signed = Signed {
        client_id: "webchat-ui",
        client_mode: "webchat",
        role: "operator",
        scopes: &["operator.admin", "operator.approvals", "operator.pairing"],
        token: "testtoken",
        platform: "linux",
        device_family: "",
    };
    let expected = Expected {
        nonce: NONCE,
        local: false,
        unix_ms: NOW_MS + 5,
        first: Version::V2,
    };
    let proof = verify(&claim, &signed, &expected).unwrap();
    assert_eq!(proof.device_id(), claim.id);
}

#[test]
fn every_version_verifies() {
    for version in ["v1", "v2", "v3"] {
        assert!(Case::new(version).verify(true).is_ok(), "{version}");
    }
    assert!(Case::new("v2").verify(false).is_ok());
    assert!(Case::new("v3").verify(false).is_ok());
    let mut unknown = Case::new("v3");
    unknown.text.replace_range(..2, "v4");
    assert_eq!(
        unknown.verify(true).unwrap_err(),
        ProofError::SignatureInvalid
    );
}

#[test]
fn whichever_version_is_tried_first_the_one_that_was_signed_is_found() {
    for first in [Version::V1, Version::V2, Version::V3] {
        for (name, signed) in [("v2", Version::V2), ("v3", Version::V3)] {
            let case = Case {
                first,
                ..Case::new(name)
            };
            assert_eq!(case.verify(false).unwrap().version(), signed, "{first:?}");
        }
    }
}

#[test]
fn a_proof_without_nonce_is_for_local_connections() {
    let case = Case::new("v1");
    assert_eq!(case.verify(false).unwrap_err(), ProofError::NonceRequired);
    // A client that was challenged cannot leave the nonce out of what it signs.
    let mut case = Case::new("v1");
    case.nonce = Some(NONCE);
    assert_eq!(case.verify(true).unwrap_err(), ProofError::SignatureInvalid);
}

#[test]
fn the_nonce_is_that_of_this_connection_even_locally() {
    for other in ["", "51e64cd6", "other"] {
        let mut case = Case::new("v2");
        case.text = case.text.replace(NONCE, other);
        case.nonce = Some(other);
        assert_eq!(case.verify(true).unwrap_err(), ProofError::NonceMismatch);
    }
}

#[test]
fn a_clock_may_be_ten_minutes_off_and_no_more() {
    let case = Case::new("v2");
    for unix_ms in [NOW_MS - PROOF_SKEW_MS, NOW_MS + PROOF_SKEW_MS] {
        assert!(case.verify_at(false, unix_ms).is_ok());
    }
    for unix_ms in [
        NOW_MS - PROOF_SKEW_MS - 1,
        NOW_MS + PROOF_SKEW_MS + 1,
        0,
        u64::MAX,
    ] {
        assert_eq!(
            case.verify_at(true, unix_ms).unwrap_err(),
            ProofError::Expired
        );
    }
}

#[test]
fn every_signed_field_counts() {
    let changes: [fn(&mut Case); 9] = [
        |c| c.signed.client_id = "other",
        |c| c.signed.client_mode = "ui",
        |c| c.signed.role = "node",
        |c| c.signed.scopes = &["operator.read", "operator.admin"],
        |c| c.signed.scopes = &["operator.admin", "operator.read", "operator.write"],
        |c| c.signed.token = "",
        |c| c.signed_at_ms += 1,
        |c| c.signed.platform = "windows",
        |c| c.signed.device_family = "",
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut case = Case::new("v3");
        change(&mut case);
        assert_eq!(
            case.verify(true).unwrap_err(),
            ProofError::SignatureInvalid,
            "{at}"
        );
    }
}

#[test]
fn the_id_is_the_hash_of_the_key_in_lower_case() {
    let case = Case::new("v2");
    let (pair, id) = device(&case.seed);
    let other = device(&[8; 32]).1;
    for wrong in [
        other,
        id.to_uppercase(),
        format!("{id} "),
        id[..63].into(),
        String::new(),
    ] {
        let claim = Claim {
            id: &wrong,
            public_key: &encode(pair.public_key().as_ref()),
            signature: &encode(pair.sign(case.text.as_bytes()).as_ref()),
            signed_at_ms: NOW_MS,
            nonce: Some(NONCE),
        };
        let expected = Expected {
            nonce: NONCE,
            local: true,
            unix_ms: NOW_MS,
            first: Version::V3,
        };
        let refused = verify(&claim, &case.signed, &expected).unwrap_err();
        assert_eq!(refused, ProofError::IdentityMismatch);
    }
}

#[test]
fn separators_cannot_be_moved_into_a_field() {
    // Each change leaves the signed text as it was and moves a boundary.
    let shifts: [fn(&mut Case); 5] = [
        |c| {
            c.signed.client_id = "cli|cli";
            c.signed.client_mode = "operator";
            c.text = c
                .text
                .replace("cli|cli|operator|", "cli|cli|operator|operator|");
        },
        |c| c.signed.scopes = &["operator.admin,operator.read"],
        |c| {
            c.signed.token = "secret|x";
            c.text = c.text.replace("|secret|", "|secret|x|");
        },
        |c| {
            c.signed.platform = "linux|phone";
            c.signed.device_family = "";
            c.text.push('|');
        },
        |c| {
            c.signed.client_id = "cli\n";
            c.text = c.text.replacen("cli|", "cli\n|", 1);
        },
    ];
    for (at, shift) in shifts.iter().enumerate() {
        let mut case = Case::new("v3");
        shift(&mut case);
        assert_eq!(
            case.verify(true).unwrap_err(),
            ProofError::SignatureInvalid,
            "{at}"
        );
    }
}

#[test]
fn a_proof_without_nonce_is_accepted_once() {
    let mut replays = Replays::default();
    let case = Case::new("v1");
    let id = case
        .verify(true)
        .unwrap()
        .spend(&mut replays, NOW_MS)
        .unwrap();
    assert_eq!(id, device(&case.seed).1);
    for unix_ms in [NOW_MS, NOW_MS + PROOF_SKEW_MS] {
        let again = case.verify_at(true, unix_ms).unwrap();
        assert_eq!(again.spend(&mut replays, unix_ms), Err(ProofError::Expired));
    }
    // With a nonce the challenge does that work.
    let case = Case::new("v2");
    for _ in 0..2 {
        let proof = case.verify(true).unwrap();
        assert!(proof.spend(&mut replays, NOW_MS).is_ok());
    }
}
