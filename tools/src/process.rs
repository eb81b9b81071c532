//! What the operating system knows about another process.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Bytes of memory that a process has resident.
///
/// # Errors
///
/// When there is no such process, or it is not ours.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    rollup_bytes(pid, "Rss:")
}

/// Bytes of memory that are a process's own: without pages of files, such as the program's, which come and go.
///
/// # Errors
///
/// When there is no such process, or it is not ours.
pub fn own_bytes(pid: u32) -> io::Result<u64> {
    rollup_bytes(pid, "Anonymous:")
}

/// Bytes of memory that a gateway has resident when it has rested, which it does after half a second in which nobody
/// says anything; waits for that.
///
/// # Errors
///
/// When there is no such process, or it is not ours.
pub fn resting_bytes(pid: u32) -> io::Result<u64> {
    let mut most = 0;
    for _ in 0..60 {
        let bytes = resident_bytes(pid)?;
        if bytes + 1_000_000 < most {
            return Ok(bytes);
        }
        most = most.max(bytes);
        thread::sleep(Duration::from_millis(50));
    }
    Ok(most)
}

fn rollup_bytes(pid: u32, name: &str) -> io::Result<u64> {
    // The rollup is exact; the counters of `status` lag behind by many pages.
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    let kib: u64 = line
        .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(unreadable)?;
    Ok(kib * 1024)
}

/// The most bytes of memory that a process has had resident.
///
/// # Errors
///
/// When there is no such process.
pub fn highest_resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.map(|kib: u64| kib * 1024).ok_or_else(unreadable)
}

/// Microseconds of processor time that the main thread of a process has used, user and kernel.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_us(pid: u32) -> io::Result<u64> {
    thread_cpu_us(format!("/proc/{pid}/schedstat"))
}

/// Microseconds of processor time that the calling thread has used.
pub fn own_cpu_us() -> f64 {
    // What the scheduler writes down of a thread that runs is as old as its last tick.
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as f64 * 1e6 + used.tv_nsec as f64 / 1e3
}

/// As [`cpu_us`], of all threads that a process has now.
///
/// # Errors
///
/// When there is no such process.
pub fn process_cpu_us(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        sum += thread_cpu_us(thread?.path().join("schedstat"))?;
    }
    Ok(sum)
}

/// Microseconds of processor time of all children that have ended, in steps of 10 ms.
///
/// # Errors
///
/// When the system does not tell.
pub fn children_cpu_us() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name may hold blanks; behind it, cutime and cstime are the 14th and 15th field.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let ticks: u64 = fields
        .skip(13)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Ok(ticks * 10_000)
}

fn thread_cpu_us(path: impl AsRef<std::path::Path>) -> io::Result<u64> {
    schedule_us(path).map(|(ran, _)| ran)
}

/// Microseconds that a thread has run, and that it wanted a core and had none, from its `schedstat`.
///
/// # Errors
///
/// When there is no such thread.
pub fn schedule_us(path: impl AsRef<std::path::Path>) -> io::Result<(u64, u64)> {
    // The scheduler's own figures, in nanoseconds; `stat` counts ticks of 10 ms.
    let text = fs::read_to_string(path)?;
    let mut us = text
        .split_whitespace()
        .map(|ns| ns.parse::<u64>().map(|ns| ns / 1_000));
    match (us.next(), us.next()) {
        (Some(Ok(ran)), Some(Ok(waited))) => Ok((ran, waited)),
        _ => Err(unreadable()),
    }
}

fn unreadable() -> io::Error {
    io::Error::other("the system's figures for the process cannot be read")
}
