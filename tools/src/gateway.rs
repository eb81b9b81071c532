//! A gateway of our own: the real program on a free port, in a home that is gone afterwards.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clawdia::client::GatewayUrl;
use rustix::process::{Pid, Signal, kill_process};

use crate::server::pin;
use crate::tls::{Door, Trust};

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(60);

/// A home directory with a state directory in it.
pub struct Home {
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl Home {
    /// A fresh one for `program`, with nothing in it.
    ///
    /// # Errors
    ///
    /// When no directory can be made.
    pub fn new(program: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
            program: program.canonicalize().map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", program.display()))
            })?,
        })
    }

    /// The home itself.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the gateway keeps what survives.
    pub fn state(&self) -> PathBuf {
        self.path().join(".clawdia")
    }

    /// The secret that the gateway made for itself at its first start.
    ///
    /// # Errors
    ///
    /// Before that start.
    pub fn token(&self) -> io::Result<String> {
        let text = fs::read_to_string(self.state().join("gateway-token"))?;
        Ok(text.trim().to_owned())
    }

    /// Writes the configuration file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn configure(&self, text: &str) -> io::Result<()> {
        fs::create_dir_all(self.state())?;
        fs::write(self.state().join("clawdia.json"), text)
    }

    /// How a gateway of this home is reached: over TLS where it made a certificate.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    pub fn door(&self, gateway: &Running) -> io::Result<Door> {
        let pem = self.state().join("gateway-tls.pem");
        if !pem.exists() {
            return Ok(gateway.port.into());
        }
        let trust = Trust::new(&pem, &rustls::version::TLS13, false)?;
        Ok(Door::secure(gateway.port, trust))
    }

    /// The program with these words, nothing of the machine's own settings, and what it says
    /// kept in a file.
    ///
    /// # Errors
    ///
    /// When that file cannot be opened.
    pub fn command(&self, words: &[&str]) -> io::Result<Command> {
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(self.path().join("stderr"))?;
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).stderr(stderr);
        command.env_clear().env("HOME", self.path());
        Ok(command)
    }

    /// Starts the gateway, without waiting for it.
    ///
    /// # Errors
    ///
    /// When there is no such program.
    pub fn spawn(&self) -> io::Result<Child> {
        self.spawn_on(0)
    }

    fn spawn_on(&self, port: u16) -> io::Result<Child> {
        self.command(&["gateway", "run", "--port", &port.to_string()])?
            .stdout(Stdio::piped())
            .spawn()
    }

    /// Starts the gateway and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it ends or says nothing instead; the error has its last words.
    pub fn start(&self) -> io::Result<Running> {
        self.start_on(0)
    }

    /// Starts it on the first core; this thread, and what it starts from now on, has the second.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_apart(&self) -> io::Result<Running> {
        pin(0)?;
        let running = self.start()?;
        pin(1)?;
        Ok(running)
    }

    /// The same as [`Self::start`] on this port; 0 takes a free one.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_on(&self, port: u16) -> io::Result<Running> {
        let mut child = self.spawn_on(port)?;
        let Some(stdout) = child.stdout.take() else {
            return Err(io::Error::other("the gateway has no standard output"));
        };
        let (says, said) = mpsc::channel();
        thread::spawn(move || {
            // Read to the end, so that whatever it says finds a reader.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(port) = port_of(&line) {
                    let _ = says.send(port);
                }
            }
        });
        let port = said.recv_timeout(START_MAX);
        let mut running = Running { child, port: 0 };
        match port {
            Ok(port) => running.port = port,
            Err(_) => {
                drop(running);
                let said = fs::read_to_string(self.path().join("stderr")).unwrap_or_default();
                let last = said.lines().last().unwrap_or("and said nothing");
                return Err(io::Error::other(format!(
                    "the gateway did not start: {last}"
                )));
            }
        }
        Ok(running)
    }

    /// Leaves the directory where it is, for somebody to look into.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

/// A gateway that listens. It ends at the latest when this is dropped.
pub struct Running {
    child: Child,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its address.
    pub fn url(&self) -> GatewayUrl {
        GatewayUrl::loopback(self.port)
    }

    /// Ends it with SIGKILL, at once and without a word.
    pub fn kill(self) {}

    /// Asks it to end and waits.
    ///
    /// # Errors
    ///
    /// When it is gone already.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port_of(line: &str) -> Option<u16> {
    let address = line.strip_prefix("clawdia gateway listening on ")?;
    address.rsplit(':').next()?.parse().ok()
}
