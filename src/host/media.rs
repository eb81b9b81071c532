//! Files that people send and get: kept below a workspace in a folder that is bounded, and loaded from
//! one whole.

use std::io::Read;
use std::sync::Arc;

use super::beneath::{self, Spot, spot};
use crate::agent::Below;
use crate::limits::{MEDIA_FILES_MAX, MEDIA_FOLDER_BYTES_MAX};
use crate::order;

/// Keeps a file; the oldest of its folder go where there is no room. Its path.
///
/// # Errors
///
/// What is wrong with the path or the disk.
pub fn keep(at: &Below, bytes: &[u8]) -> Result<String, String> {
    let spot = place(at, true)?;
    let told = |error: std::io::Error| format!("{}: {error}", at.path);
    make_room(&spot, bytes.len() as u64).map_err(told)?;
    spot.replace(bytes).map_err(told)?;
    Ok(at.path.clone())
}

/// Whether a file could be loaded.
///
/// # Errors
///
/// For whoever named it: it leads out of the workspace, is not there, or is too long.
pub fn check(at: &Below, bytes_max: u64) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", at.path);
    let file = place(at, false)?.open().map_err(told)?;
    fits(at, file.metadata().map_err(told)?.len(), bytes_max)
}

/// The whole of a file.
///
/// # Errors
///
/// As [`check`].
pub fn load(at: &Below, bytes_max: u64) -> Result<Arc<[u8]>, String> {
    let told = |error: std::io::Error| format!("{}: {error}", at.path);
    let file = place(at, false)?.open().map_err(told)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(told)?;
    fits(at, bytes.len() as u64, bytes_max)?;
    Ok(bytes.into())
}

fn fits(at: &Below, bytes: u64, bytes_max: u64) -> Result<(), String> {
    match bytes {
        0 => Err(format!("{} is empty", at.path)),
        bytes if bytes > bytes_max => Err(format!("{} is longer than {bytes_max} bytes", at.path)),
        _ => Ok(()),
    }
}

fn place(at: &Below, make: bool) -> Result<Spot, String> {
    spot(&beneath::workspace(&at.workspace)?, &at.path, make)
}

fn make_room(spot: &Spot, bytes: u64) -> std::io::Result<()> {
    let mut files = spot.siblings()?;
    order::sort_by_key(&mut files, |file| file.changed_s);
    let mut left = files.iter().map(|file| file.bytes).sum::<u64>() + bytes;
    let mut count = files.len() + 1;
    for file in files {
        if left <= MEDIA_FOLDER_BYTES_MAX && count <= MEDIA_FILES_MAX {
            return Ok(());
        }
        spot.remove_sibling(&file.name)?;
        left -= file.bytes;
        count -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dir: &tempfile::TempDir, path: &str) -> Below {
        Below {
            workspace: dir.path().join("work").to_str().unwrap().to_owned(),
            path: path.into(),
        }
    }

    #[test]
    fn a_file_is_kept_and_loaded_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..MEDIA_FILES_MAX + 2 {
            let path = keep(&at(&dir, &format!("media/inbound/{n:05}")), b"x").unwrap();
            if n == 0 {
                // Long before all others.
                let path = dir.path().join("work").join(path);
                let file = std::fs::File::options().append(true).open(path).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        }
        let folder = dir.path().join("work/media/inbound");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), MEDIA_FILES_MAX);
        assert!(!folder.join("00000").exists());
        assert_eq!(&*load(&at(&dir, "media/inbound/00300"), 1).unwrap(), b"x");
    }

    #[test]
    fn nothing_leads_out_and_lengths_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        keep(&at(&dir, "a"), b"abc").unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", dir.path().join("work/link")).unwrap();
        for path in ["../secret", "link", "/etc/passwd", "gone", "."] {
            let why = load(&at(&dir, path), 10).unwrap_err();
            assert_eq!(check(&at(&dir, path), 10), Err(why), "{path}");
        }
        assert_eq!(check(&at(&dir, "a"), 3), Ok(()));
        assert!(check(&at(&dir, "a"), 2).unwrap_err().contains("longer"));
        assert!(load(&at(&dir, "a"), 2).unwrap_err().contains("longer"));
        assert!(keep(&at(&dir, "../b"), b"x").is_err());
    }
}
