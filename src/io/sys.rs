//! What the operating system is asked for besides sockets and files.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::io::Errno;
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

/// How many more descriptors a process that may have `limit` of them may open, a reserve for files kept back, when
/// connections use the slots up to `highest_slot`.
pub fn descriptors_left(limit: u64, highest_slot: usize) -> usize {
    const RESERVE: u64 = 64;
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

/// The pages of the program and of the libraries that it was linked with: code, and data that never changes.
#[derive(Default)]
pub struct ProgramPages {
    mappings: Vec<Range<usize>>,
}

impl ProgramPages {
    /// Those of this process; none where the system does not say. To be called before anything else is loaded:
    /// what is mapped by then stays mapped.
    pub fn find() -> Self {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        Self {
            mappings: unchanged_mappings(&smaps),
        }
    }

    /// Drops them from memory. What is wanted again is read from its file, which is to say from the page cache.
    #[cfg(target_os = "linux")]
    pub fn give_back(&self) {
        use rustix::mm::{Advice, madvise};
        for mapping in &self.mappings {
            let start = mapping.start as *mut std::ffi::c_void;
            // SAFETY: the mapping is of a file, may not be written to and has no page that differs from the file's, so
            // that whoever reads it next sees the same bytes (madvise(2)); nobody unmaps the program or what it is linked with.
            let _ = unsafe { madvise(start, mapping.len(), Advice::LinuxDontNeed) };
        }
    }

    /// Other systems give nothing back.
    #[cfg(not(target_os = "linux"))]
    pub fn give_back(&self) {}
}

/// The mappings of files that can be read and not written, and of which no page was changed (proc(5), smaps).
fn unchanged_mappings(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some((start, end)) = first.split_once('-') {
            let (permissions, path) = (words.next(), words.nth(3));
            let is_fixed = permissions.is_some_and(|flags| flags.starts_with("r-"));
            let is_file = path.is_some_and(|path| path.starts_with('/'));
            let start = usize::from_str_radix(start, 16);
            let end = usize::from_str_radix(end, 16);
            candidate = match (start, end) {
                (Ok(start), Ok(end)) if is_fixed && is_file => Some(start..end),
                _ => None,
            };
        } else if first == "Anonymous:" && words.next() == Some("0") {
            found.extend(candidate.take());
        }
    }
    found
}

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

/// Sends what the kernel takes of `bytes`: how many that were, 0 while it takes none, `None` for a broken connection.
#[inline(always)]
pub fn send(socket: impl AsFd, bytes: &[u8]) -> Option<usize> {
    match rustix::net::send(socket, bytes, WITHOUT_SIGNAL) {
        Ok(len) => Some(len),
        Err(Errno::AGAIN | Errno::INTR) => Some(0),
        Err(_) => None,
    }
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
            false => Err(Errno::SRCH.into()),
        }
    };
    // SAFETY: between fork and exec it makes two system calls, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Other systems have no such signal: what is left over is ended at the next start.
#[cfg(not(target_os = "linux"))]
pub fn die_with_this_thread(_command: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mappings_of_files_that_nobody_can_have_changed_are_given_back() {
        let smaps = "\
1000-3000 r--p 00000000 fe:00 17 /usr/bin/clawdia\nRss: 8 kB\nAnonymous: 0 kB\nVmFlags: rd mr\n\
3000-4000 r-xp 00002000 fe:00 17 /usr/bin/with a blank\nAnonymous: 0 kB\n\
4000-5000 r--p 00003000 fe:00 17 /usr/bin/clawdia\nAnonymous: 4 kB\n\
5000-6000 rw-p 00004000 fe:00 17 /usr/bin/clawdia\nAnonymous: 0 kB\n\
6000-7000 rw-p 00000000 00:00 0 [heap]\nAnonymous: 0 kB\n\
7000-8000 r-xp 00000000 00:00 0 [vdso]\nAnonymous: 0 kB\n\
8000-9000 r--p 00000000 00:00 0\nAnonymous: 0 kB\n";
        assert_eq!(unchanged_mappings(smaps), [0x1000..0x3000, 0x3000..0x4000]);
        assert!(unchanged_mappings("nonsense\n\nz-y r--p 0 0 0 /file\n").is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_program_goes_on_without_its_pages_and_needs_less_memory() {
        let pages = ProgramPages::find();
        assert!(!pages.mappings.is_empty());
        let resident_kib = || {
            let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
            let line = smaps.lines().find(|line| line.starts_with("Rss:")).unwrap();
            line.split_ascii_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let before = resident_kib();
        pages.give_back();
        assert!(resident_kib() < before);
    }
}
