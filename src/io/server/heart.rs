//! What the supervisor hears from the loop: that it goes round, reads its settings again, or ends.
//!
//! It is the loop that speaks, so a loop that hangs falls silent and is started again.

use crate::io::supervisor::Supervisor;
use crate::now::Now;

/// The supervisor, and when it has to hear from us next.
pub struct Heart {
    supervisor: Supervisor,
    beat_at_ms: Option<u64>,
}

impl Heart {
    /// Beats from now on, if anybody listens.
    pub fn new(supervisor: Supervisor, now: Now) -> Self {
        let beat_at_ms = supervisor.watchdog.map(|_| now.mono_ms);
        Self {
            supervisor,
            beat_at_ms,
        }
    }

    /// When to beat next, on the monotonic clock.
    pub fn next_ms(&self) -> Option<u64> {
        self.beat_at_ms
    }

    /// Beats if it is time.
    pub fn beat(&mut self, now: Now) {
        let interval = self.supervisor.watchdog;
        if let (Some(due_ms), Some(interval)) = (self.beat_at_ms, interval)
            && due_ms <= now.mono_ms
        {
            self.supervisor.alive();
            let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            self.beat_at_ms = Some(now.mono_ms.saturating_add(interval_ms.max(1)));
        }
    }

    /// The configuration is being read again.
    pub fn reloading(&self, now: Now) {
        self.supervisor.reloading(now.mono_ms.saturating_mul(1_000));
    }

    /// It was read.
    pub fn reloaded(&self) {
        self.supervisor.ready("serving");
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.supervisor.stopping();
    }
}
