//! The way to stop a step from outside.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// What is done once when a step is cancelled, from the thread that cancels: it must not block.
type Hook = Box<dyn FnOnce() + Send>;

/// One step's cancellation, shared by the core's run, the effect that cancels and the worker.
///
/// Cancelling is final. It ends a wait in [`CancelToken::wait`] at once and runs the hook that
/// the step registered, which shuts an open connection. Both travel through one-place channels,
/// so no lock is held on either side.
#[derive(Clone)]
pub struct CancelToken {
    inner: Arc<Inner>,
}

struct Inner {
    cancelled: AtomicBool,
    wake: (Sender<()>, Receiver<()>),
    hook: (Sender<Hook>, Receiver<Hook>),
}

impl CancelToken {
    /// A token of a step that has not been cancelled.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                cancelled: AtomicBool::new(false),
                wake: bounded(1),
                hook: bounded(1),
            }),
        }
    }

    /// Cancels the step: whoever waits wakes, and the registered hook runs here, once.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        // A full place means that the wake-up is already on its way.
        let _ = self.inner.wake.0.try_send(());
        self.run_hook();
    }

    /// Whether the step was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Registers what shuts the step's open connection, in place of an earlier hook.
    /// It runs at once when the step is already cancelled.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        self.clear_hook();
        let _ = self.inner.hook.0.try_send(Box::new(hook));
        // The flag is set before the place is emptied: either `cancel` found this hook, or the
        // flag is seen here.
        if self.is_cancelled() {
            self.run_hook();
        }
    }

    /// Forgets the hook, for a connection that is done.
    pub fn clear_hook(&self) {
        drop(self.inner.hook.1.try_recv());
    }

    /// Waits for `time`, or less if the step is cancelled. Returns whether it is cancelled.
    pub fn wait(&self, time: Duration) -> bool {
        if !self.is_cancelled() && self.inner.wake.1.recv_timeout(time).is_ok() {
            // Left for the next who waits or selects.
            let _ = self.inner.wake.0.try_send(());
        }
        self.is_cancelled()
    }

    /// Readable once the step is cancelled, for a select with other channels.
    /// Whoever takes its message must end the step.
    pub fn signal(&self) -> &Receiver<()> {
        &self.inner.wake.1
    }

    fn run_hook(&self) {
        if let Ok(hook) = self.inner.hook.1.try_recv() {
            hook();
        }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    fn counted() -> (Arc<AtomicU32>, impl FnOnce() + Send + 'static) {
        let count = Arc::new(AtomicU32::new(0));
        let in_hook = Arc::clone(&count);
        (count, move || {
            in_hook.fetch_add(1, Ordering::SeqCst);
        })
    }

    #[test]
    fn cancelling_ends_a_wait_at_once() {
        let token = CancelToken::new();
        let waiting = token.clone();
        let (entered_tx, entered) = bounded(1);
        let thread = std::thread::spawn(move || {
            let _ = entered_tx.send(Instant::now());
            waiting.wait(Duration::from_secs(60))
        });
        let start = entered.recv().unwrap();
        token.cancel();
        assert!(thread.join().unwrap());
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(token.wait(Duration::from_secs(60)), "and every later wait");
    }

    #[test]
    fn a_wait_that_is_not_cancelled_takes_its_time() {
        let token = CancelToken::new();
        assert!(!token.wait(Duration::from_millis(1)));
    }

    #[test]
    fn the_hook_runs_once_on_cancel() {
        let token = CancelToken::new();
        let (count, hook) = counted();
        token.on_cancel(hook);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        token.cancel();
        token.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_hook_registered_after_the_cancel_runs_at_once() {
        let token = CancelToken::new();
        token.cancel();
        let (count, hook) = counted();
        token.on_cancel(hook);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn only_the_last_hook_runs_and_a_cleared_one_does_not() {
        let token = CancelToken::new();
        let (first, hook) = counted();
        token.on_cancel(hook);
        let (second, hook) = counted();
        token.on_cancel(hook);
        token.cancel();
        assert_eq!(
            (first.load(Ordering::SeqCst), second.load(Ordering::SeqCst)),
            (0, 1)
        );

        let token = CancelToken::new();
        let (cleared, hook) = counted();
        token.on_cancel(hook);
        token.clear_hook();
        token.cancel();
        assert_eq!(cleared.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_hook_that_races_the_cancel_always_runs() {
        for _ in 0..2_000 {
            let token = CancelToken::new();
            let (count, hook) = counted();
            let other = token.clone();
            let thread = std::thread::spawn(move || other.cancel());
            token.on_cancel(hook);
            thread.join().unwrap();
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
    }
}
