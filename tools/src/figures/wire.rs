//! The wire layer alone, without a gateway behind it.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Table;
use crate::load::{Load, idle_bytes};

/// What each connection sends once and gets back.
const ECHO_BYTES: usize = 16 * 1024;

/// Memory of idle connections of `wire-echo`, before and after a message of 16 KiB on each.
///
/// # Errors
///
/// When `server`, the program, does not start, or refuses one of them.
pub fn idle(table: &mut Table, server: &Path, connections: usize) -> io::Result<()> {
    let mut child = Command::new(server)
        .args(["0", "echo"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::other(format!("{}: {error}", server.display())))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let port = line.trim().strip_prefix("READY ").unwrap_or("");
    let measured = match port.parse() {
        Ok(port) => idle_bytes(
            Load {
                addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                connections,
                in_flight: 1,
                payload_bytes: ECHO_BYTES,
                messages: connections,
                deadline: Instant::now() + Duration::from_secs(60),
                events: false,
            },
            child.id(),
        ),
        Err(_) => Err(io::Error::other("wire-echo did not say its port")),
    };
    child.kill()?;
    child.wait()?;
    let (idle, after) = measured?;
    let what = format!("wire-echo, {connections} idle: memory of each");
    table.put(what, idle, "B", 256.0);
    table.put("the same after a message of 16 KiB each", after, "B", 256.0);
    Ok(())
}
