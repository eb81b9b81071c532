//! Peers that do not take what they are sent.
//!
//! Above the soft limit a peer is watched: one that takes no byte for a while is closed, one
//! large answer on a slow line is not. Above the hard limit it is closed at once; when all
//! outboxes together hold too much, the worst offender goes.

use super::Gateway;
use super::timers::Timer;
use crate::ids::ConnId;
use crate::limits::{OUTBOX_HARD_BYTES, OUTBOX_SOFT_BYTES, SLOW_PEER_GRACE_MS};
use crate::log::{Level, LogLine};
use std::collections::BTreeMap;

/// How often watched peers are looked at.
const LOOK_INTERVAL_MS: u64 = 1_000;
/// What a slow peer is closed with.
const SLOW: &str = "slow consumer";

/// Peers above the soft limit.
#[derive(Default)]
pub struct SlowPeers {
    watched: BTreeMap<ConnId, Progress>,
    /// When a peer was last cut for all of them together: its bytes take a moment to go.
    shed_mono_ms: Option<u64>,
}

struct Progress {
    /// Bytes that the peer had taken when it was last looked at.
    taken: u64,
    /// When it last took one, on the monotonic clock.
    moved_mono_ms: u64,
}

impl SlowPeers {
    /// Peers that are watched.
    pub fn len(&self) -> usize {
        self.watched.len()
    }
}

impl Gateway {
    /// Something was queued for a peer.
    pub(super) fn watch_outbox(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.get(conn) else {
            return;
        };
        let queued = peer.outbox.queued_len();
        if queued <= OUTBOX_SOFT_BYTES {
            return;
        }
        let total_max = self.outbox_total_bytes_max();
        if queued > OUTBOX_HARD_BYTES.min(total_max / 4) {
            return self.cut_slow_peer(conn, queued);
        }
        let progress = Progress {
            taken: peer.outbox.taken(),
            moved_mono_ms: self.now.mono_ms,
        };
        self.slow.watched.entry(conn).or_insert(progress);
        self.set_timer(LOOK_INTERVAL_MS, Timer::Slow);
        if self.turn.queued_total() > total_max {
            self.shed_worst();
        }
    }

    /// Bytes that all outboxes together may hold.
    fn outbox_total_bytes_max(&self) -> usize {
        let configured = self.config().gateway.limits.outbox_total_bytes_max;
        match self.identity.outbox_total_bytes_max {
            0 => configured,
            machine => configured.min(machine),
        }
    }

    pub(super) fn look_at_slow_peers(&mut self) {
        let now_ms = self.now.mono_ms;
        let mut stuck = Vec::new();
        let peers = &self.peers;
        self.slow.watched.retain(|conn, progress| {
            let Some(peer) = peers.get(*conn) else {
                return false;
            };
            let queued = peer.outbox.queued_len();
            let taken = peer.outbox.taken();
            if queued <= OUTBOX_SOFT_BYTES {
                return false;
            }
            if taken != progress.taken {
                progress.taken = taken;
                progress.moved_mono_ms = now_ms;
            }
            let is_stuck = now_ms - progress.moved_mono_ms >= SLOW_PEER_GRACE_MS;
            if is_stuck {
                stuck.push((*conn, queued));
            }
            !is_stuck
        });
        for (conn, queued) in stuck {
            self.cut_slow_peer(conn, queued);
        }
        if !self.slow.watched.is_empty() {
            self.set_timer(LOOK_INTERVAL_MS, Timer::Slow);
        }
    }

    fn shed_worst(&mut self) {
        let now_ms = self.now.mono_ms;
        let last = self.slow.shed_mono_ms;
        if last.is_some_and(|last_ms| now_ms - last_ms < LOOK_INTERVAL_MS) {
            return;
        }
        self.slow.shed_mono_ms = Some(now_ms);
        let worst = self
            .slow
            .watched
            .keys()
            .filter_map(|conn| Some((self.peers.get(*conn)?.outbox.queued_len(), *conn)))
            .max();
        if let Some((queued, conn)) = worst {
            self.cut_slow_peer(conn, queued);
        }
    }

    fn cut_slow_peer(&mut self, conn: ConnId, queued: usize) {
        self.slow.watched.remove(&conn);
        self.counters.slow_peers_cut += 1;
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Warn,
            "gateway/ws",
            "slow peer closed",
        );
        self.log_with(
            line.with("conn", conn.to_string())
                .with("queuedBytes", queued),
        );
        self.close(conn, 1008, SLOW);
    }
}

#[cfg(test)]
mod tests {
    use crate::driver::{Driver, Options};
    use crate::ids::ConnId;
    use crate::limits::{OUTBOX_HARD_BYTES, OUTBOX_SOFT_BYTES, SLOW_PEER_GRACE_MS};

    const CHUNK_BYTES: usize = 64 * 1024;

    fn stuck_operator() -> (Driver, ConnId) {
        let mut driver = Driver::new(Options::default());
        let conn = driver.operator();
        driver.remote(conn).window = 0;
        (driver, conn)
    }

    fn queue(driver: &mut Driver, conn: ConnId, bytes: usize) {
        let text = "x".repeat(CHUNK_BYTES);
        for _ in 0..bytes.div_ceil(CHUNK_BYTES) {
            driver.gateway.send_text(conn, |_, w| w.str(&text));
        }
    }

    #[test]
    fn a_peer_over_the_soft_limit_that_takes_nothing_is_closed_in_time() {
        let (mut driver, conn) = stuck_operator();
        queue(&mut driver, conn, OUTBOX_SOFT_BYTES + 1);
        driver.advance(SLOW_PEER_GRACE_MS - 1_000);
        assert!(driver.gateway.peers.get(conn).unwrap().live().is_some());
        driver.advance(2_000);
        let left = driver.gateway.peers.get(conn);
        assert!(left.is_none_or(|peer| peer.live().is_none()));
        assert!(
            driver
                .log
                .iter()
                .any(|line| line.message == "slow peer closed")
        );
    }

    #[test]
    fn a_large_answer_on_a_slow_line_is_taken_in_peace() {
        let (mut driver, conn) = stuck_operator();
        queue(&mut driver, conn, 6 * 1024 * 1024);
        for _ in 0..40 {
            driver.remote(conn).window = 128 * 1024;
            driver.advance(1_000);
            driver.remote(conn).window = 0;
            driver.settle();
        }
        assert!(driver.is_open(conn));
    }

    #[test]
    fn nobody_has_more_than_the_hard_limit_queued() {
        let (mut driver, conn) = stuck_operator();
        queue(&mut driver, conn, OUTBOX_HARD_BYTES + 4 * CHUNK_BYTES);
        let peer = driver.gateway.peers.get(conn).unwrap();
        assert!(peer.outbox.queued_len() <= OUTBOX_HARD_BYTES + 2 * CHUNK_BYTES);
        assert!(peer.live().is_none());
    }
}
