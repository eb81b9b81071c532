//! The two clocks, read once a turn.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::now::Now;

/// How long the time of day is carried on by the other clock before it is asked for again.
const CARRIED_ON_MS: u64 = 100;

/// The time now. The zero of `mono_ms` is when a clock was first asked.
pub fn now() -> Now {
    Now {
        mono_ms: ms_since(start()),
        unix_ms: unix_ms(),
    }
}

/// The same time for a loop that asks in every turn.
pub struct Clock {
    start: Instant,
    /// The last reading of both.
    read: Now,
}

impl Clock {
    /// A clock with the zero that all share.
    pub fn new() -> Self {
        Self {
            start: start(),
            read: now(),
        }
    }

    /// The time now.
    pub fn now(&mut self) -> Now {
        let mono_ms = self.mono_ms();
        if mono_ms - self.read.mono_ms >= CARRIED_ON_MS {
            self.read = Now {
                mono_ms,
                unix_ms: unix_ms(),
            };
        }
        Now {
            mono_ms,
            unix_ms: self.read.unix_ms + (mono_ms - self.read.mono_ms),
        }
    }

    /// The clock of deadlines alone.
    pub fn mono_ms(&self) -> u64 {
        ms_since(self.start)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn ms_since(start: Instant) -> u64 {
    let elapsed = start.elapsed();
    elapsed.as_secs() * 1_000 + u64::from(elapsed.subsec_millis())
}

fn unix_ms() -> u64 {
    // A clock set before 1970 is no time that anything here was written for.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_does_not_run_backwards_and_is_after_this_was_written() {
        let mut clock = super::Clock::new();
        let first = clock.now();
        let second = clock.now();
        assert!(second.mono_ms >= first.mono_ms);
        assert!(first.unix_ms > 1_700_000_000_000);
    }
}
