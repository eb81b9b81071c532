//! The Unix socket of a state directory: the way in for programs of the gateway's own user.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::{UnixListener, UnixStream};

use super::lock::StateLock;
use super::socket::Listener;
use super::state_dir::StartFault;

/// The socket's name in the state directory.
pub const SOCKET_FILE: &str = "gateway.sock";
/// unix(7): `sun_path` has 108 bytes with its end; some systems have 104.
const PATH_BYTES_MAX: usize = 103;

/// The socket's path, or None where it is too long for a socket.
pub fn path(dir: &Path) -> Option<PathBuf> {
    let path = dir.join(SOCKET_FILE);
    (path.as_os_str().len() <= PATH_BYTES_MAX).then_some(path)
}

/// The file of a bound socket, removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file of that name that somebody else made meanwhile is his.
    identity: (u64, u64),
}

/// Binds the socket of the locked state directory. None where its path is too long.
///
/// # Errors
///
/// When another process answers there, something else has that name, or the system refuses.
pub fn bind(lock: &StateLock) -> Result<Option<(Listener, SocketFile)>, StartFault> {
    let Some(path) = path(lock.dir()) else {
        return Ok(None);
    };
    clear(&path)?;
    let fault = |fault: io::Error| StartFault::io("listen on", &path, fault);
    let listener = UnixListener::bind(&path).map_err(fault)?;
    // The directory is closed to others already, so nobody came in between.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(fault)?;
    let meta = fs::symlink_metadata(&path).map_err(fault)?;
    let identity = (meta.dev(), meta.ino());
    Ok(Some((
        Listener::Unix(listener),
        SocketFile { path, identity },
    )))
}

/// Removes what a gateway that was killed has left behind, and nothing else.
fn clear(path: &Path) -> Result<(), StartFault> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(StartFault::io("read", path, fault)),
    };
    let shown = path.display();
    if !meta.file_type().is_socket() {
        return Err(StartFault::refused(format!(
            "{shown} is no socket; the gateway needs that name: move it away"
        )));
    }
    // It does not block: a full backlog is an answer too.
    match UnixStream::connect(path) {
        Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|fault| StartFault::io("remove", path, fault))
        }
        _ => Err(StartFault::refused(format!(
            "another process answers on {shown} (find it: ss -xlp src {shown})"
        ))),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |meta: &fs::Metadata| (meta.dev(), meta.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| is_ours(&meta)) {
            // One that stays is found stale by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::lock::LockHolder;
    use crate::io::state_dir::EXIT_CONFIG;
    use std::os::unix::net::UnixListener as BlockingListener;

    fn lock(dir: &Path) -> StateLock {
        StateLock::acquire(dir, LockHolder::this_process(1)).unwrap()
    }

    #[test]
    fn the_socket_is_for_its_owner_alone_and_goes_with_its_gateway() {
        let dir = tempfile::tempdir().unwrap();
        let lock = lock(dir.path());
        let path = dir.path().join(SOCKET_FILE);
        let (_listener, file) = bind(&lock).unwrap().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_nobody_answers_on_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET_FILE);
        drop(BlockingListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(bind(&lock(dir.path())).unwrap().is_some());
    }

    #[test]
    fn what_lives_or_is_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET_FILE);
        let alive = BlockingListener::bind(&path).unwrap();
        let lock = lock(dir.path());
        assert_eq!(bind(&lock).err().unwrap().exit_code, EXIT_CONFIG);
        assert!(path.exists());
        drop(alive);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert_eq!(bind(&lock).err().unwrap().exit_code, EXIT_CONFIG);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_file_that_came_in_its_place_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (_listener, file) = bind(&lock(dir.path())).unwrap().unwrap();
        let path = dir.path().join(SOCKET_FILE);
        // The old one is kept under another name, so that its inode is not used again.
        fs::rename(&path, dir.path().join("old")).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(PATH_BYTES_MAX));
        fs::create_dir(&deep).unwrap();
        assert!(bind(&lock(&deep)).unwrap().is_none());
    }
}
