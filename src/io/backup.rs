//! One file with everything that a gateway needs to be itself again: the database, the
//! configuration, the token and the certificate that it made. It holds secrets, so it is 0600 like what it was made from.
//!
//! The file is a SQLite database itself: a copy of the gateway's, with three more tables.

use super::atomic;
use super::lock::{LockHolder, StateLock};
use super::secret::{TOKEN_FILE, token_path};
use super::state_dir::{self, StartFault};
use super::store::DATABASE_FILE;
use super::store::fault::start_fault;
use super::store::schema::{
    APPLICATION_ID, SCHEMA_VERSION, beside, check_header, copy_database, mark, open_reader,
    open_writer, publish, with_journals,
};
use super::tls::certificate::OWN_FILE;
use rusqlite::{Connection, ErrorCode};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// "ClBk": a backup is not taken for a database that is in use.
const BACKUP_APPLICATION_ID: i32 = 0x436c_426b;
/// The version of the three tables; the first one had no digests.
const BACKUP_VERSION: i64 = 2;

const BACKUP_TABLES: &str = "
CREATE TABLE backup (
    version INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, program TEXT NOT NULL
) STRICT;
CREATE TABLE backup_file (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE backup_digest (name TEXT PRIMARY KEY, sha256 BLOB NOT NULL) STRICT, WITHOUT ROWID;
";

/// Where a gateway keeps what is backed up.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    pub state_dir: &'a Path,
    pub config: &'a Path,
}

impl Places<'_> {
    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join(DATABASE_FILE)
    }

    /// Name in the backup and place here of each file beside the database.
    fn files(&self) -> [(&'static str, PathBuf); 3] {
        // The certificate that clients pin, with its key: under another one they would refuse the gateway.
        let certificate = (OWN_FILE, self.state_dir.join(OWN_FILE));
        let token = (TOKEN_FILE, token_path(self.state_dir));
        [
            token,
            certificate,
            ("configuration", self.config.to_path_buf()),
        ]
    }
}

/// What a backup says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// When it was made.
    pub created_at_ms: u64,
    /// Whether it has digests, so that a changed byte is noticed; those of earlier versions have none.
    pub has_digests: bool,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub about: About,
    /// Where the former files are kept; None where there were none.
    pub kept_in: Option<PathBuf>,
}

/// Writes a backup to `file`, which must not exist. The gateway may be running: the copy is of
/// one moment. Returns the names of what is in it.
pub fn back_up(places: &Places<'_>, file: &Path, now_ms: u64) -> Result<Vec<String>, StartFault> {
    if file.symlink_metadata().is_ok() {
        return Err(StartFault::refused(format!(
            "{} exists already",
            file.display()
        )));
    }
    let database = places.database();
    check_header(&database)?;
    let temp = beside(file, ".copy");
    let outcome = write_backup(places, &database, &temp, now_ms).and_then(|names| {
        check(&temp)?;
        let placed = fs::File::open(&temp)
            .and_then(|temp| temp.sync_all())
            .and_then(|()| fs::hard_link(&temp, file))
            .and_then(|()| atomic::sync_dir(atomic::parent(file)));
        placed.map_err(|fault| StartFault::io("write", file, fault))?;
        Ok(names)
    });
    for leftover in with_journals(&temp) {
        let _ = fs::remove_file(leftover);
    }
    outcome
}

/// Puts what is in the backup in the place of what is here, and keeps what was here. Refuses
/// while a gateway runs on the state directory, and before it changes anything where the backup
/// is not whole.
pub fn restore(places: &Places<'_>, file: &Path, now_ms: u64) -> Result<Restored, StartFault> {
    let about = check(file)?;
    state_dir::prepare(places.state_dir)?;
    let _lock = StateLock::acquire(places.state_dir, LockHolder::this_process(now_ms))?;
    let database = places.database();
    let new = beside(&database, ".new");
    let contents = take_out(file, &new)?;
    // From here to the end, a crash leaves a gateway that refuses to start without its database.
    mark(places.state_dir)?;
    let kept_in = keep(places, now_ms)?;
    publish(&new, &database).map_err(|fault| StartFault::io("write", &database, fault))?;
    for (name, path) in places.files() {
        let Some((_, content)) = contents.iter().find(|(it, _)| it == name) else {
            continue;
        };
        let dir = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(atomic::parent(&path));
        dir.and_then(|()| atomic::replace(&path, content))
            .map_err(|fault| StartFault::io("write", &path, fault))?;
    }
    Ok(Restored { about, kept_in })
}

fn write_backup(
    places: &Places<'_>,
    database: &Path,
    temp: &Path,
    now_ms: u64,
) -> Result<Vec<String>, StartFault> {
    copy_database(database, temp).map_err(|fault| start_fault(database, &fault))?;
    let to_temp = |fault| start_fault(temp, &fault);
    let conn = open_writer(temp).map_err(to_temp)?;
    conn.pragma_update(None, "application_id", BACKUP_APPLICATION_ID)
        .map_err(to_temp)?;
    conn.execute_batch(BACKUP_TABLES).map_err(to_temp)?;
    let about = (BACKUP_VERSION, now_ms, env!("CARGO_PKG_VERSION"));
    conn.execute("INSERT INTO backup VALUES (?1, ?2, ?3)", about)
        .map_err(to_temp)?;
    let mut names = vec![DATABASE_FILE.to_string()];
    for (name, path) in places.files() {
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => continue,
            Err(fault) => return Err(StartFault::io("read", &path, fault)),
        };
        let insert = "INSERT INTO backup_file VALUES (?1, ?2)";
        conn.execute(insert, (name, content)).map_err(to_temp)?;
        names.push(name.to_string());
    }
    digest::note(&conn).map_err(to_temp)?;
    conn.close().map_err(|(_, fault)| to_temp(fault))?;
    Ok(names)
}

/// Reads the whole backup.
///
/// # Errors
///
/// What is wrong with it, and which member changed since it was made.
pub fn check(file: &Path) -> Result<About, StartFault> {
    if file.is_dir() {
        return Err(not_whole(file, "it is a folder"));
    }
    if let Err(fault) = fs::File::open(file) {
        return Err(not_whole(file, &format!("it cannot be read ({fault})")));
    }
    check_header(file).map_err(|_| not_whole(file, "it is cut short or no backup at all"))?;
    let read = |conn: Connection| {
        let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if id != BACKUP_APPLICATION_ID {
            return Ok(Err("it was not made by `clawdia backup`".to_string()));
        }
        let order: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if order != "ok" {
            return Ok(Err(DAMAGED.to_owned()));
        }
        let schema: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let about = "SELECT version, created_at_ms FROM backup";
        let (version, created_at_ms): (i64, u64) =
            conn.query_row(about, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if version > BACKUP_VERSION || schema > SCHEMA_VERSION as i64 {
            return Ok(Err(
                "a newer version of clawdia made it, so it takes that one".to_string(),
            ));
        }
        // Either says it alone, so that no single byte takes the check away.
        let has_digests = version > 1 || conn.table_exists(None, "backup_digest")?;
        let changed = match has_digests {
            true => digest::first_changed(&conn)?,
            false => None,
        };
        Ok(match changed {
            Some(name) => Err(format!("its {name} changed since it was made")),
            None => Ok(About {
                created_at_ms,
                has_digests,
            }),
        })
    };
    match open_reader(file).and_then(read) {
        Ok(checked) => checked.map_err(|why| not_whole(file, &why)),
        Err(fault) => match fault.sqlite_error_code() {
            // The machine's fault, not the file's.
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure,
            ) => Err(not_whole(file, &fault.to_string())),
            _ => Err(not_whole(file, DAMAGED)),
        },
    }
}

/// SQLite's own words say no more to anybody who can do something about it.
const DAMAGED: &str = "it is damaged";

fn not_whole(file: &Path, why: &str) -> StartFault {
    StartFault::refused(format!(
        "the backup {} cannot be used: {why}",
        file.display()
    ))
}

/// Makes a database of the backup at `new`, and returns the files that were beside it.
fn take_out(file: &Path, new: &Path) -> Result<Vec<(String, Vec<u8>)>, StartFault> {
    let made = copy_database(file, new).and_then(|()| {
        let conn = open_writer(new)?;
        let mut statement = conn.prepare("SELECT name, content FROM backup_file")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let contents = rows.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        conn.execute_batch(
            "DROP TABLE backup; DROP TABLE backup_file; DROP TABLE IF EXISTS backup_digest;",
        )?;
        conn.pragma_update(None, "application_id", APPLICATION_ID)?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        conn.close().map_err(|(_, fault)| fault)?;
        Ok(contents)
    });
    made.map_err(|fault| start_fault(new, &fault))
}

/// Moves what is here into a directory of its own.
fn keep(places: &Places<'_>, now_ms: u64) -> Result<Option<PathBuf>, StartFault> {
    let dir = places.state_dir.join(format!("replaced-{now_ms}"));
    DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .map_err(|fault| StartFault::io("create", &dir, fault))?;
    // The database goes before its journals: alone it would open without what they hold.
    for path in with_journals(&places.database()) {
        let Some(name) = path.file_name() else {
            continue;
        };
        match fs::rename(&path, dir.join(name)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                return Err(StartFault::io("move away", &path, fault));
            }
            _ => {}
        }
    }
    for (name, path) in places.files() {
        let kept = match fs::read(&path) {
            Ok(content) => atomic::replace(&dir.join(name), &content),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(fault) => Err(fault),
        };
        kept.map_err(|fault| StartFault::io("keep", &path, fault))?;
    }
    // Only an empty folder can be removed.
    if fs::remove_dir(&dir).is_ok() {
        return Ok(None);
    }
    atomic::sync_dir(&dir)
        .and_then(|()| atomic::sync_dir(places.state_dir))
        .map_err(|fault| StartFault::io("write", &dir, fault))?;
    Ok(Some(dir))
}

mod digest;
#[cfg(test)]
mod tests;
