//! The `mcp` section: servers whose tools agents may use.

use crate::config::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Servers by the name that stands before their tools' own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct McpConfig {
    pub servers: BTreeMap<String, McpServer>,
}

/// One server: a program, or an address.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct McpServer {
    pub enabled: Option<bool>,
    /// The program, by its path or as `PATH` finds it.
    pub command: Option<String>,
    pub args: Vec<String>,
    /// Variables besides the gateway's own, which lose those that are called like a secret.
    pub env: BTreeMap<String, Secret>,
    /// Where the program starts; the home without it.
    #[serde(alias = "workingDirectory")]
    pub cwd: Option<String>,
    /// Streamable HTTP.
    pub url: Option<String>,
    /// Sent with every request, to that host alone.
    pub headers: BTreeMap<String, Secret>,
}

impl McpServer {
    /// Whether it is used.
    pub fn is_on(&self) -> bool {
        self.enabled != Some(false)
    }
}
