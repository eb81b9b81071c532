//! Backups of real state directories, brought back.

use super::*;
use crate::io::secret::load_or_create_token;
use crate::io::state_dir::EXIT_CONFIG;
use crate::io::store::{self, Opened};
use crate::state::{Record, State, StoreAnswer, StoreRequest, fixture};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.state_dir()).unwrap();
        home
    }

    fn state_dir(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("config/clawdia.json")
    }

    fn backup(&self) -> PathBuf {
        self.0.path().join("backup")
    }

    fn back_up(&self) -> Result<Vec<String>, StartFault> {
        let places = Places {
            state_dir: &self.state_dir(),
            config: &self.config(),
        };
        back_up(&places, &self.backup(), 7)
    }

    fn restore(&self, file: &Path, now_ms: u64) -> Result<Restored, StartFault> {
        let places = Places {
            state_dir: &self.state_dir(),
            config: &self.config(),
        };
        restore(&places, file, now_ms)
    }

    fn lock(&self) -> StateLock {
        StateLock::acquire(&self.state_dir(), LockHolder::this_process(0)).unwrap()
    }

    /// Opens as a gateway does, pairs device `n` and calls `running` before the end.
    fn pair(&self, n: u64, running: impl FnOnce()) -> State {
        let lock = self.lock();
        let Opened {
            store, mut state, ..
        } = store::open(&lock, Arc::new(|| {})).unwrap();
        let record = Record::DevicePut(Arc::new(fixture::device(n)));
        let records = vec![record.clone(), fixture::append(n, n)];
        store
            .submit(StoreRequest::Commit {
                batch: 1,
                records,
                durable: true,
            })
            .unwrap();
        let Some(StoreAnswer::Committed {
            records, result, ..
        }) = store.wait_answer()
        else {
            panic!("another answer");
        };
        result.unwrap();
        records.iter().for_each(|record| state.apply(record));
        running();
        store.close();
        state
    }

    fn stored(&self) -> State {
        let lock = self.lock();
        let Opened { store, state, .. } = store::open(&lock, Arc::new(|| {})).unwrap();
        store.close();
        state
    }
}

#[test]
fn a_backup_of_a_running_gateway_brings_everything_back() {
    let home = Home::new();
    let token = load_or_create_token(&home.state_dir()).unwrap();
    fs::create_dir(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), "{ /* mine */ }").unwrap();
    let expected = home.pair(1, || {
        let names = home.back_up().unwrap();
        assert_eq!(names, ["clawdia.db", "gateway-token", "configuration"]);
    });
    assert_eq!(fs::metadata(home.backup()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(
        home.back_up().unwrap_err().exit_code,
        EXIT_CONFIG,
        "it exists already"
    );

    home.pair(2, || {});
    fs::write(home.config(), "{}").unwrap();
    fs::remove_file(token_path(&home.state_dir())).unwrap();
    let restored = home.restore(&home.backup(), 9).unwrap();
    assert_eq!(restored.about.created_at_ms, 7);
    assert_eq!(home.stored(), expected);
    assert_eq!(load_or_create_token(&home.state_dir()), Ok(token));
    assert_eq!(fs::read_to_string(home.config()).unwrap(), "{ /* mine */ }");
    assert_eq!(
        fs::read_to_string(restored.kept_in.as_ref().unwrap().join("configuration")).unwrap(),
        "{}"
    );
    let kept = Connection::open(restored.kept_in.as_ref().unwrap().join(DATABASE_FILE)).unwrap();
    let devices = "SELECT count(*) FROM device";
    assert_eq!(
        kept.query_row(devices, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        2
    );
}

#[test]
fn a_backup_brings_a_gateway_to_another_machine() {
    let (home, other) = (Home::new(), Home::new());
    let expected = home.pair(1, || {});
    fs::write(home.state_dir().join(OWN_FILE), "key and certificate").unwrap();
    assert!(home.back_up().unwrap().contains(&OWN_FILE.to_owned()));
    fs::remove_dir(other.state_dir()).unwrap();
    other.restore(&home.backup(), 9).unwrap();
    assert_eq!(other.stored(), expected);
    let certificate = other.state_dir().join(OWN_FILE);
    assert_eq!(fs::read(&certificate).unwrap(), b"key and certificate");
    assert_eq!(fs::metadata(certificate).unwrap().mode() & 0o777, 0o600);
    assert!(!other.config().exists());
}

#[test]
fn a_restore_is_refused_while_a_gateway_runs() {
    let home = Home::new();
    let state = home.pair(1, || {});
    home.back_up().unwrap();
    let lock = home.lock();
    let fault = home.restore(&home.backup(), 9).unwrap_err();
    assert!(fault.message.contains("another gateway"), "{fault}");
    drop(lock);
    assert_eq!(home.stored(), state);
}

#[test]
fn a_damaged_backup_or_another_file_changes_nothing() {
    let home = Home::new();
    let state = home.pair(1, || {});
    home.back_up().unwrap();
    let good = fs::read(home.backup()).unwrap();
    let damaged = home.0.path().join("damaged");
    let refuse = |bytes: &[u8]| {
        fs::write(&damaged, bytes).unwrap();
        let fault = home.restore(&damaged, 9).unwrap_err();
        assert_eq!(fault.exit_code, EXIT_CONFIG, "{fault}");
        assert_eq!(fs::read(&damaged).unwrap(), bytes);
    };
    refuse(&good[..good.len() - 4096]);
    refuse(b"");
    refuse(
        b"not a backup, but long enough to have a header of one hundred bytes, which is \
             what is looked at first",
    );
    for page in 1..good.len() / 4096 {
        let mut bytes = good.clone();
        bytes[page * 4096..][..64].fill(0xa5);
        refuse(&bytes);
    }
    refuse(&fs::read(home.state_dir().join(DATABASE_FILE)).unwrap());
    assert_eq!(home.stored(), state);
}

#[test]
fn a_damaged_database_can_be_replaced_but_not_backed_up() {
    let home = Home::new();
    let state = home.pair(1, || {});
    home.back_up().unwrap();
    let good = home.backup();
    let database = home.state_dir().join(DATABASE_FILE);
    let mut bytes = fs::read(&database).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&database, &bytes).unwrap();
    let other = home.0.path().join("other");
    let places = Places {
        state_dir: &home.state_dir(),
        config: &home.config(),
    };
    back_up(&places, &other, 8).unwrap_err();
    assert!(!other.exists());
    let restored = home.restore(&good, 9).unwrap();
    assert_eq!(
        fs::read(restored.kept_in.as_ref().unwrap().join(DATABASE_FILE)).unwrap(),
        bytes
    );
    assert_eq!(home.stored(), state);
}

#[test]
fn a_restore_that_was_cut_off_leaves_no_empty_gateway_and_can_be_repeated() {
    let home = Home::new();
    let state = home.pair(1, || {});
    home.back_up().unwrap();
    // As after a crash between moving the old database away and placing the new one.
    let places = Places {
        state_dir: &home.state_dir(),
        config: &home.config(),
    };
    keep(&places, 8).unwrap();
    let lock = home.lock();
    assert!(store::open(&lock, Arc::new(|| {})).is_err());
    drop(lock);
    home.restore(&home.backup(), 9).unwrap();
    assert_eq!(home.stored(), state);
}

/// Changes one byte of what was written with the backup, wherever it stands in the file.
fn damage(file: &Path, text: &str) {
    let mut bytes = fs::read(file).unwrap();
    let mut places = bytes.windows(text.len());
    let at = places.position(|it| it == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_changed_byte_is_refused_and_its_member_is_named() {
    let home = Home::new();
    let token = load_or_create_token(&home.state_dir()).unwrap();
    fs::create_dir(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), "{ /* mine */ }").unwrap();
    home.pair(1, || {});
    let name = &fixture::device(1).client.display_name.clone();
    let name = name.as_deref().unwrap();
    for (text, member) in [
        (&*token, TOKEN_FILE),
        ("/* mine */", "configuration"),
        (name, DATABASE_FILE),
    ] {
        let _ = fs::remove_file(home.backup());
        home.back_up().unwrap();
        damage(&home.backup(), text);
        let fault = home.restore(&home.backup(), 9).unwrap_err();
        let expected = format!("its {member} changed");
        assert!(fault.message.contains(&expected), "{fault}");
    }
}

#[test]
fn a_backup_of_an_earlier_version_is_restored_unchecked() {
    let home = Home::new();
    let state = home.pair(1, || {});
    home.back_up().unwrap();
    let conn = Connection::open(home.backup()).unwrap();
    let unlike = "UPDATE backup SET version = 1;";
    conn.execute_batch(unlike).unwrap();
    let fault = home.restore(&home.backup(), 9).unwrap_err();
    assert!(fault.message.contains("changed"), "{fault}");
    conn.execute_batch("DROP TABLE backup_digest;").unwrap();
    conn.close().unwrap();
    let restored = home.restore(&home.backup(), 9).unwrap();
    assert!(!restored.about.has_digests);
    assert_eq!(home.stored(), state);
}
