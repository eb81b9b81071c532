//! Private directories and files, and a lock between the processes that share them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::limits::FILE_LOCK_WAIT_MS;

/// Creates `dir` and its missing parents, readable by the owner alone.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Reads a private file; `None` where there is none. One that others may read is closed to
/// them on the way.
pub fn read_private(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    fs::read_to_string(path).map(Some)
}

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
                std::thread::sleep(Duration::from_millis(5));
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

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_are_private_and_open_files_are_closed_to_others() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        private_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        let file = dir.join("f.json");
        fs::write(&file, "2").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read_private(&file).unwrap().as_deref(), Some("2"));
        assert_eq!(mode(&file), 0o600);
        assert_eq!(read_private(&dir.join("g")).unwrap(), None);
    }

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
