//! A file that is appended to and makes place for a new one before it grows too long.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// What is gathered before it is written at the latest.
const PENDING_BYTES_MAX: usize = 32 * 1024;

/// `clawdia.log`, with `clawdia.log.1` (the newest) to `clawdia.log.N` beside it.
///
/// A disk that refuses lines loses them and is tried again with the next ones.
pub struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    file: Option<File>,
    len: u64,
    pending: String,
    pending_lines: u64,
    failed_lines: u64,
    /// The last write ended somewhere in a line.
    torn: bool,
}

impl RotatingFile {
    /// Opens the file for appending; makes it and its directory, for the owner alone.
    pub fn open(path: PathBuf, max_bytes: u64, keep: u32) -> io::Result<Self> {
        let mut this = Self {
            path,
            max_bytes,
            keep,
            file: None,
            len: 0,
            pending: String::new(),
            pending_lines: 0,
            failed_lines: 0,
            torn: false,
        };
        this.reopen()?;
        Ok(this)
    }

    /// Takes a line, which ends with a line feed.
    pub fn write(&mut self, line: &str) {
        if self.pending.len() + line.len() > PENDING_BYTES_MAX {
            self.flush();
        }
        self.pending.push_str(line);
        self.pending_lines += 1;
    }

    /// Writes what was gathered. Lines that the disk does not take are counted.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if self.append().is_err() {
            // Opened anew for the next lines: the file may have been moved, the disk mended.
            self.file = None;
            self.failed_lines += self.pending_lines;
        }
        self.pending.clear();
        self.pending_lines = 0;
    }

    /// Lines lost since it was last asked, none while the disk still refuses.
    pub fn take_failed(&mut self) -> u64 {
        if self.file.is_none() && self.reopen().is_err() {
            return 0;
        }
        std::mem::take(&mut self.failed_lines)
    }

    fn append(&mut self) -> io::Result<()> {
        if !self.is_current() {
            self.reopen()?;
        }
        if self.len > 0 && self.len + self.pending.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        let Some(file) = &mut self.file else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        if self.torn {
            file.write_all(b"\n")?;
            self.len += 1;
            self.torn = false;
        }
        if let Err(error) = file.write_all(self.pending.as_bytes()) {
            self.torn = true;
            return Err(error);
        }
        self.len += self.pending.len() as u64;
        Ok(())
    }

    /// Whether the path still names the file that is open; somebody may have removed or moved it.
    fn is_current(&self) -> bool {
        let open = self.file.as_ref().and_then(|file| file.metadata().ok());
        let named = fs::metadata(&self.path).ok();
        match (open, named) {
            (Some(open), Some(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        if let Some(dir) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        self.len = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for n in (1..self.keep).rev() {
            match fs::rename(self.numbered(n), self.numbered(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        self.torn = false;
        self.reopen()
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sizes(dir: &Path) -> Vec<(String, u64)> {
        let mut sizes: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|e| {
                (
                    e.file_name().into_string().unwrap(),
                    e.metadata().unwrap().len(),
                )
            })
            .collect();
        sizes.sort();
        sizes
    }

    #[test]
    fn old_files_are_kept_up_to_a_number_and_none_is_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut file = RotatingFile::open(path.clone(), 100, 2).unwrap();
        for n in 0..100 {
            file.write(&format!("line {n:03}\n"));
            file.flush();
        }
        let sizes = sizes(dir.path());
        let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2"]);
        assert!(sizes.iter().all(|(_, len)| *len <= 100), "{sizes:?}");
        assert!(fs::read_to_string(&path).unwrap().ends_with("line 099\n"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_restart_goes_on_with_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        for _ in 0..2 {
            let mut file = RotatingFile::open(path.clone(), 1_000, 2).unwrap();
            file.write("line\n");
            file.flush();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line\nline\n");
    }

    #[test]
    fn a_file_that_somebody_removed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs").join("x.log");
        let mut file = RotatingFile::open(path.clone(), 1_000, 2).unwrap();
        file.write("one\n");
        file.flush();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        file.write("two\n");
        file.flush();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(file.take_failed(), 0);
    }

    #[test]
    fn lines_that_the_disk_does_not_take_are_counted_and_told_once_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        let path = logs.join("x.log");
        let mut file = RotatingFile::open(path.clone(), 1_000, 2).unwrap();
        fs::remove_dir_all(&logs).unwrap();
        fs::write(&logs, "in the way").unwrap();
        file.write("one\n");
        file.write("two\n");
        file.flush();
        assert_eq!(file.take_failed(), 0);
        fs::remove_file(&logs).unwrap();
        assert_eq!(file.take_failed(), 2);
        file.write("three\n");
        file.flush();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }
}
