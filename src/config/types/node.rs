//! The `browser` and `nodeHost` sections: what a node lends besides its commands.

use crate::config::{Secret, control};
use serde::Deserialize;
use std::net::SocketAddr;

/// The browser control server: whoever may ask it acts as the person whose browser it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrowserConfig {
    pub enabled: bool,
    /// `http://`, loopback or tailnet alone; absent where there is none.
    pub control_url: Option<String>,
    /// Its own secret.
    pub control_token: Option<Secret>,
}

impl BrowserConfig {
    /// Where the control server listens; None where there is none or it is switched off.
    pub fn control(&self) -> Option<SocketAddr> {
        let url = self.control_url.as_deref().filter(|_| self.enabled)?;
        control::address(url).ok()
    }
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
