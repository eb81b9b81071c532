//! Damaged, lost and foreign databases are refused, named and left as they are.

use super::*;
use crate::io::state_dir::EXIT_CONFIG;
use std::collections::BTreeMap;

/// Name and content of all files that hold anything. Who looks at a database leaves an empty
/// journal, and an index of the journal that the next one makes anew.
fn files(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(place.dir())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| !path.to_string_lossy().ends_with("-shm"));
    let contents = entries.map(|path| (path.clone(), fs::read(&path).unwrap()));
    contents
        .filter(|(_, content)| !content.is_empty())
        .collect()
}

fn refusal(place: &Place) -> String {
    let before = files(place);
    let Err(fault) = place.open() else {
        panic!("opened")
    };
    assert_eq!(fault.exit_code, EXIT_CONFIG, "{fault}");
    assert!(fault.message.contains("clawdia.db"), "{fault}");
    assert!(fault.message.contains("clawdia restore"), "{fault}");
    assert!(!fault.message.contains('\n'), "{fault}");
    assert!(files(place) == before, "a file was changed: {fault}");
    fault.message
}

fn damage(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let place = Place::new();
    place.commit((1..50).flat_map(rows).collect());
    let mut bytes = fs::read(place.database()).unwrap();
    change(&mut bytes);
    fs::write(place.database(), bytes).unwrap();
    refusal(&place)
}

fn with_sql(sql: &str) -> Place {
    let place = Place::new();
    place.commit(rows(1));
    let conn = Connection::open(place.database()).unwrap();
    conn.execute_batch(sql).unwrap();
    drop(conn);
    place
}

#[test]
fn a_database_that_was_cut_short_is_refused() {
    assert!(damage(Vec::clear).contains("0 bytes"));
    assert!(damage(|bytes| bytes.truncate(99)).contains("99 bytes"));
    assert!(damage(|bytes| bytes.truncate(4096)).contains("4096 bytes instead"));
    damage(|bytes| bytes.truncate(bytes.len() - 1));
}

#[test]
fn a_database_with_flipped_bytes_is_refused() {
    damage(|bytes| bytes[0] ^= 1);
    // The page size, the first page's own head and that of each later page.
    damage(|bytes| bytes[16] ^= 0x5a);
    damage(|bytes| bytes[100] ^= 0xff);
    damage(|bytes| {
        bytes[4096..]
            .chunks_mut(4096)
            .for_each(|page| page[0] ^= 0xff)
    });
    damage(|bytes| bytes[4096..].fill(0));
}

#[test]
fn each_single_page_that_was_overwritten_is_noticed() {
    let place = Place::new();
    place.commit((1..50).flat_map(rows).collect());
    let good = fs::read(place.database()).unwrap();
    for start in (4096..good.len()).step_by(4096) {
        let mut bytes = good.clone();
        bytes[start..start + 4096].fill(0xa5);
        fs::write(place.database(), bytes).unwrap();
        refusal(&place);
    }
    fs::write(place.database(), good).unwrap();
    place.open().unwrap().store.close();
}

#[test]
fn a_damaged_row_is_refused_not_left_out() {
    let place = with_sql("UPDATE device SET body = substr(body, 1, 20)");
    assert!(refusal(&place).contains("EOF"));
    let place = with_sql("UPDATE idempotency SET fingerprint = x'00'");
    refusal(&place);
}

#[test]
fn anothers_database_and_a_newer_one_are_refused() {
    refusal(&with_sql("PRAGMA application_id = 5"));
    let newer = refusal(&with_sql("PRAGMA user_version = 1000"));
    assert!(
        newer.contains("version 1000") && newer.contains("newer"),
        "{newer}"
    );
    refusal(&with_sql("PRAGMA user_version = 0"));
}

#[test]
fn a_database_that_is_gone_is_not_replaced_by_an_empty_one() {
    let place = Place::new();
    place.commit(rows(1));
    fs::remove_file(place.database()).unwrap();
    let message = refusal(&place);
    assert!(message.contains(MARKER_FILE), "{message}");
    // A person can say that it shall begin with nothing.
    fs::remove_file(place.dir().join(MARKER_FILE)).unwrap();
    assert_eq!(place.stored(), State::default());

    let place = Place::new();
    fs::write(schema::beside(&place.database(), "-wal"), "x").unwrap();
    assert!(refusal(&place).contains("-wal"));
}

#[test]
fn a_start_that_was_cut_off_while_it_made_the_database_is_repeated() {
    let place = Place::new();
    fs::write(schema::beside(&place.database(), ".new"), "half").unwrap();
    fs::write(schema::beside(&place.database(), ".new-wal"), "half").unwrap();
    assert_eq!(place.stored(), State::default());
    assert!(!schema::beside(&place.database(), ".new").exists());
    // The marker may be what is missing.
    fs::remove_file(place.dir().join(MARKER_FILE)).unwrap();
    place.stored();
    assert!(place.dir().join(MARKER_FILE).exists());
}

#[test]
fn wide_modes_of_the_database_are_closed_and_reported() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.stored();
    fs::set_permissions(place.database(), fs::Permissions::from_mode(0o644)).unwrap();
    let opened = place.open().unwrap();
    assert_eq!(opened.notices.len(), 1);
    assert_eq!(
        fs::metadata(place.database()).unwrap().mode() & 0o777,
        0o600
    );
    opened.store.close();
}
