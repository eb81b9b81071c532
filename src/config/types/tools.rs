//! The `tools` section: what agents may ask for.

use serde::Deserialize;

/// Names of tools, groups of them, or `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ToolPolicy {
    /// Empty: all of them.
    pub allow: Vec<String>,
    /// Outranks `allow`.
    pub deny: Vec<String>,
}
