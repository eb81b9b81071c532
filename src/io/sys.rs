//! What the operating system is asked for besides sockets and files.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::net::{RecvFlags, SendFlags};
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
    // Where there are very few, half of them are for connections all the same.
    let used = highest_slot as u64 + RESERVE.min(limit / 2);
    usize::try_from(limit.saturating_sub(used)).unwrap_or(usize::MAX)
}

/// The memory that this process may use: the machine's, or its control group's or its own limit's if that is less.
pub fn memory_bytes() -> Option<usize> {
    let group = super::memory::group_bytes();
    let own = getrlimit(Resource::As).current;
    let limits = [group, own].into_iter().flatten();
    let limits = limits.filter_map(|bytes| usize::try_from(bytes).ok());
    machine_memory_bytes().into_iter().chain(limits).min()
}

/// Gives memory that was freed back to the system, which the C library does only now and then.
#[cfg(target_env = "gnu")]
pub fn give_back_memory() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: it takes a number and gives one, and may be called from any thread at any time (malloc_trim(3)).
    unsafe { malloc_trim(0) };
}

/// Other C libraries give it back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_memory() {}

#[cfg(target_os = "linux")]
fn machine_memory_bytes() -> Option<usize> {
    let info = rustix::system::sysinfo();
    usize::try_from(info.totalram)
        .ok()?
        .checked_mul(info.mem_unit as usize)
}

#[cfg(not(target_os = "linux"))]
fn machine_memory_bytes() -> Option<usize> {
    None
}

/// Elsewhere the signal of a socket that nobody reads is ignored by the standard library.
#[cfg(target_os = "linux")]
const WITHOUT_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const WITHOUT_SIGNAL: SendFlags = SendFlags::empty();

/// Takes what a socket has received; `Ok(0)` is the end. Every message passes here, so the kernel
/// is asked without the standard library's detour.
///
/// # Errors
///
/// `WouldBlock` while there is nothing, or whatever is wrong with the connection.
#[inline(always)]
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(len)
}

/// Sends what the kernel takes of `bytes`; how many that were.
///
/// # Errors
///
/// `WouldBlock` while it takes none, or whatever is wrong with the connection.
#[inline(always)]
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, WITHOUT_SIGNAL)?)
}

/// The user of the process that connected to a Unix socket.
///
/// # Errors
///
/// When the kernel does not say: then nobody can be let in.
#[cfg(target_os = "linux")]
pub fn peer_uid(stream: impl AsFd) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

#[cfg(not(target_os = "linux"))]
pub fn peer_uid(_stream: impl AsFd) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The first descriptor that a supervisor hands over (sd_listen_fds(3)).
const INHERITED_FIRST: i32 = 3;
/// More sockets than anybody hands to one program.
const INHERITED_MAX: u32 = 16;

/// The open descriptors from 3 on, which a supervisor left there for this process. No child of
/// ours inherits them. To be called once, before anything else opens a file.
///
/// # Errors
///
/// When one of them is not open, or there are too many.
#[allow(unsafe_code)]
pub fn take_inherited(count: u32) -> io::Result<Vec<std::os::fd::OwnedFd>> {
    use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
    if count > INHERITED_MAX {
        return Err(io::Error::other("too many sockets were handed over"));
    }
    let take = |raw: i32| {
        // SAFETY: only looked at: a number that is not open fails with EBADF.
        let seen = unsafe { BorrowedFd::borrow_raw(raw) };
        rustix::io::fcntl_setfd(seen, rustix::io::FdFlags::CLOEXEC)?;
        // SAFETY: it is open, and by LISTEN_PID and LISTEN_FDS it was left for this process: nothing
        // else here owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(raw) })
    };
    (INHERITED_FIRST..).take(count as usize).map(take).collect()
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

/// Lets the process that `command` starts be killed when the thread that starts it ends, however
/// that ends; so it is started from a thread that lives as long as it shall.
#[cfg(target_os = "linux")]
pub fn die_with_this_thread(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
    use std::os::unix::process::CommandExt;
    let parent = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Who ended before the line above sends no signal any more.
        match getppid() == Some(parent) {
            true => Ok(()),
            false => Err(rustix::io::Errno::SRCH.into()),
        }
    };
    // SAFETY: between fork and exec it makes two system calls, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Other systems have no such signal: what is left over is ended at the next start.
#[cfg(not(target_os = "linux"))]
pub fn die_with_this_thread(_command: &mut Command) {}
