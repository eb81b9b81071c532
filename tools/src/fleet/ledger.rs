//! Which call was answered, by whom, how often, and when.

use std::time::Instant;

/// A call of a node that an operator made.
struct Entry {
    /// When it was to be made.
    due: Instant,
    /// When it was made.
    sent: Instant,
    node: usize,
    /// How often the node had come back when it was called.
    visit: u32,
    answers: u32,
}

/// How long an answer took, in microseconds.
#[derive(Clone, Copy)]
pub struct Wait {
    /// Since the request was sent.
    pub since_sent: u32,
    /// Since the request was due: what kept the fleet itself busy is counted too.
    pub since_due: u32,
}

/// What must not happen, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Calls that were never answered.
    pub unanswered: usize,
    /// Answers beyond the first of a call.
    pub doubled: usize,
    /// Answers that were another call's, or another node's.
    pub foreign: usize,
    /// Calls that failed though their node stayed.
    pub failed: usize,
    /// Numbers that an operator or a node missed between its events.
    pub gaps: u64,
}

/// Every call.
#[derive(Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    open: usize,
    /// Waits of the answered calls since they were last taken.
    pub waits: Vec<Wait>,
    /// Calls that failed because their node went.
    pub lost: usize,
    faults: Faults,
}

impl Ledger {
    /// A call is made; its number.
    pub fn call(&mut self, due: Instant, node: usize, visit: u32) -> usize {
        self.entries.push(Entry {
            due,
            sent: Instant::now(),
            node,
            visit,
            answers: 0,
        });
        self.open += 1;
        self.entries.len() - 1
    }

    /// Calls that were made.
    pub fn calls(&self) -> usize {
        self.entries.len()
    }

    /// Calls that wait for their answer.
    pub fn open(&self) -> usize {
        self.open
    }

    /// A response came. `said` is the number in the node's own words, none where the call
    /// failed; `visit` tells how often a node has come back by now.
    pub fn answer(&mut self, number: usize, said: Option<u64>, visit: impl Fn(usize) -> u32) {
        let Some(entry) = self.entries.get_mut(number) else {
            self.faults.foreign += 1;
            return;
        };
        entry.answers += 1;
        if entry.answers > 1 {
            self.faults.doubled += 1;
            return;
        }
        self.open -= 1;
        match said {
            Some(said) if said == number as u64 => self.waits.push(Wait {
                since_sent: entry.sent.elapsed().as_micros() as u32,
                since_due: entry.due.elapsed().as_micros() as u32,
            }),
            Some(_) => self.faults.foreign += 1,
            None if entry.visit != visit(entry.node) => self.lost += 1,
            None => self.faults.failed += 1,
        }
    }

    /// A node was asked what was not for it.
    pub fn strayed(&mut self) {
        self.faults.foreign += 1;
    }

    /// An event has this number, behind `last`.
    pub fn number(&mut self, last: u64, seq: u64) {
        self.faults.gaps += seq.abs_diff(last + 1);
    }

    /// What went wrong so far; calls that are open count.
    pub fn faults(&self) -> Faults {
        Faults {
            unanswered: self.open,
            ..self.faults
        }
    }
}

/// The wait that all but one of a hundred (or of two, for 50) stay below, in milliseconds.
pub fn percentile(waits: &mut [u32], percent: usize) -> f64 {
    waits.sort_unstable();
    let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
    waits.get(at).map_or(0.0, |us| f64::from(*us) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_answered_once_by_its_own_answer() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        for _ in 0..5 {
            ledger.call(now, 7, 1);
        }
        ledger.answer(0, Some(0), |_| 1);
        ledger.answer(0, Some(0), |_| 1);
        ledger.answer(1, Some(0), |_| 1);
        ledger.answer(2, None, |_| 2);
        ledger.answer(3, None, |_| 1);
        ledger.answer(9, None, |_| 1);
        assert_eq!(
            ledger.faults(),
            Faults {
                unanswered: 1,
                doubled: 1,
                foreign: 2,
                failed: 1,
                gaps: 0,
            }
        );
        assert_eq!((ledger.lost, ledger.waits.len()), (1, 1));
    }

    #[test]
    fn a_gap_is_counted_by_what_is_missing() {
        let mut ledger = Ledger::default();
        ledger.number(0, 1);
        ledger.number(1, 4);
        ledger.number(4, 4);
        assert_eq!(ledger.faults().gaps, 3);
    }

    #[test]
    fn percentiles_are_of_sorted_waits() {
        let mut waits: Vec<u32> = (1..=100).rev().map(|ms| ms * 1_000).collect();
        assert!((percentile(&mut waits, 50) - 51.0).abs() < 0.1);
        assert!((percentile(&mut waits, 99) - 100.0).abs() < 0.1);
        assert!(percentile(&mut [], 99) < 0.1);
    }
}
