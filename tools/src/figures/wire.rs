//! The wire layer alone, without a gateway behind it.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Table;
use crate::load::{Load, idle_bytes};
use crate::server::Server;

/// What each connection sends once and gets back.
const ECHO_BYTES: usize = 16 * 1024;

/// Memory of idle connections of `wire-echo`, before and after a message of 16 KiB on each.
///
/// # Errors
///
/// When `program` does not start, or refuses one of them.
pub fn idle(table: &mut Table, program: &Path, connections: usize) -> io::Result<()> {
    let server = Server::start(Command::new(program).args(["0", "echo"]))?;
    let load = Load {
        addr: server.addr(),
        connections,
        in_flight: 1,
        payload_bytes: ECHO_BYTES,
        deadline: Instant::now() + Duration::from_secs(60),
        events: false,
    };
    let (idle, after) = idle_bytes(load, server.pid())?;
    let what = format!("wire-echo, {connections} idle: memory of each");
    table.put_within(what, idle, "B", 256.0, 512.0);
    let what = "the same after a message of 16 KiB each";
    table.put_within(what, after, "B", 256.0, 512.0);
    Ok(())
}
