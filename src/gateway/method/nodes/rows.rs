//! Nodes as clients see them.

use crate::gateway::Gateway;
use crate::gateway::nodes::Node;
use crate::gateway::peer::Live;
use crate::order;
use crate::state::{Device, Role};
use crate::wire::json::Writer;
use std::sync::Arc;

impl Gateway {
    /// Writes `{ts, nodes}`.
    pub(super) fn write_nodes(&self, w: &mut Writer<'_>) {
        let devices = self.state.devices().values();
        let mut nodes: Vec<(bool, String, &Arc<Device>)> = devices
            .filter(|device| device.grant(Role::Node).is_some())
            .map(|device| {
                let is_away = self.fleet.registry.get(&device.device_id).is_none();
                let name = self.node_name(device).unwrap_or(&device.device_id);
                (is_away, name.to_lowercase(), device)
            })
            .collect();
        order::sort_by(&mut nodes, |(a, b, one), (c, d, other)| {
            (a, b, &one.device_id).cmp(&(c, d, &other.device_id))
        });
        w.object(|w| {
            w.field_u64("ts", self.now.unix_ms);
            w.key("nodes");
            w.array(|w| {
                for (_, _, device) in nodes {
                    w.object(|w| self.write_node(w, device));
                }
            });
        });
    }

    /// What people know a node by.
    pub(in crate::gateway) fn node_name<'a>(&'a self, device: &'a Device) -> Option<&'a str> {
        let own = self.live_node(device).and_then(|(_, live)| {
            let name = live.display_name.as_deref();
            name.filter(|_| device.name.is_none())
        });
        own.or(device.shown_name().map(|name| &**name))
    }

    fn live_node(&self, device: &Device) -> Option<(&Node, &Live)> {
        let node = self.fleet.registry.get(&device.device_id)?;
        Some((node, self.peers.get(node.conn)?.live()?))
    }

    /// Writes a node's members into the object that is open.
    pub(super) fn write_node(&self, w: &mut Writer<'_>, device: &Device) {
        let live = self.live_node(device);
        let node = live.map(|(node, _)| &node.facts);
        let live = live.map(|(_, live)| live);
        w.field_str("nodeId", &device.device_id);
        w.field_opt_str("displayName", self.node_name(device));
        let platform = live.map(|live| &*live.platform);
        w.field_opt_str("platform", platform.or(device.client.platform.as_deref()));
        w.field_opt_str("version", live.map(|live| &*live.version));
        let family = node.and_then(|node| node.device_family.as_deref());
        w.field_opt_str(
            "deviceFamily",
            family.or(device.client.device_family.as_deref()),
        );
        let model = node.and_then(|node| node.model_identifier.as_deref());
        w.field_opt_str(
            "modelIdentifier",
            model.or(device.client.model_identifier.as_deref()),
        );
        match live {
            Some(live) if live.client.local => {}
            Some(live) => w.field_str("remoteIp", &live.client.ip.to_string()),
            None => w.field_opt_str("remoteIp", device.client.remote_ip.as_deref()),
        }
        let caps = node.map_or(&device.caps, |node| &node.caps);
        w.field_strs("caps", caps.iter().map(|text| &**text));
        let commands = node.map_or(&device.commands, |node| &node.commands);
        w.field_strs("commands", commands.iter().map(|text| &**text));
        w.field_opt_str("pathEnv", node.and_then(|node| node.path_env.as_deref()));
        if let Some(node) = node.filter(|node| !node.permissions.is_empty()) {
            w.key("permissions");
            w.object(|w| {
                for (name, granted) in &node.permissions {
                    w.field_bool(name, *granted);
                }
            });
        }
        w.field_opt_u64("connectedAtMs", live.map(|live| live.connected_at_ms));
        if live.is_none() {
            w.field_u64("lastConnectedAtMs", self.last_connected_ms(device));
        }
        let token = device
            .grant(Role::Node)
            .and_then(|grant| grant.token.as_ref());
        let revoked = token.and_then(|token| token.revoked_at_ms);
        w.field_opt_u64("revokedAtMs", revoked);
        w.field_bool("paired", true);
        w.field_bool("connected", live.is_some());
    }
}
