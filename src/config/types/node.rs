//! The `browser` and `nodeHost` sections: what a node lends besides its commands.

use crate::config::Secret;
use serde::Deserialize;

/// The browser control server of this machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrowserConfig {
    pub enabled: bool,
    /// `http://`, loopback alone; absent where there is none.
    pub control_url: Option<String>,
    /// Its own secret.
    pub control_token: Option<Secret>,
}

impl Default for BrowserConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            control_url: None,
            control_token: None,
        }
    }
}

/// What `clawdia node run` reads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeHostConfig {
    pub browser_proxy: BrowserProxyConfig,
}

/// How far a gateway may use the browser.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrowserProxyConfig {
    pub enabled: bool,
    /// Empty: all of them.
    pub allow_profiles: Vec<String>,
}

impl Default for BrowserProxyConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_profiles: Vec::new(),
        }
    }
}
