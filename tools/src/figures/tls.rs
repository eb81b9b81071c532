//! What TLS costs on top: handshakes, records, memory, and a fleet that comes back at once.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clawdia::driver::device::Device;
use clawdia::wire::frame::Opcode;
use rustls::version::{TLS12, TLS13};

use super::Table;
use super::party::{As, Party, join_all};
use crate::client::{masked_frame, server_frame};
use crate::gateway::{Home, Running};
use crate::process::{cpu_us, resident_bytes};
use crate::server::Server;
use crate::tls::{Door, Trust, Wire};

/// What the gateway's configuration has to be.
pub const ON: &str = "{ gateway: { tls: { enabled: true } } }";
/// What a connection may cost, in bytes.
pub const CONNECTION_BYTES: f64 = 5_120.0;
/// Connections that have a message under way each.
const TALKERS: usize = 64;
/// Threads that let a fleet in.
const CROWD: usize = 32;

/// `wire-echo` over TLS, until it is dropped.
struct Secured {
    server: Server,
    dir: tempfile::TempDir,
}

impl Secured {
    fn start(program: &Path) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let certificate = dir.path().join("certificate.pem");
        let mut command = Command::new(program);
        command.args(["0", "echo", "--tls"]).arg(certificate);
        let server = Server::start(&mut command)?;
        Ok(Self { server, dir })
    }

    fn door(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        resumes: bool,
    ) -> io::Result<Door> {
        let trust = Trust::new(&self.dir.path().join("certificate.pem"), version, resumes)?;
        Ok(Door::secure(self.server.port(), trust))
    }

    /// Processor time of the server for one of `times` that `f` does, in microseconds.
    fn cost(&self, times: usize, f: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
        let before = cpu_us(self.server.pid())?;
        f()?;
        Ok((cpu_us(self.server.pid())? - before) as f64 / times as f64)
    }
}

/// Handshakes, records and memory of the wire layer alone.
///
/// # Errors
///
/// When `program`, which is `wire-echo`, does not start or refuses somebody.
pub fn wire(table: &mut Table, program: &Path, handshakes: usize, idle: usize) -> io::Result<()> {
    let server = Secured::start(program)?;
    for (what, version, resumes) in [
        ("TLS 1.3, full", &TLS13, false),
        ("TLS 1.2, full", &TLS12, false),
        ("TLS 1.3, resumed", &TLS13, true),
        ("TLS 1.2, resumed", &TLS12, true),
    ] {
        let door = server.door(version, resumes)?;
        drop(door.open()?);
        let us = server.cost(handshakes, || {
            (0..handshakes).try_for_each(|_| door.open().map(drop))
        })?;
        let what = format!("{what}: accept, handshake, upgrade, end: CPU");
        table.tell(what, us, "us");
    }
    for (size, rounds) in [(64, 300), (1_024, 300), (16 * 1_024, 60)] {
        let us = echo(&server, size, rounds)?;
        table.tell(
            format!("echo of {size} B over TLS, {TALKERS} connections: CPU"),
            us,
            "us",
        );
    }
    let door = server.door(&TLS13, false)?;
    let empty = resident_bytes(server.server.pid())?;
    let open: Vec<Box<dyn Wire>> = (0..idle).map(|_| door.open()).collect::<Result<_, _>>()?;
    let full = resident_bytes(server.server.pid())?;
    let each = (full as f64 - empty as f64) / open.len() as f64;
    let what = format!("wire-echo over TLS, {idle} idle: memory of each");
    table.put_within(what, each, "B", CONNECTION_BYTES, CONNECTION_BYTES * 1.5);
    Ok(())
}

/// Every connection sends one, then every one gets one: what a message costs.
fn echo(server: &Secured, size: usize, rounds: usize) -> io::Result<f64> {
    let door = server.door(&TLS13, false)?;
    let mut talkers: Vec<_> = (0..TALKERS)
        .map(|_| door.open())
        .collect::<Result<_, _>>()?;
    let payload = vec![b'a'; size];
    let request = masked_frame(Opcode::Text, &payload);
    let expected = server_frame(Opcode::Text, &payload);
    let mut reply = vec![0; expected.len()];
    let mut round = |talkers: &mut Vec<Box<dyn Wire>>| -> io::Result<()> {
        for talker in talkers.iter_mut() {
            talker.write_all(&request)?;
            talker.flush()?;
        }
        for talker in talkers.iter_mut() {
            talker.read_exact(&mut reply)?;
            if reply != expected {
                return Err(io::Error::other("a reply is not what was sent"));
            }
        }
        Ok(())
    };
    round(&mut talkers)?;
    server.cost(rounds * TALKERS, || {
        (0..rounds).try_for_each(|_| round(&mut talkers))
    })
}

/// Nodes that a restart has cut off all come back at once, while somebody asks for `health`. `start` starts the
/// gateway.
///
/// # Errors
///
/// When one of them is not let in.
pub fn fleet(
    table: &mut Table,
    home: &Home,
    start: fn(&Home) -> io::Result<Running>,
    count: usize,
) -> io::Result<()> {
    let devices: Vec<Device> = (0..count)
        .map(|n| Device::new(2 << 32 | n as u64))
        .collect();
    let who: Vec<As<'_>> = devices.iter().map(As::Node).collect();
    let gateway = start(home)?;
    drop(join_all(home.door(&gateway)?, &who, &home.token()?)?);
    gateway.stop()?;

    let gateway = start(home)?;
    let (door, token) = (home.door(&gateway)?, home.token()?);
    let (mut asker, _) = Party::join(door.clone(), As::Operator, &token)?;
    let request = masked_frame(
        Opcode::Text,
        br#"{"type":"req","id":"h","method":"health"}"#,
    );
    let back = AtomicBool::new(false);
    let begun = Instant::now();
    let (mut waits, all_back) = thread::scope(|scope| -> io::Result<_> {
        let share = who.len().div_ceil(CROWD);
        let crowds: Vec<_> = who
            .chunks(share)
            .map(|crowd| {
                let (door, token) = (door.clone(), &token);
                scope.spawn(move || -> io::Result<Vec<Party>> {
                    let mut joined = Vec::with_capacity(crowd.len());
                    for node in crowd {
                        joined.push(Party::join(door.clone(), *node, token)?.0);
                    }
                    Ok(joined)
                })
            })
            .collect();
        let back = &back;
        let asking = scope.spawn(move || -> io::Result<Vec<Duration>> {
            let mut waits = Vec::new();
            while !back.load(Ordering::Relaxed) {
                let asked = Instant::now();
                asker.send(&request)?;
                asker.answers()?;
                waits.push(asked.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            Ok(waits)
        });
        let panicked = |_| io::Error::other("a thread of ours panicked");
        let joined: io::Result<Vec<_>> = crowds
            .into_iter()
            .map(|crowd| crowd.join().map_err(panicked)?)
            .collect();
        let all_back = begun.elapsed();
        back.store(true, Ordering::Relaxed);
        let waits = asking.join().map_err(panicked)??;
        drop(joined?);
        Ok((waits, all_back))
    })?;
    waits.sort();
    let p99 = waits[waits.len() * 99 / 100].as_secs_f64() * 1_000.0;
    table.put(
        format!("{count} nodes back{} after a restart", door.suffix()),
        all_back.as_secs_f64(),
        "s",
        10.0,
    );
    table.put("health meanwhile, p99", p99, "ms", 50.0);
    gateway.stop()?;
    Ok(())
}
