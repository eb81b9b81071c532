//! One gateway a state directory, and a way to see which.
//!
//! The lock is the kernel's (`flock`): it goes with the process that holds it, however that
//! ends, so a process id that was used again can neither hold nor break it. The file's content
//! says who holds it and means something only while it is held.

use super::process::start_time;
use super::state_dir::StartFault;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The lock's name in the state directory.
pub const LOCK_FILE: &str = "gateway.lock";

/// Looking at a lock takes it for a moment, so one refusal does not mean that it is held.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockHolder {
    pub pid: u32,
    /// When the process started, in the kernel's ticks since boot: with `pid` it names a process
    /// for good. None where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// The port that it serves; None until it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub version: String,
    /// When the lock was taken, in milliseconds since 1970.
    pub since_ms: u64,
}

impl LockHolder {
    /// This process, which does not listen yet.
    pub fn this_process(since_ms: u64) -> Self {
        let pid = std::process::id();
        let version = env!("CARGO_PKG_VERSION").to_string();
        Self {
            pid,
            start_time: start_time(pid),
            port: None,
            version,
            since_ms,
        }
    }

    /// Whether the process that it names still runs and no other has its number now.
    pub fn is_running(&self) -> bool {
        let now = start_time(self.pid);
        now.is_some() && now == self.start_time
    }
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct StateLock {
    dir: PathBuf,
    file: File,
    holder: LockHolder,
}

impl StateLock {
    /// Takes the lock, or names who holds it. The directory must exist.
    pub fn acquire(dir: &Path, holder: LockHolder) -> Result<Self, StartFault> {
        let path = dir.join(LOCK_FILE);
        let file = open(&path).map_err(|fault| StartFault::io("open", &path, fault))?;
        for attempt in 1.. {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if attempt < ATTEMPTS => thread::sleep(BETWEEN_ATTEMPTS),
                Err(Errno::WOULDBLOCK) => return Err(StartFault::refused(refusal(dir, &file))),
                Err(fault) => return Err(StartFault::io("lock", &path, fault)),
            }
        }
        let lock = Self {
            dir: dir.to_path_buf(),
            file,
            holder,
        };
        lock.write()
            .map_err(|fault| StartFault::io("write", &path, fault))?;
        Ok(lock)
    }

    /// Tells others on which port this process listens.
    pub fn set_port(&mut self, port: u16) -> io::Result<()> {
        self.holder.port = Some(port);
        self.write()
    }

    /// The directory that is locked.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What others are told.
    pub fn holder(&self) -> &LockHolder {
        &self.holder
    }

    fn write(&self) -> io::Result<()> {
        let mut text = serde_json::to_string(&self.holder).map_err(io::Error::other)?;
        text.push('\n');
        // Shorter content never shows a longer one's tail: blanks after JSON are allowed.
        let len_was = self.file.metadata()?.len() as usize;
        let padded = format!("{text:<len_was$}");
        self.file.write_all_at(padded.as_bytes(), 0)
    }
}

/// Who holds the state directory's lock now; None where nobody does.
///
/// The content is None where it cannot be read although the lock is held.
pub fn holder(dir: &Path) -> io::Result<Option<Option<LockHolder>>> {
    let file = match File::open(dir.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(Some(read(&file))),
        Err(fault) => Err(fault.into()),
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn read(mut file: &File) -> Option<LockHolder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn refusal(dir: &Path, file: &File) -> String {
    let dir = dir.display();
    let Some(holder) = read(file) else {
        return format!("another gateway holds the state directory {dir}");
    };
    let port = holder
        .port
        .map_or(String::new(), |port| format!(" on port {port}"));
    format!(
        "another gateway (process {}, version {}{port}) holds the state directory {dir}: \
         stop it, or give this one a directory of its own (--profile NAME)",
        holder.pid, holder.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::state_dir::EXIT_CONFIG;
    use std::fs;

    #[test]
    fn a_second_gateway_is_refused_with_one_line_that_names_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = StateLock::acquire(dir.path(), LockHolder::this_process(7)).unwrap();
        lock.set_port(18789).unwrap();
        let before = fs::read(dir.path().join(LOCK_FILE)).unwrap();
        let fault = StateLock::acquire(dir.path(), LockHolder::this_process(8)).unwrap_err();
        assert_eq!(fault.exit_code, EXIT_CONFIG);
        assert!(
            fault
                .message
                .contains(&format!("process {}", std::process::id())),
            "{fault}"
        );
        assert!(
            fault.message.contains("port 18789") && !fault.message.contains('\n'),
            "{fault}"
        );
        assert_eq!(fs::read(dir.path().join(LOCK_FILE)).unwrap(), before);
    }

    #[test]
    fn others_see_who_holds_the_lock_only_while_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()).unwrap(), None);
        let mut lock = StateLock::acquire(dir.path(), LockHolder::this_process(7)).unwrap();
        lock.set_port(4).unwrap();
        assert_eq!(
            holder(dir.path()).unwrap(),
            Some(Some(lock.holder().clone()))
        );
        drop(lock);
        assert_eq!(holder(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_dead_holders_lock_is_free_even_when_its_process_id_lives_again() {
        let dir = tempfile::tempdir().unwrap();
        // As a crashed gateway leaves it, with an id that belongs to a living process now.
        let stale = serde_json::to_string(&LockHolder::this_process(1)).unwrap();
        fs::write(dir.path().join(LOCK_FILE), stale + &" ".repeat(400)).unwrap();
        assert_eq!(holder(dir.path()).unwrap(), None);
        let lock = StateLock::acquire(dir.path(), LockHolder::this_process(2)).unwrap();
        assert_eq!(
            holder(dir.path()).unwrap(),
            Some(Some(lock.holder().clone()))
        );
    }

    #[test]
    fn a_damaged_content_neither_frees_nor_blocks_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK_FILE), b"\xff{").unwrap();
        let _lock = StateLock::acquire(dir.path(), LockHolder::this_process(2)).unwrap();
        fs::write(dir.path().join(LOCK_FILE), b"\xff{").unwrap();
        assert_eq!(holder(dir.path()).unwrap(), Some(None));
        assert!(StateLock::acquire(dir.path(), LockHolder::this_process(3)).is_err());
    }

    #[test]
    fn a_process_is_named_by_its_start_time_too() {
        let here = LockHolder::this_process(0);
        assert_eq!(here.start_time, LockHolder::this_process(0).start_time);
        assert_eq!(here.start_time.is_some(), cfg!(target_os = "linux"));
        assert_eq!(here.is_running(), cfg!(target_os = "linux"));
        let other = LockHolder {
            start_time: Some(0),
            ..here
        };
        assert!(!other.is_running());
    }
}
