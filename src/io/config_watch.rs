//! Notices that the configuration file was replaced or edited.
//!
//! Editors and we replace a file more often than they write into it, so its directory is
//! watched. Where the system has no such watch, SIGHUP is the way.

use std::io;
use std::path::Path;
use std::time::Duration;

/// Room for one event with the longest file name.
#[cfg(target_os = "linux")]
const EVENT_BYTES: usize = 4 * 1024;

/// Calls `changed` a `pause` after the file at `path` changed, for as long as the process
/// lives.
///
/// # Errors
///
/// When the directory cannot be watched, or on a system without a watch.
#[cfg(target_os = "linux")]
pub fn start(path: &Path, pause: Duration, changed: impl Fn() + Send + 'static) -> io::Result<()> {
    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
    use std::os::unix::ffi::OsStrExt as _;

    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?
        .to_owned();
    let watch = init(CreateFlags::CLOEXEC)?;
    let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
    add_watch(&watch, super::atomic::parent(path), flags)?;
    std::thread::Builder::new()
        .name("config-watch".into())
        .stack_size(64 * 1024)
        .spawn(move || {
            let mut buffer = [std::mem::MaybeUninit::uninit(); EVENT_BYTES];
            let mut reader = Reader::new(watch, &mut buffer);
            while let Ok(event) = reader.next() {
                let of_file = event
                    .file_name()
                    .is_some_and(|changed| changed.to_bytes() == name.as_bytes());
                if of_file {
                    // An editor writes several times; the last state is the one that counts.
                    std::thread::sleep(pause);
                    changed();
                }
            }
        })?;
    Ok(())
}

/// There is no watch here.
#[cfg(not(target_os = "linux"))]
pub fn start(
    _path: &Path,
    _pause: Duration,
    _changed: impl Fn() + Send + 'static,
) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_replaced_and_a_written_file_are_noticed_and_its_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawdia.json");
        let (told, heard) = mpsc::channel();
        start(&path, Duration::ZERO, move || told.send(()).unwrap()).unwrap();
        let wait = Duration::from_secs(10);
        std::fs::write(dir.path().join("other"), "{}").unwrap();
        std::fs::write(&path, "{}").unwrap();
        heard.recv_timeout(wait).unwrap();
        crate::io::atomic::replace(&path, b"{ }").unwrap();
        heard.recv_timeout(wait).unwrap();
        assert!(heard.try_recv().is_err());
    }
}
