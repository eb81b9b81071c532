//! Files that hold either their old or their new content, whatever happens.
//!
//! Everything is written to a temporary file beside the real one, made durable, and only then
//! given the real name. All files are 0600: what the gateway keeps is for its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Replaces the content of `path`, or makes it. A symbolic link is followed, so that a file kept
/// elsewhere by a link stays there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    run(&path, content, |temp| fs::rename(temp, &path), &mut |_| {
        Ok(())
    })
}

/// Makes `path` with this content; `AlreadyExists` where there is one, whose content stays.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    // A link, unlike a rename, never takes the place of what is there.
    run(path, content, |temp| fs::hard_link(temp, path), &mut |_| {
        Ok(())
    })
}

/// Makes what was created, renamed or removed in `dir` survive a power cut.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory that `path` is in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// The steps at which a test can let the disk fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Write,
    SyncFile,
    Place,
    SyncDir,
}

fn run(
    path: &Path,
    content: &[u8],
    place: impl FnOnce(&Path) -> io::Result<()>,
    before: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let temp = temp_path(path);
    before(Step::Open)?;
    let written = write_temp(&temp, content, before)
        .and_then(|()| before(Step::Place))
        .and_then(|()| place(&temp));
    // After a rename there is nothing to remove; the fault that counts is the first.
    let _ = fs::remove_file(&temp);
    written?;
    before(Step::SyncDir)?;
    sync_dir(parent(path))
}

fn write_temp(
    temp: &Path,
    content: &[u8],
    before: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temp)?;
    before(Step::Write)?;
    file.write_all(content)?;
    before(Step::SyncFile)?;
    file.sync_all()
}

/// A name that no other writer uses, in the same directory so that it can be renamed. The time is
/// in it because in a container every process has the same id, also the one that crashed here.
fn temp_path(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (pid, nanos) = (std::process::id(), since_epoch.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{pid}-{nanos}-{count}.tmp"));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_replaced_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn creating_never_touches_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"first").unwrap();
        let fault = create(&path, b"second").unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
    }

    #[test]
    fn a_fault_or_a_crash_at_any_step_leaves_the_old_or_the_new_content() {
        let steps = [
            Step::Open,
            Step::Write,
            Step::SyncFile,
            Step::Place,
            Step::SyncDir,
        ];
        for fails_at in steps {
            for crashes in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("file");
                fs::write(&path, "old").unwrap();
                let mut before = |step| {
                    if step != fails_at {
                        return Ok(());
                    }
                    // Unwinding from here runs none of the clean-up, as a crash would not.
                    assert!(!crashes, "crash");
                    Err(io::Error::from(io::ErrorKind::StorageFull))
                };
                let place = |temp: &Path| fs::rename(temp, &path);
                let attempt =
                    std::panic::AssertUnwindSafe(|| run(&path, b"new", place, &mut before));
                let outcome = std::panic::catch_unwind(attempt);
                assert_eq!(outcome.is_err(), crashes);
                let expected = if fails_at == Step::SyncDir {
                    "new"
                } else {
                    "old"
                };
                assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{fails_at:?}");
                assert!(crashes || names(dir.path()) == ["file"], "{fails_at:?}");
                replace(&path, b"again").unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), "again");
            }
        }
    }
}
