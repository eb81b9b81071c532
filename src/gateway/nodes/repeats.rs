//! Idempotency keys of `node.invoke` in memory: a repeat gets what the first call got, also while
//! that one is on its way, and never acts twice.

use crate::gateway::nodes::invoke::InvokeFailure;
use crate::limits::{INVOKE_KEY_TTL_MS, INVOKE_KEYS_MAX, INVOKE_RESPONSES_BYTES_MAX};
use std::collections::{BTreeMap, VecDeque};

/// SHA-256 of a caller's key.
pub type RepeatKey = [u8; 32];

/// A remembered call.
pub struct Repeat {
    /// SHA-256 of what a repeat must have equal.
    pub fingerprint: [u8; 32],
    pub state: RepeatState,
}

/// How far the first call has come.
pub enum RepeatState {
    /// The number of the call on its way.
    InFlight(u64),
    Done(Kept),
}

/// What a call came to.
pub enum Kept {
    /// A payload, as JSON text or as the text that the node sent; None for none.
    Ok(Option<Box<str>>, Sent),
    Failed(InvokeFailure),
    /// It ended, but its result is too large to be kept.
    TooLarge,
}

/// How a node sent its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// As a value.
    Value,
    /// As text that is JSON.
    Json,
    /// As text that is not.
    Text,
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Ok(payload, _) => payload.as_ref().map_or(0, |payload| payload.len()),
            Self::Failed(failure) => failure.message.len(),
            Self::TooLarge => 0,
        }
    }
}

/// All remembered calls.
#[derive(Default)]
pub struct Repeats {
    by_key: BTreeMap<RepeatKey, Repeat>,
    /// Ended ones by age: when each ended, on the monotonic clock.
    ended: VecDeque<(u64, RepeatKey)>,
    bytes: usize,
}

impl Repeats {
    /// What is known of a key.
    pub fn get(&self, key: &RepeatKey) -> Option<&Repeat> {
        self.by_key.get(key)
    }

    /// What the call with this key came to, if it has ended.
    pub fn kept(&self, key: &RepeatKey) -> Option<&Kept> {
        match &self.get(key)?.state {
            RepeatState::Done(kept) => Some(kept),
            RepeatState::InFlight(_) => None,
        }
    }

    /// Whether another call may begin: those on their way are not forgotten.
    pub fn has_room(&self) -> bool {
        self.by_key.len() - self.ended.len() < INVOKE_KEYS_MAX
    }

    /// Remembers a call that begins.
    pub fn begin(&mut self, key: RepeatKey, fingerprint: [u8; 32], number: u64) {
        let state = RepeatState::InFlight(number);
        self.by_key.insert(key, Repeat { fingerprint, state });
    }

    /// Remembers how a call ended, in place of older ones where there are too many.
    pub fn end(&mut self, key: RepeatKey, now_ms: u64, kept: Kept) {
        let Some(repeat) = self.by_key.get_mut(&key) else {
            return;
        };
        let kept = match kept.bytes() {
            0..=INVOKE_RESPONSES_BYTES_MAX => kept,
            _ => Kept::TooLarge,
        };
        self.bytes += kept.bytes();
        repeat.state = RepeatState::Done(kept);
        self.ended.push_back((now_ms, key));
        self.forget(now_ms);
    }

    /// Forgets what is too old or too much.
    pub fn forget(&mut self, now_ms: u64) {
        while let Some((ended_ms, key)) = self.ended.front() {
            let is_old = now_ms.saturating_sub(*ended_ms) >= INVOKE_KEY_TTL_MS;
            let is_much =
                self.by_key.len() > INVOKE_KEYS_MAX || self.bytes > INVOKE_RESPONSES_BYTES_MAX;
            if !is_old && !is_much {
                break;
            }
            if let Some(Repeat {
                state: RepeatState::Done(kept),
                ..
            }) = self.by_key.remove(key)
            {
                self.bytes -= kept.bytes();
            }
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> RepeatKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        key
    }

    fn kept(bytes: usize) -> Kept {
        Kept::Ok(Some("x".repeat(bytes).into()), Sent::Json)
    }

    #[test]
    fn keys_are_bounded_in_number_bytes_and_age() {
        let mut repeats = Repeats::default();
        for n in 0..INVOKE_KEYS_MAX + 10 {
            repeats.begin(key(n), [0; 32], n as u64);
            repeats.end(key(n), 0, kept(1));
        }
        assert_eq!(repeats.by_key.len(), INVOKE_KEYS_MAX);
        assert!(repeats.get(&key(9)).is_none() && repeats.get(&key(10)).is_some());
        repeats.begin(key(0), [0; 32], 0);
        repeats.end(key(0), 1, kept(INVOKE_RESPONSES_BYTES_MAX));
        assert_eq!(repeats.by_key.len(), 1);
        repeats.begin(key(1), [0; 32], 1);
        repeats.end(key(1), 2, kept(INVOKE_RESPONSES_BYTES_MAX + 1));
        let state = repeats.get(&key(1)).map(|repeat| &repeat.state);
        assert!(matches!(state, Some(RepeatState::Done(Kept::TooLarge))));
        repeats.forget(INVOKE_KEY_TTL_MS + 1);
        assert!(repeats.get(&key(0)).is_none() && repeats.get(&key(1)).is_some());
        repeats.forget(INVOKE_KEY_TTL_MS + 2);
        assert_eq!((repeats.bytes, repeats.by_key.len()), (0, 0));
    }

    #[test]
    fn calls_on_their_way_are_never_forgotten_and_bounded() {
        let mut repeats = Repeats::default();
        for n in 0..INVOKE_KEYS_MAX {
            assert!(repeats.has_room());
            repeats.begin(key(n), [0; 32], n as u64);
        }
        repeats.forget(u64::MAX);
        assert_eq!(repeats.by_key.len(), INVOKE_KEYS_MAX);
        assert!(!repeats.has_room());
        repeats.end(key(1), 0, Kept::TooLarge);
        assert!(repeats.has_room());
    }
}
