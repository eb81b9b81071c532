//! One deadline for each connection, in a wheel: setting, dropping and passing one costs the same
//! with ten connections and with ten thousand.

/// The wheel's grain is 2^7 = 128 ms: a deadline passes at most this much late, never early.
const GRAIN_SHIFT: u32 = 7;
/// Buckets, a power of two; 65 s a round. A later deadline goes round more than once.
const BUCKETS: usize = 512;
/// No connection.
const NONE: u32 = u32::MAX;

/// The deadlines of all slots of a connection table.
pub struct Wheel {
    heads: Box<[u32; BUCKETS]>,
    entries: Vec<Entry>,
    /// The bucket of this tick and all before it have been emptied.
    done_tick: u64,
    /// No deadline is before this tick; `u64::MAX` when there is none.
    next_tick: u64,
}

/// A slot's place in the doubly linked list of its bucket.
#[derive(Clone, Copy)]
struct Entry {
    next: u32,
    previous: u32,
    /// Ticks since the wheel was made; 0 when no deadline is set.
    tick: u32,
}

const UNSET: Entry = Entry {
    next: NONE,
    previous: NONE,
    tick: 0,
};

impl Wheel {
    /// An empty wheel that begins at `mono_ms`.
    pub fn new(mono_ms: u64) -> Self {
        Self {
            heads: Box::new([NONE; BUCKETS]),
            entries: Vec::new(),
            done_tick: mono_ms >> GRAIN_SHIFT,
            next_tick: u64::MAX,
        }
    }

    /// Sets the slot's only deadline, in place of the one before.
    pub fn set(&mut self, slot: usize, deadline_ms: u64) {
        self.unset(slot);
        if slot >= self.entries.len() {
            self.entries.resize(slot + 1, UNSET);
        }
        // Rounded up, and at least one tick ahead, so that it is in a bucket not yet emptied.
        let tick = ((deadline_ms >> GRAIN_SHIFT) + 1).max(self.done_tick + 1);
        self.link(slot, tick);
        self.next_tick = self.next_tick.min(tick);
    }

    /// Drops the slot's deadline, if it has one.
    pub fn unset(&mut self, slot: usize) {
        let Some(entry) = self
            .entries
            .get(slot)
            .copied()
            .filter(|entry| entry.tick != 0)
        else {
            return;
        };
        match entry.previous {
            NONE => self.heads[entry.tick as usize % BUCKETS] = entry.next,
            previous => self.entries[previous as usize].next = entry.next,
        }
        if entry.next != NONE {
            self.entries[entry.next as usize].previous = entry.previous;
        }
        self.entries[slot] = UNSET;
    }

    /// When to look at the wheel again; `None` when no deadline is set. May be early, never late.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        (self.next_tick != u64::MAX).then_some(self.next_tick << GRAIN_SHIFT)
    }

    /// Puts the slots whose deadline has passed into `passed`, and drops those deadlines.
    pub fn pass(&mut self, mono_ms: u64, passed: &mut Vec<usize>) {
        let now_tick = mono_ms >> GRAIN_SHIFT;
        if now_tick < self.next_tick {
            self.done_tick = self.done_tick.max(now_tick);
            return;
        }
        // After a long sleep every bucket is looked at once.
        let from = (self.done_tick + 1).max((now_tick + 1).saturating_sub(BUCKETS as u64));
        for tick in from..=now_tick {
            let mut at = self.heads[tick as usize % BUCKETS];
            while at != NONE {
                let entry = self.entries[at as usize];
                if u64::from(entry.tick) <= now_tick {
                    passed.push(at as usize);
                    self.unset(at as usize);
                }
                at = entry.next;
            }
        }
        self.done_tick = now_tick;
        self.find_next();
    }

    fn find_next(&mut self) {
        // A bucket may hold only deadlines of later rounds: then this is early, which costs one look.
        let ahead = (1..=BUCKETS as u64).map(|ahead| self.done_tick + ahead);
        self.next_tick = ahead
            .into_iter()
            .find(|tick| self.heads[*tick as usize % BUCKETS] != NONE)
            .unwrap_or(u64::MAX);
    }

    fn link(&mut self, slot: usize, tick: u64) {
        let head = &mut self.heads[tick as usize % BUCKETS];
        self.entries[slot] = Entry {
            next: *head,
            previous: NONE,
            tick: tick as u32,
        };
        if *head != NONE {
            self.entries[*head as usize].previous = slot as u32;
        }
        *head = slot as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const GRAIN_MS: u64 = 1 << GRAIN_SHIFT;

    #[test]
    fn a_deadline_passes_once_never_early_and_at_most_a_grain_late() {
        let mut wheel = Wheel::new(1_000);
        let mut wanted: HashMap<usize, u64> = HashMap::new();
        let mut seed = 11_u64;
        let mut passed = Vec::new();
        let mut now = 1_000;
        while now < 400_000 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let slot = (seed >> 40) as usize % 50;
            match seed >> 60 {
                0..=2 => {
                    wheel.unset(slot);
                    wanted.remove(&slot);
                }
                3..=9 => {
                    let deadline = now + (seed >> 20) % 150_000;
                    wheel.set(slot, deadline);
                    wanted.insert(slot, deadline);
                }
                _ => now += (seed >> 20) % 700,
            }
            passed.clear();
            wheel.pass(now, &mut passed);
            for slot in &passed {
                let deadline = wanted.remove(slot).expect("it was set and had not passed");
                assert!(deadline <= now, "early");
            }
            for deadline in wanted.values() {
                assert!(deadline + GRAIN_MS > now, "late: {deadline} at {now}");
            }
            if let Some(first) = wanted.values().min() {
                assert!(
                    wheel
                        .next_deadline_ms()
                        .is_some_and(|next| next <= first + GRAIN_MS)
                );
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_far_ahead_passes_everything() {
        let mut wheel = Wheel::new(0);
        for slot in 0..1_000 {
            wheel.set(slot, slot as u64 * 100);
        }
        let mut passed = Vec::new();
        wheel.pass(3_600_000, &mut passed);
        assert_eq!(passed.len(), 1_000);
        assert_eq!(wheel.next_deadline_ms(), None);
    }
}
