//! Device tokens: what a gateway gave this device, kept so that no other gateway gets it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{ClientError, ErrorKind};
use super::files;
use super::url::GatewayUrl;
use crate::io::{atomic, file_lock};

/// What a stored token is bound to.
///
/// A loopback port by itself identifies nobody: today a gateway, tomorrow a tunnel to another
/// one. So [`GatewayIdentity::of`] has no identity for it; the local gateway is recognised by
/// the lock that its process holds, and a remote one by being configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayIdentity(String);

impl GatewayIdentity {
    /// The gateway that runs on this very state directory.
    pub fn own() -> Self {
        Self("local".to_owned())
    }

    /// The gateway that the configuration names: its exact origin and pin.
    pub fn configured(url: &GatewayUrl, pin: Option<&str>) -> Self {
        Self(format!("{} pin={}", url.origin(), pin.unwrap_or("none")))
    }

    /// The gateway on `port` of the machine that `ssh` reaches as `target`: that machine's host
    /// key vouches for it, whatever the tunnel's port is here.
    pub fn behind_ssh(target: &str, port: u16) -> Self {
        Self(format!("ssh {target} port={port}"))
    }

    /// A gateway that was named on the command line, where its address identifies it.
    pub fn of(url: &GatewayUrl, pin: Option<&str>) -> Option<Self> {
        (url.secure || !url.is_loopback()).then(|| Self::configured(url, pin))
    }
}

/// `<dir>/device-tokens.json`, as one process sees it.
pub struct TokenStore {
    path: PathBuf,
    profile: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    tokens: BTreeMap<String, String>,
}

impl TokenStore {
    /// The store in `dir`, for `profile` alone.
    pub fn new(dir: &Path, profile: &str) -> Self {
        Self {
            path: dir.join("device-tokens.json"),
            profile: profile.to_owned(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token that `gateway` gave this device for `role`.
    pub fn get(
        &self,
        gateway: &GatewayIdentity,
        role: &str,
    ) -> Result<Option<String>, ClientError> {
        Ok(self.read()?.tokens.remove(&self.key(gateway, role)))
    }

    /// Remembers `token`; the file is touched only where that changes it.
    pub fn put(
        &self,
        gateway: &GatewayIdentity,
        role: &str,
        token: &str,
    ) -> Result<(), ClientError> {
        if self.get(gateway, role)?.as_deref() == Some(token) {
            return Ok(());
        }
        self.change(|tokens| {
            tokens.insert(self.key(gateway, role), token.to_owned());
        })
    }

    /// Forgets the token: the gateway refused it.
    pub fn forget(&self, gateway: &GatewayIdentity, role: &str) -> Result<(), ClientError> {
        self.change(|tokens| {
            tokens.remove(&self.key(gateway, role));
        })
    }

    fn change(&self, edit: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<(), ClientError> {
        let fault = |error: std::io::Error| self.broken(&error.to_string());
        if let Some(dir) = self.path.parent() {
            files::private_dir(dir).map_err(fault)?;
        }
        // Several command lines share the file: read again inside the lock.
        let _lock = file_lock::lock(&self.path.with_extension("lock")).map_err(fault)?;
        let mut stored = self.read()?;
        stored.version = 1;
        edit(&mut stored.tokens);
        let text = serde_json::to_string_pretty(&stored).unwrap_or_default() + "\n";
        atomic::replace(&self.path, text.as_bytes()).map_err(fault)
    }

    fn read(&self) -> Result<Stored, ClientError> {
        match files::read_private(&self.path) {
            Ok(None) => Ok(Stored::default()),
            Ok(Some(text)) => {
                serde_json::from_str(&text).map_err(|error| self.broken(&error.to_string()))
            }
            Err(error) => Err(self.broken(&error.to_string())),
        }
    }

    fn key(&self, gateway: &GatewayIdentity, role: &str) -> String {
        format!("{} role={role} profile={}", gateway.0, self.profile)
    }

    fn broken(&self, fault: &str) -> ClientError {
        ClientError::new(
            ErrorKind::Configuration,
            format!(
                "the stored device tokens {} cannot be used: {fault}. Restore the file from a \
                 backup, or move it away; gateways give new tokens at the next connection",
                self.path.display()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn url(text: &str) -> GatewayUrl {
        GatewayUrl::parse(text).unwrap()
    }

    fn named(text: &str) -> GatewayIdentity {
        GatewayIdentity::of(&url(text), None).unwrap()
    }

    #[test]
    fn a_forgotten_token_is_gone_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let store = TokenStore::new(home.path(), "default");
        let own = GatewayIdentity::own();
        store.put(&own, "node", "a").unwrap();
        store.put(&own, "operator", "b").unwrap();
        store.forget(&own, "node").unwrap();
        assert_eq!(store.get(&own, "node").unwrap(), None);
        assert_eq!(store.get(&own, "operator").unwrap().unwrap(), "b");
    }

    #[test]
    fn a_token_of_one_gateway_is_unknown_to_every_other() {
        let home = tempfile::tempdir().unwrap();
        let store = TokenStore::new(home.path(), "default");
        let a = named("wss://a.example:1");
        store.put(&a, "operator", "secret-a").unwrap();
        assert_eq!(store.get(&a, "operator").unwrap().unwrap(), "secret-a");

        let others = [
            named("wss://b.example:1"),
            named("wss://a.example:2"),
            named("ws://a.example:1"),
            GatewayIdentity::configured(&url("wss://a.example:1"), Some("ab")),
            GatewayIdentity::own(),
        ];
        for other in &others {
            assert_eq!(store.get(other, "operator").unwrap(), None, "{other:?}");
        }
        assert_eq!(store.get(&a, "node").unwrap(), None);
        let profile = TokenStore::new(home.path(), "work");
        assert_eq!(profile.get(&a, "operator").unwrap(), None);
    }

    #[test]
    fn a_loopback_port_identifies_nobody() {
        assert_eq!(
            GatewayIdentity::of(&url("ws://127.0.0.1:18789"), None),
            None
        );
        assert_eq!(
            GatewayIdentity::of(&url("ws://localhost:18789"), None),
            None
        );
    }

    #[test]
    fn the_file_is_private_and_written_only_on_change() {
        let home = tempfile::tempdir().unwrap();
        let store = TokenStore::new(home.path(), "default");
        store.put(&GatewayIdentity::own(), "operator", "t").unwrap();
        let meta = std::fs::metadata(store.path()).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        store.put(&GatewayIdentity::own(), "operator", "t").unwrap();
        let again = std::fs::metadata(store.path()).unwrap();
        assert_eq!(meta.modified().unwrap(), again.modified().unwrap());
        use std::os::unix::fs::MetadataExt;
        assert_eq!(meta.ino(), again.ino());
    }

    #[test]
    fn a_damaged_store_is_an_error_and_not_empty() {
        let home = tempfile::tempdir().unwrap();
        let store = TokenStore::new(home.path(), "default");
        std::fs::write(store.path(), "{\"tok").unwrap();
        assert!(store.get(&GatewayIdentity::own(), "operator").is_err());
        assert!(store.put(&GatewayIdentity::own(), "operator", "t").is_err());
        assert_eq!(std::fs::read_to_string(store.path()).unwrap(), "{\"tok");
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for i in 0..8 {
                let dir = home.path();
                scope.spawn(move || {
                    let store = TokenStore::new(dir, &format!("p{i}"));
                    store.put(&GatewayIdentity::own(), "operator", "t").unwrap();
                });
            }
        });
        for i in 0..8 {
            let store = TokenStore::new(home.path(), &format!("p{i}"));
            assert!(
                store
                    .get(&GatewayIdentity::own(), "operator")
                    .unwrap()
                    .is_some()
            );
        }
    }
}
