//! How long to wait before the next try.

use super::error::ClientError;
use crate::limits::{RECONNECT_BACKOFF_MS, RECONNECT_RETRY_AFTER_MS_MAX};

/// Exponential back-off with full jitter. The window doubles from the first to the longest
/// value; a delay is drawn evenly from it, so that many clients of one restarted gateway do
/// not come back together.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Milliseconds to wait after `error`, or `None` where trying again cannot help.
    ///
    /// `random` is an unpredictable number. What the gateway asked for (`retryAfterMs`) is a
    /// floor, up to a bound so that a hostile peer cannot put a client to sleep for ever.
    pub fn delay_ms(&mut self, error: &ClientError, random: u64) -> Option<u64> {
        if !error.is_retryable() {
            return None;
        }
        let (first, longest) = RECONNECT_BACKOFF_MS;
        let window = first
            .saturating_mul(1u64.checked_shl(self.attempts).unwrap_or(u64::MAX))
            .min(longest);
        self.attempts = self.attempts.saturating_add(1);
        let asked = error
            .retry_after_ms()
            .unwrap_or(0)
            .min(RECONNECT_RETRY_AFTER_MS_MAX);
        Some(asked + random % (window + 1))
    }

    /// A connection worked: the next failure starts from the beginning.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::error::{ErrorKind, GatewayError};
    use serde_json::{Value, json};

    #[test]
    fn the_window_doubles_to_thirty_seconds() {
        let lost = ClientError::new(ErrorKind::Unreachable, "");
        let mut backoff = Backoff::default();
        // `window` itself is the largest draw: random = window.
        for window in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(backoff.delay_ms(&lost, window), Some(window));
        }
        for _ in 0..200 {
            assert!(backoff.delay_ms(&lost, u64::MAX).unwrap() <= 30_000);
        }
        backoff.reset();
        assert!(backoff.delay_ms(&lost, 1_000).unwrap() <= 1_000);
    }

    #[test]
    fn the_jitter_is_full() {
        let lost = ClientError::new(ErrorKind::Unreachable, "");
        assert_eq!(Backoff::default().delay_ms(&lost, 0), Some(0));
        assert_eq!(Backoff::default().delay_ms(&lost, 1_001), Some(0));
    }

    #[test]
    fn five_hundred_clients_of_a_gateway_that_restarts_do_not_come_in_one_wave() {
        let lost = ClientError::new(ErrorKind::Unreachable, "");
        // Tries by tenth of a second, in the first minute.
        let mut tries = [0u32; 600];
        let mut random = 7u64;
        for _ in 0..500 {
            let (mut backoff, mut at_ms) = (Backoff::default(), 0);
            while let Some(tries) = tries.get_mut((at_ms / 100) as usize) {
                *tries += u32::from(at_ms > 0);
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                at_ms += backoff.delay_ms(&lost, random >> 16).unwrap();
            }
        }
        let peak = tries.iter().max().unwrap();
        assert!((1..100).contains(peak), "{peak} in a tenth of a second");
    }

    #[test]
    fn what_the_gateway_asked_for_is_waited_for() {
        let busy = |ms: u64| {
            let error = json!({"code":"UNAVAILABLE","message":"busy","retryAfterMs":ms});
            ClientError::gateway(GatewayError::from_response(&error, Value::Null))
        };
        assert_eq!(Backoff::default().delay_ms(&busy(7_000), 0), Some(7_000));
        let bounded = Backoff::default().delay_ms(&busy(u64::MAX), 0);
        assert_eq!(bounded, Some(RECONNECT_RETRY_AFTER_MS_MAX));
    }

    #[test]
    fn a_final_refusal_stops() {
        let error = json!({"code":"NOT_PAIRED","message":"pairing required"});
        let error = ClientError::gateway(GatewayError::from_response(&error, Value::Null));
        assert_eq!(Backoff::default().delay_ms(&error, 0), None);
    }
}
