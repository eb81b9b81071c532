//! One running `ssh -N -L`: started, watched, ended.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::fault::{FaultKind, SshFault};
use super::words::{self, Login};
use crate::io::process::{self, Listener, ProcessId};
use crate::io::sys;
use crate::limits::{SSH_OPEN_MS, SSH_STDERR_BYTES_MAX, SSH_STOP_MS, TUNNEL_TURN_MS};

/// A tunnel of this process. It ends when this is dropped, and when the thread that opened it
/// ends, however that ends.
pub struct Tunnel {
    child: Child,
    id: ProcessId,
    stderr: Stderr,
    local_port: u16,
}

impl Tunnel {
    /// Starts `ssh`; whether it gets through is told by [`Tunnel::look`].
    ///
    /// # Errors
    ///
    /// When the local port is somebody else's, who is named, or `ssh` cannot be run.
    pub fn start(login: &Login, local_port: u16, remote_port: u16) -> Result<Self, SshFault> {
        check_free(local_port)?;
        let (stderr, theirs) = Stderr::pair().map_err(no_program)?;
        let mut command = Command::new(&login.program);
        command
            .args(words::tunnel(login, local_port, remote_port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(theirs)
            // An interrupt at the terminal is for this process, which ends the tunnel itself.
            .process_group(0);
        sys::die_with_this_thread(&mut command);
        let child = command.spawn().map_err(no_program)?;
        Ok(Self {
            id: ProcessId::of(child.id()),
            child,
            stderr,
            local_port,
        })
    }

    /// Starts `ssh` and waits until its port listens.
    ///
    /// # Errors
    ///
    /// When it does not come to that within its deadline.
    pub fn open(login: &Login, local_port: u16, remote_port: u16) -> Result<Self, SshFault> {
        let mut tunnel = Self::start(login, local_port, remote_port)?;
        let deadline = Instant::now() + Duration::from_millis(SSH_OPEN_MS);
        while !tunnel.look()? {
            if Instant::now() > deadline {
                let fault = format!("{} did not let us in in time", login.target);
                return Err(SshFault::new(FaultKind::Unreachable, fault));
            }
            thread::sleep(Duration::from_millis(TUNNEL_TURN_MS / 5));
        }
        Ok(tunnel)
    }

    /// Whether the tunnel's port listens.
    ///
    /// # Errors
    ///
    /// When `ssh` has ended: why, in its own words.
    pub fn look(&mut self) -> Result<bool, SshFault> {
        self.runs().map(|()| self.owns_port())
    }

    /// Whether `ssh` runs: cheaper than to ask who listens.
    ///
    /// # Errors
    ///
    /// When it has ended: why, in its own words.
    pub fn runs(&mut self) -> Result<(), SshFault> {
        self.stderr.drain();
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                // What it wrote last arrives before its end is told.
                self.stderr.drain();
                Err(SshFault::read(&self.stderr.text(), &how(status)))
            }
            Err(fault) => Err(SshFault::new(FaultKind::Other, fault.to_string())),
        }
    }

    /// Whether it is this very tunnel that listens on its port: asked before a secret is sent.
    pub fn owns_port(&self) -> bool {
        owns_port(&self.id, self.local_port)
    }

    /// Its process.
    pub fn id(&self) -> &ProcessId {
        &self.id
    }

    /// The port on this machine.
    pub fn local_port(&self) -> u16 {
        self.local_port
    }

    /// The end of what `ssh` wrote.
    pub fn said(&mut self) -> String {
        self.stderr.drain();
        self.stderr.text()
    }
}

impl Drop for Tunnel {
    /// Asks it to end, then makes it. The group holds the program of a `ProxyCommand` as well.
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        for signal in [Signal::TERM, Signal::KILL] {
            // A group that is gone is what is wanted.
            let _ = kill_process_group(group, signal);
            let deadline = Instant::now() + Duration::from_millis(SSH_STOP_MS);
            while Instant::now() < deadline {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    let _ = kill_process_group(group, Signal::KILL);
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Whether the `ssh` that is named listens on the port, itself or a process of its group (a
/// program called `ssh` may start the real one). Where the system does not tell who listens, that
/// it runs has to do: it ends when it cannot have the port.
pub fn owns_port(ssh: &ProcessId, port: u16) -> bool {
    match process::listeners(port) {
        Some(found) => !found.is_empty() && found.iter().all(|listener| listener.group == ssh.pid),
        None => TcpListener::bind(("127.0.0.1", port)).is_err(),
    }
}

/// Refuses a local port that another process has.
pub fn check_free(port: u16) -> Result<(), SshFault> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Err(fault) if fault.kind() == ErrorKind::AddrInUse => {
            let who = process::listeners(port).unwrap_or_default();
            Err(SshFault::new(FaultKind::PortTaken, taken(port, &who)))
        }
        Err(fault) => {
            let fault = format!("port {port} of this machine: {fault}");
            Err(SshFault::new(FaultKind::PortTaken, fault))
        }
        Ok(_) => Ok(()),
    }
}

fn taken(port: u16, who: &[Listener]) -> String {
    let who: Vec<String> = who
        .iter()
        .map(|listener| format!("{} (process {})", listener.name, listener.pid))
        .collect();
    match who.is_empty() {
        true => format!("port {port} of this machine is held by another process"),
        false => format!("port {port} of this machine is held by {}", who.join(", ")),
    }
}

fn no_program(fault: std::io::Error) -> SshFault {
    SshFault::new(FaultKind::NoProgram, format!("ssh cannot be run: {fault}"))
}

/// How a process ended, for people.
pub fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// The end of what a process writes to standard error, read without waiting.
struct Stderr {
    end: UnixStream,
    ring: VecDeque<u8>,
}

impl Stderr {
    fn pair() -> std::io::Result<(Self, Stdio)> {
        let (end, theirs) = UnixStream::pair()?;
        end.set_nonblocking(true)?;
        let ring = VecDeque::new();
        Ok((Self { end, ring }, OwnedFd::from(theirs).into()))
    }

    fn drain(&mut self) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = self.end.read(&mut chunk) {
            self.ring.extend(&chunk[..count]);
            let surplus = self.ring.len().saturating_sub(SSH_STDERR_BYTES_MAX);
            self.ring.drain(..surplus);
        }
    }

    fn text(&self) -> String {
        let (front, back) = self.ring.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_the_end_of_what_ssh_writes_is_kept() {
        let (mut stderr, _theirs) = Stderr::pair().unwrap();
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        stderr.end = reader;
        for round in 0..100 {
            writer.write_all(&vec![b'a' + round % 26; 4096]).unwrap();
            stderr.drain();
        }
        writer.write_all(b"the end").unwrap();
        assert!(stderr.ring.len() <= SSH_STDERR_BYTES_MAX);
        stderr.drain();
        assert_eq!(stderr.ring.len(), SSH_STDERR_BYTES_MAX);
        assert!(stderr.text().ends_with("the end"));
    }

    #[test]
    fn a_port_of_somebody_else_is_refused_and_its_holder_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = check_free(port).unwrap_err();
        assert_eq!(fault.kind, FaultKind::PortTaken);
        if cfg!(target_os = "linux") {
            let here = format!("(process {})", std::process::id());
            assert!(fault.message.contains(&here), "{fault}");
        }
        assert!(!owns_port(&ProcessId::of(1), port) || !cfg!(target_os = "linux"));
        drop(listener);
        assert!(check_free(port).is_ok());
    }
}
