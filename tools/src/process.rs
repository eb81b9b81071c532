//! What the operating system knows about another process.

use std::fs;
use std::io;

/// Bytes of memory that a process has resident.
///
/// # Errors
///
/// When there is no such process, or it is not ours.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    // The rollup is exact; the counters of `status` lag behind by many pages.
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .ok_or_else(unreadable)?;
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .map_err(|_| unreadable())?;
    Ok(kib * 1024)
}

/// Microseconds of processor time that a process has used, user and kernel.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_us(pid: u32) -> io::Result<u64> {
    // The scheduler's own figure, in nanoseconds; `stat` counts ticks of 10 ms. One thread serves.
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let ns: u64 = stat
        .split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .ok_or_else(unreadable)?;
    Ok(ns / 1_000)
}

fn unreadable() -> io::Error {
    io::Error::other("the system's figures for the process cannot be read")
}
