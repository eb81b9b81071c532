//! Paths that cannot leave a folder: each step is opened from the one before, and none may be a
//! link, so nothing that happens to the tree meanwhile leads out of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
/// A pipe must not hold the thread up that opens it.
const FILE: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK);

/// A folder that is held open, and the last name of a path below it.
pub struct Spot {
    folder: OwnedFd,
    name: String,
}

/// The place of `path` below `root`. With `make` folders on the way are made.
///
/// # Errors
///
/// The path leads out of the folder, goes over a link, or a folder is not there.
pub fn spot(root: &Path, path: &str, make: bool) -> Result<Spot, String> {
    let steps = steps(root, path)?;
    let Some((name, folders)) = steps.split_last() else {
        return Err(format!(
            "{path:?} is the workspace itself, not a file in it"
        ));
    };
    let told = |error: Errno| match error {
        Errno::LOOP | Errno::NOTDIR => {
            format!("{path:?} goes over a link or a file; only folders of the workspace are used")
        }
        other => format!("{path:?}: {}", io::Error::from(other)),
    };
    let mut at = rustix::fs::open(root, OFlags::RDONLY | FOLDER, Mode::empty())
        .map_err(|error| format!("{}: {}", root.display(), io::Error::from(error)))?;
    for step in folders {
        if make {
            match rustix::fs::mkdirat(&at, step.as_str(), Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(told(error)),
            }
        }
        let flags = OFlags::RDONLY | FOLDER | OFlags::NOFOLLOW;
        at = rustix::fs::openat(&at, step.as_str(), flags, Mode::empty()).map_err(told)?;
    }
    Ok(Spot {
        folder: at,
        name: name.clone(),
    })
}

/// The names of a path below `root`; an absolute path has to begin with `root`.
fn steps(root: &Path, path: &str) -> Result<Vec<String>, String> {
    let outside = || {
        format!(
            "{path:?} is outside of the workspace {}; only files in it can be used",
            root.display()
        )
    };
    if path.contains('\0') {
        return Err("a path has no NUL character".into());
    }
    let path = Path::new(path);
    let below = match path.is_absolute() {
        true => path.strip_prefix(root).map_err(|_| outside())?,
        false => path,
    };
    let mut out = Vec::new();
    for part in below.components() {
        match part {
            Component::Normal(name) => out.push(name.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(outside());
            }
        }
    }
    Ok(out)
}

impl Spot {
    /// The file that is there; neither a link nor anything but a file.
    ///
    /// # Errors
    ///
    /// There is none, or it may not be read.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | FILE;
        let fd = rustix::fs::openat(&self.folder, self.name.as_str(), flags, Mode::empty())?;
        let file = File::from(fd);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is no file")),
        }
    }

    /// Replaces the file, which holds its old or its new content whatever happens; a link or a
    /// folder of this name stays.
    ///
    /// # Errors
    ///
    /// What is there is no file, or the disk failed.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        use std::io::Write;
        let mode = match self.open() {
            Ok(file) => {
                use std::os::unix::fs::PermissionsExt;
                Mode::from_raw_mode(file.metadata()?.permissions().mode() & 0o777)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Mode::from_raw_mode(0o600),
            Err(error) => return Err(error),
        };
        let temp = format!(".{}.{}.tmp", self.name, std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | FILE;
        let mut file = File::from(rustix::fs::openat(
            &self.folder,
            temp.as_str(),
            flags,
            mode,
        )?);
        let placed = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                let dir = self.folder.as_fd();
                Ok(rustix::fs::renameat(
                    dir,
                    temp.as_str(),
                    dir,
                    self.name.as_str(),
                )?)
            });
        if placed.is_err() {
            // The fault that counts is the first.
            let _ = rustix::fs::unlinkat(&self.folder, temp.as_str(), AtFlags::empty());
        }
        placed?;
        Ok(rustix::fs::fsync(&self.folder)?)
    }
}

/// A file beside another.
pub struct Sibling {
    pub name: String,
    pub bytes: u64,
    /// When it was changed, seconds since 1970.
    pub changed_s: i64,
}

impl Spot {
    /// The files of the folder, without hidden ones and links.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn siblings(&self) -> io::Result<Vec<Sibling>> {
        let mut out = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let Ok(name) = String::from_utf8(entry?.file_name().to_bytes().to_vec()) else {
                continue;
            };
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let Ok(stat) = rustix::fs::statat(&self.folder, name.as_str(), flags) else {
                continue;
            };
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            if is_file && !name.starts_with('.') {
                out.push(Sibling {
                    name,
                    bytes: u64::try_from(stat.st_size).unwrap_or(0),
                    changed_s: stat.st_mtime,
                });
            }
        }
        Ok(out)
    }

    /// Removes a file of the folder.
    ///
    /// # Errors
    ///
    /// It may not be removed.
    pub fn remove_sibling(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty())?)
    }
}

/// A folder of the configuration: `~` is the home.
pub fn expand(folder: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    match (folder.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        (None, Some(home)) if folder == "~" => home,
        _ => PathBuf::from(folder),
    }
}

/// The same, made where it is not there, without links.
///
/// # Errors
///
/// It cannot be made.
pub fn workspace(folder: &str) -> Result<PathBuf, String> {
    use std::os::unix::fs::DirBuilderExt;
    let path = expand(folder);
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(&path)
        .and_then(|()| path.canonicalize())
        .map_err(|error| format!("the workspace {} cannot be used: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("work");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "s").unwrap();
        symlink(&outside, root.join("way")).unwrap();
        symlink(outside.join("secret"), root.join("link")).unwrap();
        symlink("..", root.join("sub/up")).unwrap();
        std::fs::write(root.join("own"), "mine").unwrap();

        let read = |path: &str| {
            let spot = spot(&root, path, false)?;
            let file = spot.open().map_err(|error| error.to_string())?;
            std::io::read_to_string(file).map_err(|error| error.to_string())
        };
        assert_eq!(read("own").unwrap(), "mine");
        assert!(read("./sub/../own").is_err());
        assert_eq!(read(root.join("own").to_str().unwrap()).unwrap(), "mine");
        let absolute = outside.join("secret");
        for path in [
            "../outside/secret",
            "sub/../../outside/secret",
            "way/secret",
            "link",
            "sub/up/own",
            absolute.to_str().unwrap(),
            "/etc/passwd",
            "",
            ".",
            "own\0",
            "sub",
        ] {
            assert!(read(path).is_err(), "{path:?}");
        }
        for path in ["way/new", "link", "../new", "sub/up/new", "own/new", "sub"] {
            let written = spot(&root, path, true)
                .and_then(|spot| spot.replace(b"x").map_err(|error| error.to_string()));
            assert!(written.is_err(), "{path:?}");
        }
        assert_eq!(
            std::fs::read_to_string(outside.join("secret")).unwrap(),
            "s"
        );
        assert!(!outside.join("new").exists());
        spot(&root, "a/b/new", true).unwrap().replace(b"x").unwrap();
        assert_eq!(std::fs::read_to_string(root.join("a/b/new")).unwrap(), "x");
    }
}
