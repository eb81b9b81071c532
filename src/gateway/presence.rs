//! Who is or was there lately: the list that `hello-ok`, `system-presence` and the event show.

use super::Gateway;
use super::broadcast::Weight;
use super::timers::Timer;
use crate::limits::{COALESCE_MS, PRESENCE_ENTRIES_MAX};
use crate::wire::json::Writer;
use std::collections::{BTreeMap, BTreeSet};

/// One entry. Fields that nobody told are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Name of the machine or client.
    pub host: Option<Box<str>>,
    pub ip: Option<Box<str>>,
    pub version: Option<Box<str>>,
    pub platform: Option<Box<str>>,
    pub device_family: Option<Box<str>>,
    pub model_identifier: Option<Box<str>>,
    pub mode: Option<Box<str>>,
    pub reason: Option<Box<str>>,
    pub device_id: Option<Box<str>>,
    pub instance_id: Option<Box<str>>,
    pub roles: Vec<Box<str>>,
    pub scopes: Vec<Box<str>>,
    pub tags: Vec<Box<str>>,
    pub last_input_seconds: Option<u64>,
    /// A line for people.
    pub text: Box<str>,
    /// When it was last heard of.
    pub ts: u64,
}

/// Entries by key, newest first when they are shown, bounded.
#[derive(Default)]
pub struct Presence {
    entries: BTreeMap<Box<str>, Entry>,
    /// (ts, key): the oldest goes first when there are too many.
    by_age: BTreeSet<(u64, Box<str>)>,
    /// Counts changes; sent along as `stateVersion.presence`.
    pub version: u64,
}

impl Presence {
    /// Puts an entry, in place of the one with the same key.
    pub fn put(&mut self, key: &str, entry: Entry) {
        self.remove(key);
        self.by_age.insert((entry.ts, key.into()));
        self.entries.insert(key.into(), entry);
        // One place is the gateway's own entry, which is always there.
        while self.entries.len() > PRESENCE_ENTRIES_MAX - 1 {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.entries.remove(&oldest);
            }
        }
        self.version += 1;
    }

    /// The entry under this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_age.remove(&(entry.ts, key.into()));
        }
    }

    /// Newest first.
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_age
            .iter()
            .rev()
            .filter_map(|(_, key)| self.entries.get(key))
    }
}

impl Entry {
    /// Writes the entry as clients know it.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.object(|w| {
            w.field_opt_str("host", self.host.as_deref());
            w.field_opt_str("ip", self.ip.as_deref());
            w.field_opt_str("version", self.version.as_deref());
            w.field_opt_str("platform", self.platform.as_deref());
            w.field_opt_str("deviceFamily", self.device_family.as_deref());
            w.field_opt_str("modelIdentifier", self.model_identifier.as_deref());
            w.field_opt_str("mode", self.mode.as_deref());
            w.field_opt_u64("lastInputSeconds", self.last_input_seconds);
            w.field_opt_str("deviceId", self.device_id.as_deref());
            for (name, list) in [
                ("roles", &self.roles),
                ("scopes", &self.scopes),
                ("tags", &self.tags),
            ] {
                if !list.is_empty() {
                    w.field_strs(name, list.iter().map(|text| &**text));
                }
            }
            w.field_opt_str("instanceId", self.instance_id.as_deref());
            w.field_opt_str("reason", self.reason.as_deref());
            w.field_u64("ts", self.ts);
            w.field_str("text", &self.text);
        });
    }
}

impl Gateway {
    /// Writes the whole list: the gateway itself, then everybody else, newest first.
    pub(super) fn write_presence(&self, w: &mut Writer<'_>) {
        w.array(|w| {
            self.write_own_presence(w);
            for entry in self.presence.iter() {
                entry.write(w);
            }
        });
    }

    /// Writes the gateway's own entry.
    pub(super) fn write_own_presence(&self, w: &mut Writer<'_>) {
        let me = &self.identity;
        w.object(|w| {
            w.field_str("host", &me.host);
            w.field_str("ip", &me.ip);
            w.field_str("version", &me.version);
            w.field_str("platform", &me.platform);
            w.field_str("deviceFamily", &me.device_family);
            w.field_str("modelIdentifier", &me.model_identifier);
            w.field_str("mode", "gateway");
            w.field_str("reason", "self");
            w.field_str(
                "text",
                &format!(
                    "Gateway: {} ({}) · app {} · mode gateway · reason self",
                    me.host, me.ip, me.version
                ),
            );
            w.field_u64("ts", self.now.unix_ms);
        });
    }

    /// Puts an entry and tells readers, at most once in a while.
    pub(super) fn put_presence(&mut self, key: &str, entry: Entry) {
        self.presence.put(key, entry);
        self.set_timer(COALESCE_MS, Timer::Presence);
    }

    /// Sends the list to everybody who may read it.
    pub(super) fn broadcast_presence(&mut self) {
        let version = Some(self.state_version());
        self.broadcast("presence", Weight::MayDrop, version, |gateway, w| {
            w.object(|w| {
                w.key("presence");
                gateway.write_presence(w);
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_newest_first() {
        let mut presence = Presence::default();
        for n in 0..300u64 {
            let entry = Entry {
                ts: 1_000 + n,
                ..Entry::default()
            };
            presence.put(&format!("k{n}"), entry);
        }
        let stamps: Vec<u64> = presence.iter().map(|entry| entry.ts).collect();
        assert_eq!(stamps.len(), PRESENCE_ENTRIES_MAX - 1);
        assert_eq!(stamps[0], 1_299);
        assert!(stamps.windows(2).all(|two| two[0] > two[1]));
        presence.put("k299", Entry::default());
        assert_eq!(presence.by_age.len(), presence.entries.len());
    }
}
