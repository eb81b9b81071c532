//! Signals as readiness: each kind writes a byte into a socket of its own that the loop watches.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::net::UnixStream;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT: stop in an orderly way.
    Terminate,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: stop in an orderly way, to be started again.
    Restart,
}

impl Signal {
    /// Every signal that is watched, each at its own number.
    pub const ALL: [Self; 3] = [Self::Terminate, Self::Reload, Self::Restart];
}

/// The receiving ends, one for each of [`Signal::ALL`].
pub struct Signals {
    pub(super) ends: [UnixStream; Signal::ALL.len()],
}

impl Signals {
    /// Takes the signals over from the process's defaults.
    ///
    /// # Errors
    ///
    /// When no sockets or handlers can be had.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            ends: [
                watch(&[SIGTERM, SIGINT])?,
                watch(&[SIGHUP])?,
                watch(&[SIGUSR1])?,
            ],
        })
    }

    /// Takes what arrived at one end, so that the next signal is noticed; whether anything had.
    pub(super) fn take(&self, index: usize) -> bool {
        let (mut bytes, mut came) = ([0; 64], false);
        while matches!((&self.ends[index]).read(&mut bytes), Ok(n) if n > 0) {
            came = true;
        }
        came
    }
}

/// A flag that SIGTERM, SIGINT and SIGHUP set, for a program without a loop over sockets: it ends
/// in an orderly way once it sees it.
///
/// # Errors
///
/// When no handlers can be had.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn watch(signals: &[i32]) -> io::Result<UnixStream> {
    let (here, there) = std::os::unix::net::UnixStream::pair()?;
    here.set_nonblocking(true)?;
    there.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, there.try_clone()?)?;
    }
    Ok(UnixStream::from_std(here))
}
