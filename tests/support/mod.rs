//! A home of its own for each test, the built program in it, and gateways real and made up.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clawdia::client::url;

#[path = "../../src/client/testing.rs"]
mod testing;

pub use testing::{FakeGateway, Peer};

pub mod http;
pub mod model;
pub mod node;
pub mod tailscale;
pub mod telegram;

/// Asks until it is so.
#[track_caller]
pub fn eventually(is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it never came to be");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Waits until a process has ended by itself, and kills one that does not; gives its exit code.
#[track_caller]
pub fn ended(child: &mut Child) -> Option<i32> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if std::time::Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The same, where it ended well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// A home directory that is gone after the test.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A home in this directory.
    pub fn at(dir: tempfile::TempDir) -> Self {
        Self { dir }
    }

    /// The state directory of the unnamed profile.
    pub fn state(&self) -> std::path::PathBuf {
        self.dir.path().join(".clawdia")
    }

    /// Writes the configuration file.
    pub fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.state()).unwrap();
        std::fs::write(self.state().join("clawdia.json"), text).unwrap();
    }

    /// The program with this home and nothing of the machine's own settings.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clawdia"));
        command.args(words).stdin(Stdio::null());
        command.env_clear().env("HOME", self.dir.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        finish(self.command(words))
    }

    /// Starts a gateway and waits until it listens.
    pub fn gateway(&self, words: &[&str]) -> Running {
        let mut all = vec!["gateway", "run", "--port", "0"];
        all.extend(words);
        Running::start(self.command(&all))
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A gateway that runs until it is dropped.
pub struct Running {
    child: Child,
    /// As it is told to people.
    pub address: String,
    pub port: u16,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix("clawdia gateway listening on ")?;
            let (ip, port) = url.split_once("://")?.1.rsplit_once(':')?;
            Some((ip.to_owned(), port.parse().ok()?))
        });
        // Whatever it prints later must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let (address, port) = listens.expect("it says where it listens");
        Self {
            child,
            address,
            port,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits; gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        ended(&mut self.child)
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Option<i32> {
        ended(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
