//! The configuration file on disk: read with care, written only on request.
//!
//! A file that is there and cannot be read is never taken for one that is absent. A write
//! happens under a lock that all our processes respect, only while the file still is what the
//! writer saw, and keeps the previous good copy beside it as `.bak`.

use super::atomic;
use super::file_lock;
use super::state_dir::is_open_to_others;
use crate::approvals::quote;
use crate::config::document::Document;
use crate::config::fault::{Fault, Place, UNSET_VARIABLE};
use crate::config::paths::Paths;
use crate::config::redact::has_secrets;
use crate::limits::CONFIG_BYTES_MAX;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Why a write did not happen. The file is as it was.
#[derive(Debug)]
pub enum WriteFault {
    /// The file is not what the writer saw.
    Changed,
    /// The file cannot be read any more.
    Unreadable(Fault),
    /// The disk refused; what was tried, and its answer.
    Io(String, io::Error),
}

impl fmt::Display for WriteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the configuration changed since it was read"),
            Self::Unreadable(fault) => fault.fmt(f),
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

/// The configuration file that is meant: the first candidate that is there, else the first.
pub fn path_of(paths: &Paths) -> PathBuf {
    let there = |path: &&PathBuf| fs::symlink_metadata(path).is_ok();
    let candidates = &paths.config_candidates;
    candidates
        .iter()
        .find(there)
        .or(candidates.first())
        .cloned()
        .unwrap_or_else(|| paths.state_dir.join("clawdia.json"))
}

/// Reads the file; an absent one is a document too, of defaults.
///
/// # Errors
/// When something is there that cannot be read as text.
pub fn read(paths: &Paths) -> Result<Document, Fault> {
    read_file(&path_of(paths))
}

/// Replaces the file, if it still has this hash, with a text that is known to be valid.
///
/// # Errors
/// When the file changed or the disk refused. Then the file is as it was.
pub fn write(paths: &Paths, base_hash: &str, text: &str) -> Result<(), WriteFault> {
    write_file(&path_of(paths), base_hash, text, &mut |_| Ok(()))
}

/// A warning where others may read a file that holds secrets, with the command that mends it.
pub fn check_mode(document: &Document) -> Option<String> {
    let path = document.path();
    let secret = document.tree().is_ok_and(has_secrets);
    let open = fs::metadata(path).is_ok_and(|meta| is_open_to_others(&meta));
    (secret && open).then(|| {
        format!(
            "{path} holds secrets and other users can read it: chmod 600 {}",
            quote(path)
        )
    })
}

/// How to return to the previous copy of a file with these faults, where that one has none: a variable that is missing
/// in both helps nobody.
pub fn way_back(path: &str, faults: &[Fault]) -> Option<String> {
    let document = read_file(&backup_path(Path::new(path))).ok()?;
    document.text()?;
    let left = document.load(&|name| std::env::var(name).ok()).err();
    let is_unset = |fault: &Fault| fault.what.starts_with(UNSET_VARIABLE);
    let mut left = left.iter().flatten();
    if !left.all(|fault| is_unset(fault) && !faults.iter().any(is_unset)) {
        return None;
    }
    let backup = document.path();
    let (from, to) = (quote(backup), quote(path));
    Some(format!(
        "the previous good copy is {backup} (to return to it: cp {from} {to})"
    ))
}

/// The steps of a write between which a test can let the process or the disk fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Lock,
    Compare,
    Backup,
    CompareAgain,
    Replace,
    Done,
}

fn write_file(
    path: &Path,
    base_hash: &str,
    text: &str,
    before: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<(), WriteFault> {
    let fault = |what: &str| {
        let what = format!("{what} {}", path.display());
        move |error| WriteFault::Io(what, error)
    };
    let dir = atomic::parent(path);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(fault("make the directory of"))?;
    before(Step::Lock).map_err(fault("lock"))?;
    let lock = file_lock::lock(&beside(path, ".", ".lock")).map_err(fault("lock"))?;
    before(Step::Compare).map_err(fault("read"))?;
    let old = unchanged(path, base_hash)?;
    if let (Some(old_text), Ok(_)) = (old.text(), old.tree()) {
        before(Step::Backup).map_err(fault("back up"))?;
        let backup = backup_path(path);
        atomic::replace(&backup, old_text.as_bytes()).map_err(fault("back up"))?;
        // Editors know nothing of our lock, and making the copy durable took its time.
        before(Step::CompareAgain).map_err(fault("read"))?;
        unchanged(path, base_hash)?;
    }
    before(Step::Replace).map_err(fault("write"))?;
    atomic::replace(path, text.as_bytes()).map_err(fault("write"))?;
    before(Step::Done).map_err(fault("write"))?;
    drop(lock);
    Ok(())
}

fn unchanged(path: &Path, base_hash: &str) -> Result<Document, WriteFault> {
    let document = read_file(path).map_err(WriteFault::Unreadable)?;
    if document.hash() == base_hash {
        Ok(document)
    } else {
        Err(WriteFault::Changed)
    }
}

fn backup_path(path: &Path) -> PathBuf {
    beside(path, "", ".bak")
}

fn beside(path: &Path, prefix: &str, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(prefix);
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

fn read_file(path: &Path) -> Result<Document, Fault> {
    let shown = path.display().to_string();
    let fault = |what: String, instead: &str| Fault::new(shown.clone(), what, instead);
    let unreadable = |error: io::Error| {
        let what = format!("cannot be read: {error}");
        fault(what, "make it readable for this user")
    };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                let what = "is a link to a file that is not there".to_owned();
                return Err(fault(what, "mend or remove the link"));
            }
            return Ok(Document::absent(shown));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !meta.is_file() {
        return Err(fault(
            "is not a file".to_owned(),
            "put the settings into a file",
        ));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(CONFIG_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > CONFIG_BYTES_MAX {
        let what = format!("is longer than {CONFIG_BYTES_MAX} bytes");
        return Err(fault(what, "it is probably another file"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Document::new(shown, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let what = "is not UTF-8 text".to_owned();
            let place = Place::of(&before, before.len());
            Err(fault(what, "save it as UTF-8, or return to a good copy").at(Some(place)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    const OLD: &str = "{ a: 1 } // old\n";
    const NEW: &str = "{ a: 2 } // new\n";

    fn paths(dir: &Path) -> Paths {
        Paths {
            profile: None,
            state_dir: dir.to_path_buf(),
            config_candidates: vec![dir.join("clawdia.json"), dir.join("clawdbot.json")],
        }
    }

    fn hash_of(path: &Path) -> String {
        read_file(path).unwrap().hash().to_owned()
    }

    #[test]
    fn the_first_file_that_is_there_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let (own, other) = (&paths.config_candidates[0], &paths.config_candidates[1]);
        assert_eq!(read(&paths).unwrap().path(), own.display().to_string());
        assert_eq!(read(&paths).unwrap().text(), None);
        fs::write(other, OLD).unwrap();
        assert_eq!(read(&paths).unwrap().path(), other.display().to_string());
        fs::write(own, NEW).unwrap();
        assert_eq!(read(&paths).unwrap().text(), Some(NEW));
    }

    #[test]
    fn what_cannot_be_read_is_never_taken_for_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawdia.json");
        std::os::unix::fs::symlink(dir.path().join("gone"), &path).unwrap();
        assert!(read_file(&path).unwrap_err().what.contains("link"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read_file(&path).unwrap_err().what.contains("not a file"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, b"{\n a: '\xff' }").unwrap();
        let fault = read_file(&path).unwrap_err();
        assert_eq!(fault.place, Some(Place { line: 2, column: 6 }));
        fs::write(&path, vec![b' '; CONFIG_BYTES_MAX + 1]).unwrap();
        assert!(read_file(&path).unwrap_err().what.contains("longer than"));
        let below_a_file = path.join("clawdia.json");
        assert!(read_file(&below_a_file).is_err());
    }

    #[test]
    fn a_write_keeps_the_previous_good_copy_and_closes_the_file_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let path = path_of(&paths);
        write(&paths, Document::absent("").hash(), OLD).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&paths, &hash_of(&path), NEW).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
        let backup = backup_path(&path);
        assert_eq!(fs::read_to_string(&backup).unwrap(), OLD);
        for file in [&path, &backup] {
            assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
        }
        fs::write(&path, "{ damaged").unwrap();
        write(&paths, &hash_of(&path), NEW).unwrap();
        assert_eq!(fs::read_to_string(&backup).unwrap(), OLD);
        assert!(
            way_back(&path.display().to_string(), &[])
                .unwrap()
                .contains(".bak")
        );
    }

    #[test]
    fn a_copy_that_has_faults_itself_is_no_way_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawdia.json");
        let shown = path.display().to_string();
        assert_eq!(way_back(&shown, &[]), None, "there is none");
        let unset = Fault::new("a", format!("{UNSET_VARIABLE} X"), "");
        let other = Fault::new("a", "is a text", "");
        for (text, against_unset, against_other) in [
            ("{}", true, true),
            ("{ broken", false, false),
            ("{ gateway: { prot: 1 } }", false, false),
            (
                "{ gateway: { auth: { token: '${NOBODY_SETS_THIS}' } } }",
                false,
                true,
            ),
        ] {
            fs::write(backup_path(&path), text).unwrap();
            let offers = |fault: &Fault| way_back(&shown, std::slice::from_ref(fault)).is_some();
            assert_eq!(offers(&unset), against_unset, "{text}");
            assert_eq!(offers(&other), against_other, "{text}");
        }
    }

    #[test]
    fn a_file_that_changed_since_it_was_read_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let path = path_of(&paths);
        fs::write(&path, OLD).unwrap();
        let seen = hash_of(&path);
        fs::write(&path, "{ a: 3 }").unwrap();
        assert!(matches!(
            write(&paths, &seen, NEW),
            Err(WriteFault::Changed)
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            write(&paths, &seen, NEW),
            Err(WriteFault::Changed)
        ));
        assert!(!path.exists());
    }

    #[test]
    fn an_editor_that_saves_meanwhile_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        fs::write(&path, OLD).unwrap();
        let mut before = |step| {
            if step == Step::CompareAgain {
                fs::write(&path, "{ a: 'edited' }")?;
            }
            Ok(())
        };
        let outcome = write_file(&path, &hash_of(&path), NEW, &mut before);
        assert!(matches!(outcome, Err(WriteFault::Changed)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{ a: 'edited' }");
    }

    #[test]
    fn of_many_writers_with_one_base_exactly_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        fs::write(&path, OLD).unwrap();
        let seen = hash_of(&path);
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let (path, seen) = (path.clone(), seen.clone());
                std::thread::spawn(move || {
                    write_file(&path, &seen, &format!("{{ n: {n} }}"), &mut |_| Ok(())).is_ok()
                })
            })
            .collect();
        let won = writers.into_iter().map(|w| w.join().unwrap());
        assert_eq!(won.filter(|won| *won).count(), 1);
    }

    #[test]
    fn a_fault_or_a_crash_at_any_step_leaves_the_old_or_the_new_file() {
        let steps = [
            Step::Lock,
            Step::Compare,
            Step::Backup,
            Step::CompareAgain,
            Step::Replace,
            Step::Done,
        ];
        for fails_at in steps {
            for crashes in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("c.json");
                fs::write(&path, OLD).unwrap();
                let seen = hash_of(&path);
                let mut reached = false;
                let mut before = |step| {
                    if step != fails_at {
                        return Ok(());
                    }
                    reached = true;
                    assert!(!crashes, "crash");
                    Err(io::Error::from(io::ErrorKind::StorageFull))
                };
                let attempt =
                    std::panic::AssertUnwindSafe(|| write_file(&path, &seen, NEW, &mut before));
                let outcome = std::panic::catch_unwind(attempt);
                assert_eq!(outcome.is_err(), crashes);
                assert!(reached, "{fails_at:?}");
                let expected = if fails_at == Step::Done { NEW } else { OLD };
                assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{fails_at:?}");
                let backup = fs::read_to_string(backup_path(&path));
                assert!(backup.is_err() || backup.unwrap() == OLD, "{fails_at:?}");
                // The next one is not held up by what the crash left behind.
                write_file(&path, &hash_of(&path), "{}", &mut |_| Ok(())).unwrap();
            }
        }
    }

    #[test]
    fn secrets_that_others_can_read_are_warned_of_with_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        fs::write(&path, "{ gateway: { auth: { token: 'hunter2' } } }").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let warning = check_mode(&read_file(&path).unwrap()).unwrap();
        assert!(warning.ends_with(&format!("chmod 600 {}", path.display())));
        assert!(!warning.contains("hunter2"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(check_mode(&read_file(&path).unwrap()), None);
        fs::write(&path, "{ gateway: { port: 1 } }").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(check_mode(&read_file(&path).unwrap()), None);
    }
}
