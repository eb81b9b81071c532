//! The directory that holds everything the gateway keeps, and why a start can be refused.

use std::fmt;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Exit code of a start that a person must mend first; supervisors do not try again.
pub const EXIT_CONFIG: u8 = 78;
/// Exit code of a start that the world refused for now, such as a full disk.
pub const EXIT_IO: u8 = 74;

/// Why a start was refused: one line that names what, why and the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFault {
    pub exit_code: u8,
    pub message: String,
}

impl StartFault {
    /// A person must act.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            exit_code: EXIT_CONFIG,
            message: message.into(),
        }
    }

    /// The world failed while we did `what` with `path`; trying again may help.
    pub fn io(what: &str, path: &Path, fault: impl fmt::Display) -> Self {
        let message = format!("cannot {what} {}: {fault}", path.display());
        Self {
            exit_code: EXIT_IO,
            message,
        }
    }
}

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StartFault {}

/// Makes the directory where it is missing and closes it to others where it is open to them.
/// Returns what was mended, for the log.
pub fn prepare(dir: &Path) -> Result<Vec<String>, StartFault> {
    if let Err(fault) = DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        return Err(StartFault::io("create the state directory", dir, fault));
    }
    let meta = fs::metadata(dir).map_err(|fault| StartFault::io("read", dir, fault))?;
    if !meta.is_dir() {
        return Err(StartFault::refused(format!(
            "{} is not a directory",
            dir.display()
        )));
    }
    check_owner(dir, &meta)?;
    mend_mode(dir, &meta, 0o700)
}

/// Closes a file of ours to others; a missing file is fine. Returns what was mended.
pub fn close_file(path: &Path) -> Result<Vec<String>, StartFault> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(StartFault::io("read", path, fault)),
    };
    check_owner(path, &meta)?;
    mend_mode(path, &meta, 0o600)
}

/// Another user's file could be changed under us, and its mode is not ours to mend.
pub(crate) fn check_owner(path: &Path, meta: &Metadata) -> Result<(), StartFault> {
    let (owner, me) = (meta.uid(), rustix::process::geteuid().as_raw());
    if owner == me {
        return Ok(());
    }
    Err(StartFault::refused(format!(
        "{} belongs to user {owner}, the gateway runs as user {me}: run it as that user, \
         or `chown -R {me}` the state directory",
        path.display()
    )))
}

/// Whether users other than the owner may do anything with the file.
pub(crate) fn is_open_to_others(meta: &Metadata) -> bool {
    meta.mode() & 0o077 != 0
}

fn mend_mode(path: &Path, meta: &Metadata, mode: u32) -> Result<Vec<String>, StartFault> {
    if !is_open_to_others(meta) {
        return Ok(Vec::new());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|fault| StartFault::io("close to other users", path, fault))?;
    let was = meta.mode() & 0o777;
    Ok(vec![format!(
        "{} was open to other users ({was:o}), now {mode:o}",
        path.display()
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_state_directory_is_for_its_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        assert_eq!(prepare(&dir), Ok(Vec::new()));
        assert_eq!((mode(&dir), mode(&temp.path().join("a"))), (0o700, 0o700));
    }

    #[test]
    fn wide_modes_are_closed_and_reported() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, file) = (temp.path().join("dir"), temp.path().join("dir/file"));
        fs::create_dir(&dir).unwrap();
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(prepare(&dir).unwrap().len(), 1);
        assert_eq!(close_file(&file).unwrap().len(), 1);
        assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
        assert_eq!(prepare(&dir), Ok(Vec::new()));
        assert_eq!(close_file(&dir.join("missing")), Ok(Vec::new()));
    }

    #[test]
    fn a_file_in_the_directorys_place_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(prepare(&file).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }

    #[test]
    fn anothers_directory_is_refused() {
        let meta = fs::metadata("/").unwrap();
        let is_mine = meta.uid() == rustix::process::geteuid().as_raw();
        assert_eq!(check_owner(Path::new("/"), &meta).is_ok(), is_mine);
    }
}
