//! How other threads and signals reach the thread that waits for the gateway.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// The waiting end.
pub struct Wake {
    end: UnixStream,
    waker: Waker,
    stop: Arc<AtomicBool>,
}

/// The other end; as many as there are threads.
pub struct Waker(UnixStream);

impl Wake {
    /// A pair that nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// When no sockets can be had.
    pub fn new() -> io::Result<Self> {
        let (end, other) = UnixStream::pair()?;
        end.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok(Self {
            end,
            waker: Waker(other),
            stop: Arc::default(),
        })
    }

    /// From now on the signals that end a process ask for a stop instead; the second one ends it.
    ///
    /// # Errors
    ///
    /// When no handlers can be had.
    pub fn watch_signals(&self) -> io::Result<()> {
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&self.stop))?;
            flag::register(signal, Arc::clone(&self.stop))?;
            pipe::register(signal, self.waker.0.try_clone()?)?;
        }
        Ok(())
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Another end for another thread.
    ///
    /// # Errors
    ///
    /// When no descriptor can be had.
    pub fn waker(&self) -> io::Result<Waker> {
        Ok(Waker(self.waker.0.try_clone()?))
    }

    /// Waits until somebody wakes it, or `until`.
    pub fn wait(&self, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::from_borrowed_fd(self.end.as_fd(), PollFlags::IN)];
        // A signal ends the wait too, and whoever waits looks again.
        let _ = poll(&mut fds, timeout.as_ref());
        self.drain();
    }

    /// Takes what was written, so that the next wake is noticed.
    pub fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.end).read(&mut bytes), Ok(count) if count > 0) {}
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl Waker {
    /// Wakes. A pair that is full wakes anyway, and one whose other end is gone has nobody to wake.
    pub fn wake(&self) {
        let _ = (&self.0).write(&[1]);
    }
}
