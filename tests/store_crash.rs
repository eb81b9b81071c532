//! What the store acknowledged is there after kill -9, and a batch is there as a whole or not
//! at all. The process that is killed is this test binary, started again.

use clawdia::io::lock::{LockHolder, StateLock};
use clawdia::io::store::{self, Opened, Store};
use clawdia::state::{
    Idempotency, IdempotencyState, Message, PendingPairing, Record, Session, State, StoreAnswer,
    StoreFaultKind, StoreRequest, Text, no_texts,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Names the state directory to the process that will be killed.
const DIR_VARIABLE: &str = "CLAWDIA_TEST_STORE_DIR";
const ROUNDS: u64 = 20;
/// Batches that are under way at the same time.
const PIPELINE: u64 = 4;

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = State::default();
    let mut bodies = Vec::new();
    let mut done = 0;
    for round in 0..ROUNDS {
        let acknowledged = run_until_killed(dir.path(), done, 1 + noise(round) % 120);
        let (lock, store, stored) = open(dir.path());
        let reached = stored
            .setting("batch")
            .map_or(0, |text| text.parse().unwrap());
        assert!(
            acknowledged <= reached,
            "batch {acknowledged} is lost, only {reached} are there"
        );
        for number in done + 1..=reached {
            for record in batch(number) {
                expected.apply(&record);
                if let Record::MessageAppend { message, .. } = record {
                    bodies.push(message.body.clone());
                }
            }
        }
        stored.check_invariants();
        assert_eq!(stored, expected, "after {reached} batches");
        assert_eq!(
            read_tail(&store, bodies.len()),
            bodies,
            "after {reached} batches"
        );
        store.close();
        drop(lock);
        done = reached;
    }
    assert!(done >= ROUNDS);
}

#[test]
fn a_disk_that_is_full_for_a_while_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let status = child("child_with_a_limit_on_file_sizes", dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let (_lock, store, stored) = open(dir.path());
    store.close();
    assert_eq!(stored.setting("after"), Some(&Text::from("1")));
}

/// Starts a process that commits from batch `done + 1` on, kills it when it has acknowledged
/// `count` more, and returns the last batch that it acknowledged.
fn run_until_killed(dir: &Path, done: u64, count: u64) -> u64 {
    let mut command = child("child_that_commits_until_it_is_killed", dir);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let acknowledged = lines.map_while(Result::ok).filter_map(|line| {
        line.strip_prefix("acknowledged ")
            .map(|number| number.parse::<u64>().unwrap())
    });
    let mut last = done;
    // What it wrote before it died is still in the pipe, so the loop goes on after the kill.
    for number in acknowledged {
        assert_eq!(number, last + 1);
        last = number;
        if last == done + count {
            process.kill().unwrap();
        }
    }
    assert!(!process.wait().unwrap().success());
    assert!(last >= done + count);
    last
}

fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--ignored"])
        .env(DIR_VARIABLE, dir);
    command
}

/// As a gateway opens it: the lock of one that was killed is free.
fn open(dir: &Path) -> (StateLock, Store, State) {
    let lock = StateLock::acquire(dir, LockHolder::this_process(0)).unwrap();
    let Opened { store, state, .. } = store::open(&lock, Arc::new(|| {})).unwrap();
    (lock, store, state)
}

fn read_tail(store: &Store, limit: usize) -> Vec<Text> {
    let (mut bodies, mut before_seq) = (Vec::new(), None);
    while bodies.len() < limit {
        let session_id = "id".into();
        let bytes_max = usize::MAX;
        let request = StoreRequest::ReadMessages {
            ticket: 0,
            session_id,
            archived: false,
            before_seq,
            limit,
            bytes_max,
            pictures_bytes_max: 0,
        };
        store.submit(request).unwrap();
        let Some(StoreAnswer::Messages {
            result: Ok(page), ..
        }) = store.wait_answer()
        else {
            panic!("no page");
        };
        before_seq = page.messages.first().map(|it| it.seq);
        bodies.splice(
            0..0,
            page.messages.into_iter().map(|it| it.message.body.clone()),
        );
        if !page.has_older {
            break;
        }
    }
    bodies
}

/// The records of one batch, the same each time.
fn batch(number: u64) -> Vec<Record> {
    let session = Session {
        key: format!("agent:main:{}", number % 7).into(),
        session_id: "id".into(),
        updated_at_ms: number,
        ..Session::default()
    };
    let message = Message {
        ts: number,
        role: "user".into(),
        body: format!("{number} {}", "x".repeat((noise(number) % 6000) as usize)).into(),
    };
    let key = Idempotency {
        method: "chat.send".into(),
        key: number.to_string().into(),
        fingerprint: [number as u8; 32],
        run_id: None,
        state: IdempotencyState::Done,
        response: "{}".into(),
        expires_at_ms: number,
    };
    let pairing = PendingPairing {
        request_id: (number % 32).to_string().into(),
        device_id: number.to_string().into(),
        public_key: "".into(),
        client: Default::default(),
        roles: Vec::new(),
        scopes: no_texts(),
        caps: no_texts(),
        commands: no_texts(),
        silent: false,
        is_repair: false,
        ts: number,
    };
    vec![
        Record::SettingPut {
            key: "batch".into(),
            value: number.to_string().into(),
        },
        Record::SessionPut(Arc::new(session)),
        Record::MessageAppend {
            session_id: "id".into(),
            message: Arc::new(message),
        },
        Record::IdempotencyPut(Arc::new(key)),
        Record::PairingPut(Arc::new(pairing)),
        Record::PairingRemove {
            request_id: ((number + 16) % 32).to_string().into(),
        },
    ]
}

/// A number that looks random but is the same each time.
fn noise(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[test]
#[ignore = "run by the test above, which kills it"]
fn child_that_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else {
        return;
    };
    let (_lock, store, state) = open(dir.as_ref());
    let mut next: u64 = state
        .setting("batch")
        .map_or(1, |text| text.parse::<u64>().unwrap() + 1);
    let mut under_way = 0;
    loop {
        while under_way < PIPELINE {
            let durable = next.is_multiple_of(3);
            store
                .submit(StoreRequest::Commit {
                    batch: next,
                    records: batch(next),
                    durable,
                })
                .unwrap();
            (next, under_way) = (next + 1, under_way + 1);
        }
        let Some(StoreAnswer::Committed {
            batch,
            result: Ok(()),
            ..
        }) = store.wait_answer()
        else {
            panic!("not committed");
        };
        under_way -= 1;
        println!("acknowledged {batch}");
    }
}

#[test]
#[ignore = "run by a test above, in a process that may hold no large file"]
fn child_with_a_limit_on_file_sizes() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else {
        return;
    };
    let (lock, store, mut state) = open(dir.as_ref());
    // Without a handler, the signal of a refused write ends the process.
    let is_refused = Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, is_refused).unwrap();
    let unlimited = getrlimit(Resource::Fsize);
    let mut limit = unlimited;
    limit.current = Some(400 * 1024);
    setrlimit(Resource::Fsize, limit).unwrap();
    let mut refused = 0;
    for number in 1.. {
        match commit(&store, &mut state, batch(number)) {
            Ok(()) => assert_eq!(refused, 0),
            Err(kind) => {
                assert_eq!(kind, StoreFaultKind::Full);
                refused += 1;
            }
        }
        if refused == 3 {
            break;
        }
    }
    assert!(!state.sessions().is_empty());
    setrlimit(Resource::Fsize, unlimited).unwrap();
    let after = Record::SettingPut {
        key: "after".into(),
        value: "1".into(),
    };
    commit(&store, &mut state, vec![after]).unwrap();
    store.close();
    drop(lock);
    let (_lock, store, stored) = open(dir.as_ref());
    assert_eq!(stored, state);
    store.close();
}

fn commit(store: &Store, state: &mut State, records: Vec<Record>) -> Result<(), StoreFaultKind> {
    store
        .submit(StoreRequest::Commit {
            batch: 0,
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
    result.map_err(|fault| fault.kind)?;
    records.iter().for_each(|record| state.apply(record));
    Ok(())
}
