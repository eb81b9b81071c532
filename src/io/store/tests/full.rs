//! A full disk, at every point of a batch.

use super::super::{load::load, schema::open_writer, write::Writer};
use super::*;

#[test]
fn a_batch_that_the_disk_refuses_anywhere_changes_nothing_and_works_when_there_is_room() {
    let place = Place::new();
    let before = place.commit(rows(1));
    let conn = open_writer(&place.database()).unwrap();
    let mut writer = Writer::new(&conn);
    let pages: i64 = conn
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    let batch: Vec<Record> = (2..80).flat_map(rows).collect();
    let mut refusals = 0;
    for room in 0.. {
        conn.pragma_update(None, "max_page_count", pages + room)
            .unwrap();
        match writer.commit(&batch, true) {
            Ok(()) => break,
            Err(fault) => assert_eq!(fault.kind, StoreFaultKind::Full, "{fault}"),
        }
        refusals += 1;
        assert_eq!(load(&conn).unwrap(), before, "after {room} more pages");
    }
    assert!(refusals > 10);
    let mut after = before;
    batch.iter().for_each(|record| after.apply(record));
    assert_eq!(load(&conn).unwrap(), after);
}

#[test]
fn a_refused_record_takes_the_whole_batch_back() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    commit(&store, &mut state, rows(1)).unwrap();
    let other = Connection::open(place.database()).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER no BEFORE DELETE ON setting BEGIN SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    let mut batch = rows(2);
    batch.push(Record::SettingRemove {
        key: "setting-1".into(),
    });
    commit(&store, &mut state, batch).unwrap_err();
    commit(&store, &mut state, rows(3)).unwrap();
    store.close();
    assert_eq!(place.stored(), state);
    assert_eq!(state.devices().len(), 2);
}

#[test]
fn a_panic_fails_one_request_and_leaves_no_transaction_open() {
    let place = Place::new();
    let before = place.commit(rows(1));
    let conn = open_writer(&place.database()).unwrap();
    let mut writer = Writer::new(&conn);
    let outcome: Result<(), StoreFault> = guarded(|| {
        writer.transaction(true, |writer| {
            writer.execute("DELETE FROM device", &[])?;
            panic!("as a fault of the program would")
        })
    });
    let fault = outcome.unwrap_err();
    assert!(fault.kind == StoreFaultKind::Broken && fault.is_fatal());
    writer.commit(&[], true).unwrap();
    assert_eq!(load(&conn).unwrap(), before);
}

#[test]
fn a_durable_batch_is_synced_at_its_commit_and_another_is_not() {
    let place = Place::new();
    place.stored();
    let conn = open_writer(&place.database()).unwrap();
    let mut writer = Writer::new(&conn);
    let (normal, full) = (1, 2);
    for (durable, expected) in [(false, normal), (true, full), (true, full), (false, normal)] {
        writer.commit(&rows(1)[..1], durable).unwrap();
        let mode: i64 = conn
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, expected);
    }
}
