//! What was begun and how it ended, so that no call acts twice.
//!
//! A key is written down, to the disk, before its command begins; the answer follows. After a
//! crash a key without an answer stands for a command of which nobody knows how far it came.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::invoke::Answer;
use crate::io::state_dir::StartFault;
use crate::limits::{
    NODE_JOURNAL_ANSWERS_BYTES_MAX, NODE_JOURNAL_ENTRIES_MAX, NODE_JOURNAL_PRUNED_EVERY,
    NODE_JOURNAL_TTL_MS, STORE_CACHE_KIB,
};

/// Of the one table below.
const SCHEMA_VERSION: i64 = 1;
/// An answer that was let go to save space. It is no JSON, so it is nobody's answer.
const LET_GO: &str = "";

/// What is known about a key.
#[derive(Debug, PartialEq)]
pub enum Known {
    /// Nothing: it may begin.
    New,
    /// It was used for another command or other parameters.
    Other,
    /// It was begun, and there is no answer.
    Begun,
    /// It was answered, and the answer is not kept any more.
    LetGo,
    Answered(Answer),
}

/// The journal of one node.
pub struct Journal {
    path: PathBuf,
    db: Connection,
    /// Bytes of all answers.
    bytes: u64,
    /// Keys begun since the last pruning.
    begun: u32,
}

impl Journal {
    /// Opens the journal, or makes it where there is none.
    ///
    /// # Errors
    ///
    /// A file that cannot be read is a fault and never empty: a key in it must not act again.
    pub fn open(path: &Path, now_ms: u64) -> Result<Self, StartFault> {
        let made = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path);
        made.map_err(|fault| StartFault::io("open", path, fault))?;
        let broken = |fault: &dyn std::fmt::Display| {
            StartFault::refused(format!(
                "the journal {} cannot be used: {fault}. Restore it, or move it away: then a call \
                 that the gateway repeats may act a second time",
                path.display()
            ))
        };
        let db = Connection::open(path)
            .and_then(prepare)
            .map_err(|fault| broken(&fault))?;
        let version: i64 = db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|fault| broken(&fault))?;
        if version > SCHEMA_VERSION {
            return Err(broken(&"a later version of this program wrote it"));
        }
        let mut journal = Self {
            path: path.to_owned(),
            db,
            bytes: 0,
            begun: 0,
        };
        journal.prune(now_ms).map_err(|fault| broken(&fault))?;
        Ok(journal)
    }

    /// What is known about a key that stands for a call with this digest.
    pub fn look(&self, key: &str, digest: &[u8; 32]) -> Result<Known, rusqlite::Error> {
        let found = self
            .db
            .prepare("SELECT digest, answer FROM invokes WHERE key = ?1")?
            .query_row([key], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<String>>(1)?))
            })
            .optional()?;
        Ok(match found {
            None => Known::New,
            Some((stored, _)) if stored != digest => Known::Other,
            Some((_, None)) => Known::Begun,
            Some((_, Some(text))) => {
                serde_json::from_str(&text).map_or(Known::LetGo, Known::Answered)
            }
        })
    }

    /// Writes down that a command begins. It may begin once this has returned.
    pub fn begin(
        &mut self,
        key: &str,
        digest: &[u8; 32],
        now_ms: u64,
    ) -> Result<(), rusqlite::Error> {
        self.db
            .prepare("INSERT INTO invokes (key, digest, begun_ms) VALUES (?1, ?2, ?3)")?
            .execute(params![key, digest, now_ms as i64])?;
        self.begun += 1;
        if self.begun >= NODE_JOURNAL_PRUNED_EVERY {
            self.prune(now_ms)?;
        }
        Ok(())
    }

    /// Writes down how it ended.
    pub fn finish(&mut self, key: &str, answer: &Answer) -> Result<(), rusqlite::Error> {
        // All of an answer is text, so nothing can fail.
        let text = serde_json::to_string(answer).unwrap_or_default();
        self.db
            .prepare("UPDATE invokes SET answer = ?2 WHERE key = ?1")?
            .execute(params![key, text])?;
        self.bytes += text.len() as u64;
        self.let_go()
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets what is too old, and the oldest of too many.
    fn prune(&mut self, now_ms: u64) -> Result<(), rusqlite::Error> {
        self.begun = 0;
        let oldest_ms = now_ms.saturating_sub(NODE_JOURNAL_TTL_MS) as i64;
        self.db
            .execute("DELETE FROM invokes WHERE begun_ms < ?1", [oldest_ms])?;
        self.db.execute(
            "DELETE FROM invokes WHERE key IN
             (SELECT key FROM invokes ORDER BY begun_ms DESC LIMIT -1 OFFSET ?1)",
            [NODE_JOURNAL_ENTRIES_MAX as i64],
        )?;
        let bytes: i64 = self.db.query_row(
            "SELECT COALESCE(SUM(LENGTH(CAST(answer AS BLOB))), 0) FROM invokes",
            [],
            |row| row.get(0),
        )?;
        self.bytes = bytes as u64;
        self.let_go()
    }

    /// Lets the oldest answers go while all of them are too long together. Their keys stay.
    fn let_go(&mut self) -> Result<(), rusqlite::Error> {
        while self.bytes > NODE_JOURNAL_ANSWERS_BYTES_MAX {
            let oldest = self
                .db
                .prepare(
                    "SELECT key, LENGTH(CAST(answer AS BLOB)) FROM invokes
                     WHERE answer <> ?1 ORDER BY begun_ms LIMIT 1",
                )?
                .query_row([LET_GO], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
                })
                .optional()?;
            let Some((key, bytes)) = oldest else { break };
            self.db
                .prepare("UPDATE invokes SET answer = ?2 WHERE key = ?1")?
                .execute([key.as_str(), LET_GO])?;
            self.bytes = self.bytes.saturating_sub(bytes as u64);
        }
        Ok(())
    }
}

fn prepare(db: Connection) -> rusqlite::Result<Connection> {
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // What begins is on the disk before it begins, also where the power goes.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -STORE_CACHE_KIB)?;
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS invokes (
           key TEXT PRIMARY KEY,
           digest BLOB NOT NULL,
           begun_ms INTEGER NOT NULL,
           answer TEXT
         );
         CREATE INDEX IF NOT EXISTS invokes_by_age ON invokes (begun_ms);",
    )?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        db.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::invoke::Fault;

    const A: [u8; 32] = [1; 32];

    fn open(dir: &tempfile::TempDir) -> Journal {
        Journal::open(&dir.path().join("journal.sqlite"), 1_000).unwrap()
    }

    #[test]
    fn a_key_is_begun_once_and_keeps_its_answer_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(&dir);
        assert_eq!(journal.look("k", &A).unwrap(), Known::New);
        journal.begin("k", &A, 1_000).unwrap();
        assert!(journal.begin("k", &A, 1_000).is_err(), "never twice");
        assert_eq!(journal.look("k", &A).unwrap(), Known::Begun);
        drop(journal);

        let mut journal = open(&dir);
        assert_eq!(journal.look("k", &A).unwrap(), Known::Begun);
        let answer = Answer::Error(Fault::unavailable("no"));
        journal.finish("k", &answer).unwrap();
        drop(journal);
        let journal = open(&dir);
        assert_eq!(journal.look("k", &A).unwrap(), Known::Answered(answer));
        assert_eq!(journal.look("k", &[2; 32]).unwrap(), Known::Other);
    }

    #[test]
    fn the_file_is_private_and_damage_is_never_empty() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.sqlite");
        drop(open(&dir));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, b"not a database, certainly not").unwrap();
        let fault = Journal::open(&path, 0).err().unwrap();
        assert!(fault.message.contains("cannot be used"), "{fault}");
        assert!(std::fs::read(&path).unwrap().starts_with(b"not a"));
    }

    #[test]
    fn a_later_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        journal.db.pragma_update(None, "user_version", 9).unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        assert!(Journal::open(&path, 0).is_err());
    }

    #[test]
    fn old_keys_go_and_large_answers_leave_their_keys() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(&dir);
        journal.begin("old", &A, 1).unwrap();
        journal.begin("new", &A, NODE_JOURNAL_TTL_MS + 2).unwrap();
        journal.prune(NODE_JOURNAL_TTL_MS + 2).unwrap();
        assert_eq!(journal.look("old", &A).unwrap(), Known::New);
        assert_eq!(journal.look("new", &A).unwrap(), Known::Begun);

        let large = Answer::Done(Some("x".repeat(1024)));
        journal.finish("new", &large).unwrap();
        journal.begin("next", &A, NODE_JOURNAL_TTL_MS + 3).unwrap();
        journal.bytes = NODE_JOURNAL_ANSWERS_BYTES_MAX;
        journal.finish("next", &Answer::Done(None)).unwrap();
        assert_eq!(journal.look("new", &A).unwrap(), Known::LetGo);
        assert_eq!(
            journal.look("next", &A).unwrap(),
            Known::Answered(Answer::Done(None))
        );
    }
}
