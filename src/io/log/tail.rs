//! Pages of the log file by byte cursor.

use crate::limits::{LOG_TAIL_BYTES, LOG_TAIL_LINES};
use crate::log::Tail;
use crate::log::client::client_line;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Reads whole lines. Without a cursor the file's last ones; with one those that follow it, so
/// that a client which asks again with the cursor it got sees every line once.
///
/// At most `limit` lines of at most `max_bytes` of the file, both cut to what `logs.tail` allows.
/// A file that is not there is empty.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn tail(path: &Path, cursor: Option<u64>, limit: usize, max_bytes: usize) -> io::Result<Tail> {
    let limit = limit.clamp(1, LOG_TAIL_LINES.1);
    let max_bytes = max_bytes.clamp(1, LOG_TAIL_BYTES.1) as u64;
    let mut out = Tail {
        file: path.display().to_string(),
        ..Tail::default()
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            out.reset = cursor.is_some_and(|cursor| cursor > 0);
            return Ok(out);
        }
        Err(error) => return Err(error),
    };
    out.size = file.metadata()?.len();
    // Cursors stand behind a line feed; one that does not is of a file that was rotated away.
    let follows = match cursor {
        Some(cursor) if cursor <= out.size => follows_line(&mut file, cursor)?,
        _ => false,
    };
    out.reset = cursor.is_some() && !follows;
    match cursor.filter(|_| follows) {
        Some(cursor) => forward(&mut file, cursor, limit, max_bytes, &mut out)?,
        None => backward(&mut file, limit, max_bytes, &mut out)?,
    }
    Ok(out)
}

fn backward(file: &mut File, limit: usize, max_bytes: u64, out: &mut Tail) -> io::Result<()> {
    let start = out.size.saturating_sub(max_bytes);
    out.truncated = start > 0;
    let bytes = read(file, start, out.size - start)?;
    let end = whole_len(&bytes);
    let begin = if follows_line(file, start)? {
        0
    } else {
        bytes
            .iter()
            .position(|b| *b == b'\n')
            .map_or(end, |i| i + 1)
    };
    let mut lines = lines(&bytes[begin.min(end)..end]);
    out.lines = lines.split_off(lines.len().saturating_sub(limit));
    out.cursor = start + end as u64;
    Ok(())
}

fn forward(
    file: &mut File,
    cursor: u64,
    limit: usize,
    max_bytes: u64,
    out: &mut Tail,
) -> io::Result<()> {
    let wanted = (out.size - cursor).min(max_bytes);
    let bytes = read(file, cursor, wanted)?;
    let mut end = 0;
    for _ in 0..limit {
        match bytes[end..].iter().position(|b| *b == b'\n') {
            Some(i) => end += i + 1,
            None => break,
        }
    }
    out.lines = lines(&bytes[..end]);
    out.cursor = cursor + end as u64;
    if end == 0 && wanted == max_bytes {
        // A line longer than a page would hold up all that follow it.
        let page = backward(file, limit, max_bytes, out);
        out.reset = true;
        return page;
    }
    Ok(())
}

fn read(file: &mut File, start: u64, len: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn follows_line(file: &mut File, at: u64) -> io::Result<bool> {
    Ok(at == 0 || read(file, at - 1, 1)? == b"\n")
}

/// The length up to the last line feed: the writer may be in the middle of a line.
fn whole_len(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1)
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .filter(|line| !line.is_empty())
        .map(client_line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    struct Fixture {
        _dir: tempfile::TempDir,
        path: PathBuf,
    }

    fn fixture(text: &str) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, text).unwrap();
        Fixture { _dir: dir, path }
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn without_a_cursor_the_last_lines_come() {
        let f = fixture("one\ntwo\nthree\n");
        let page = tail(&f.path, None, 2, 1_000).unwrap();
        assert_eq!(page.lines, ["two", "three"]);
        assert_eq!((page.cursor, page.size), (14, 14));
        assert!(!page.truncated && !page.reset);
        let page = tail(&f.path, None, 100, 8).unwrap();
        assert_eq!(page.lines, ["three"]);
        assert!(page.truncated);
        let page = tail(&f.path, None, 100, 10).unwrap();
        assert_eq!(page.lines, ["two", "three"]);
    }

    #[test]
    fn following_the_cursor_gives_every_line_once() {
        let f = fixture("");
        let mut cursor = tail(&f.path, None, 10, 100).unwrap().cursor;
        let mut seen = Vec::new();
        for n in 0..200 {
            // Half a line at a time, so that a page often ends within one.
            append(&f.path, &format!("line {n}"));
            if n % 3 == 0 {
                let page = tail(&f.path, Some(cursor), 5, 40).unwrap();
                cursor = page.cursor;
                assert!(!page.reset && !page.truncated);
                seen.extend(page.lines);
            }
            append(&f.path, "\n");
        }
        loop {
            let page = tail(&f.path, Some(cursor), 5, 40).unwrap();
            if page.lines.is_empty() {
                break;
            }
            cursor = page.cursor;
            seen.extend(page.lines);
        }
        let expected: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_cursor_of_a_rotated_file_begins_anew() {
        let f = fixture("one\ntwo\n");
        for cursor in [9, 2, u64::MAX] {
            let page = tail(&f.path, Some(cursor), 10, 100).unwrap();
            assert!(page.reset, "{cursor}");
            assert_eq!(page.lines, ["one", "two"]);
            assert_eq!(page.cursor, 8);
        }
        let page = tail(&f.path, Some(8), 10, 100).unwrap();
        assert!(!page.reset && page.lines.is_empty());
    }

    #[test]
    fn a_missing_file_is_empty() {
        let page = tail(Path::new("/nowhere/x.log"), None, 10, 100).unwrap();
        assert_eq!((page.cursor, page.size, page.lines.len()), (0, 0, 0));
        assert!(!page.reset && !page.truncated);
    }

    #[test]
    fn a_line_longer_than_a_page_holds_up_nothing() {
        let f = fixture(&format!("a\n{}\nb\n", "x".repeat(100)));
        let page = tail(&f.path, Some(2), 10, 50).unwrap();
        assert_eq!(page.lines, ["b"]);
        assert!(page.reset && page.truncated);
        assert_eq!(page.cursor, page.size);
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let f = fixture("");
        fs::write(&f.path, b"\xff\xfe\n\0\n").unwrap();
        assert_eq!(tail(&f.path, None, 10, 100).unwrap().lines.len(), 2);
    }
}
