//! Which updates of a bot were taken: the newest, and those before it that were passed over.
//!
//! Who asks for news gets them in order. Who is brought them may get a later one first, where an
//! earlier one could not be stored for the moment and comes again.
//!
//! A service counts anew, from anywhere, after a week without news (Bot API, `Update`). Who went on
//! asking for what is above the old numbers would then never hear anything again, and it keeps nothing
//! longer than a day: so what was taken is forgotten in between, when neither can happen.

use crate::limits::CHANNEL_TAKEN_MS;
use std::collections::BTreeSet;

/// Numbers before the newest that are remembered as not taken.
const HOLES_MAX: u64 = 64;
/// A number so far before the newest is no repeat: another server of the service counts for itself.
const REPEATS_MAX: u64 = 100_000;

/// What was taken of a bot's updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenUpdates {
    pub newest: Option<u64>,
    /// When the last one was taken.
    at_ms: u64,
    holes: BTreeSet<u64>,
}

impl TakenUpdates {
    /// As [`Self::text`] wrote it; of one that has no time it is `now_ms`.
    pub fn parse(text: &str, now_ms: u64) -> Self {
        let (numbers, at_ms) = text.split_once('@').unwrap_or((text, ""));
        let mut numbers = numbers.split(' ').map_while(|number| number.parse().ok());
        Self {
            newest: numbers.next(),
            at_ms: at_ms.parse().unwrap_or(now_ms),
            holes: numbers.collect(),
        }
    }

    /// The newest, what is missing before it, and when the last one came: `10 9@1700000000000`.
    pub fn text(&self) -> String {
        let numbers = self.newest.iter().chain(&self.holes);
        let numbers: Vec<String> = numbers.map(u64::to_string).collect();
        format!("{}@{}", numbers.join(" "), self.at_ms)
    }

    /// Forgets what was taken so long ago that it cannot come again.
    pub fn forget_old(&mut self, now_ms: u64) {
        if self.at_ms.saturating_add(CHANNEL_TAKEN_MS) <= now_ms {
            *self = Self::default();
        }
    }

    /// Whether an update was taken.
    pub fn has(&self, id: u64) -> bool {
        let is_before = |newest| id <= newest && newest - id < REPEATS_MAX;
        self.newest.is_some_and(is_before) && !self.holes.contains(&id)
    }

    /// With one more.
    pub fn with(&self, id: u64, now_ms: u64) -> Self {
        let mut next = Self {
            at_ms: now_ms,
            ..self.clone()
        };
        match self.newest {
            Some(newest) if id > newest => {
                let first = (newest + 1).max(id.saturating_sub(HOLES_MAX));
                next.holes.extend(first..id);
                next.newest = Some(id);
            }
            Some(newest) if newest - id < REPEATS_MAX => {
                next.holes.remove(&id);
            }
            _ => {
                next.newest = Some(id);
                next.holes.clear();
            }
        }
        while next.holes.len() as u64 > HOLES_MAX {
            next.holes.pop_first();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Driver, Options};
    use crate::limits::CHANNEL_POLL_MS;

    #[test]
    fn a_later_update_does_not_hide_an_earlier_one() {
        let mut taken = TakenUpdates::default();
        assert!(!taken.has(0));
        for id in [7, 8, 10] {
            taken = TakenUpdates::parse(&taken.with(id, 5).text(), 6);
        }
        assert_eq!(taken.text(), "10 9@5");
        assert!(taken.has(8) && taken.has(10) && taken.has(3));
        assert!(!taken.has(9) && !taken.has(11));
        taken = taken.with(9, 7);
        assert_eq!(taken.text(), "10@7");
        // As it was written before.
        assert_eq!(TakenUpdates::parse("105", 8).text(), "105@8");
    }

    #[test]
    fn holes_are_bounded_and_a_service_may_count_anew() {
        let mut taken = TakenUpdates::default()
            .with(5, 0)
            .with(5 + 10 * HOLES_MAX, 0);
        for step in 1..200 {
            taken = taken.with(5 + 10 * HOLES_MAX + 2 * step, 0);
        }
        assert_eq!(taken.holes.len() as u64, HOLES_MAX);
        let anew = TakenUpdates::default().with(900_000_000, 0);
        assert!(!anew.has(1_000));
        assert_eq!(anew.with(1_000, 0).text(), "1000@0");
        let mut quiet = anew;
        quiet.forget_old(CHANNEL_TAKEN_MS - 1);
        assert!(quiet.has(899_999_999));
        quiet.forget_old(CHANNEL_TAKEN_MS);
        assert!(!quiet.has(899_999_999) && quiet.newest.is_none());
    }

    #[test]
    fn a_service_that_counts_anew_after_a_quiet_week_is_heard_and_nothing_doubles() {
        for is_restarted in [false, true] {
            let mut driver = Driver::new(Options {
                config: "{channels: {telegram: {botToken: '1:a', allowFrom: ['7']}}}".into(),
                ..Options::default()
            });
            driver.service.given = 500;
            driver.service.write("7", "before");
            driver.settle();
            driver.now.unix_ms += CHANNEL_TAKEN_MS;
            driver.now.mono_ms += CHANNEL_TAKEN_MS;
            if is_restarted {
                driver = driver.restart();
            }
            // The poll that was under way ends.
            driver.advance(CHANNEL_POLL_MS);
            driver.service.given = 41;
            driver.service.write("7", "after");
            driver.service.write("7", "and once more");
            driver.advance(CHANNEL_POLL_MS);
            assert_eq!(driver.service.sent_to("7").len(), 3, "{is_restarted}");
            assert_eq!(driver.service.left(), 0);
            // A day later a number is still a number.
            driver.now.unix_ms += 24 * 3_600_000;
            driver.service.given = 41;
            driver.service.write("7", "brought again");
            driver.advance(CHANNEL_POLL_MS);
            assert_eq!(driver.service.sent_to("7").len(), 3, "{is_restarted}");
        }
    }
}
