//! A lock between the processes that write one file.
//!
//! It lies on a file beside the one that is written, since that one is replaced. The kernel
//! takes it back when its holder ends, however that ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::limits::FILE_LOCK_WAIT_MS;

/// Between two looks at a lock that somebody holds.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(5);

/// An exclusive lock between processes, held until it is dropped.
pub struct FileLock(#[expect(dead_code, reason = "closing it releases the lock")] File);

/// Locks `path` (created where missing), waiting a bounded time for another holder.
pub fn lock(path: &Path) -> io::Result<FileLock> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let deadline = Instant::now() + Duration::from_millis(FILE_LOCK_WAIT_MS);
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(FileLock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let text = format!("{} is locked by another process", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_until_it_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("l");
        let held = lock(&path).unwrap();
        let other = File::open(&path).unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(held);
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok());
    }
}
