//! The `channels` section: an open map, one entry a channel.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Channels by name, references resolved, otherwise as in the file. Each channel reads its own entry.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ChannelsConfig(pub Map<String, Value>);

impl ChannelsConfig {
    /// The entry of a channel.
    pub fn get(&self, channel: &str) -> Option<&Map<String, Value>> {
        self.0.get(channel).and_then(Value::as_object)
    }

    /// The channels that have an entry and are not switched off.
    pub fn enabled(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, entry)| entry.get("enabled") != Some(&Value::Bool(false)))
            .map(|(name, _)| name.as_str())
    }
}

/// Names only: the entries hold bot tokens.
impl std::fmt::Debug for ChannelsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
