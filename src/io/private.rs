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
    /// No closed folder of its owner is in the way: others can really get there.
    pub is_reachable: bool,
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
            None => {
                let path = self.path.display();
                let more = if self.is_dir {
                    " with all that is in it"
                } else {
                    ""
                };
                match self.is_reachable {
                    true => write!(f, "{path} is open to other users{more}"),
                    false => write!(
                        f,
                        "{path} would be open to other users{more}, were it not for a closed folder above"
                    ),
                }
            }
        }
    }
}

/// All such in a state directory and the folders in it, an open folder as one. Links are not
/// followed.
pub fn faults(dir: &Path) -> Vec<Exposed> {
    let Ok(meta) = fs::symlink_metadata(dir) else {
        return Vec::new();
    };
    if let Some(exposed) = judge(dir, &meta, true) {
        return vec![exposed];
    }
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let path = entry.path();
            // What is in a closed directory is closed; this says it all the same where the
            // directory is opened one day.
            match judge(&path, &meta, false) {
                Some(exposed) => found.push(exposed),
                None if meta.is_dir() && !is_workspace(dir, &path) => folders.push(path),
                None => {}
            }
        }
    }
    order::sort_by(&mut found, |one, other| one.path.cmp(&other.path));
    found
}

/// What people put into a workspace has the modes that they give it; that of the folder counts.
fn is_workspace(dir: &Path, path: &Path) -> bool {
    let name = path.strip_prefix(dir).ok().and_then(Path::to_str);
    name.is_some_and(|name| name.starts_with("workspace"))
}

fn judge(path: &Path, meta: &Metadata, is_reachable: bool) -> Option<Exposed> {
    if meta.file_type().is_symlink() {
        return None;
    }
    let foreign = check_owner(path, meta).err().map(|fault| fault.message);
    let is_exposed = foreign.is_some() || is_open_to_others(meta);
    is_exposed.then(|| Exposed {
        path: path.to_path_buf(),
        // Whoever owns it comes with it wherever it is.
        is_reachable: is_reachable || foreign.is_some(),
        is_dir: meta.is_dir(),
        foreign,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_open_folder_is_one_finding_and_weighs_what_the_way_to_it_lets_through() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        let folder = dir.join("workspace");
        fs::create_dir_all(&folder).unwrap();
        set_mode(&dir, 0o700);
        set_mode(&folder, 0o755);
        for name in ["one", "two"] {
            fs::write(folder.join(name), "x").unwrap();
            set_mode(&folder.join(name), 0o644);
        }
        let found = faults(&dir);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].is_reachable);
        assert_eq!(found[0].mend(), format!("chmod 700 {}", folder.display()));
        set_mode(&dir, 0o755);
        let found = faults(&dir);
        assert!(found.len() == 1 && found[0].is_reachable, "{found:?}");
        set_mode(&dir, 0o700);
        set_mode(&folder, 0o700);
        assert_eq!(
            faults(&dir),
            [],
            "its owner's files in it have the modes he likes"
        );
    }

    #[test]
    fn an_open_file_in_a_closed_folder_is_named_with_the_command_that_closes_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        fs::create_dir_all(&dir).unwrap();
        set_mode(&dir, 0o700);
        let file = dir.join("log");
        fs::write(&file, "x").unwrap();
        set_mode(&file, 0o644);
        let found = faults(&dir);
        assert_eq!(found[0].mend(), format!("chmod 600 {}", file.display()));
        assert!(!found[0].is_reachable && found.len() == 1, "{found:?}");
    }
}
