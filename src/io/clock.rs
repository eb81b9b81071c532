//! The two clocks, read once a turn.

use rustix::time::{ClockId, clock_gettime};

use crate::now::Now;

/// The time now.
pub fn now() -> Now {
    Now {
        mono_ms: read_ms(ClockId::Monotonic),
        unix_ms: read_ms(ClockId::Realtime),
    }
}

fn read_ms(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    // Before 1970 is no time that anything here was written for.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000 + time.tv_nsec as u64 / 1_000_000
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
