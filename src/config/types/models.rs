//! The `models` section: providers and what they offer.

use crate::config::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Providers by the name that model references use before the slash.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModelsConfig {
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProviderConfig {
    pub base_url: Option<String>,
    pub api_key: Option<Secret>,
    /// A file with the key in its first line.
    pub api_key_file: Option<String>,
    /// Words of a command that prints the key.
    pub api_key_command: Vec<String>,
    /// Which protocol it speaks, e.g. `openai-completions` or `anthropic-messages`.
    pub api: Option<String>,
    pub auth: Option<String>,
    /// Sent with every request; values may be keys.
    pub headers: BTreeMap<String, Secret>,
    /// Sends the key as `Authorization: Bearer` where the protocol would use another header.
    pub auth_header: Option<bool>,
    pub models: Vec<ModelConfig>,
}

impl ProviderConfig {
    /// Where it is, without a slash at the end; well-known ones need not say so.
    pub fn place(&self, name: &str) -> Option<&str> {
        match (&self.base_url, name) {
            (Some(url), _) => Some(url.trim_end_matches('/')),
            (None, "openai") => Some("https://api.openai.com/v1"),
            (None, "anthropic") => Some("https://api.anthropic.com"),
            (None, _) => None,
        }
    }
}

/// One model of a provider.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModelConfig {
    pub id: String,
    pub name: Option<String>,
    pub api: Option<String>,
    pub reasoning: Option<bool>,
    /// `text`, `image`.
    pub input: Vec<String>,
    pub cost: ModelCost,
    /// Tokens.
    pub context_window: Option<u64>,
    /// Tokens of one answer.
    pub max_tokens: Option<u64>,
    pub headers: BTreeMap<String, Secret>,
}

/// Dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModelCost {
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    pub cache_write: f64,
}
