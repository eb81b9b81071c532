//! Chat services that people write from: what the core says to them and hears, and a file each.
//!
//! A channel speaks to its service with blocking calls on threads that `io::channels` owns, and to
//! the core by messages alone:
//!
//! ```text
//! core   Effect::Channel(Order) ──> a thread of the account: Line::poll, send …
//! core   Input::Channel(Report) <── channel and wake
//! ```
//!
//! The core decides who may speak, when an update counts as taken, what is sent, and whether it may
//! be sent again. A line decides nothing: it translates, and says for each failure whether the
//! service may have acted ([`Fault::Unknown`]) or surely did not.
//!
//! # Adding a channel
//!
//! Implement [`Line`] in a file of its own and put a row into [`KINDS`].

mod fault;
mod http;
pub mod markdown;
mod message;
mod order;
pub mod telegram;

pub use fault::Fault;
pub use message::{Bot, Chat, File, FileRef, Incoming, Outbound, Place, Quote, Sender, Update};
pub use order::{Done, Job, Order, Report};

use crate::agent::CancelToken;
use crate::config::types::ChannelAccount;
use serde_json::Value;
use std::sync::Arc;

/// One row of the table: a kind of channel.
pub struct Kind {
    /// As in the configuration and on the wire.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// Opens a line to an account. Does not connect yet, and cannot fail.
    pub open: fn(Arc<ChannelAccount>, CancelToken) -> Box<dyn Line>,
    /// A Markdown text as messages that the service takes, in its own markup.
    pub render: fn(&str) -> Vec<String>,
    /// The receiver that a person named, as the service knows it; None for what cannot be one.
    pub target: fn(&str) -> Option<Place>,
    /// An update as its service brings it; None for what is none.
    pub read: fn(&Value, &Bot) -> Option<Update>,
    /// Milliseconds between two changes of a message that the service bears in this chat.
    pub edits_ms: fn(&str) -> u64,
}

/// The channels that this program serves.
pub const KINDS: &[Kind] = &[telegram::KIND];

/// The row of a channel.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A way to one account, used by one thread. Calls block; the token that it was opened with cuts
/// them.
pub trait Line: Send {
    /// Who the account is.
    ///
    /// # Errors
    ///
    /// As all calls: see [`Fault`].
    fn identify(&mut self) -> Result<Bot, Fault>;

    /// What came after the update `after`, oldest first; waits a while for the first. Asking for
    /// what comes after an update tells the service that it was taken.
    ///
    /// # Errors
    ///
    /// See [`Fault`].
    fn poll(&mut self, bot: &Bot, after: Option<u64>) -> Result<Vec<Update>, Fault>;

    /// Tells the service where to bring updates to, as the account's settings say.
    ///
    /// # Errors
    ///
    /// See [`Fault`].
    fn hook(&mut self) -> Result<(), Fault>;

    /// Sends a message; the service's id of it.
    ///
    /// # Errors
    ///
    /// [`Fault::Unknown`] where the service may have taken it all the same.
    fn send(&mut self, message: &Outbound) -> Result<Arc<str>, Fault>;

    /// Puts the text of `message` in the place of that of one that was sent.
    ///
    /// # Errors
    ///
    /// [`Fault::Gone`] where it is not there any more.
    fn edit(&mut self, message_id: &str, message: &Outbound) -> Result<(), Fault>;

    /// The whole of a file that came with a message.
    ///
    /// # Errors
    ///
    /// [`Fault::Refused`] where it cannot be had at all, or is longer than `bytes_max`.
    fn fetch(&mut self, file: &FileRef, bytes_max: u64) -> Result<Arc<[u8]>, Fault>;

    /// Shows for a few seconds that somebody is writing.
    ///
    /// # Errors
    ///
    /// See [`Fault`].
    fn typing(&mut self, place: &Place) -> Result<(), Fault>;
}
