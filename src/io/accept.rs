//! New connections: paced, and calm when there are no descriptors left.

use std::fs::File;
use std::io;

use mio::{Registry, Token};

use crate::limits::ACCEPT_BACKOFF_MS;
use crate::now::Now;

use super::socket::{Listener, PeerAddr, Socket};
use super::sys::is_out_of_descriptors;

/// The listeners of a loop.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    /// Given up for a moment to take, and drop, a connection that there is no descriptor for:
    /// its client learns at once that nobody serves it.
    reserve: Option<File>,
    /// Readiness was announced and not used up.
    pending: bool,
    retry_at_ms: u64,
    backoff_ms: u64,
}

impl Acceptor {
    pub(super) fn new(
        mut listeners: Vec<Listener>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        for listener in &mut listeners {
            listener.register(registry, token)?;
        }
        Ok(Self {
            listeners,
            reserve: open_reserve(),
            pending: true,
            retry_at_ms: 0,
            backoff_ms: 0,
        })
    }

    /// Readiness was announced.
    pub(super) fn announce(&mut self) {
        self.pending = true;
    }

    /// When to ask for connections without waiting for readiness.
    pub(super) fn retry_at_ms(&self) -> Option<u64> {
        self.pending.then_some(self.retry_at_ms)
    }

    /// Closes the listeners.
    pub(super) fn stop(&mut self) {
        self.listeners.clear();
        self.pending = false;
    }

    /// Whether it is time to ask for connections.
    #[inline]
    pub(super) fn is_due(&self, now: Now) -> bool {
        self.pending && now.mono_ms >= self.retry_at_ms
    }

    /// The next connection, if one waits and it is time.
    pub(super) fn next(&mut self, now: Now) -> Option<(Socket, PeerAddr)> {
        if !self.is_due(now) {
            return None;
        }
        for index in 0..self.listeners.len() {
            loop {
                match self.listeners[index].accept() {
                    Ok(accepted) => {
                        self.backoff_ms = 0;
                        return Some(accepted);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_out_of_descriptors(&error) => {
                        self.shed(index);
                        self.back_off(now);
                        return None;
                    }
                    // The client went before it was accepted.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        self.back_off(now);
                        return None;
                    }
                }
            }
        }
        self.pending = false;
        None
    }

    fn shed(&mut self, index: usize) {
        if self.reserve.take().is_some() {
            drop(self.listeners[index].accept());
        }
        self.reserve = open_reserve();
    }

    fn back_off(&mut self, now: Now) {
        let (first, longest) = ACCEPT_BACKOFF_MS;
        self.backoff_ms = (self.backoff_ms * 2).clamp(first, longest);
        self.retry_at_ms = now.mono_ms + self.backoff_ms;
    }
}

fn open_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}
