//! What a node keeps about itself: its names, and the gateway that it was told to serve.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::{files, random};
use crate::io::atomic;
use crate::io::state_dir::StartFault;

/// `node.json` in the node's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub version: u64,
    /// The same over restarts: `client.instanceId`.
    pub node_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayPlace>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Where the gateway is. No secret is ever in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayPlace {
    /// `ws://` or `wss://`.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_fingerprint: Option<String>,
}

impl Settings {
    /// Reads them; a node that has none yet gets an id.
    ///
    /// # Errors
    ///
    /// A file that cannot be read: another id would be another node.
    pub fn load(dir: &Path) -> Result<Self, StartFault> {
        let path = path(dir);
        let text =
            files::read_private(&path).map_err(|fault| StartFault::io("read", &path, fault))?;
        match text {
            Some(text) => serde_json::from_str(&text).map_err(|fault| {
                StartFault::refused(format!(
                    "the node's settings {} cannot be used: {fault}. Restore the file, or move it away",
                    path.display()
                ))
            }),
            None => Ok(Self {
                version: 1,
                node_id: random::uuid().map_err(|error| StartFault::refused(error.message))?,
                display_name: None,
                gateway: None,
                other: Map::new(),
            }),
        }
    }

    /// Writes them where they changed.
    ///
    /// # Errors
    ///
    /// When the disk does not take them.
    pub fn store(&self, dir: &Path) -> Result<(), StartFault> {
        let path = path(dir);
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        match files::read_private(&path) {
            Ok(Some(stored)) if stored == text => Ok(()),
            _ => atomic::replace(&path, text.as_bytes())
                .map_err(|fault| StartFault::io("write", &path, fault)),
        }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("node.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Settings::load(dir.path()).unwrap();
        first.gateway = Some(GatewayPlace {
            url: "ws://127.0.0.1:1".into(),
            tls_fingerprint: None,
        });
        first.store(dir.path()).unwrap();
        assert_eq!(Settings::load(dir.path()).unwrap(), first);
        std::fs::write(path(dir.path()), "{").unwrap();
        assert!(Settings::load(dir.path()).is_err());
    }
}
