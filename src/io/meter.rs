//! What the loop counts of itself.

use super::peers::Peer;
use super::tls::Cipher;
use crate::now::Now;
use crate::outbox::Sink;

/// Sums since the loop began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Bytes that peers sent, decrypted.
    pub received_bytes: u64,
    /// Bytes that peers' sockets took, before encryption.
    pub sent_bytes: u64,
    /// Times that it went round.
    pub turns: u64,
    /// Deadlines that were met.
    pub deadlines: u64,
    /// How late they all were together, and the latest: the time that the loop was busy elsewhere.
    pub late_ms_total: u64,
    pub late_ms_max: u64,
    /// Connections that went because memory was short.
    pub relieved: u64,
    awaited_ms: u64,
}

impl Meter {
    /// The loop waits until then, or for something else to do; `u64::MAX` is for ever.
    #[inline(always)]
    pub(super) fn await_deadline(&mut self, deadline_ms: u64) {
        self.awaited_ms = deadline_ms;
    }

    /// It goes round once more: a deadline that has passed is met now.
    #[inline(always)]
    pub(super) fn turn(&mut self, now: Now) {
        self.turns += 1;
        if now.mono_ms >= self.awaited_ms {
            self.met(now);
        }
    }

    #[cold]
    fn met(&mut self, now: Now) {
        let late_ms = now.mono_ms - self.awaited_ms;
        self.awaited_ms = u64::MAX;
        self.deadlines += 1;
        self.late_ms_total += late_ms;
        self.late_ms_max = self.late_ms_max.max(late_ms);
    }
}

/// A peer's socket, with its bytes counted. Not a closure: those are inlined nowhere as soon as there are two of a kind.
pub(super) struct Counting<'a> {
    pub(super) meter: &'a mut Meter,
    pub(super) peer: &'a mut Peer,
    pub(super) cipher: &'a mut Cipher,
}

impl Sink for Counting<'_> {
    #[inline(always)]
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let taken = self.peer.write(bytes, self.cipher);
        self.meter.sent_bytes += taken.unwrap_or(0) as u64;
        taken
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            received_bytes: 0,
            sent_bytes: 0,
            turns: 0,
            deadlines: 0,
            late_ms_total: 0,
            late_ms_max: 0,
            relieved: 0,
            awaited_ms: u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_once_and_counts_by_how_late() {
        let at = |mono_ms| Now {
            mono_ms,
            unix_ms: 0,
        };
        let mut meter = Meter::default();
        meter.turn(at(5));
        meter.await_deadline(10);
        meter.turn(at(9));
        assert_eq!((meter.turns, meter.deadlines), (2, 0));
        meter.turn(at(17));
        meter.turn(at(18));
        meter.await_deadline(20);
        meter.turn(at(20));
        assert_eq!((meter.deadlines, meter.late_ms_total), (2, 7));
        assert_eq!(meter.late_ms_max, 7);
    }
}
