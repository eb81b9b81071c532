//! Where a load goes: a server that runs already, or one of our own on a core of its own.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::meter::{Cost, Meter};
use super::syscalls;
use crate::figures::Table;
use crate::gateway::{Home, Running};
use crate::server::{Server, pin};
use crate::tls::Door;

/// Kinds of system calls that are named one by one.
const CALLS_NAMED: usize = 5;

/// What was asked for before the mode.
pub struct Place {
    /// The port of a server that runs already.
    pub at: Option<u16>,
    /// Its process, if its processor time is to be told.
    pub pid: Option<u32>,
    /// The file with its secret, where it is a gateway.
    pub token_file: Option<PathBuf>,
    /// The directory of `clawdia`, `wire-echo` and `wire-floor`.
    pub programs: PathBuf,
    /// Each load is made once more, and its system calls are counted.
    pub syscalls: bool,
}

/// A server. One of our own ends with this value.
pub struct Target {
    /// How it is reached.
    pub door: Door,
    /// Its port.
    pub port: u16,
    /// Its process, if that is known.
    pub pid: Option<u32>,
    /// The secret of a gateway.
    pub token: String,
    // Ends before its home is taken away.
    _running: Option<Running>,
    _home: Option<Home>,
    _server: Option<Server>,
}

impl Place {
    /// A server of the wire layer: `wire-echo` in this mode, or what runs.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn wire(&self, mode: &str) -> io::Result<Target> {
        match self.at {
            Some(port) => Ok(self.running(port, String::new())),
            None => self.own("wire-echo", mode),
        }
    }

    /// The bare loop in this mode, always our own.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn floor(&self, mode: &str) -> io::Result<Target> {
        self.own("wire-floor", mode)
    }

    /// A gateway with this configuration, in a home that is gone afterwards; or what runs, with its own.
    ///
    /// # Errors
    ///
    /// When it does not start, or nobody said where the secret of one that runs is.
    pub fn gateway(&self, config: &str) -> io::Result<Target> {
        if let Some(port) = self.at {
            let file = self.token_file.as_ref().ok_or_else(|| {
                io::Error::other(
                    "--at of a gateway needs --token-file, such as ~/.clawdia/gateway-token",
                )
            })?;
            let token = fs::read_to_string(file).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })?;
            return Ok(self.running(port, token.trim().to_owned()));
        }
        let home = self.home(config)?;
        let running = home.start_apart()?;
        Ok(Target {
            door: home.door(&running)?,
            port: running.port,
            pid: Some(running.pid()),
            token: home.token()?,
            _running: Some(running),
            _home: Some(home),
            _server: None,
        })
    }

    /// A home for gateways that a mode starts and stops itself.
    ///
    /// # Errors
    ///
    /// Where the load was to go to one that runs, or there is no program.
    pub fn home(&self, config: &str) -> io::Result<Home> {
        self.is_own()?;
        let home = Home::new(&self.programs.join("clawdia"))?;
        home.configure(config)?;
        Ok(home)
    }

    /// Refuses what was asked for of a server that runs.
    ///
    /// # Errors
    ///
    /// Where the load was to go to one.
    pub fn is_own(&self) -> io::Result<()> {
        match self.at {
            None => Ok(()),
            Some(_) => Err(io::Error::other(
                "this mode starts and stops servers of its own: leave --at out",
            )),
        }
    }

    /// Makes a load and tells what it cost; once more for its system calls, if they are asked for.
    ///
    /// # Errors
    ///
    /// What `f` says, and when the system does not tell.
    pub fn measure(
        &self,
        table: &mut Table,
        target: &Target,
        (what, units): (&str, usize),
        mut f: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        target.cost(&mut f)?.tell(table, what, units);
        self.count(table, target, (what, units), f)
    }

    /// Makes a load for its system calls alone, if they are asked for.
    ///
    /// # Errors
    ///
    /// As [`Self::measure`].
    pub fn count(
        &self,
        table: &mut Table,
        target: &Target,
        (what, units): (&str, usize),
        f: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.syscalls {
            return Ok(());
        }
        let pid = target
            .pid
            .ok_or_else(|| io::Error::other("--syscalls of a server that runs needs --pid"))?;
        let counts = syscalls::count(pid, f)?;
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        let each = |count: u64| count as f64 / units as f64;
        table.tell(format!("{what}: system calls"), each(all), "");
        for (name, count) in counts.iter().take(CALLS_NAMED) {
            table.tell(format!("{what}: of them {name}"), each(*count), "");
        }
        Ok(())
    }

    fn running(&self, port: u16, token: String) -> Target {
        Target {
            door: port.into(),
            port,
            pid: self.pid,
            token,
            _running: None,
            _home: None,
            _server: None,
        }
    }

    fn own(&self, program: &str, mode: &str) -> io::Result<Target> {
        pin(0)?;
        let server = Server::start(Command::new(self.programs.join(program)).args(["0", mode]))?;
        pin(1)?;
        Ok(Target {
            door: server.port().into(),
            port: server.port(),
            pid: Some(server.pid()),
            token: String::new(),
            _running: None,
            _home: None,
            _server: Some(server),
        })
    }
}

impl Target {
    /// What a load costs.
    ///
    /// # Errors
    ///
    /// What `f` says, and when the server is gone.
    pub fn cost(&self, f: impl FnOnce() -> io::Result<()>) -> io::Result<Cost> {
        let meter = Meter::begin(self.pid)?;
        f()?;
        meter.end()
    }
}
