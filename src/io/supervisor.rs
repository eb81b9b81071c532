//! What a supervisor such as systemd is told, and what it hands over: sd_notify(3) and
//! sd_listen_fds(3), spoken natively.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::net::sockopt;

use super::socket::Listener;
use super::sys;

/// Reads one environment variable; an unset one is none.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The way to the supervisor, if there is one.
#[derive(Debug)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that we live.
    pub watchdog: Option<Duration>,
}

impl Supervisor {
    /// Finds it by `NOTIFY_SOCKET`, a path or, with an `@`, an abstract name.
    ///
    /// # Errors
    ///
    /// When the variable names no socket: whoever set it waits for us.
    pub fn find(variable: Lookup<'_>) -> io::Result<Self> {
        let socket = match variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => {
                let addr = match name.strip_prefix('@') {
                    Some(name) => SocketAddr::from_abstract_name(name)?,
                    None => SocketAddr::from_pathname(&name)?,
                };
                let socket = UnixDatagram::unbound()?;
                // The loop never waits, not even for its supervisor.
                socket.set_nonblocking(true)?;
                Some((socket, addr))
            }
        };
        Ok(Self {
            socket,
            watchdog: watchdog(variable),
        })
    }

    /// Nobody who wants to know anything.
    pub fn none() -> Self {
        Self {
            socket: None,
            watchdog: None,
        }
    }

    /// Everything is served from now on.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// The configuration is being read again; `ready` follows.
    pub fn reloading(&self, mono_us: u64) {
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={mono_us}"));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=shutting down");
    }

    /// The loop goes round.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, text: &str) {
        if let Some((socket, addr)) = &self.socket {
            // A supervisor that does not listen is no reason to stop serving.
            let _ = socket.send_to_addr(text.as_bytes(), addr);
        }
    }
}

/// Half of the time after which we are taken for dead, if it is us who is watched.
fn watchdog(variable: Lookup<'_>) -> Option<Duration> {
    let is_ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
    let limit_us: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    (is_ours && limit_us > 0).then(|| Duration::from_micros(limit_us / 2))
}

/// The listening sockets that were handed over at the start; none where nobody did.
///
/// # Errors
///
/// When what was handed over is no listening stream socket.
pub fn handed_over(variable: Lookup<'_>) -> io::Result<Vec<Listener>> {
    let is_ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let count = variable("LISTEN_FDS")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    if !is_ours || count == 0 {
        return Ok(Vec::new());
    }
    sys::take_inherited(count)?
        .into_iter()
        .map(listener)
        .collect()
}

fn listener(fd: OwnedFd) -> io::Result<Listener> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let fd_ref = fd.as_fd();
    if sockopt::socket_type(fd_ref)? != rustix::net::SocketType::STREAM
        || !sockopt::socket_acceptconn(fd_ref)?
    {
        return Err(wrong("it is no listening stream socket"));
    }
    match sockopt::socket_domain(fd_ref)? {
        rustix::net::AddressFamily::INET | rustix::net::AddressFamily::INET6 => {
            Listener::from_tcp(fd.into())
        }
        rustix::net::AddressFamily::UNIX => Listener::from_unix(fd.into()),
        _ => Err(wrong("it is neither TCP nor a Unix socket")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    #[test]
    fn a_supervisor_is_told_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("clawdia-test-{}", std::process::id());
        let abstract_addr = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, named) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.display().to_string(),
            ),
            (
                UnixDatagram::bind_addr(&abstract_addr).unwrap(),
                format!("@{name}"),
            ),
        ] {
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let lookup = |name: &str| (name == "NOTIFY_SOCKET").then(|| named.clone());
            let supervisor = Supervisor::find(&lookup).unwrap();
            supervisor.ready("up");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=up");
            supervisor.reloading(7);
            assert_eq!(heard(&socket), "RELOADING=1\nMONOTONIC_USEC=7");
            supervisor.alive();
            assert_eq!(heard(&socket), "WATCHDOG=1");
            supervisor.stopping();
            assert!(heard(&socket).starts_with("STOPPING=1"));
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let pid = std::process::id().to_string();
        for (named, usec, expected) in [
            (None, "20000000", Some(10)),
            (Some(pid.as_str()), "20000000", Some(10)),
            (Some("1"), "20000000", None),
            (None, "0", None),
            (None, "soon", None),
        ] {
            let lookup = |name: &str| match name {
                "WATCHDOG_USEC" => Some(usec.to_owned()),
                "WATCHDOG_PID" => named.map(str::to_owned),
                _ => None,
            };
            assert_eq!(
                watchdog(&lookup),
                expected.map(Duration::from_secs),
                "{named:?} {usec}"
            );
        }
    }

    #[test]
    fn nothing_is_taken_that_was_handed_to_another_process() {
        for (pid, count) in [("1", "1"), ("", "1")] {
            let lookup = |name: &str| match name {
                "LISTEN_PID" => Some(pid.to_owned()),
                "LISTEN_FDS" => Some(count.to_owned()),
                _ => None,
            };
            assert!(handed_over(&lookup).unwrap().is_empty());
        }
        assert!(handed_over(&|_| None).unwrap().is_empty());
    }
}
