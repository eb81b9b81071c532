//! Reading transcripts, and forgetting by age.

use super::*;
use crate::limits::{PAIRING_TTL_MS, PRUNE_ROWS_MAX};
use crate::state::{Message, Page, PageEnd, Pruned, Retention, RunState};

fn read(store: &Store, before_seq: Option<u64>, limit: usize, bytes_max: usize) -> Page {
    read_rows(store, false, before_seq, limit, bytes_max)
}

fn read_rows(
    store: &Store,
    archived: bool,
    before_seq: Option<u64>,
    limit: usize,
    bytes_max: usize,
) -> Page {
    let session_id = "id-1".into();
    let request = StoreRequest::ReadMessages {
        ticket: 7,
        session_id,
        archived,
        before_seq,
        limit,
        bytes_max,
        pictures_bytes_max: 0,
    };
    store.submit(request).unwrap();
    match store.wait_answer() {
        Some(StoreAnswer::Messages { ticket: 7, result }) => result.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn numbers(page: &Page) -> Vec<u64> {
    page.messages.iter().map(|it| it.seq).collect()
}

#[test]
fn a_page_has_the_newest_messages_oldest_first_within_its_bounds() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    commit(
        &store,
        &mut state,
        (1..=10).map(|n| fixture::append(1, n)).collect(),
    )
    .unwrap();
    commit(&store, &mut state, vec![fixture::append(2, 1)]).unwrap();
    let no_bound = usize::MAX;
    let page = read(&store, None, 3, no_bound);
    assert_eq!((numbers(&page), page.has_older), (vec![8, 9, 10], true));
    assert!(page.messages[2].message.body.contains("message 10"));
    let page = read(&store, Some(8), 100, no_bound);
    assert_eq!((numbers(&page), page.has_older), ((1..=7).collect(), false));
    let one = page.messages[0].message.body.len();
    let page = read(&store, Some(8), 100, 2 * one);
    assert_eq!((numbers(&page), page.has_older), (vec![6, 7], true));
    let page = read(&store, None, 100, 0);
    assert_eq!(
        (numbers(&page), page.has_older),
        (vec![10], true),
        "one message always comes"
    );
    let page = read(&store, Some(1), 100, no_bound);
    assert_eq!((numbers(&page), page.has_older), (Vec::new(), false));
    assert!(read(&store, None, 0, 0).has_older);
    store.close();
}

#[test]
fn previews_come_in_the_order_asked_for() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    commit(
        &store,
        &mut state,
        vec![fixture::append(1, 1), fixture::append(2, 2)],
    )
    .unwrap();
    let session_ids = ["id-2", "none", "id-1"].map(Text::from).to_vec();
    store
        .submit(StoreRequest::ReadPreviews {
            ticket: 3,
            session_ids,
            end: PageEnd::Newest,
            limit: 5,
            bytes_max: 100,
        })
        .unwrap();
    let Some(StoreAnswer::Previews {
        ticket: 3,
        result: Ok(pages),
    }) = store.wait_answer()
    else {
        panic!("no previews");
    };
    let times: Vec<Option<u64>> = pages
        .iter()
        .map(|page| page.messages.first().map(|it| it.message.ts))
        .collect();
    assert_eq!(times, [Some(2), None, Some(1)]);
    store.close();
}

#[test]
fn a_preview_may_be_of_the_beginning_within_its_bounds() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    let records = (1..=5).map(|n| fixture::append(1, n)).collect();
    commit(&store, &mut state, records).unwrap();
    for (limit, bytes_max, expected) in [(2, 10_000, 2), (9, 10_000, 5), (9, 1, 1), (9, 80, 2)] {
        let request = StoreRequest::ReadPreviews {
            ticket: 3,
            session_ids: vec!["id-1".into()],
            end: PageEnd::Oldest,
            limit,
            bytes_max,
        };
        store.submit(request).unwrap();
        let Some(StoreAnswer::Previews {
            result: Ok(pages), ..
        }) = store.wait_answer()
        else {
            panic!("no previews");
        };
        let times: Vec<u64> = pages[0].messages.iter().map(|it| it.message.ts).collect();
        assert_eq!(times, (1..=expected).collect::<Vec<u64>>());
    }
    store.close();
}

#[test]
fn archived_messages_leave_the_transcript_and_a_summary_takes_their_place() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    let mut records: Vec<Record> = (1..=5).map(|n| fixture::append(1, n)).collect();
    let summary = Message {
        ts: 9,
        role: "system".into(),
        body: "{}".into(),
    };
    records.push(Record::MessagesArchive {
        session_id: "id-1".into(),
        up_to_seq: 3,
        summary: Some(Arc::new(summary.clone())),
        archived_at_ms: 9,
    });
    commit(&store, &mut state, records).unwrap();
    let page = read(&store, None, 10, usize::MAX);
    assert_eq!(numbers(&page), [3, 4, 5]);
    assert_eq!(*page.messages[0].message, summary);
    // What it stands for is still there to be shown.
    let archived = read_rows(&store, true, Some(4), 2, usize::MAX);
    assert_eq!(numbers(&archived), [2, 3]);
    assert!(archived.has_older);
    // The summary itself can be archived too: cut away, it is shown no more.
    commit(
        &store,
        &mut state,
        vec![fixture::archive(1, 3), fixture::append(1, 6)],
    )
    .unwrap();
    assert_eq!(numbers(&read(&store, None, 10, usize::MAX)), [4, 5, 6]);
    let archived = read_rows(&store, true, None, 10, usize::MAX);
    assert_eq!(numbers(&archived), [1, 2, 3]);
    store.close();
    assert_eq!(place.stored(), state);
}

fn prune(store: &Store, state: &mut State, limits: Retention) -> Pruned {
    store.submit(StoreRequest::Prune(limits)).unwrap();
    let Some(StoreAnswer::Pruned(Ok(pruned))) = store.wait_answer() else {
        panic!("not pruned")
    };
    pruned.records.iter().for_each(|record| state.apply(record));
    state.check_invariants();
    pruned
}

const KEEP_ALL: Retention = Retention {
    now_ms: 0,
    messages_before_ms: None,
    messages_len_max: None,
    archive_before_ms: None,
    runs_before_ms: None,
};

#[test]
fn retention_forgets_what_is_old_and_nothing_else() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    commit(&store, &mut state, (1..=4).flat_map(rows).collect()).unwrap();
    let mut run = fixture::run(2);
    run.state = RunState::Interrupted;
    run.ended_at_ms = Some(50);
    let mut in_flight = fixture::idempotency(1);
    in_flight.state = crate::state::IdempotencyState::InFlight;
    let records = vec![
        Record::RunPut(Arc::new(run)),
        Record::IdempotencyPut(Arc::new(in_flight)),
        fixture::archive(3, 1),
    ];
    commit(&store, &mut state, records).unwrap();
    assert_eq!(prune(&store, &mut state, KEEP_ALL), Pruned::default());

    let limits = Retention {
        now_ms: 3,
        messages_before_ms: Some(3),
        messages_len_max: None,
        archive_before_ms: Some(6),
        runs_before_ms: Some(51),
    };
    let pruned = prune(&store, &mut state, limits);
    assert!(!pruned.has_more);
    assert!(
        state.idempotency().get("agent", "key-1").is_some(),
        "in flight"
    );
    assert!(state.idempotency().get("chat.send", "key-2").is_none());
    assert!(state.idempotency().get("agent", "key-3").is_some());
    assert!(state.runs().get("run-2").is_none() && state.runs().get("run-1").is_some());
    assert_eq!(state.transcript("id-1").message_count(), 1);
    assert_eq!(state.pairings().len(), 4);
    let late = Retention {
        now_ms: PAIRING_TTL_MS + 2,
        ..KEEP_ALL
    };
    prune(&store, &mut state, late);
    assert_eq!(state.pairings().len(), 3);
    store.close();
    assert_eq!(place.stored(), state);
    let conn = Connection::open(place.database()).unwrap();
    let archived = "SELECT count(*) FROM message_archive";
    assert_eq!(
        conn.query_row(archived, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        0
    );
}

#[test]
fn retention_works_in_bounded_steps() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    let count = PRUNE_ROWS_MAX as u64 + 10;
    commit(
        &store,
        &mut state,
        (1..=count).map(|n| fixture::append(1, n)).collect(),
    )
    .unwrap();
    let limits = Retention {
        messages_before_ms: Some(count),
        ..KEEP_ALL
    };
    assert!(prune(&store, &mut state, limits).has_more);
    assert_eq!(state.transcript("id-1").message_count(), 10);
    assert!(!prune(&store, &mut state, limits).has_more);
    assert_eq!(state.transcript("id-1").message_count(), 1);
    store.close();
    assert_eq!(place.stored(), state);
}

#[test]
fn a_transcript_keeps_its_newest_messages_up_to_the_bound() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    let append = |session, count| (1..=count).map(move |n| fixture::append(session, n));
    commit(
        &store,
        &mut state,
        append(1, 9).chain(append(2, 3)).collect(),
    )
    .unwrap();
    let limits = Retention {
        messages_len_max: Some(4),
        ..KEEP_ALL
    };
    prune(&store, &mut state, limits);
    assert_eq!(numbers(&read(&store, None, 10, usize::MAX)), [6, 7, 8, 9]);
    assert_eq!(state.transcript("id-2").message_count(), 3);
    store.close();
    assert_eq!(place.stored(), state);
}
