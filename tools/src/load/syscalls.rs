//! System calls of a server, counted by `strace`: it slows the server down by a multiple, so nothing is timed meanwhile.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// How many of each call the threads of process `pid` make while `f` runs, most frequent first.
///
/// # Errors
///
/// When there is no `strace`, or it may not look, or what `f` says.
pub fn count(pid: u32, f: impl FnOnce() -> io::Result<()>) -> io::Result<Vec<(String, u64)>> {
    let mut child = Command::new("strace")
        .args(["-f", "-c", "-U", "name,calls", "-p", &pid.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("strace: {error}")))?;
    let stderr = child.stderr.take().map(BufReader::new);
    let mut stderr = stderr.ok_or_else(|| io::Error::other("strace has no standard error"))?;
    let watched = attached(&mut stderr).and_then(|()| f());
    let said = ended(child, stderr)?;
    watched.map(|()| parse(&said))
}

/// Waits until it looks.
fn attached(stderr: &mut impl BufRead) -> io::Result<()> {
    let mut line = String::new();
    stderr.read_line(&mut line)?;
    match line.contains("attached") {
        true => Ok(()),
        false => Err(io::Error::other(line.trim().to_owned())),
    }
}

/// Lets go of the server; what was said.
fn ended(mut child: Child, mut stderr: BufReader<ChildStderr>) -> io::Result<String> {
    // One that has ended already says so itself.
    let _ = kill_process(Pid::from_child(&child), Signal::INT);
    let mut said = String::new();
    stderr.read_to_string(&mut said)?;
    child.wait()?;
    Ok(said)
}

/// The rows of its table: a name and a count, in the order that was asked for.
fn parse(said: &str) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = said
        .lines()
        .filter_map(|line| {
            let (name, count) = line.trim().split_once(char::is_whitespace)?;
            let count = count.trim().parse().ok()?;
            (name != "total").then(|| (name.to_owned(), count))
        })
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let said = "strace: Process 1 detached\nsyscall          calls\n---------- ---------\n\
                    futex               1\nrecvfrom       64000\nsendto         63999\n\
                    ---------- ---------\ntotal         128000\n";
        let counts = parse(said);
        assert_eq!(counts.len(), 3);
        assert_eq!(counts[0], ("recvfrom".to_owned(), 64_000));
        assert_eq!(counts[2], ("futex".to_owned(), 1));
    }

    #[test]
    fn what_cannot_be_watched_is_said() {
        let mut said = &b"strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"[..];
        let error = attached(&mut said).unwrap_err();
        assert!(error.to_string().contains("not permitted"));
    }
}
