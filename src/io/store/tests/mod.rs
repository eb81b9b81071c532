//! The store against a real directory.

mod damage;
mod full;
mod pages;

use super::*;
use crate::io::lock::LockHolder;
use crate::limits::STORE_QUEUE_LEN_MAX;
use crate::state::{Record, Session, Text};
use crate::state::{fixture, no_texts};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A locked state directory that goes with the test.
pub(super) struct Place {
    pub lock: StateLock,
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lock = StateLock::acquire(dir.path(), LockHolder::this_process(0)).unwrap();
        Self { lock, dir }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn database(&self) -> PathBuf {
        self.dir().join(DATABASE_FILE)
    }

    pub fn open(&self) -> Result<Opened, StartFault> {
        open(&self.lock, Arc::new(|| {}))
    }

    /// What a gateway that starts now finds.
    pub fn stored(&self) -> State {
        let Opened { store, state, .. } = self.open().unwrap();
        store.close();
        state
    }

    /// Commits as a gateway would and ends it.
    pub fn commit(&self, records: Vec<Record>) -> State {
        let Opened {
            store, mut state, ..
        } = self.open().unwrap();
        commit(&store, &mut state, records).unwrap();
        assert_eq!(store.close(), []);
        state
    }
}

pub(super) fn commit(
    store: &Store,
    state: &mut State,
    records: Vec<Record>,
) -> Result<(), StoreFault> {
    store
        .submit(StoreRequest::Commit {
            batch: 1,
            records,
            durable: true,
        })
        .unwrap();
    let Some(StoreAnswer::Committed {
        batch: 1,
        records,
        result,
    }) = store.wait_answer()
    else {
        panic!("another answer");
    };
    if result.is_ok() {
        records.iter().for_each(|record| state.apply(record));
    }
    result
}

/// One of everything.
pub(super) fn rows(n: u64) -> Vec<Record> {
    vec![
        Record::DevicePut(Arc::new(fixture::device(n))),
        Record::PairingPut(Arc::new(fixture::pairing(n))),
        Record::SessionPut(Arc::new(fixture::session(n))),
        fixture::append(n, 1),
        fixture::append(n, 2),
        fixture::append(n, 3),
        Record::RunPut(Arc::new(fixture::run(n))),
        Record::IdempotencyPut(Arc::new(fixture::idempotency(n))),
        Record::NodeCallPut(Arc::new(fixture::node_call(n))),
        Record::CronJobPut(Arc::new(fixture::cron_job(n))),
        Record::CronRunAppend {
            run: Arc::new(fixture::cron_run(n, n)),
            kept: 2,
        },
        Record::SettingPut {
            key: format!("setting-{n}").into(),
            value: n.to_string().into(),
        },
    ]
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let place = Place::new();
    let mut state = State::default();
    for n in 1..=5 {
        state = place.commit(rows(n));
    }
    state.check_invariants();
    assert_eq!(state.devices().len(), 5);
    assert_eq!(place.stored(), state);
    let changes = vec![
        Record::DeviceRemove {
            device_id: fixture::device(1).device_id,
        },
        Record::PairingRemove {
            request_id: fixture::pairing(1).request_id,
        },
        Record::SessionRemove {
            key: fixture::session(1).key,
        },
        fixture::archive(1, u64::MAX),
        fixture::archive(2, 2),
        fixture::append(2, 4),
        Record::RunRemove {
            run_id: fixture::run(1).run_id,
        },
        Record::IdempotencyRemove {
            method: "agent".into(),
            key: "key-1".into(),
        },
        Record::SettingRemove {
            key: "setting-1".into(),
        },
        Record::SettingPut {
            key: "setting-2".into(),
            value: "[]".into(),
        },
        // Twice in one batch: the last counts.
        Record::DevicePut(Arc::new(fixture::device(9))),
        Record::DevicePut(Arc::new(crate::state::Device {
            caps: no_texts(),
            ..fixture::device(9)
        })),
    ];
    let changed = place.commit(changes);
    changed.check_invariants();
    assert_eq!(changed.transcript("id-2").first_seq, 3);
    assert_eq!(place.stored(), changed);
}

#[test]
fn ended_runs_beyond_the_bound_are_the_same_ones_in_memory_and_after_a_restart() {
    let place = Place::new();
    let ended = |n: u64| {
        let mut run = fixture::run(n);
        run.state = crate::state::RunState::Ok;
        run.ended_at_ms = Some(n / 2);
        Record::RunPut(Arc::new(run))
    };
    let count = crate::limits::RUNS_ENDED_MAX as u64 + 101;
    let state = place.commit((0..count).map(ended).collect());
    assert_eq!(state.runs().len(), crate::limits::RUNS_ENDED_MAX);
    assert_eq!(place.stored(), state);
}

#[test]
fn all_files_are_for_their_owner_alone() {
    let place = Place::new();
    let opened = place.open().unwrap();
    let mut state = opened.state;
    commit(&opened.store, &mut state, rows(1)).unwrap();
    let mut names = 0;
    for entry in fs::read_dir(place.dir()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().mode() & 0o077,
            0,
            "{:?}",
            entry.file_name()
        );
        names += 1;
    }
    assert_eq!(names, 5, "database, its two journals, marker and lock");
    opened.store.close();
}

#[test]
fn one_session_of_240_is_updated_in_less_than_8_kib() {
    let place = Place::new();
    let Opened {
        store, mut state, ..
    } = place.open().unwrap();
    let sessions = |updated_at_ms| {
        move |n| {
            let display_name = Some(Text::from("x".repeat(300)));
            let session = Session {
                updated_at_ms,
                display_name,
                ..fixture::session(n)
            };
            Record::SessionPut(Arc::new(session))
        }
    };
    commit(&store, &mut state, (0..240).map(sessions(1)).collect()).unwrap();
    let wal = schema::beside(&place.database(), "-wal");
    for n in [0, 119, 239] {
        let before = fs::metadata(&wal).unwrap().len();
        commit(&store, &mut state, vec![sessions(2)(n)]).unwrap();
        let written = fs::metadata(&wal).unwrap().len() - before;
        assert!(0 < written && written < 8 * 1024, "{written}");
    }
    store.close();
}

#[test]
fn a_request_beyond_the_queues_bound_comes_back_as_busy_with_its_records() {
    let place = Place::new();
    let Opened { store, .. } = place.open().unwrap();
    let commit = || StoreRequest::Commit {
        batch: 1,
        records: rows(1),
        durable: false,
    };
    // Nobody takes the answers, so the thread and both queues fill up.
    let mut taken = 0;
    let refused = loop {
        match store.submit(commit()) {
            Ok(()) => taken += 1,
            Err(answer) => break answer,
        }
    };
    let StoreAnswer::Committed {
        batch: 1,
        records,
        result,
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(records, rows(1));
    assert_eq!(result.unwrap_err().kind, StoreFaultKind::Busy);
    let answers = store.close();
    assert!((STORE_QUEUE_LEN_MAX..=2 * STORE_QUEUE_LEN_MAX + 1).contains(&taken));
    assert_eq!(answers.len(), taken);
    let is_committed =
        |it: &StoreAnswer| matches!(it, StoreAnswer::Committed { result: Ok(()), .. });
    assert!(answers.iter().all(is_committed));
}

#[test]
fn the_loop_is_woken_for_each_answer() {
    let place = Place::new();
    let (woken, wakes) = crossbeam_channel::unbounded();
    let wake = Arc::new(move || woken.send(()).unwrap_or_default());
    let Opened {
        store, mut state, ..
    } = open(&place.lock, wake).unwrap();
    commit(&store, &mut state, rows(1)).unwrap();
    wakes.recv().unwrap();
    assert_eq!(store.try_answer(), None);
    store.close();
}

#[test]
fn ten_thousand_devices_load_and_share_what_they_have_in_common() {
    let place = Place::new();
    let device = |n| Record::DevicePut(Arc::new(fixture::device(n)));
    place.commit((0..10_000).map(device).collect());
    let started = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let state = place.stored();
    let ended = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    assert_eq!(state.devices().len(), 10_000);
    let spent_ms =
        (ended.tv_sec - started.tv_sec) * 1000 + (ended.tv_nsec - started.tv_nsec) / 1_000_000;
    eprintln!("opened, checked and loaded in {spent_ms} ms of CPU");
    let mut commands = state
        .devices()
        .values()
        .map(|device| device.commands.as_ptr());
    let first = commands.next();
    assert!(commands.all(|other| Some(other) == first));
}
