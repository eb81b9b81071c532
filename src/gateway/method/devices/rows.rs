//! Devices and requests as clients see them. A token itself is never among it.

use crate::gateway::Gateway;
use crate::gateway::auth::approval::Actor;
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::pairing::{write_client, write_pending};
use crate::order;
use crate::state::{Device, Grant, PendingPairing};
use crate::wire::json::Writer;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Gateway {
    /// Writes what the actor may see, newest first.
    pub(super) fn write_pairings(&self, w: &mut Writer<'_>, actor: &Actor<'_>) {
        let mut pending: Vec<&Arc<PendingPairing>> = self
            .state
            .pairings()
            .values()
            .filter(|pending| !self.has_expired(pending) && actor.sees(&pending.device_id))
            .collect();
        order::sort_by_key(&mut pending, |pending| Reverse(pending.ts));
        let mut paired: Vec<&Arc<Device>> = self
            .state
            .devices()
            .values()
            .filter(|device| actor.sees(&device.device_id))
            .collect();
        order::sort_by_key(&mut paired, |device| Reverse(device.approved_at_ms));
        let here = self.devices_here();
        w.object(|w| {
            w.key("pending");
            w.array(|w| pending.iter().for_each(|pending| write_pending(w, pending)));
            w.key("paired");
            w.array(|w| {
                for device in paired {
                    let seen_ms = self.last_connected_ms(device);
                    write_device(w, device, here.contains(&*device.device_id), seen_ms);
                }
            });
        });
    }

    fn devices_here(&self) -> BTreeSet<&str> {
        let conns = self.operators.iter().chain(&self.nodes);
        let live = conns.filter_map(|conn| self.peers.get(*conn)?.live());
        live.filter_map(|live| live.device_id.as_deref()).collect()
    }
}

/// Writes a paired device with what it may do in each role, whether it is connected and when it last was.
pub fn write_device(w: &mut Writer<'_>, device: &Device, is_here: bool, seen_ms: u64) {
    let scopes = device
        .grants
        .iter()
        .map(|grant| ScopeSet::of_texts(&grant.scopes))
        .fold(ScopeSet::EMPTY, ScopeSet::union);
    w.object(|w| {
        w.field_str("deviceId", &device.device_id);
        w.field_str("publicKey", &device.public_key);
        write_client(w, &device.client);
        w.field_opt_str("name", device.name.as_deref());
        if let Some(grant) = device.grants.first() {
            w.field_str("role", grant.role.as_str());
        }
        w.field_strs(
            "roles",
            device.grants.iter().map(|grant| grant.role.as_str()),
        );
        w.field_strs("scopes", scopes.names());
        w.field_u64("createdAtMs", device.created_at_ms);
        w.field_u64("approvedAtMs", device.approved_at_ms);
        w.field_bool("connected", is_here);
        // A row begins with the time at which it was made, when its device may be away.
        let seen_ms = Some(seen_ms).filter(|at| is_here || *at > device.created_at_ms);
        w.field_opt_u64("lastSeenAtMs", seen_ms);
        w.key("tokens");
        w.array(|w| device.grants.iter().for_each(|grant| write_token(w, grant)));
    });
}

fn write_token(w: &mut Writer<'_>, grant: &Grant) {
    let Some(token) = &grant.token else {
        return;
    };
    w.object(|w| {
        w.field_str("role", grant.role.as_str());
        w.field_strs("scopes", token.scopes.iter().map(|scope| &**scope));
        w.field_u64("createdAtMs", token.created_at_ms);
        w.field_opt_u64("rotatedAtMs", token.rotated_at_ms);
        w.field_opt_u64("revokedAtMs", token.revoked_at_ms);
        w.field_opt_u64("lastUsedAtMs", token.last_used_at_ms);
    });
}
