//! The user's systemd, or the machine's: where its unit files are, and asking it to act.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Unit;
use crate::client::files;
use crate::io::atomic;

/// Which systemd is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manager {
    /// The user's own.
    #[default]
    User,
    /// The machine's: needs root.
    System,
}

impl Manager {
    /// Whether it runs and can be asked.
    pub fn is_there(self) -> bool {
        self.systemctl(&["show-environment"])
            .is_ok_and(|output| output.status.success())
    }

    /// Asks it.
    ///
    /// # Errors
    ///
    /// When there is no `systemctl`.
    pub fn systemctl(self, words: &[&str]) -> io::Result<Output> {
        let mut command = Command::new("systemctl");
        if self == Self::User {
            command.arg("--user");
        }
        command.args(words).stdin(Stdio::null()).output()
    }

    /// The same, where a failure is what it says about itself.
    ///
    /// # Errors
    ///
    /// When there is no `systemctl`, or it fails.
    pub fn ask(self, words: &[&str]) -> io::Result<String> {
        let output = self.systemctl(words)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let user = if self == Self::User { "--user " } else { "" };
        let words = words.join(" ");
        Err(io::Error::other(format!(
            "systemctl {user}{words}: {}",
            said.trim()
        )))
    }

    /// Where its unit files are.
    pub fn unit_dir(self, config_home: Option<&str>, home: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::User => {
                let base = match config_home {
                    Some(dir) if Path::new(dir).is_absolute() => PathBuf::from(dir),
                    _ => home?.join(".config"),
                };
                Some(base.join("systemd/user"))
            }
            Self::System => Some(PathBuf::from("/etc/systemd/system")),
        }
    }
}

/// Writes the unit's file; gives its path.
///
/// # Errors
///
/// When the disk does not take it, or the unit has no text.
pub fn write(unit: &Unit, dir: &Path) -> io::Result<PathBuf> {
    let text = unit.to_text().map_err(io::Error::other)?;
    let path = dir.join(unit.file_name());
    files::private_dir(dir)?;
    atomic::replace(&path, text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_lie_where_systemd_looks() {
        let home = Path::new("/h");
        let dir = |config| Manager::User.unit_dir(config, Some(home)).unwrap();
        assert_eq!(dir(None), Path::new("/h/.config/systemd/user"));
        assert_eq!(dir(Some("/c")), Path::new("/c/systemd/user"));
        assert_eq!(dir(Some("c")), Path::new("/h/.config/systemd/user"));
        assert_eq!(Manager::User.unit_dir(None, None), None);
    }
}
