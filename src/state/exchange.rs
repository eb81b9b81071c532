//! What the core asks of the store, and what it is told.

use super::{Message, Record, Text, UnixMs, picture_bytes, without_pictures};
use std::sync::Arc;

/// A request to the store. Commits and prunings are done in the order in which they were asked
/// for; reads see everything that was reported committed before they were asked for.
#[derive(Debug, PartialEq)]
pub enum StoreRequest {
    /// All records in one transaction, or none of them.
    Commit {
        /// Comes back with the answer.
        batch: u64,
        records: Vec<Record>,
        /// Survives a power cut once answered; without it, the death of the process only.
        durable: bool,
    },
    /// The newest messages of a transcript, or those before a number.
    ReadMessages {
        /// Comes back with the answer.
        ticket: u64,
        session_id: Text,
        /// Those that a summary took the place of, and not the transcript.
        archived: bool,
        /// Only messages with a lower number.
        before_seq: Option<u64>,
        /// Most messages, `PAGE_MESSAGES_MAX` at most.
        limit: usize,
        /// Most bytes of all bodies but for their pictures; at least one message comes, however long it
        /// is.
        bytes_max: usize,
        /// Most bytes of pictures, the newest first; the others are left out of their rows.
        pictures_bytes_max: usize,
    },
    /// The newest or oldest messages of several transcripts.
    ReadPreviews {
        /// Comes back with the answer.
        ticket: u64,
        session_ids: Vec<Text>,
        end: PageEnd,
        /// Most messages and bytes of each.
        limit: usize,
        bytes_max: usize,
    },
    /// Forgets what retention allows, a bounded amount at a time.
    Prune(Retention),
}

/// What is left of a page's bounds while rows are put on it.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    bytes: usize,
    pictures_bytes: usize,
}

impl Room {
    /// Of an empty page.
    pub const fn new(bytes_max: usize, pictures_bytes_max: usize) -> Self {
        Self {
            bytes: bytes_max,
            pictures_bytes: pictures_bytes_max,
        }
    }

    /// The next row as it goes onto the page, without its pictures where they do not fit; None where
    /// it does not fit itself, unless it is the first.
    pub fn take(&mut self, stored: &StoredMessage, is_first: bool) -> Option<StoredMessage> {
        let body = &stored.message.body;
        let pictures = picture_bytes(body);
        let bytes = body.len() - pictures;
        if bytes > self.bytes && !is_first {
            return None;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        if pictures <= self.pictures_bytes {
            self.pictures_bytes -= pictures;
            return Some(stored.clone());
        }
        let message = Message {
            body: without_pictures(body).into(),
            ..Message::clone(&stored.message)
        };
        Some(StoredMessage {
            seq: stored.seq,
            message: Arc::new(message),
        })
    }
}

/// The store's answer to one request.
#[derive(Debug, PartialEq)]
pub enum StoreAnswer {
    Committed {
        batch: u64,
        /// The records as they were sent: to be applied where `result` is Ok.
        records: Vec<Record>,
        result: Result<(), StoreFault>,
    },
    Messages {
        ticket: u64,
        result: Result<Page, StoreFault>,
    },
    /// One page for each session id, in the order asked for.
    Previews {
        ticket: u64,
        result: Result<Vec<Page>, StoreFault>,
    },
    Pruned(Result<Pruned, StoreFault>),
}

/// Where in a transcript a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd {
    Oldest,
    Newest,
}

/// Part of a transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<StoredMessage>,
    /// There are older messages than these; not known of the oldest page.
    pub has_older: bool,
}

/// A message and its number in the transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    pub seq: u64,
    pub message: Arc<Message>,
}

/// What may be forgotten. Open runs and requests in flight never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Finished requests that expired before this are forgotten.
    pub now_ms: UnixMs,
    /// Messages of transcripts older than this; None keeps them.
    pub messages_before_ms: Option<UnixMs>,
    /// The newest that a transcript keeps; None keeps all.
    pub messages_len_max: Option<u64>,
    /// Messages that were archived before this; None keeps them.
    pub archive_before_ms: Option<UnixMs>,
    /// Runs that ended before this; None keeps the newest `RUNS_ENDED_MAX`.
    pub runs_before_ms: Option<UnixMs>,
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pruned {
    /// Committed already; to be applied to the tables.
    pub records: Vec<Record>,
    /// There is more to forget: ask again.
    pub has_more: bool,
}

/// Why the store could not do what it was asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFault {
    pub kind: StoreFaultKind,
    /// For the log.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFaultKind {
    /// The disk or the quota is full; mends itself when there is room again.
    Full,
    /// The store's queue is full, or another process holds the database for long.
    Busy,
    /// The disk failed, but nothing that was answered is in doubt.
    Io,
    /// The disk did not confirm a write. What was answered before may not be as safe as was said.
    SyncFailed,
    /// The database is damaged.
    Corrupt,
    /// The store itself failed: a fault of the program.
    Broken,
}

impl StoreFault {
    /// Waiting mends nothing: the process should end for its supervisor and begin anew from what is
    /// on disk.
    pub const fn is_fatal(&self) -> bool {
        match self.kind {
            StoreFaultKind::Full | StoreFaultKind::Busy | StoreFaultKind::Io => false,
            StoreFaultKind::SyncFailed | StoreFaultKind::Corrupt | StoreFaultKind::Broken => true,
        }
    }
}

impl std::fmt::Display for StoreFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for StoreFault {}
