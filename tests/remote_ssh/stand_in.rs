//! A program called `ssh` that a test writes: it notes how it was called, answers questions from
//! files, and carries a port to another one of this machine, as this test's own binary.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::Home;

/// The folder of one stand-in.
pub struct Ssh {
    dir: tempfile::TempDir,
}

impl Ssh {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        let script = format!(
            r#"#!/bin/sh
cd '{dir}' || exit 1
words=$(printf '%s\n' "$@")
printf '%s\n' "$words" >"calls/$$"
[ ! -e refuse ] || {{ cat refuse >&2; exit 255; }}
case $words in
  *-N*) STAND_IN_WORDS=$words exec '{own}' --exact stand_in::as_ssh --nocapture >/dev/null ;;
  *'gateway status'*) cat status ;;
  *'clawdia token'*) cat token ;;
  *'gateway fingerprint'*) cat fingerprint ;;
esac
"#,
            dir = dir.path().display(),
            own = own.display()
        );
        let path = dir.path().join("ssh");
        std::fs::create_dir(dir.path().join("calls")).unwrap();
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    /// One whose host has a gateway of `home` on `port`.
    pub fn to(home: &Home, port: u16) -> Self {
        let ssh = Self::new();
        ssh.write(
            "status",
            &format!(r#"{{"url":"ws://127.0.0.1:{port}","version":"x"}}"#),
        );
        ssh.write("token", &home.run(&["token", "--json"]).ok().out);
        ssh
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub fn program(&self) -> PathBuf {
        self.dir.path().join("ssh")
    }

    /// How it was called, each time.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let entries = std::fs::read_dir(self.dir.path().join("calls")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        let words = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(str::to_owned).collect()
        };
        paths.iter().map(words).collect()
    }

    /// How often it was asked something, instead of carrying a port.
    pub fn questions(&self) -> usize {
        let calls = self.calls();
        calls
            .iter()
            .filter(|words| !words.contains(&"-N".to_owned()))
            .count()
    }

    /// The program of `home` that finds this stand-in on its path.
    pub fn command(&self, home: &Home, words: &[&str]) -> Command {
        let mut command = home.command(words);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.dir.path().display()));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, home: &Home, words: &[&str]) -> super::support::Ran {
        super::support::finish(self.command(home, words))
    }
}

/// A `tunnel` or `remote up` with `--json`, whose lines are read as they come.
pub struct Kept {
    child: Child,
    lines: Receiver<Value>,
}

impl Kept {
    pub fn start(mut command: Command) -> Self {
        command.arg("--json").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // What is no JSON is no line of a tunnel.
                let _ = serde_json::from_str(&line).map(|value| tell.send(value));
            }
        });
        Self { child, lines: told }
    }

    /// The next line with this phase.
    #[track_caller]
    pub fn until(&mut self, phase: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|fault| panic!("never {phase}: {fault}"));
            if line["phase"] == phase {
                return line;
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until it holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    clawdia::remote::record::free_port().unwrap()
}

/// The record of the only remote of `home`.
pub fn record(home: &Home) -> clawdia::remote::record::Record {
    let records = clawdia::remote::record::Records::new(&home.state()).list();
    assert_eq!(records.len(), 1);
    records.into_iter().next().unwrap()
}

/// What the stand-in does when it is asked for a tunnel; nothing when the tests run.
#[test]
fn as_ssh() {
    let Ok(words) = std::env::var("STAND_IN_WORDS") else {
        return;
    };
    let mut words = words.lines().skip_while(|word| *word != "-L");
    let forward: Vec<&str> = words.nth(1).unwrap().split(':').collect();
    let port = |at: usize| forward[at].parse::<u16>().unwrap();
    let listener = match TcpListener::bind((forward[0], port(1))) {
        Ok(listener) => listener,
        Err(_) => {
            eprintln!("bind [127.0.0.1]:{}: Address already in use", forward[1]);
            std::process::exit(255);
        }
    };
    for near in listener.incoming().map_while(Result::ok) {
        match TcpStream::connect((forward[2], port(3))) {
            Ok(far) => carry(&near, &far),
            Err(_) => eprintln!("channel 2: open failed: connect failed: Connection refused"),
        }
    }
}

fn carry(near: &TcpStream, far: &TcpStream) {
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// Whether a process of this number runs.
pub fn runs(pid: u32) -> bool {
    clawdia::io::process::ProcessId::of(pid).is_running()
}

/// The text of a file below the home's state.
pub fn state_file(home: &Home, name: &str) -> String {
    std::fs::read_to_string(Path::new(&home.state()).join(name)).unwrap_or_default()
}
