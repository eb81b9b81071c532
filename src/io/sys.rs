//! What the operating system is asked for besides sockets and files.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open descriptors to the hard one; how many there may be.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Some systems refuse what they named as their maximum: then the old limit stays.
    let now = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    now.unwrap_or(u64::MAX)
}

/// How many more descriptors the process may open, a reserve for files kept back, when
/// connections use the slots up to `highest_slot`.
pub fn descriptors_left(highest_slot: usize) -> usize {
    const RESERVE: u64 = 64;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let used = highest_slot as u64 + RESERVE;
    usize::try_from(limit.saturating_sub(used)).unwrap_or(usize::MAX)
}

/// Whether accept failed because this process or the system is out of descriptors.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
