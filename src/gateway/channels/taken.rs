//! Which updates of a bot were taken: the newest, and those before it that were passed over.
//!
//! Who asks for news gets them in order. Who is brought them may get a later one first, where an
//! earlier one could not be stored for the moment and comes again.

use std::collections::BTreeSet;

/// Numbers before the newest that are remembered as not taken.
const HOLES_MAX: u64 = 64;
/// A number so far before the newest is no repeat: a service counts anew after a quiet week (Bot API,
/// `Update`), and keeps nothing longer than a day.
const REPEATS_MAX: u64 = 100_000;

/// What was taken of a bot's updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenUpdates {
    pub newest: Option<u64>,
    holes: BTreeSet<u64>,
}

impl TakenUpdates {
    /// As [`Self::text`] wrote it.
    pub fn parse(text: &str) -> Self {
        let mut numbers = text.split(' ').map_while(|number| number.parse().ok());
        Self {
            newest: numbers.next(),
            holes: numbers.collect(),
        }
    }

    /// The newest, then what is missing before it.
    pub fn text(&self) -> String {
        let numbers = self.newest.iter().chain(&self.holes);
        let numbers: Vec<String> = numbers.map(u64::to_string).collect();
        numbers.join(" ")
    }

    /// Whether an update was taken.
    pub fn has(&self, id: u64) -> bool {
        let is_before = |newest| id <= newest && newest - id < REPEATS_MAX;
        self.newest.is_some_and(is_before) && !self.holes.contains(&id)
    }

    /// With one more.
    pub fn with(&self, id: u64) -> Self {
        let mut next = self.clone();
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
                next = Self {
                    newest: Some(id),
                    holes: BTreeSet::new(),
                };
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

    #[test]
    fn a_later_update_does_not_hide_an_earlier_one() {
        let mut taken = TakenUpdates::default();
        assert!(!taken.has(0));
        for id in [7, 8, 10] {
            taken = TakenUpdates::parse(&taken.with(id).text());
        }
        assert_eq!(taken.text(), "10 9");
        assert!(taken.has(8) && taken.has(10) && taken.has(3));
        assert!(!taken.has(9) && !taken.has(11));
        taken = taken.with(9);
        assert_eq!(taken.text(), "10");
        // As it was written before.
        assert_eq!(TakenUpdates::parse("105").newest, Some(105));
    }

    #[test]
    fn holes_are_bounded_and_a_service_may_count_anew() {
        let mut taken = TakenUpdates::default().with(5).with(5 + 10 * HOLES_MAX);
        for step in 1..200 {
            taken = taken.with(5 + 10 * HOLES_MAX + 2 * step);
        }
        assert_eq!(taken.holes.len() as u64, HOLES_MAX);
        let anew = TakenUpdates::default().with(900_000_000);
        assert!(!anew.has(1_000));
        assert_eq!(anew.with(1_000).text(), "1000");
    }
}
