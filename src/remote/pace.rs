//! When to try again, and when time has jumped.

use crate::limits::{RECONNECT_BACKOFF_MS, TUNNEL_JUMP_MS, TUNNEL_STEADY_MS};

/// How fast a tunnel is opened again. The window doubles from failure to failure and a delay is
/// drawn from its upper half, so that neither one tunnel nor many of one host come in bursts. A
/// tunnel that stood for a while begins anew.
#[derive(Debug, Default)]
pub struct Pace {
    failures: u32,
    up_since_ms: Option<u64>,
}

impl Pace {
    /// The tunnel works since `now_ms`.
    pub fn works(&mut self, now_ms: u64) {
        self.up_since_ms.get_or_insert(now_ms);
    }

    /// The tunnel failed at `now_ms`: milliseconds to wait. `random` is an unpredictable number.
    pub fn failed(&mut self, now_ms: u64, random: u64) -> u64 {
        let steady = |since| now_ms.saturating_sub(since) >= TUNNEL_STEADY_MS;
        if self.up_since_ms.take().is_some_and(steady) {
            self.failures = 0;
        }
        let (first, longest) = RECONNECT_BACKOFF_MS;
        let doubled = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let window = first.saturating_mul(doubled).min(longest);
        self.failures = self.failures.saturating_add(1);
        window / 2 + random % (window / 2 + 1)
    }
}

/// Notices that this process did not run for a while: the machine slept, or it was stopped.
#[derive(Debug, Default)]
pub struct Pulse {
    beat_ms: Option<u64>,
}

impl Pulse {
    /// One turn of the loop at `unix_ms`; true when far more time has passed since the last one
    /// than a turn takes. The time of day is used because it goes on while a machine sleeps.
    pub fn jumped(&mut self, unix_ms: u64) -> bool {
        let last = self.beat_ms.replace(unix_ms).unwrap_or(unix_ms);
        unix_ms.abs_diff(last) >= TUNNEL_JUMP_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_doubles_and_delays_come_from_its_upper_half() {
        let mut pace = Pace::default();
        for window in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let delay = pace.failed(0, window);
            assert!((window / 2..=window).contains(&delay), "{window}: {delay}");
        }
        for _ in 0..200 {
            assert!((15_000..=30_000).contains(&pace.failed(0, u64::MAX)));
        }
    }

    #[test]
    fn only_a_tunnel_that_stood_for_a_while_begins_anew() {
        let mut pace = Pace::default();
        for at in 0..4 {
            pace.works(at);
            pace.failed(at + 10, 0);
        }
        assert_eq!(
            pace.failed(20, 0),
            8_000,
            "a tunnel that flaps is slowed down"
        );
        pace.works(1_000);
        pace.works(2_000);
        assert_eq!(pace.failed(1_000 + TUNNEL_STEADY_MS, 0), 500);
    }

    #[test]
    fn a_jump_of_the_clock_is_noticed_once_in_either_direction() {
        let mut pulse = Pulse::default();
        assert!(!pulse.jumped(1_000_000));
        assert!(!pulse.jumped(1_000_200));
        assert!(pulse.jumped(1_000_200 + 3_600_000));
        assert!(!pulse.jumped(1_000_400 + 3_600_000));
        assert!(pulse.jumped(1_000_000));
    }
}
