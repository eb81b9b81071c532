//! What other processes of this profile see of a tunnel: a file in the state directory, and a
//! lock that its supervisor holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::fault::{FaultKind, SshFault};
use super::target::SshTarget;
use super::tunnel;
use crate::client::files;
use crate::io::atomic;
use crate::io::file_lock::{self, FileLock};
use crate::io::process::ProcessId;

/// How a tunnel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// `ssh` is on its way.
    Opening,
    /// The gateway answers through it.
    Up,
    /// It stands, and the gateway at its far end does not answer or refuses.
    Unanswered,
    /// It failed and is opened again later.
    Waiting,
    /// It was taken down, or its supervisor is gone.
    Down,
}

impl Phase {
    /// The word for people and scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Up => "up",
            Self::Unanswered => "unanswered",
            Self::Waiting => "waiting",
            Self::Down => "down",
        }
    }
}

/// One gateway elsewhere, as this profile knows it. It stays when the tunnel goes, so that the
/// next one has the same ports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// `user@host[:port]`.
    pub target: String,
    /// The private key's file, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
    /// The gateway's port there.
    pub remote_port: u16,
    /// The tunnel's port here.
    pub local_port: u16,
    /// How it stands.
    pub phase: Phase,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// How often `ssh` was started.
    pub generation: u64,
    /// The process that watches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<ProcessId>,
    /// The running `ssh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<ProcessId>,
    /// The gateway's version, once it was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is wrong now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Record {
    /// Whom it is for.
    pub fn target(&self) -> Result<SshTarget, String> {
        SshTarget::parse(&self.target)
    }

    /// Whether its supervisor runs.
    pub fn is_watched(&self) -> bool {
        self.supervisor.as_ref().is_some_and(ProcessId::is_running)
    }

    /// Whether its `ssh` listens on its port now, so that a secret may go there.
    pub fn stands(&self) -> bool {
        self.ssh
            .as_ref()
            .is_some_and(|ssh| ssh.is_running() && tunnel::owns_port(ssh, self.local_port))
    }

    /// As it is shown: what a supervisor wrote last is no longer true once it is gone.
    pub fn settled(mut self) -> Self {
        if !self.is_watched() {
            self.phase = Phase::Down;
            self.supervisor = None;
        }
        self
    }
}

/// `<state>/remote`: the records of a profile.
pub struct Records {
    dir: PathBuf,
}

impl Records {
    /// The records of the profile with this state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            dir: state_dir.join("remote"),
        }
    }

    /// All of them, by name. A file that cannot be read is skipped: each supervisor writes its own
    /// as a whole.
    pub fn list(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|it| it == "json"))
            .collect();
        paths.sort();
        paths.iter().filter_map(|path| read(path)).collect()
    }

    /// Those for `target`, and of these the one for `remote_port` where a port is named.
    pub fn of(&self, target: &SshTarget, remote_port: Option<u16>) -> Vec<Record> {
        let target = target.to_string();
        let mut records = self.list();
        records.retain(|record| {
            record.target == target && remote_port.is_none_or(|port| port == record.remote_port)
        });
        records
    }

    /// Becomes the one supervisor of a remote; what a former one left behind is ended.
    ///
    /// # Errors
    ///
    /// `TimedOut` where another one watches it; else when the directory cannot be written.
    pub fn watch(&self, target: &SshTarget, remote_port: u16) -> io::Result<Watch> {
        files::private_dir(&self.dir)?;
        let path = self.dir.join(file_name(target, remote_port));
        let lock = file_lock::lock(&path.with_extension("lock"))?;
        let mut former = read(&path);
        if let Some(orphan) = former.as_mut().and_then(|former| former.ssh.take()) {
            reap(&orphan)?;
        }
        Ok(Watch {
            path,
            former,
            _lock: lock,
        })
    }

    /// Forgets a remote that nobody watches.
    pub fn forget(&self, target: &SshTarget, remote_port: u16) -> io::Result<()> {
        let path = self.dir.join(file_name(target, remote_port));
        let _lock = file_lock::lock(&path.with_extension("lock"))?;
        fs::remove_file(&path)
    }
}

/// The right to write one record.
pub struct Watch {
    path: PathBuf,
    /// What was there before.
    pub former: Option<Record>,
    _lock: FileLock,
}

impl Watch {
    /// Shows `record` to the others.
    pub fn show(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_string_pretty(record).map_err(io::Error::other)? + "\n";
        atomic::replace(&self.path, text.as_bytes())
    }
}

/// Ends an `ssh` whose supervisor was killed, on systems where it does not end by itself. It is
/// known by number, start and boot, so no other process is ever meant.
fn reap(orphan: &ProcessId) -> io::Result<()> {
    if orphan.signal(Signal::KILL)? {
        let gone_by = std::time::Instant::now() + std::time::Duration::from_millis(500);
        while orphan.is_running() && std::time::Instant::now() < gone_by {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Option<Record> {
    serde_json::from_str(&files::read_private(path).ok()??).ok()
}

/// Targets have no `+` and no `~`, so different remotes have different names.
fn file_name(target: &SshTarget, remote_port: u16) -> String {
    let target = target.to_string().replace(':', "+");
    format!("{target}~{remote_port}.json")
}

/// The port for a tunnel: the former one, whoever keeps it now; at first the gateway's own number,
/// which makes addresses and origins the same on both sides, else any that is free.
///
/// # Errors
///
/// When another process has the former port: moving away in silence would leave bookmarks and
/// clients with whatever that is.
pub fn choose_local_port(
    former: Option<u16>,
    target: &SshTarget,
    remote_port: u16,
) -> Result<u16, SshFault> {
    let same = !target.is_this_machine() && tunnel::check_free(remote_port).is_ok();
    match former {
        Some(port) => tunnel::check_free(port).map(|()| port),
        None if same => Ok(remote_port),
        None => free_port().map_err(|fault| SshFault::new(FaultKind::Other, fault.to_string())),
    }
}

/// A port that is free now; `ssh` refuses it where another process is quicker.
pub fn free_port() -> io::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn target(text: &str) -> SshTarget {
        SshTarget::parse(text).unwrap()
    }

    fn record(target: &str, remote_port: u16) -> Record {
        Record {
            target: target.to_owned(),
            identity: None,
            remote_port,
            local_port: 1,
            phase: Phase::Up,
            since_ms: 0,
            generation: 1,
            supervisor: Some(ProcessId::this()),
            ssh: None,
            version: None,
            fault: None,
        }
    }

    #[test]
    fn several_remotes_have_records_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        assert!(records.list().is_empty());
        for (name, port) in [("a@h", 1), ("a@h", 2), ("a@h:1", 1), ("a@[::1]:1", 1)] {
            let watch = records.watch(&target(name), port).unwrap();
            assert!(watch.former.is_none());
            watch.show(&record(name, port)).unwrap();
        }
        assert_eq!(records.list().len(), 4);
        assert_eq!(records.of(&target("a@h"), None).len(), 2);
        assert_eq!(records.of(&target("a@h"), Some(2))[0].remote_port, 2);
        records.forget(&target("a@h"), 2).unwrap();
        assert_eq!(records.of(&target("a@h"), None).len(), 1);
    }

    #[test]
    fn one_remote_has_one_supervisor() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        let first = records.watch(&target("a@h"), 1).unwrap();
        let fault = records.watch(&target("a@h"), 1).err().unwrap();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
        drop(first);
        records.watch(&target("a@h"), 1).unwrap();
    }

    #[test]
    fn what_a_killed_supervisor_left_behind_is_ended_and_nothing_else() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        let mut orphan = Command::new("sleep").arg("60").spawn().unwrap();
        let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
        let leave = |ssh: ProcessId| {
            let watch = records.watch(&target("a@h"), 1).unwrap();
            let left = Record {
                ssh: Some(ssh),
                ..record("a@h", 1)
            };
            watch.show(&left).unwrap();
        };
        // The number of a process that was used again.
        leave(ProcessId {
            start_time: Some(1),
            ..ProcessId::of(bystander.id())
        });
        leave(ProcessId::of(orphan.id()));
        let watch = records.watch(&target("a@h"), 1).unwrap();
        assert_eq!(watch.former.unwrap().ssh, None);
        assert!(!orphan.wait().unwrap().success());
        assert!(bystander.try_wait().unwrap().is_none(), "it still runs");
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }

    #[test]
    fn a_record_without_its_supervisor_is_down() {
        let mut left = record("a@h", 1);
        assert_eq!(left.clone().settled().phase, Phase::Up);
        left.supervisor = Some(ProcessId {
            start_time: Some(1),
            ..ProcessId::this()
        });
        assert_eq!(left.settled().phase, Phase::Down);
    }
}
