//! A server on this machine that says `READY PORT` once it listens.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Puts this thread, and what it starts from now on, on one core: servers have the first, loads the second. A machine
/// with one core shares it.
///
/// # Errors
///
/// When the system does not let it.
pub fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core % cores());
    Ok(sched_setaffinity(None, &set)?)
}

/// Cores of the machine: once a thread is pinned, the standard library counts one.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Ends with this value.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ends without a word.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let port = line.trim().strip_prefix("READY ").unwrap_or("").parse();
        let mut server = Self { child, port: 0 };
        server.port = port.map_err(|_| io::Error::other(format!("{name} did not say its port")))?;
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
