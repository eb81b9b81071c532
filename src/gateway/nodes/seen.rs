//! When a device was last connected.
//!
//! It is known at once and stored by and by: of nodes that went, once a minute; of those that stay, and of operators
//! that went, once an hour, so that a crash loses no more; of all, at the end. No connection waits for it.

use crate::gateway::Gateway;
use crate::gateway::commit::Key;
use crate::gateway::peer::Live;
use crate::limits::{NODE_SEEN_INTERVAL_MS, NODES_SEEN_STORED_MAX};
use crate::state::{Device, Record, Role, Text};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Gateway {
    /// When the device was last connected, as far as that is past, in milliseconds since 1970; 0 where it never was.
    pub(in crate::gateway) fn last_connected_ms(&self, device: &Device) -> u64 {
        let went = self.fleet.went.get(&device.device_id).copied();
        went.unwrap_or(device.last_seen_ms)
    }

    /// A connection of an operator has ended.
    pub(in crate::gateway) fn note_went(&mut self, live: &Live) {
        let id = live.device_id.as_deref();
        if let Some(row) = id.and_then(|id| self.state.devices().get(id)) {
            let id = row.device_id.clone();
            self.fleet.went.insert(id, self.now.unix_ms);
        }
    }

    /// Stores when devices were last here, as many as one batch should hold.
    pub(in crate::gateway) fn store_seen_devices(&mut self) {
        let now_ms = self.now.unix_ms;
        let row = |id: &Text| self.state.devices().get(id);
        let is_old = |row: &Device| now_ms >= row.last_seen_ms + NODE_SEEN_INTERVAL_MS;
        let here = self.fleet.registry.iter().map(|(id, _)| id);
        let here = here.filter(|id| row(id).is_some_and(|row| is_old(row)));
        let here = here.map(|id| (id.clone(), now_ms));
        // What came and went as an operator does so all day long.
        let is_due =
            |id: &Text| row(id).is_none_or(|row| row.grant(Role::Node).is_some() || is_old(row));
        let went = self.fleet.went.iter().filter(|(id, _)| is_due(id));
        let went = went.map(|(id, at)| (id.clone(), *at));
        let seen: BTreeMap<Text, u64> = went.chain(here).take(NODES_SEEN_STORED_MAX).collect();
        self.store_seen(seen);
    }

    /// The process ends: whoever is here was here until now.
    pub(in crate::gateway) fn store_all_seen_devices(&mut self) {
        let now_ms = self.now.unix_ms;
        let mut seen = self.fleet.went.clone();
        let conns = self.operators.iter().chain(&self.nodes);
        let live = conns.filter_map(|conn| self.peers.get(*conn)?.live());
        let ids = live.filter_map(|live| live.device_id.as_deref());
        let rows = ids.filter_map(|id| self.state.devices().get(id));
        seen.extend(rows.map(|row| (row.device_id.clone(), now_ms)));
        self.store_seen(seen);
    }

    /// Rows that are being written are left for the next time.
    fn store_seen(&mut self, mut seen: BTreeMap<Text, u64>) {
        let key = |id: &Text| Key::Device(id.as_ref().into());
        seen.retain(|id, _| !self.commits.is_reserved(&key(id)));
        let rows = seen.iter().filter_map(|(id, at_ms)| {
            let mut row = Device::clone(self.state.devices().get(id)?);
            row.last_seen_ms = *at_ms;
            Some(Record::DevicePut(Arc::new(row)))
        });
        let records: Vec<Record> = rows.collect();
        if seen.is_empty() {
            return;
        }
        let keys = seen.keys().map(key).collect();
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
