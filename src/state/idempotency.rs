//! Keys of requests that must not act twice, and what they were answered.

use super::{Record, Text, UnixMs};
use crate::limits::{IDEMPOTENCY_ENTRIES_MAX, IDEMPOTENCY_RESPONSES_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far the first request with a key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdempotencyState {
    /// Accepted; its outcome is not known yet.
    InFlight,
    /// `response` is final.
    Done,
}

/// One remembered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub method: Text,
    /// The caller's key.
    pub key: Text,
    /// SHA-256 of the fields that a repeat must have equal.
    pub fingerprint: [u8; 32],
    pub run_id: Option<Text>,
    pub state: IdempotencyState,
    /// What a repeat is answered, as JSON text; empty while there is none.
    pub response: Text,
    /// A repeat after this is a new request.
    pub expires_at_ms: UnixMs,
}

/// Remembered requests, found by method and key, bounded in number and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdempotencyTable {
    by_method: BTreeMap<Text, BTreeMap<Text, Arc<Idempotency>>>,
    /// Finished ones by (expires at, method, key): in this order they make room.
    done: BTreeSet<(UnixMs, Text, Text)>,
    len: usize,
    response_bytes: usize,
}

impl IdempotencyTable {
    /// The remembered request; the caller compares fingerprint and expiry.
    pub fn get(&self, method: &str, key: &str) -> Option<&Arc<Idempotency>> {
        self.by_method.get(method)?.get(key)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all remembered responses.
    pub fn response_bytes(&self) -> usize {
        self.response_bytes
    }

    /// Every entry, by method and key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Idempotency>> {
        self.by_method.values().flat_map(BTreeMap::values)
    }

    /// What must be forgotten before `extra` more entries with `extra_bytes` of responses fit:
    /// finished requests, those that expire first first. None where even that is not
    /// enough, because too many are in flight; the request must then be refused.
    pub fn make_room(&self, extra: usize, extra_bytes: usize) -> Option<Vec<Record>> {
        let mut len = self.len + extra;
        let mut bytes = self.response_bytes + extra_bytes;
        let mut removals = Vec::new();
        let mut oldest = self.done.iter();
        while len > IDEMPOTENCY_ENTRIES_MAX || bytes > IDEMPOTENCY_RESPONSES_BYTES_MAX {
            let (_, method, key) = oldest.next()?;
            len -= 1;
            bytes -= self
                .get(method, key)
                .map_or(0, |entry| entry.response.len());
            removals.push(Record::IdempotencyRemove {
                method: method.clone(),
                key: key.clone(),
            });
        }
        Some(removals)
    }

    pub(super) fn put(&mut self, entry: &Arc<Idempotency>) {
        self.remove(&entry.method, &entry.key);
        if entry.state == IdempotencyState::Done {
            self.done.insert(done_key(entry));
        }
        self.len += 1;
        self.response_bytes += entry.response.len();
        let keys = self.by_method.entry(entry.method.clone()).or_default();
        keys.insert(entry.key.clone(), entry.clone());
    }

    pub(super) fn remove(&mut self, method: &str, key: &str) {
        let Some(keys) = self.by_method.get_mut(method) else {
            return;
        };
        let Some(entry) = keys.remove(key) else {
            return;
        };
        if keys.is_empty() {
            self.by_method.remove(method);
        }
        self.len -= 1;
        self.response_bytes -= entry.response.len();
        self.done.remove(&done_key(&entry));
    }

    pub(super) fn check_invariants(&self) {
        assert_eq!(self.len, self.iter().count());
        assert_eq!(
            self.response_bytes,
            self.iter().map(|entry| entry.response.len()).sum::<usize>()
        );
        let done = self
            .iter()
            .filter(|entry| entry.state == IdempotencyState::Done);
        assert_eq!(self.done, done.map(|entry| done_key(entry)).collect());
    }
}

fn done_key(entry: &Idempotency) -> (UnixMs, Text, Text) {
    (entry.expires_at_ms, entry.method.clone(), entry.key.clone())
}

#[cfg(test)]
mod tests {
    use super::super::tables::fixture;
    use super::*;

    fn table(count: u64, state: IdempotencyState) -> IdempotencyTable {
        let mut table = IdempotencyTable::default();
        for n in 0..count {
            let mut entry = fixture::idempotency(n);
            entry.state = state;
            table.put(&Arc::new(entry));
        }
        table.check_invariants();
        table
    }

    #[test]
    fn room_is_made_by_forgetting_finished_requests_that_expire_first() {
        let mut table = table(IDEMPOTENCY_ENTRIES_MAX as u64, IdempotencyState::Done);
        assert_eq!(table.make_room(0, 0), Some(Vec::new()));
        let removals = table.make_room(2, 0).unwrap();
        assert_eq!(removals.len(), 2);
        for removal in &removals {
            let Record::IdempotencyRemove { method, key } = removal else {
                panic!("{removal:?}")
            };
            let expires = table.get(method, key).unwrap().expires_at_ms;
            assert!(
                table
                    .iter()
                    .filter(|entry| entry.expires_at_ms < expires)
                    .count()
                    < 2
            );
            table.remove(&method.clone(), &key.clone());
            table.check_invariants();
        }
    }

    #[test]
    fn requests_in_flight_are_never_forgotten_to_make_room() {
        let table = table(IDEMPOTENCY_ENTRIES_MAX as u64, IdempotencyState::InFlight);
        assert_eq!(table.make_room(1, 0), None);
    }

    #[test]
    fn responses_are_bounded_in_bytes() {
        let mut table = table(3, IdempotencyState::Done);
        let mut entry = fixture::idempotency(7);
        entry.response = "x".repeat(IDEMPOTENCY_RESPONSES_BYTES_MAX / 2).into();
        table.put(&Arc::new(entry));
        let removals = table
            .make_room(1, IDEMPOTENCY_RESPONSES_BYTES_MAX / 2)
            .unwrap();
        assert!(!removals.is_empty());
    }
}
