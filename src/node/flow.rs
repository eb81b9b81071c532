//! How much of what commands print is on its way: a slow gateway or network holds up neither the
//! node's other words nor its memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::NODE_PROGRESS_UNDERWAY_MAX;

/// Pieces that were told and that the gateway has not taken.
#[derive(Default)]
pub struct Flow(AtomicUsize);

impl Flow {
    /// Whether more may be told now; what may not waits where it is kept.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst) < NODE_PROGRESS_UNDERWAY_MAX
    }

    /// A piece is on its way.
    pub fn told(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Nobody is there any more to take them.
    pub fn reset(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// One was taken, or nobody wants it any more.
    pub fn taken(&self) {
        let less = |count: usize| Some(count.saturating_sub(1));
        // It always has a next value.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_when_full_and_opens_again() {
        let flow = Flow::default();
        flow.taken();
        for _ in 0..NODE_PROGRESS_UNDERWAY_MAX {
            assert!(flow.is_open());
            flow.told();
        }
        assert!(!flow.is_open());
        flow.taken();
        assert!(flow.is_open());
        flow.told();
        flow.reset();
        assert!(flow.is_open());
    }
}
