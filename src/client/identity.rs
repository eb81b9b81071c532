//! Who this machine is: an Ed25519 key that is made once, and the proof of holding it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

use super::error::{ClientError, ErrorKind};
use super::{files, random};
use crate::io::atomic;

/// The device key of this state directory.
pub struct Identity {
    key: Ed25519KeyPair,
    device_id: String,
}

/// What a proof signs besides the device's own id.
pub struct ProofFields<'a> {
    /// `client.id` of the same `connect`.
    pub client_id: &'a str,
    /// `client.mode` of the same `connect`.
    pub client_mode: &'a str,
    /// The role asked for.
    pub role: &'a str,
    /// The scopes asked for, in the order in which `connect` has them.
    pub scopes: &'a [&'a str],
    /// Milliseconds since 1970.
    pub signed_at_ms: u64,
    /// `auth.token` of the same `connect`, or empty.
    pub token: &'a str,
    /// The gateway's challenge on this connection.
    pub nonce: &'a str,
}

/// Who has a device key, be it only once that is needed.
pub trait Device {
    /// The key.
    ///
    /// # Errors
    ///
    /// It cannot be read or made.
    fn identity(&self) -> Result<&Identity, ClientError>;
}

impl Device for Identity {
    fn identity(&self) -> Result<&Identity, ClientError> {
        Ok(self)
    }
}

/// A device whose key is made at its first use, so that nothing is made for a gateway that is not there.
pub struct OnFirstUse {
    dir: PathBuf,
    key: OnceCell<Identity>,
}

impl OnFirstUse {
    /// Reads the key in `dir`, if there is one.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn new(dir: &Path) -> Result<Self, ClientError> {
        let known = Identity::load(&dir.join(FILE))?;
        Ok(Self {
            dir: dir.to_owned(),
            key: known.map_or_else(OnceCell::new, OnceCell::from),
        })
    }
}

impl Device for OnFirstUse {
    fn identity(&self) -> Result<&Identity, ClientError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let made = Identity::load_or_create(&self.dir)?;
        Ok(self.key.get_or_init(|| made))
    }
}

const FILE: &str = "device.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    version: u32,
    device_id: String,
    public_key: String,
    seed: String,
}

impl Identity {
    /// Reads `<dir>/device.json`, or makes a key and the file on first use. A damaged file is
    /// an error and stays as it is: a new key would need a new pairing at every gateway.
    pub fn load_or_create(dir: &Path) -> Result<Self, ClientError> {
        let path = dir.join(FILE);
        if let Some(identity) = Self::load(&path)? {
            return Ok(identity);
        }
        let seed: [u8; 32] = random::bytes()?;
        let identity = Self::from_seed(&seed).map_err(|fault| broken(&path, &fault))?;
        let stored = Stored {
            version: 1,
            device_id: identity.device_id.clone(),
            public_key: identity.public_key(),
            seed: URL_SAFE_NO_PAD.encode(seed),
        };
        let text = serde_json::to_string_pretty(&stored).unwrap_or_default() + "\n";
        let created = files::private_dir(dir).and_then(|()| atomic::create(&path, text.as_bytes()));
        match created {
            Ok(()) => Ok(identity),
            // Another process was first; its key is the device's.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::load(&path)?.ok_or_else(|| broken(&path, "it vanished while being read"))
            }
            Err(error) => Err(broken(&path, &error.to_string())),
        }
    }

    fn load(path: &Path) -> Result<Option<Self>, ClientError> {
        let read = files::read_private(path).map_err(|error| broken(path, &error.to_string()))?;
        let Some(text) = read else { return Ok(None) };
        let stored: Stored =
            serde_json::from_str(&text).map_err(|error| broken(path, &error.to_string()))?;
        let seed = URL_SAFE_NO_PAD
            .decode(&stored.seed)
            .map_err(|_| broken(path, "`seed` is not base64url"))?;
        let identity = Self::from_seed(&seed).map_err(|fault| broken(path, &fault))?;
        if stored.device_id != identity.device_id || stored.public_key != identity.public_key() {
            return Err(broken(path, "the id does not belong to the key"));
        }
        Ok(Some(identity))
    }

    fn from_seed(seed: &[u8]) -> Result<Self, String> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| "`seed` is not 32 bytes".to_owned())?;
        let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key().as_ref());
        Ok(Self {
            device_id: random::hex(digest.as_ref()),
            key,
        })
    }

    /// Lower-case hexadecimal SHA-256 of the raw public key.
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The raw public key, base64url without padding.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref())
    }

    /// The version 2 device proof over `fields`, base64url without padding.
    pub fn prove(&self, fields: &ProofFields<'_>) -> String {
        let text = proof_text(&self.device_id, fields);
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).as_ref())
    }
}

fn proof_text(device_id: &str, fields: &ProofFields<'_>) -> String {
    [
        "v2",
        device_id,
        fields.client_id,
        fields.client_mode,
        fields.role,
        &fields.scopes.join(","),
        &fields.signed_at_ms.to_string(),
        fields.token,
        fields.nonce,
    ]
    .join("|")
}

fn broken(path: &Path, fault: &str) -> ClientError {
    let path = path.display();
    ClientError::new(
        ErrorKind::Configuration,
        format!(
            "the device key {path} cannot be used: {fault}. Restore it from a backup, or move \
             it away to get a new one, which then has to be paired again"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};
    use std::os::unix::fs::PermissionsExt;

    const FIELDS: ProofFields<'_> = ProofFields {
        client_id: "cli",
        client_mode: "cli",
        role: "operator",
        scopes: &["operator.read", "operator.write"],
        signed_at_ms: 7,
        token: "t",
        nonce: "n",
    };

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("identity");
        let first = Identity::load_or_create(&dir).unwrap();
        let again = Identity::load_or_create(&dir).unwrap();
        assert_eq!(first.device_id(), again.device_id());
        let meta = std::fs::metadata(dir.join("device.json")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_proof_is_the_one_of_the_protocol() {
        let identity = Identity::from_seed(&[7; 32]).unwrap();
        let id = identity.device_id();
        let text = format!("v2|{id}|cli|cli|operator|operator.read,operator.write|7|t|n");
        assert_eq!(proof_text(id, &FIELDS), text);
        let key = URL_SAFE_NO_PAD.decode(identity.public_key()).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(identity.prove(&FIELDS)).unwrap();
        assert!(
            UnparsedPublicKey::new(&ED25519, &key)
                .verify(text.as_bytes(), &signature)
                .is_ok()
        );
        let digest = ring::digest::digest(&ring::digest::SHA256, &key);
        assert_eq!(random::hex(digest.as_ref()), id);
    }

    #[test]
    fn a_damaged_key_file_is_named_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("device.json");
        for text in [
            "",
            "{",
            r#"{"version":1,"deviceId":"x","publicKey":"y","seed":"AA"}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Identity::load_or_create(home.path()).err().unwrap();
            assert_eq!(error.kind, ErrorKind::Configuration);
            assert!(error.message.contains("device.json"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn an_exchanged_id_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        Identity::load_or_create(home.path()).unwrap();
        let path = home.path().join("device.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut stored: serde_json::Value = serde_json::from_str(&text).unwrap();
        stored["deviceId"] = "00".into();
        std::fs::write(&path, stored.to_string()).unwrap();
        assert!(Identity::load_or_create(home.path()).is_err());
    }
}
