//! What must survive is written before anybody hears of it.
//!
//! A request that changes what must survive says so as records and a closure for afterwards.
//! All records of a turn, and of the time that the last batch was on its way, are one batch.
//! When it has committed, memory changes and the closures run in order: replies, events, runs.
//! When it failed, memory is as it was and the closures are told.
//!
//! While records of a thing are on their way, whoever wants to change the same thing waits:
//! memory does not show yet what is being written.

use super::{Effect, Gateway};
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Record, StoreFault, StoreRequest};
use std::collections::{BTreeSet, VecDeque};

/// A thing that records change, such as one session or one device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A paired device and its tokens.
    Device(Box<str>),
    /// All pending pairings: they are few, and bounded together.
    Pairings,
    /// A chat session with its transcript.
    Session(Box<str>),
    /// A label among one agent's sessions.
    Label(Box<str>, Box<str>),
    /// A method's idempotency key.
    Idempotency(&'static str, Box<str>),
    /// A node's kept call, by its idempotency key.
    NodeCall(Box<str>),
    /// An outgoing message, by its number.
    Outgoing(u64),
    /// All people who wrote to channels: they are few, and bounded together.
    Contacts,
    /// A scheduled job and its runs.
    CronJob(Box<str>),
    /// A stored setting.
    Setting(&'static str),
    /// The configuration file.
    Config,
}

/// What happens when the records are written, or could not be.
pub type Then = Box<dyn FnOnce(&mut Gateway, Now, Result<(), String>) + Send>;

/// Something that waits until keys are free.
pub type Job = Box<dyn FnOnce(&mut Gateway, Now) + Send>;

struct Change {
    keys: Vec<Key>,
    then: Then,
}

/// Records on their way to the store and those that wait for them.
#[derive(Default)]
pub struct Commits {
    open: Vec<Change>,
    records: Vec<Record>,
    under_way: Option<(u64, Vec<Change>)>,
    reserved: BTreeSet<Key>,
    waiting: VecDeque<Job>,
    batches: u64,
}

impl Commits {
    /// Whether records of this thing are on their way.
    pub fn is_reserved(&self, key: &Key) -> bool {
        self.reserved.contains(key)
    }

    /// Runs `job` when the records that are on their way have been written.
    pub fn wait(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Batches that were given to the store.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Changes and calls that wait for a batch.
    pub fn waiting_len(&self) -> usize {
        self.open.len() + self.waiting.len()
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.under_way.is_none() && self.waiting.is_empty()
    }
}

impl Gateway {
    /// Writes `records`, holding `keys` until then; `then` runs once it is known how it went.
    ///
    /// The caller has seen that the keys are free.
    pub(super) fn commit(
        &mut self,
        keys: Vec<Key>,
        records: Vec<Record>,
        then: impl FnOnce(&mut Gateway, Now, Result<(), String>) + Send + 'static,
    ) {
        for key in &keys {
            let fresh = self.commits.reserved.insert(key.clone());
            debug_assert!(fresh, "{key:?} is reserved already");
        }
        self.commits.records.extend(records);
        self.commits.open.push(Change {
            keys,
            then: Box::new(then),
        });
    }

    /// Sends what has gathered, if no batch is under way.
    pub(super) fn seal_batch(&mut self) {
        if self.commits.under_way.is_some() || self.commits.open.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.commits.open);
        let records = std::mem::take(&mut self.commits.records);
        self.commits.batches += 1;
        let batch = self.commits.batches;
        self.commits.under_way = Some((batch, changes));
        self.effects.push_back(Effect::Store(StoreRequest::Commit {
            batch,
            records,
            durable: true,
        }));
    }

    /// Takes the store's answer to a batch: memory first, then what waited for it.
    pub(super) fn on_committed(
        &mut self,
        now: Now,
        batch: u64,
        records: &[Record],
        result: Result<(), StoreFault>,
    ) {
        let Some((under_way, changes)) = self.commits.under_way.take() else {
            return;
        };
        if under_way != batch {
            self.commits.under_way = Some((under_way, changes));
            return;
        }
        let result = result.map_err(|fault| {
            self.counters.batches_failed += 1;
            let line = LogLine::new(
                now.unix_ms,
                Level::Error,
                "gateway/store",
                "batch not stored",
            );
            self.log_with(line.with("fault", fault.to_string()));
            if fault.is_fatal() {
                let message = format!("the store failed: {fault}");
                self.effects.push_back(Effect::Abort { message });
            }
            fault.message
        });
        if result.is_ok() {
            self.counters.records += records.len() as u64;
            for record in records {
                self.state.apply(record);
            }
        }
        for change in &changes {
            for key in &change.keys {
                self.commits.reserved.remove(key);
            }
        }
        for change in changes {
            (change.then)(self, now, result.clone());
        }
        let waiting = std::mem::take(&mut self.commits.waiting);
        for job in waiting {
            job(self, now);
        }
        self.drain();
    }
}
