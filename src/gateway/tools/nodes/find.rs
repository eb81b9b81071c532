//! Which node somebody means, and what stands in the way of asking it.

use crate::gateway::nodes::policy::matches_name;
use crate::gateway::{Gateway, Refusal};
use crate::log::iso::iso_utc;
use crate::state::{Device, Role, Texts};
use serde_json::{Value, json};
use std::sync::Arc;

/// Names that are told where none fits.
const NAMES_TOLD: usize = 20;

/// The node that somebody means.
#[derive(Clone)]
pub struct Found {
    pub device: Arc<Device>,
    /// What people call it.
    pub name: String,
}

impl Gateway {
    /// The paired nodes, by id.
    pub(in crate::gateway) fn paired_nodes(&self) -> impl Iterator<Item = &Arc<Device>> {
        let devices = self.state.devices().values();
        devices.filter(|device| device.grant(Role::Node).is_some())
    }

    pub(super) fn is_node_connected(&self, device: &Device) -> bool {
        self.fleet.registry.get(&device.device_id).is_some()
    }

    /// The node of this name, id, start of an id, or IP address. Of several, the only one that is
    /// connected is meant.
    ///
    /// # Errors
    ///
    /// None or too many fit; says which there are.
    pub(super) fn find_node(&self, wanted: &str) -> Result<Found, String> {
        let fits = |device: &&Arc<Device>| {
            matches_name(wanted, &device.device_id, self.node_name(device))
                || self.node_ip(device).as_deref() == Some(wanted)
        };
        let mut found: Vec<&Arc<Device>> = self.paired_nodes().filter(fits).collect();
        if found.len() > 1 && found.iter().any(|device| self.is_node_connected(device)) {
            found.retain(|device| self.is_node_connected(device));
        }
        match found[..] {
            [device] => Ok(Found {
                device: device.clone(),
                name: self.told_name(device),
            }),
            [] => Err(self.no_such_node(wanted)),
            _ => {
                let ids: Vec<&str> = found.iter().map(|device| &*device.device_id).collect();
                Err(format!(
                    "{} nodes are called {wanted:?}: say which by its id ({}), or give one another \
                     name: clawdia nodes rename",
                    ids.len(),
                    ids.join(", ")
                ))
            }
        }
    }

    fn no_such_node(&self, wanted: &str) -> String {
        let mut names: Vec<String> = self
            .paired_nodes()
            .take(NAMES_TOLD)
            .map(|device| self.told_name(device))
            .collect();
        names.sort();
        if names.is_empty() {
            return format!(
                "no node is called {wanted:?}: none is paired yet. Start one with clawdia node run \
                 and let it in with clawdia devices approve"
            );
        }
        format!(
            "no node is called {wanted:?}; there are: {} (clawdia nodes status shows them all)",
            names.join(", ")
        )
    }

    /// # Errors
    ///
    /// The node is away; says since when and how it comes back.
    pub(super) fn check_node_is_there(&self, node: &Found) -> Result<(), String> {
        if self.is_node_connected(&node.device) {
            return Ok(());
        }
        let seen = match self.last_connected_ms(&node.device) {
            0 => "it was never connected".to_owned(),
            at_ms => format!("it was last seen {}", iso_utc(at_ms)),
        };
        Err(format!(
            "{} is not connected: {seen}. Start it there with clawdia node run, or wait for it: \
             clawdia nodes status",
            node.name
        ))
    }

    /// Why a node may not be asked, and what mends it.
    pub(super) fn why_refused(&self, node: &Found, command: &str, refusal: &Refusal) -> String {
        let details = refusal.details.as_deref().unwrap_or_default();
        let details: Value = serde_json::from_slice(details).unwrap_or_default();
        let name = &node.name;
        let commands = self.commands_of(&node.device);
        let reason = details["reason"].as_str();
        // What a node cannot do is no matter of what it may do.
        if reason.is_some() && !commands.iter().any(|it| **it == *command) {
            let has = match commands.is_empty() {
                true => "none".to_owned(),
                false => commands.join(", "),
            };
            return format!(
                "{name} has no command {command}. It has: {has} (clawdia nodes describe {name})"
            );
        }
        match reason {
            Some("command not allowlisted") => format!(
                "{name} may not be asked for {command}: the configuration does not allow it. To \
                 allow it: clawdia config set gateway.nodes.allowCommands '[\"{command}\"]'"
            ),
            Some(reason) if reason.contains("not approved") => format!(
                "{name} was paired without {command}. Let it in with what it offers now: clawdia \
                 devices list, then clawdia devices approve"
            ),
            Some(reason) => format!("{name} may not be asked for {command}: {reason}"),
            None => format!("{name} cannot be asked for {command}: {}", refusal.message),
        }
    }

    fn commands_of(&self, device: &Device) -> Texts {
        let live = self.fleet.registry.get(&device.device_id);
        live.map_or(&device.commands, |node| &node.facts.commands)
            .clone()
    }

    /// A node as the tool shows it.
    pub(super) fn node_for_tool(&self, device: &Arc<Device>) -> Value {
        let live = self.fleet.registry.get(&device.device_id);
        let caps = live.map_or(&device.caps, |node| &node.facts.caps);
        let commands = self.commands_of(device);
        let seen_ms = self.last_connected_ms(device);
        json!({
            "name": self.told_name(device),
            "nodeId": &*device.device_id,
            "connected": live.is_some(),
            "platform": device.client.platform.as_deref(),
            "ip": self.node_ip(device),
            "lastSeen": (live.is_none() && seen_ms > 0).then(|| iso_utc(seen_ms)),
            "caps": caps.iter().map(|it| &**it).collect::<Vec<_>>(),
            "commands": commands.iter().map(|it| &**it).collect::<Vec<_>>(),
        })
    }

    fn told_name(&self, device: &Device) -> String {
        let name = self.node_name(device).map(str::trim);
        let name = name.filter(|name| !name.is_empty());
        name.map_or_else(
            || device.device_id.chars().take(12).collect(),
            str::to_owned,
        )
    }

    fn node_ip(&self, device: &Device) -> Option<String> {
        let node = self.fleet.registry.get(&device.device_id);
        let live = node.and_then(|node| self.peers.get(node.conn)?.live());
        match live {
            Some(live) => Some(live.client.ip.to_string()),
            None => device.client.remote_ip.as_deref().map(str::to_owned),
        }
    }
}
