//! What must survive: tables in memory, changed only by [`State::apply`].
//!
//! The core decides on these tables and says what shall change as [`Record`]s. The store writes
//! a batch of records as one transaction; when it has committed, the core applies the same
//! records here. So memory never shows what the disk could still refuse, and loading the
//! database gives the tables that applying every committed record gave.
//!
//! Rows are shared (`Arc`): a record, the table and the store's queue hold the same row. To
//! change one, clone it, change the clone and put it back.

mod contact;
mod cron;
mod device;
mod exchange;
mod idempotency;
mod node_call;
mod outgoing;
mod pairing;
mod picture;
mod record;
mod run;
mod session;
#[cfg(test)]
pub(crate) use tables::fixture;
mod tables;

pub use contact::{Contact, ContactKey, ContactState, ContactTable};
pub use cron::{
    CronJob, CronRun, CronState, CronStatus, CronTable, Isolation, Payload, Schedule, Target,
    WakeMode,
};
pub use device::{ClientFacts, Device, DeviceToken, Grant, Role, Texts, no_texts};
pub use exchange::{
    Page, PageEnd, Pruned, Retention, Room, StoreAnswer, StoreFault, StoreFaultKind, StoreRequest,
    StoredMessage,
};
pub use idempotency::{Idempotency, IdempotencyState, IdempotencyTable};
pub use node_call::{NodeCall, NodeCallState, NodeCallTable};
pub use outgoing::{Outgoing, OutgoingFile, OutgoingState, OutgoingTable};
pub use pairing::PendingPairing;
pub use picture::{picture_bytes, picture_count, without_pictures};
pub use record::Record;
pub use run::{Delivery, Run, RunState, RunTable};
pub use session::{Message, Session, SessionKind, Transcript};
pub use tables::State;

/// A text that rows, indexes and records share instead of copying.
pub type Text = std::sync::Arc<str>;

/// Milliseconds since 1970-01-01T00:00Z.
pub type UnixMs = u64;
