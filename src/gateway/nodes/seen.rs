//! When a node was last connected.
//!
//! It is known at once and stored by and by: of nodes that went, once a minute; of those that stay,
//! once an hour, so that a crash loses no more; of all, at the end. No connection waits for it.

use crate::gateway::Gateway;
use crate::gateway::commit::Key;
use crate::limits::{NODE_SEEN_INTERVAL_MS, NODES_SEEN_STORED_MAX};
use crate::state::{Device, Record, Text};
use std::sync::Arc;

impl Gateway {
    /// When the node was last connected, in milliseconds since 1970; 0 where it never was.
    pub(in crate::gateway) fn last_connected_ms(&self, device: &Device) -> u64 {
        let went = self.fleet.went.get(&device.device_id).copied();
        went.unwrap_or(device.last_seen_ms)
    }

    /// Stores when nodes were last here, as many as one batch should hold.
    pub(in crate::gateway) fn store_seen_nodes(&mut self) {
        let now_ms = self.now.unix_ms;
        let is_due = |id: &&Text| {
            let row = self.state.devices().get(*id);
            row.is_some_and(|row| now_ms >= row.last_seen_ms + NODE_SEEN_INTERVAL_MS)
        };
        let here = self.fleet.registry.iter().map(|(id, _)| id).filter(is_due);
        let here = here.map(|id| (id.clone(), now_ms));
        let went = self.fleet.went.iter().map(|(id, at)| (id.clone(), *at));
        let seen = went.chain(here).take(NODES_SEEN_STORED_MAX).collect();
        self.store_seen(seen);
    }

    /// The process ends: whoever is here was here until now.
    pub(in crate::gateway) fn store_all_seen_nodes(&mut self) {
        let now_ms = self.now.unix_ms;
        let here = self.fleet.registry.iter().map(|(id, _)| (id, now_ms));
        let went = self.fleet.went.iter().map(|(id, at)| (id, *at));
        let seen = went.chain(here).map(|(id, at)| (id.clone(), at)).collect();
        self.store_seen(seen);
    }

    /// Rows that are being written are left for the next time.
    fn store_seen(&mut self, mut seen: Vec<(Text, u64)>) {
        let key = |id: &Text| Key::Device(id.as_ref().into());
        seen.retain(|(id, _)| !self.commits.is_reserved(&key(id)));
        let rows = seen.iter().filter_map(|(id, at_ms)| {
            let mut row = Device::clone(self.state.devices().get(id)?);
            row.last_seen_ms = *at_ms;
            Some(Record::DevicePut(Arc::new(row)))
        });
        let records: Vec<Record> = rows.collect();
        if seen.is_empty() {
            return;
        }
        let keys = seen.iter().map(|(id, _)| key(id)).collect();
        self.commit(keys, records, move |gateway, _, result| {
            if result.is_err() {
                return;
            }
            for (id, at_ms) in seen {
                // It may have come and gone once more meanwhile.
                if gateway.fleet.went.get(&id) == Some(&at_ms) {
                    gateway.fleet.went.remove(&id);
                }
            }
        });
    }
}
