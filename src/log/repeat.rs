//! Repeated lines counted instead of written, so that a flood neither fills the disk nor hides
//! what else happens, and nothing is silent for ever.

use super::{Level, LogLine};
use crate::limits::{LOG_BURST_LINES_MAX, LOG_REPEAT_ENTRIES_MAX, LOG_REPEAT_WINDOW_MS};
use crate::order;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What was written lately.
#[derive(Debug, Default)]
pub struct Repeats {
    messages: HashMap<Key, Entry>,
}

/// A line to be written, and how many it stands for: 0 for a line by itself.
pub type Counted = (LogLine, u64);

type Key = (Level, &'static str, String);

/// One message in its current window.
#[derive(Debug)]
struct Entry {
    ends_ms: u64,
    /// Hashes of the fields that were written.
    written: HashSet<u64>,
    /// The last line that was only counted.
    held: Option<LogLine>,
    held_len: u64,
}

impl Repeats {
    /// Gives the line back if it is to be written, in front of it what its message's last window
    /// held back. `mono_ms` never runs backwards.
    pub fn offer(&mut self, mono_ms: u64, line: LogLine) -> Vec<Counted> {
        let key = (line.level, line.subsystem, line.message.clone());
        let mut out = Vec::new();
        if self
            .messages
            .get(&key)
            .is_some_and(|e| e.ends_ms <= mono_ms)
        {
            out.extend(self.messages.remove(&key).and_then(Entry::summary));
        }
        if !self.messages.contains_key(&key) && self.messages.len() >= LOG_REPEAT_ENTRIES_MAX {
            // More messages than are ever in use: those that are over make place. If none is,
            // the line is written uncounted; the file's size is bounded all the same.
            out.extend(self.expire(mono_ms));
            if self.messages.len() >= LOG_REPEAT_ENTRIES_MAX {
                out.push((line, 0));
                return out;
            }
        }
        let entry = self.messages.entry(key).or_insert_with(|| Entry {
            ends_ms: mono_ms + LOG_REPEAT_WINDOW_MS,
            written: HashSet::new(),
            held: None,
            held_len: 0,
        });
        // In a flood nothing of a line is looked at any more.
        let written = entry.written.len() < LOG_BURST_LINES_MAX
            && entry.written.insert(hash_of(&line.fields));
        if written {
            out.push((line, 0));
        } else {
            entry.held = Some(line);
            entry.held_len += 1;
        }
        out
    }

    /// What ended windows held back, oldest first.
    pub fn expire(&mut self, mono_ms: u64) -> Vec<Counted> {
        let ended = self
            .messages
            .extract_if(|_, entry| entry.ends_ms <= mono_ms);
        let mut out: Vec<Counted> = ended.filter_map(|(_, entry)| entry.summary()).collect();
        order::sort_by_key(&mut out, |(line, _)| line.unix_ms);
        out
    }

    /// When the first window ends that holds something back.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.messages
            .values()
            .filter(|entry| entry.held.is_some())
            .map(|entry| entry.ends_ms)
            .min()
    }
}

impl Entry {
    fn summary(self) -> Option<Counted> {
        self.held.map(|line| (line, self.held_len))
    }
}

fn hash_of(fields: &[(&'static str, Value)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in fields {
        name.hash(&mut hasher);
        value.to_string().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, n: u64) -> LogLine {
        LogLine::new(n, Level::Warn, "test", message).with("n", n)
    }

    #[test]
    fn an_identical_line_is_counted_and_told_later() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.offer(0, line("a", 1)).len(), 1);
        for _ in 0..5 {
            assert_eq!(repeats.offer(1, line("a", 1)), []);
        }
        assert_eq!(repeats.offer(1, line("b", 1)).len(), 1);
        assert_eq!(repeats.next_deadline_ms(), Some(LOG_REPEAT_WINDOW_MS));
        assert_eq!(repeats.expire(LOG_REPEAT_WINDOW_MS - 1), []);
        assert_eq!(repeats.expire(LOG_REPEAT_WINDOW_MS), [(line("a", 1), 5)]);
        assert_eq!(repeats.next_deadline_ms(), None);
        assert_eq!(repeats.offer(LOG_REPEAT_WINDOW_MS, line("a", 1)).len(), 1);
    }

    #[test]
    fn a_flood_of_one_message_is_cut_and_never_silent() {
        let mut repeats = Repeats::default();
        let mut written = 0;
        let mut told = 0;
        for n in 0..200_000 {
            for (_, repeated) in repeats.offer(n / 2, line("refused", n)) {
                written += 1;
                told += repeated.max(1);
            }
        }
        for (_, repeated) in repeats.expire(u64::MAX) {
            written += 1;
            told += repeated;
        }
        let windows = 100_000 / LOG_REPEAT_WINDOW_MS;
        assert!(
            written <= (LOG_BURST_LINES_MAX as u64 + 1) * (windows + 1),
            "{written}"
        );
        assert!(written >= windows * 2, "{written}");
        assert_eq!(told, 200_000);
    }

    #[test]
    fn different_lines_of_one_message_are_all_written_at_first() {
        let mut repeats = Repeats::default();
        for n in 0..LOG_BURST_LINES_MAX as u64 {
            assert_eq!(repeats.offer(0, line("connected", n)).len(), 1);
        }
        assert_eq!(repeats.offer(0, line("connected", 9_999)), []);
    }

    #[test]
    fn messages_without_number_use_bounded_memory_and_are_written() {
        let mut repeats = Repeats::default();
        for n in 0..10_000 {
            assert_eq!(repeats.offer(0, line(&format!("m{n}"), 0)).len(), 1);
        }
        assert_eq!(repeats.messages.len(), LOG_REPEAT_ENTRIES_MAX);
    }
}
