//! Proofs without nonce, remembered for as long as they could be replayed.

use std::collections::BTreeSet;

use super::secret::sha256;
use crate::limits::PROOF_REPLAYS_MAX;

/// One accepted proof: the hash of device and signature, and when its `signedAt` runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replay {
    until_ms: u64,
    digest: [u8; 32],
}

impl Replay {
    /// Names a proof whose signature covers a `signedAt` good until `until_ms` (Unix time).
    pub fn new(device_id: &str, signature: &[u8; 64], until_ms: u64) -> Self {
        let mut input = device_id.as_bytes().to_vec();
        input.extend_from_slice(signature);
        let digest = sha256(&input);
        Self { until_ms, digest }
    }
}

/// The proofs that must not come again, the one that ends first in front.
#[derive(Debug, Default)]
pub struct Replays(BTreeSet<Replay>);

impl Replays {
    /// Whether this proof is good now: each is once. A full table refuses, for forgetting a
    /// proof would let it in again; only holders of the secret can fill it.
    #[must_use]
    pub fn accept(&mut self, replay: Replay, unix_ms: u64) -> bool {
        while self.0.first().is_some_and(|first| first.until_ms < unix_ms) {
            self.0.pop_first();
        }
        let over = replay.until_ms < unix_ms || self.0.len() >= PROOF_REPLAYS_MAX;
        !over && self.0.insert(replay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(device: usize, until_ms: u64) -> Replay {
        Replay::new(&device.to_string(), &[1; 64], until_ms)
    }

    #[test]
    fn device_and_signature_together_are_accepted_once() {
        let mut replays = Replays::default();
        assert!(replays.accept(replay(1, 50), 10));
        assert!(!replays.accept(replay(1, 50), 10));
        assert!(!replays.accept(replay(1, 50), 50));
        assert!(replays.accept(replay(2, 50), 10));
        assert!(replays.accept(Replay::new("1", &[2; 64], 50), 10));
    }

    #[test]
    fn what_ran_out_is_forgotten_and_stays_refused() {
        let mut replays = Replays::default();
        assert!(replays.accept(replay(1, 50), 10));
        assert!(!replays.accept(replay(1, 50), 51));
        assert!(replays.0.is_empty());
    }

    #[test]
    fn a_full_table_refuses_until_a_proof_runs_out() {
        let mut replays = Replays::default();
        for device in 0..PROOF_REPLAYS_MAX {
            assert!(replays.accept(replay(device, 50 + device as u64), 10));
        }
        assert!(!replays.accept(replay(PROOF_REPLAYS_MAX, 10_000), 10));
        assert_eq!(replays.0.len(), PROOF_REPLAYS_MAX);
        assert!(replays.accept(replay(PROOF_REPLAYS_MAX, 10_000), 51));
    }
}
