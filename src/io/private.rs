//! Which files of a state directory others could read or change.

use crate::order;
use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use super::state_dir::{check_owner, is_open_to_others};

/// A file or directory that is not its owner's alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    pub path: PathBuf,
    is_dir: bool,
    /// Another user owns it, so only he can mend it.
    foreign: Option<String>,
}

impl Exposed {
    /// The command that mends it.
    pub fn mend(&self) -> String {
        let path = self.path.display();
        match (&self.foreign, self.is_dir) {
            (Some(_), _) => format!("sudo chown -R \"$(id -u)\" {path}"),
            (None, true) => format!("chmod 700 {path}"),
            (None, false) => format!("chmod 600 {path}"),
        }
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.foreign {
            Some(fault) => f.write_str(fault),
            None => write!(f, "{} is open to other users", self.path.display()),
        }
    }
}

/// All such in a state directory and the folders in it. Links are not followed.
pub fn faults(dir: &Path) -> Vec<Exposed> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    if let Ok(meta) = fs::symlink_metadata(dir) {
        found.extend(judge(dir, &meta));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let path = entry.path();
            // What is in a closed directory is closed; this says it all the same where the
            // directory is opened one day.
            found.extend(judge(&path, &meta));
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    order::sort_by(&mut found, |one, other| one.path.cmp(&other.path));
    found
}

fn judge(path: &Path, meta: &Metadata) -> Option<Exposed> {
    if meta.file_type().is_symlink() {
        return None;
    }
    let foreign = check_owner(path, meta).err().map(|fault| fault.message);
    (foreign.is_some() || is_open_to_others(meta)).then(|| Exposed {
        path: path.to_path_buf(),
        is_dir: meta.is_dir(),
        foreign,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_can_read_is_named_with_the_command_that_closes_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        let folder = dir.join("logs");
        fs::create_dir_all(&folder).unwrap();
        for (path, mode) in [(&dir, 0o700), (&folder, 0o755)] {
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let file = folder.join("log");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let mend: Vec<String> = faults(&dir).iter().map(Exposed::mend).collect();
        let expected = [
            format!("chmod 700 {}", folder.display()),
            format!("chmod 600 {}", file.display()),
        ];
        assert_eq!(mend, expected);
    }
}
