//! The `discovery` section: what the network is told of the gateway.

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DiscoveryConfig {
    pub mdns: MdnsConfig,
}

/// Multicast DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MdnsConfig {
    /// Absent: `Minimal` where machines of the network can reach the port.
    pub mode: Option<MdnsMode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MdnsMode {
    /// Nothing is told, and nothing is listened to unasked.
    Off,
    Minimal,
    /// Also where SSH is.
    Full,
}
