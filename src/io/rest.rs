//! Gives back, while the loop has nothing to do, the pages of the program that nobody will need soon.
//!
//! A start, a handshake or a rare method touch a great part of the program's code once. It stays mapped, and is
//! counted as the process's memory, until the system is short of it. Whoever rests can do with a few pages of it:
//! the others are read from the page cache again when they are wanted, 16 at a time.

use super::sys::ProgramPages;
use std::time::Duration;

/// How long nobody said anything before it counts as rest, in milliseconds.
const QUIET_MS: u64 = 500;
/// Not more often than this, in milliseconds: mapping pages again costs some 100 µs.
const APART_MS: u64 = 2_000;

/// When pages are given back.
pub(super) struct Rest {
    pages: ProgramPages,
    /// Bytes received when it happened last.
    seen_bytes: Option<u64>,
    next_ms: u64,
}

impl Rest {
    pub(super) fn new(pages: ProgramPages) -> Self {
        Self {
            pages,
            seen_bytes: None,
            next_ms: 0,
        }
    }

    /// How long the loop may sleep at most: without limit once it has rested and heard nothing since.
    pub(super) fn sleep(
        &self,
        received_bytes: u64,
        until_deadline: Option<Duration>,
    ) -> Option<Duration> {
        if self.seen_bytes == Some(received_bytes) {
            return until_deadline;
        }
        let quiet = Duration::from_millis(QUIET_MS);
        Some(until_deadline.map_or(quiet, |wait| wait.min(quiet)))
    }

    /// The loop slept for `slept` without an event: enough to give pages back?
    pub(super) fn slept(&mut self, slept: Duration, mono_ms: u64, received_bytes: u64) {
        let is_rest = slept >= Duration::from_millis(QUIET_MS);
        if is_rest && mono_ms >= self.next_ms && self.seen_bytes != Some(received_bytes) {
            self.pages.give_back();
            self.seen_bytes = Some(received_bytes);
            self.next_ms = mono_ms + APART_MS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(QUIET_MS);

    #[test]
    fn a_loop_that_heard_something_sleeps_a_moment_at_most_and_then_without_limit() {
        let mut rest = Rest::new(ProgramPages::default());
        assert_eq!(rest.sleep(0, None), Some(QUIET));
        assert_eq!(rest.sleep(0, Some(QUIET * 30)), Some(QUIET));
        assert_eq!(rest.sleep(0, Some(QUIET / 2)), Some(QUIET / 2));
        rest.slept(QUIET / 2, 500, 0);
        assert_eq!(rest.sleep(0, None), Some(QUIET), "that was no rest");
        rest.slept(QUIET, 1_500, 0);
        assert_eq!(rest.sleep(0, None), None);
        assert_eq!(rest.sleep(7, None), Some(QUIET));
    }

    #[test]
    fn pages_are_not_given_back_again_at_once() {
        let mut rest = Rest::new(ProgramPages::default());
        rest.slept(QUIET, 1_000, 0);
        rest.slept(QUIET, 1_000 + APART_MS - 1, 7);
        assert_eq!(rest.sleep(7, None), Some(QUIET), "it waits for its time");
        rest.slept(QUIET, 1_000 + APART_MS, 7);
        assert_eq!(rest.sleep(7, None), None);
    }
}
