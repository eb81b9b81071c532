//! How much memory the process uses, where it may not use all of the machine's.

use crate::gateway::Memory;
use crate::limits::{MEMORY_LOOK_BYTES, MEMORY_LOOK_MS};
use crate::now::Now;
use rustix::process::{Resource, getrlimit};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// What is counted against a limit: a line of `/proc/self/status` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// All that is mapped, touched or not: RLIMIT_AS.
    Mapped,
    /// What is in the machine's memory: control groups, and our own setting.
    Resident,
}

impl Counted {
    const fn line(self) -> &'static str {
        match self {
            Self::Mapped => "VmSize:",
            Self::Resident => "VmRSS:",
        }
    }
}

/// The limits of this process, and when they were looked at.
pub struct Watch {
    limits: Vec<(Counted, u64)>,
    status: File,
    looked_at_ms: u64,
    looked_at_bytes: u64,
    is_calm: bool,
}

impl Watch {
    /// None where nothing limits it: nobody looks then. `configured` is `gateway.limits.memory`.
    pub fn begin(configured: Option<u64>) -> Option<Self> {
        let resident = [configured, group_bytes()].into_iter().flatten().min();
        let resident = resident.map(|bytes| (Counted::Resident, bytes));
        let mapped = getrlimit(Resource::As).current;
        let mapped = mapped.map(|bytes| (Counted::Mapped, bytes));
        let limits: Vec<_> = resident.into_iter().chain(mapped).collect();
        if limits.is_empty() {
            return None;
        }
        Some(Self {
            limits,
            status: File::open("/proc/self/status").ok()?,
            looked_at_ms: 0,
            looked_at_bytes: 0,
            is_calm: true,
        })
    }

    /// The limit that is nearest, if it is time to look: a while has passed, or so many bytes came that memory may
    /// have grown by as much.
    pub fn look(&mut self, now: Now, received_bytes: u64) -> Option<Memory> {
        let is_due = now.mono_ms - self.looked_at_ms >= MEMORY_LOOK_MS
            || received_bytes - self.looked_at_bytes >= MEMORY_LOOK_BYTES;
        if !is_due {
            return None;
        }
        (self.looked_at_ms, self.looked_at_bytes) = (now.mono_ms, received_bytes);
        // More than that file has ever held.
        let mut text = [0; 8_192];
        let len = self.status.read_at(&mut text, 0).ok()?;
        let memory = nearest(str::from_utf8(&text[..len]).ok()?, &self.limits)?;
        self.is_calm = memory.is_calm();
        Some(memory)
    }

    /// When to look although nothing happens: only while there is little left.
    pub fn next_ms(&self) -> Option<u64> {
        (!self.is_calm).then_some(self.looked_at_ms + MEMORY_LOOK_MS)
    }
}

/// Of the limits the one that has least left, relative to it.
fn nearest(status: &str, limits: &[(Counted, u64)]) -> Option<Memory> {
    let kib = |counted: Counted| {
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(counted.line()));
        value?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let memory = |(counted, limit_bytes): &(Counted, u64)| {
        Some(Memory {
            used_bytes: kib(*counted)? * 1_024,
            limit_bytes: *limit_bytes,
        })
    };
    let share = |memory: &Memory| memory.used_bytes * 1_000 / memory.limit_bytes.max(1);
    limits.iter().filter_map(memory).max_by_key(share)
}

/// What the control group of this process allows, and each one above it.
pub fn group_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    // Version 2 has one line, `0::/path`; in a container the path may be of the host.
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = std::path::Path::new("/sys/fs/cgroup");
    let own = root.join(own.trim_start_matches('/'));
    let above = own.ancestors().take_while(|path| path.starts_with(root));
    let limit = |path: &std::path::Path| {
        fs::read_to_string(path.join("memory.max"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    above.chain([root]).filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_with_least_left_counts() {
        let limits = [(Counted::Resident, 10 << 20), (Counted::Mapped, 100 << 20)];
        let status = |mapped: u64| format!("Name:\tx\nVmSize:\t {mapped} kB\nVmRSS:\t 6144 kB\n");
        let used = |mapped| nearest(&status(mapped), &limits).unwrap();
        assert_eq!(used(50 << 10).limit_bytes, 10 << 20);
        assert_eq!(used(90 << 10).limit_bytes, 100 << 20);
        assert_eq!(used(90 << 10).used_bytes, 90 << 20);
        assert_eq!(nearest("", &limits), None);
        assert_eq!(nearest(&status(1), &[]), None);
    }

    #[test]
    fn a_setting_is_a_limit_that_is_looked_at_now_and_then() {
        let at = |mono_ms| Now {
            mono_ms,
            unix_ms: 0,
        };
        let mut watch = Watch::begin(Some(1 << 40)).unwrap();
        let start_ms = MEMORY_LOOK_MS;
        assert!(watch.look(at(start_ms), 0).is_some());
        assert_eq!(watch.look(at(start_ms + 1), 0), None);
        assert!(watch.look(at(start_ms + 1), MEMORY_LOOK_BYTES).is_some());
        let mut tight = Watch::begin(Some(4_096)).unwrap();
        assert!(tight.look(at(start_ms), 0).unwrap().used_bytes > 4_096);
        assert_eq!(tight.next_ms(), Some(start_ms + MEMORY_LOOK_MS));
    }
}
