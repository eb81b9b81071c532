//! The two clocks, read once a turn.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::now::Now;

/// The time now. The zero of `mono_ms` is when this was first called.
pub fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    // A clock set before 1970 is no time that anything here was written for.
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        mono_ms: start.elapsed().as_millis() as u64,
        unix_ms: unix.as_millis() as u64,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_does_not_run_backwards_and_is_after_this_was_written() {
        let first = super::now();
        let second = super::now();
        assert!(second.mono_ms >= first.mono_ms);
        assert!(first.unix_ms > 1_700_000_000_000);
    }
}
