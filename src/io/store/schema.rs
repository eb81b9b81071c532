//! The database file: its tables, how it is made, opened and brought to this version.

use super::fault::{damaged, start_fault};
use crate::io::atomic;
use crate::io::state_dir::StartFault;
use crate::limits::{STORE_BUSY_MS, STORE_CACHE_KIB, STORE_CHECK_BYTES_MAX, STORE_WAL_BYTES};
use rusqlite::{Connection, OpenFlags, Result};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The database's name in the state directory.
pub const DATABASE_FILE: &str = "clawdia.db";
/// Says that a database was made here once.
pub const MARKER_FILE: &str = "clawdia.db.made";

/// "Claw": SQLite's header tells by it whose file this is.
pub(crate) const APPLICATION_ID: i32 = 0x436c_6177;

/// Version 1. Rows that are read whole are one JSON text, so that they can grow fields.
const TABLES: &str = "
CREATE TABLE device (device_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pairing (
    request_id TEXT PRIMARY KEY, ts INTEGER NOT NULL, body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE session (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    session_id TEXT NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
    role TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (session_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE message_archive (
    id INTEGER PRIMARY KEY, session_id TEXT NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL,
    role TEXT NOT NULL, body TEXT NOT NULL, archived_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX message_archive_age ON message_archive (archived_at_ms);
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, state TEXT NOT NULL, ended_at_ms INTEGER, body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency (
    method TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, run_id TEXT,
    is_done INTEGER NOT NULL, response TEXT NOT NULL, expires_at_ms INTEGER NOT NULL,
    PRIMARY KEY (method, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// The tables that are read whole at start, and so checked whole.
const LOADED_TABLES: [&str; 11] = [
    "device",
    "pairing",
    "session",
    "run",
    "idempotency",
    "setting",
    "node_call",
    "outgoing",
    "contact",
    "cron_job",
    "cron_run",
];

/// What leads from each version to the next: the first from 1 to 2.
const MIGRATIONS: &[&str] = &[
    // 2: calls that are kept until their node has answered.
    "CREATE TABLE node_call (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    // 3: messages on their way to channels, and people who wrote to them.
    "CREATE TABLE outgoing (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
     CREATE TABLE contact (
         channel TEXT NOT NULL, account_id TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
         PRIMARY KEY (channel, account_id, id)
     ) STRICT, WITHOUT ROWID;",
    // 4: scheduled jobs and their runs.
    "CREATE TABLE cron_job (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE cron_run (
         id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, body TEXT NOT NULL
     ) STRICT;
     CREATE INDEX cron_run_job ON cron_run (job_id, id);",
    // 5: messages that a summary stands for are still shown.
    "CREATE INDEX message_archive_session ON message_archive (session_id, seq);",
];

/// The version that this program writes.
pub(crate) const SCHEMA_VERSION: usize = version_after(MIGRATIONS);

const fn version_after(migrations: &[&str]) -> usize {
    1 + migrations.len()
}

/// Makes the database where there never was one, checks the one that is there, and brings
/// it to this version. Returns what was done, for the log.
pub(super) fn prepare(dir: &Path) -> Result<Vec<String>, StartFault> {
    let path = dir.join(DATABASE_FILE);
    let io = |fault| StartFault::io("open the database", &path, fault);
    let mut notices = Vec::new();
    if !path.try_exists().map_err(io)? {
        refuse_if_lost(dir, &path)?;
        make(&path).map_err(|fault| start_fault(&path, &fault))?;
        notices.push(format!("made the database {}", path.display()));
    }
    check_header(&path)?;
    let version = check_open(&path)?;
    if version < SCHEMA_VERSION {
        let copy = migrate(&path, version, MIGRATIONS)?;
        let copy = copy.display();
        notices.push(format!(
            "brought the database to version {SCHEMA_VERSION}, copy: {copy}"
        ));
    }
    mark(dir)?;
    Ok(notices)
}

/// Leaves a sign that there is a database here, where there is none yet.
pub(crate) fn mark(dir: &Path) -> Result<(), StartFault> {
    let marker = dir.join(MARKER_FILE);
    if marker.exists() {
        return Ok(());
    }
    let text = format!(
        "{DATABASE_FILE} was made here. Where it is missing and this file is not, the gateway \
         refuses to begin with an empty one.\n"
    );
    atomic::replace(&marker, text.as_bytes())
        .map_err(|fault| StartFault::io("write", &marker, fault))
}

/// A connection that writes.
pub(crate) fn open_writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    set_bounds(&conn)?;
    conn.pragma_update(None, "journal_size_limit", STORE_WAL_BYTES)?;
    Ok(conn)
}

/// A connection that only reads, and changes nothing on disk when it is closed either.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    set_bounds(&conn)?;
    conn.set_db_config(
        rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
        true,
    )?;
    Ok(conn)
}

fn set_bounds(conn: &Connection) -> Result<()> {
    conn.busy_timeout(Duration::from_millis(STORE_BUSY_MS))?;
    conn.pragma_update(None, "cache_size", -STORE_CACHE_KIB)?;
    // A failed read of a mapped file is a signal, not an error.
    conn.pragma_update(None, "mmap_size", 0)
}

/// A database that was here and is gone must not come back empty without a word.
pub(super) fn refuse_if_lost(dir: &Path, path: &Path) -> Result<(), StartFault> {
    for sign in [dir.join(MARKER_FILE), beside(path, "-wal")] {
        if sign.exists() {
            let (path, sign) = (path.display(), sign.display());
            return Err(StartFault::refused(format!(
                "the database {path} is missing, but {sign} says that there was one: bring back \
                 a backup with `clawdia restore FILE`, or remove {sign} to begin with nothing"
            )));
        }
    }
    Ok(())
}

/// Makes an empty database under another name first, so that a crash leaves no half of one.
fn make(path: &Path) -> Result<()> {
    let temp = beside(path, ".new");
    make_file(&temp)?;
    let conn = open_writer(&temp)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    make_tables(&conn)?;
    conn.close().map_err(|(_, fault)| fault)?;
    publish(&temp, path).map_err(io_failure)
}

/// The tables of this version, in a database without any.
pub(super) fn make_tables(conn: &Connection) -> Result<()> {
    let mut script = format!("BEGIN; {TABLES}");
    script.extend(MIGRATIONS.iter().copied());
    conn.execute_batch(&format!(
        "{script} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    ))
}

/// Gives a database that is closed and complete its real name.
pub(crate) fn publish(temp: &Path, path: &Path) -> io::Result<()> {
    File::open(temp)?.sync_all()?;
    fs::rename(temp, path)?;
    atomic::sync_dir(atomic::parent(path))
}

/// What SQLite would mend or misread without a word: a file of no length is an empty database to
/// it, a short one a smaller database. Reads the header only.
pub(crate) fn check_header(path: &Path) -> Result<(), StartFault> {
    let io = |fault| StartFault::io("read", path, fault);
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    if len < header.len() as u64 {
        return Err(damaged(path, &format!("it has only {len} bytes")));
    }
    file.read_exact(&mut header).map_err(io)?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(damaged(path, "it does not begin as a SQLite database does"));
    }
    // https://www.sqlite.org/fileformat.html 1.3: page size at 16, pages at 28.
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    // With a journal beside it, the file may be shorter: the journal has the rest.
    let has_wal = fs::metadata(beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0);
    let expected = u64::from(pages) * page_bytes;
    if !has_wal && len < expected {
        return Err(damaged(
            path,
            &format!("it has {len} bytes instead of {expected}"),
        ));
    }
    Ok(())
}

/// Checks whose database it is and its inner order, without changing the file. Returns its version.
pub(super) fn check_open(path: &Path) -> Result<usize, StartFault> {
    let checked = open_reader(path).and_then(|conn| {
        let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let fault = if version <= SCHEMA_VERSION as i64 {
            quick_check(&conn)?
        } else {
            None
        };
        Ok((id, version, fault))
    });
    let (id, version, fault) = checked.map_err(|fault| start_fault(path, &fault))?;
    if id != APPLICATION_ID {
        return Err(damaged(path, "it is a database of another program"));
    }
    if let Some(fault) = fault {
        return Err(damaged(path, &fault));
    }
    match usize::try_from(version) {
        Ok(version @ 1..=SCHEMA_VERSION) => Ok(version),
        Ok(version) if version > SCHEMA_VERSION => Err(StartFault::refused(format!(
            "the database {} has version {version}, this program knows up to {SCHEMA_VERSION}: \
             run the newer clawdia that wrote it, or bring back an older backup with `clawdia \
             restore FILE`",
            path.display()
        ))),
        _ => Err(damaged(path, &format!("version {version}"))),
    }
}

/// Checks the order of the pages: all of a small database, of a large one those that are
/// loaded now. None where nothing is wrong.
fn quick_check(conn: &Connection) -> Result<Option<String>> {
    let pages: u64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_bytes: u64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let is_small = pages * page_bytes <= STORE_CHECK_BYTES_MAX;
    let checks = match is_small {
        true => vec!["PRAGMA quick_check(1)".to_string()],
        // A database of an earlier version has not all of them yet.
        false => LOADED_TABLES
            .into_iter()
            .filter(|table| conn.table_exists(None, *table).unwrap_or(true))
            .map(|table| format!("PRAGMA quick_check({table})"))
            .collect(),
    };
    for check in checks {
        let answer: String = conn.query_row(&check, [], |row| row.get(0))?;
        if answer != "ok" {
            return Ok(Some(answer.replace('\n', " ")));
        }
    }
    Ok(None)
}

/// Brings the database to the version after `migrations`, in one transaction, with a copy first.
/// Returns the copy's path.
fn migrate(path: &Path, version: usize, migrations: &[&str]) -> Result<PathBuf, StartFault> {
    let copy = beside(path, &format!(".version-{version}"));
    copy_database(path, &copy)
        .and_then(|()| {
            let conn = open_writer(path)?;
            let script: String = migrations[version - 1..].concat();
            let version = version_after(migrations);
            let script = format!("BEGIN; {script} PRAGMA user_version = {version}; COMMIT;");
            let outcome = conn.execute_batch(&script);
            if outcome.is_err() && !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK")?;
            }
            outcome
        })
        .map_err(|fault| start_fault(path, &fault))?;
    Ok(copy)
}

/// Copies a database, also one in use, to a file of its own that has no journal. What was at
/// `to` is replaced.
pub(crate) fn copy_database(from: &Path, to: &Path) -> Result<()> {
    let temp = beside(to, ".part");
    make_file(&temp)?;
    let source = open_reader(from)?;
    let mut target = open_writer(&temp)?;
    let all_pages = -1;
    rusqlite::backup::Backup::new(&source, &mut target)?.step(all_pages)?;
    target.pragma_update(None, "journal_mode", "delete")?;
    target.close().map_err(|(_, fault)| fault)?;
    publish(&temp, to).map_err(io_failure)
}

/// Makes an empty file for a database in the place of what a crash left there. SQLite gives its
/// journals the mode of the database.
fn make_file(path: &Path) -> Result<()> {
    for leftover in with_journals(path) {
        let _ = fs::remove_file(leftover);
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.map(drop).map_err(io_failure)
}

/// `path` with `suffix` after its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// A database and the files that SQLite keeps beside it.
pub(crate) fn with_journals(path: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix))
}

/// A failed file operation of our own, as SQLite would report it.
fn io_failure(fault: io::Error) -> rusqlite::Error {
    let code = match fault.kind() {
        io::ErrorKind::StorageFull => rusqlite::ffi::SQLITE_FULL,
        _ => rusqlite::ffi::SQLITE_IOERR,
    };
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DATABASE_FILE);
        make(&path).unwrap();
        // The migrations below lead on from the first version.
        let first = "PRAGMA user_version = 1";
        open_writer(&path).unwrap().execute_batch(first).unwrap();
        (dir, path)
    }

    fn settings(path: &Path) -> (i64, i64) {
        let conn = open_reader(path).unwrap();
        let count = conn
            .query_row("SELECT count(*) FROM setting", [], |row| row.get(0))
            .unwrap();
        let version = conn
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        (version, count)
    }

    #[test]
    fn a_migration_keeps_a_copy_of_what_was() {
        let (_dir, path) = made();
        let add = "INSERT INTO setting VALUES ('a', '1');";
        open_writer(&path).unwrap().execute_batch(add).unwrap();
        let migrations = [
            "INSERT INTO setting VALUES ('b', '2');",
            "INSERT INTO setting VALUES ('c', '3');",
        ];
        let copy = migrate(&path, 1, &migrations).unwrap();
        assert_eq!(settings(&path), (3, 3));
        assert_eq!(settings(&copy), (1, 1));
        // From the version between, only the last step is done.
        open_writer(&copy)
            .unwrap()
            .execute_batch("PRAGMA user_version = 2")
            .unwrap();
        migrate(&copy, 2, &migrations).unwrap();
        assert_eq!(settings(&copy), (3, 2));
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let (_dir, path) = made();
        let migrations = ["INSERT INTO setting VALUES ('b', '2'); INSERT INTO none VALUES (1);"];
        migrate(&path, 1, &migrations).unwrap_err();
        assert_eq!(settings(&path), (1, 0));
    }

    #[test]
    fn a_large_database_is_checked_in_the_tables_that_are_loaded() {
        let (_dir, path) = made();
        let body = "x".repeat(STORE_CHECK_BYTES_MAX as usize);
        let conn = open_writer(&path).unwrap();
        conn.execute(
            "INSERT INTO message VALUES ('s', 1, 1, 'user', ?1)",
            [&body],
        )
        .unwrap();
        conn.execute("INSERT INTO setting VALUES ('a', '1')", [])
            .unwrap();
        drop(conn);
        check_open(&path).unwrap();
        let conn = open_reader(&path).unwrap();
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'setting'";
        let root: usize = conn.query_row(root, [], |row| row.get(0)).unwrap();
        drop(conn);
        let mut bytes = fs::read(&path).unwrap();
        bytes[(root - 1) * 4096..][..8].fill(0xff);
        fs::write(&path, bytes).unwrap();
        check_open(&path).unwrap_err();
    }
}
