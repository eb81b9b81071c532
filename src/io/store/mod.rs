//! What must survive, on disk: one SQLite database, written by a thread of its own and read by
//! another. The loop speaks to both by bounded channels and never waits for the disk.

pub(crate) mod fault;
mod load;
mod prune;
mod read;
pub(crate) mod schema;
mod write;

use crate::io::lock::StateLock;
use crate::io::state_dir::{self, StartFault};
use crate::limits::STORE_QUEUE_LEN_MAX;
use crate::state::{Record, State, StoreAnswer, StoreFault, StoreFaultKind, StoreRequest};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use read::Reader;
use rusqlite::Connection;
use std::fs::Metadata;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use write::Writer;

pub use schema::{DATABASE_FILE, MARKER_FILE};

/// Called after each answer, from the store's threads, so that the loop looks.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Plenty for SQLite, which recurses only with the depth of a query.
const THREAD_STACK_BYTES: usize = 512 * 1024;

/// What a start finds on disk.
pub struct Opened {
    pub store: Store,
    pub state: State,
    /// What was made or mended, for the log.
    pub notices: Vec<String>,
}

/// Opens the database of a locked state directory, or makes it where there never was one.
///
/// A damaged database, a lost one and one of a newer version are refused and left as they are.
pub fn open(lock: &StateLock, wake: Wake) -> Result<Opened, StartFault> {
    let path = lock.dir().join(DATABASE_FILE);
    let mut notices = Vec::new();
    for file in schema::with_journals(&path) {
        notices.extend(state_dir::close_file(&file)?);
    }
    notices.extend(schema::prepare(lock.dir())?);
    let opened = schema::open_reader(&path).and_then(|reader| {
        let state = load::load(&reader)?;
        Ok((state, reader, schema::open_writer(&path)?))
    });
    let (state, reader, writer) = opened.map_err(|fault| fault::start_fault(&path, &fault))?;
    let store = Store::start(writer, reader, wake)
        .map_err(|fault| StartFault::io("start the threads for", &path, fault))?;
    Ok(Opened {
        store,
        state,
        notices,
    })
}

/// Looks at the database of a state directory as a start would, and changes nothing: whether there
/// is one. One that is another user's is not opened.
///
/// # Errors
///
/// What keeps a start from using it.
pub fn look(dir: &Path) -> Result<bool, StartFault> {
    let path = dir.join(DATABASE_FILE);
    let is_ours = |meta: &Metadata| state_dir::check_owner(&path, meta).is_ok();
    match std::fs::metadata(&path) {
        Ok(meta) if !is_ours(&meta) => return Ok(false),
        Ok(_) => {}
        Err(_) => return schema::refuse_if_lost(dir, &path).map(|()| false),
    }
    schema::check_header(&path)?;
    if schema::check_open(&path)? == schema::SCHEMA_VERSION {
        let loaded = schema::open_reader(&path).and_then(|reader| load::load(&reader));
        loaded.map_err(|fault| fault::start_fault(&path, &fault))?;
    }
    Ok(true)
}

/// Commits each batch to a database in memory and gives what a start would load from it.
///
/// # Errors
///
/// A batch that the database refuses.
pub fn replay(batches: &[Vec<Record>]) -> Result<State, StoreFault> {
    let failed = |fault| fault::store_fault(&fault);
    let conn = Connection::open_in_memory().map_err(failed)?;
    schema::make_tables(&conn).map_err(failed)?;
    let mut writer = Writer::new(&conn);
    batches
        .iter()
        .try_for_each(|batch| writer.commit(batch, false))?;
    load::load(&conn).map_err(failed)
}

/// The loop's end of the store.
pub struct Store {
    writes: Sender<StoreRequest>,
    reads: Sender<StoreRequest>,
    answers: Receiver<StoreAnswer>,
    /// Ends after the reader's.
    writer: JoinHandle<()>,
}

impl Store {
    fn start(writer: Connection, reader: Connection, wake: Wake) -> std::io::Result<Self> {
        let (writes, write_requests) = bounded(STORE_QUEUE_LEN_MAX);
        let (reads, read_requests) = bounded(STORE_QUEUE_LEN_MAX);
        // The loop never waits for a place in a queue, so a thread may wait here for the loop.
        let (to_loop, answers) = bounded(STORE_QUEUE_LEN_MAX);
        let outlet = Outlet { to_loop, wake };
        let read_outlet = outlet.clone();
        let read = thread::Builder::new()
            .name("store-read".into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || run_reader(&reader, &read_requests, &read_outlet))?;
        let write = thread::Builder::new()
            .name("store-write".into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || {
                run_writer(&writer, &write_requests, &outlet);
                drop(outlet);
                // Who closes the database last takes its journal away, and the reader may not.
                let _ = read.join();
                drop(writer);
            })?;
        Ok(Self {
            writes,
            reads,
            answers,
            writer: write,
        })
    }

    /// Hands a request over. Where the store cannot take it, its answer comes back at once:
    /// the caller treats it as any other answer.
    pub fn submit(&self, request: StoreRequest) -> Result<(), StoreAnswer> {
        let queue = match request {
            StoreRequest::Commit { .. } | StoreRequest::Prune(_) => &self.writes,
            StoreRequest::ReadMessages { .. } | StoreRequest::ReadPreviews { .. } => &self.reads,
        };
        queue.try_send(request).map_err(|fault| match fault {
            TrySendError::Full(it) => refuse(it, StoreFaultKind::Busy, "too many requests wait"),
            TrySendError::Disconnected(it) => {
                refuse(it, StoreFaultKind::Broken, "the store's thread is gone")
            }
        })
    }

    /// Requests that wait for the threads.
    pub fn queue_len(&self) -> usize {
        self.writes.len() + self.reads.len()
    }

    /// The next answer, if there is one.
    pub fn try_answer(&self) -> Option<StoreAnswer> {
        self.answers.try_recv().ok()
    }

    /// Waits for the next answer; None when the threads are gone. For those who have no loop.
    pub fn wait_answer(&self) -> Option<StoreAnswer> {
        self.answers.recv().ok()
    }

    /// Does all that was asked for, closes the database and returns the answers that nobody took.
    pub fn close(self) -> Vec<StoreAnswer> {
        let Self {
            writes,
            reads,
            answers,
            writer,
        } = self;
        drop((writes, reads));
        let left = answers.iter().collect();
        // A panic outside of a request was reported where it happened.
        let _ = writer.join();
        left
    }
}

/// The threads' end of the answers.
#[derive(Clone)]
struct Outlet {
    to_loop: Sender<StoreAnswer>,
    wake: Wake,
}

impl Outlet {
    /// False when nobody is there to take it.
    fn send(&self, answer: StoreAnswer) -> bool {
        let is_taken = self.to_loop.send(answer).is_ok();
        (self.wake)();
        is_taken
    }
}

fn run_writer(conn: &Connection, requests: &Receiver<StoreRequest>, outlet: &Outlet) {
    let mut writer = Writer::new(conn);
    for request in requests {
        let answer = match request {
            StoreRequest::Commit {
                batch,
                records,
                durable,
            } => {
                let result = guarded(|| writer.commit(&records, durable));
                StoreAnswer::Committed {
                    batch,
                    records,
                    result,
                }
            }
            StoreRequest::Prune(limits) => {
                StoreAnswer::Pruned(guarded(|| prune::prune(&mut writer, &limits)))
            }
            read => refuse(
                read,
                StoreFaultKind::Broken,
                "the writing thread reads nothing",
            ),
        };
        if !outlet.send(answer) {
            break;
        }
    }
    // Leaves one file to copy; what stays in the journal is as safe.
    let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

fn run_reader(conn: &Connection, requests: &Receiver<StoreRequest>, outlet: &Outlet) {
    let mut reader = Reader::new(conn);
    for request in requests {
        let answer = match &mut reader {
            Ok(reader) => reader.answer(request),
            Err(fault) => Some(refuse(request, StoreFaultKind::Io, &fault.to_string())),
        };
        if answer.is_some_and(|answer| !outlet.send(answer)) {
            break;
        }
    }
}

/// A panic becomes the fault of the one request that met it: every request has an answer.
fn guarded<T>(body: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
    std::panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        let message = "the store panicked, see the standard error output".to_string();
        Err(StoreFault {
            kind: StoreFaultKind::Broken,
            message,
        })
    })
}

/// The answer to a request that was not done.
fn refuse(request: StoreRequest, kind: StoreFaultKind, message: &str) -> StoreAnswer {
    let fault = StoreFault {
        kind,
        message: message.to_string(),
    };
    match request {
        StoreRequest::Commit { batch, records, .. } => StoreAnswer::Committed {
            batch,
            records,
            result: Err(fault),
        },
        StoreRequest::ReadMessages { ticket, .. } => StoreAnswer::Messages {
            ticket,
            result: Err(fault),
        },
        StoreRequest::ReadPreviews { ticket, .. } => StoreAnswer::Previews {
            ticket,
            result: Err(fault),
        },
        StoreRequest::Prune(_) => StoreAnswer::Pruned(Err(fault)),
    }
}

#[cfg(test)]
mod tests;
