//! Text files below a workspace: read, written, edited.

use std::io::{ErrorKind, Read};

use super::beneath::{self, Spot, expand, spot};
use crate::agent::Below;
use crate::limits::{NOTE_BYTES_MAX, WORKSPACE_FILE_BYTES_MAX};

/// Lines of a file, with what is known of the rest.
///
/// # Errors
///
/// For the model: what is wrong with the path or the file.
pub fn read(at: &Below, first_line: u64, lines_max: u64) -> Result<String, String> {
    let text = whole(&place(at, false)?, at)?;
    let from = usize::try_from(first_line.max(1) - 1).unwrap_or(usize::MAX);
    let max = usize::try_from(lines_max).unwrap_or(usize::MAX);
    let total = text.lines().count();
    let mut shown: Vec<&str> = text.lines().skip(from).take(max).collect();
    let left = total.saturating_sub(from).saturating_sub(shown.len());
    let note = format!(
        "[{left} more lines; go on with firstLine {}]",
        from + shown.len() + 1
    );
    if left > 0 {
        shown.push(&note);
    }
    match (total, shown.is_empty()) {
        (0, _) => Ok("[the file is empty]".into()),
        (_, true) => Err(format!("{} has {total} lines only", at.path)),
        (_, false) => Ok(shown.join("\n")),
    }
}

/// Makes or replaces a file.
///
/// # Errors
///
/// For the model: what is wrong with the path, the text or the disk.
pub fn write(at: &Below, text: &str) -> Result<String, String> {
    if text.len() > WORKSPACE_FILE_BYTES_MAX {
        return Err(format!(
            "a file has at most {WORKSPACE_FILE_BYTES_MAX} bytes"
        ));
    }
    let spot = place(at, true)?;
    spot.replace(text.as_bytes())
        .map_err(|error| told(at, &error))?;
    Ok(format!("wrote {} bytes to {}", text.len(), at.path))
}

/// Replaces `old` by `new` in a file: where it stands once, or everywhere.
///
/// # Errors
///
/// For the model: the text is not there, or more than once.
pub fn edit(at: &Below, old: &str, new: &str, all: bool) -> Result<String, String> {
    if old.is_empty() {
        return Err("oldText is empty; write makes a new file".into());
    }
    let spot = place(at, false)?;
    let text = whole(&spot, at)?;
    let count = text.matches(old).count();
    match count {
        0 => {
            return Err(format!(
                "{} does not contain oldText as it is written",
                at.path
            ));
        }
        1 => {}
        _ if all => {}
        _ => {
            return Err(format!(
                "oldText stands {count} times in {}; give more of its surroundings, or all: true",
                at.path
            ));
        }
    }
    let text = text.replace(old, new);
    if text.len() > WORKSPACE_FILE_BYTES_MAX {
        return Err(format!(
            "a file has at most {WORKSPACE_FILE_BYTES_MAX} bytes"
        ));
    }
    spot.replace(text.as_bytes())
        .map_err(|error| told(at, &error))?;
    Ok(format!("replaced {count} in {}", at.path))
}

/// Those of these files that are there, each cut to what a prompt has room for.
pub fn notes(folder: &str, names: &'static [&'static str]) -> Vec<(&'static str, String)> {
    let Ok(root) = expand(folder).canonicalize() else {
        return Vec::new();
    };
    let text = |name: &'static str| {
        let file = spot(&root, name, false).ok()?.open().ok()?;
        let mut bytes = Vec::new();
        let max = NOTE_BYTES_MAX as u64;
        file.take(max + 1).read_to_end(&mut bytes).ok()?;
        let is_cut = bytes.len() > NOTE_BYTES_MAX;
        bytes.truncate(NOTE_BYTES_MAX);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\u{fffd}').trim();
        let cut = if is_cut {
            "\n[… the rest is cut off]"
        } else {
            ""
        };
        (!text.is_empty()).then(|| (name, format!("{text}{cut}")))
    };
    names.iter().filter_map(|name| text(name)).collect()
}

fn place(at: &Below, make: bool) -> Result<Spot, String> {
    spot(&beneath::workspace(&at.workspace)?, &at.path, make)
}

fn whole(spot: &Spot, at: &Below) -> Result<String, String> {
    let file = spot.open().map_err(|error| told(at, &error))?;
    let mut bytes = Vec::new();
    let max = WORKSPACE_FILE_BYTES_MAX as u64;
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| told(at, &error))?;
    if bytes.len() > WORKSPACE_FILE_BYTES_MAX {
        return Err(format!(
            "{} is longer than {WORKSPACE_FILE_BYTES_MAX} bytes",
            at.path
        ));
    }
    String::from_utf8(bytes).map_err(|_| format!("{} is no text", at.path))
}

fn told(at: &Below, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("there is no file {}", at.path),
        _ => format!("{}: {error}", at.path),
    }
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
    fn a_file_is_written_read_in_pieces_and_edited() {
        let dir = tempfile::tempdir().unwrap();
        let at = at(&dir, "notes/a.txt");
        assert!(read(&at, 1, 10).unwrap_err().contains("a.txt"));
        write(&at, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read(&at, 1, 10).unwrap(), "one\ntwo\nthree");
        let part = read(&at, 2, 1).unwrap();
        assert_eq!(part, "two\n[1 more lines; go on with firstLine 3]");
        assert!(read(&at, 9, 1).unwrap_err().contains("3 lines"));
        assert!(edit(&at, "t", "T", false).unwrap_err().contains("2 times"));
        assert!(
            edit(&at, "four", "", false)
                .unwrap_err()
                .contains("does not contain")
        );
        assert!(edit(&at, "", "x", false).is_err());
        edit(&at, "two", "2", false).unwrap();
        edit(&at, "e", "E", true).unwrap();
        assert_eq!(read(&at, 1, 10).unwrap(), "onE\n2\nthrEE");
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = at(&dir, "b");
        assert!(write(&at, &"x".repeat(WORKSPACE_FILE_BYTES_MAX + 1)).is_err());
        write(&at, "").unwrap();
        let path = dir.path().join("work/b");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read(&at, 1, 1).unwrap_err().contains("no text"));
        std::fs::write(&path, vec![b'x'; WORKSPACE_FILE_BYTES_MAX + 1]).unwrap();
        assert!(read(&at, 1, 1).unwrap_err().contains("longer than"));
    }

    #[test]
    fn notes_are_those_that_are_there_and_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        std::fs::write(dir.path().join("SOUL.md"), "  kind  \n").unwrap();
        std::fs::write(dir.path().join("USER.md"), "é".repeat(NOTE_BYTES_MAX)).unwrap();
        std::fs::write(dir.path().join("TOOLS.md"), " \n").unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("AGENTS.md")).unwrap();
        let found = notes(
            folder,
            &["AGENTS.md", "SOUL.md", "TOOLS.md", "USER.md", "NO.md"],
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], ("SOUL.md", "kind".to_owned()));
        assert!(found[1].1.ends_with("cut off]") && found[1].1.len() < NOTE_BYTES_MAX + 40);
        assert!(notes("/no/such/folder", &["SOUL.md"]).is_empty());
    }
}
