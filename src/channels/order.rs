//! What the core asks of a channel's threads, and what comes back.

use super::{Bot, Fault, FileRef, Outbound, Place, Update};
use crate::config::types::ChannelAccount;
use std::sync::Arc;

/// An order of the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// An account is used from now on. Its slot is never given twice.
    Open {
        slot: u64,
        account: Arc<ChannelAccount>,
    },
    /// Its wait for news is cut, since it says nothing any more.
    Renew { slot: u64 },
    /// Its calls are cut, and what they report is of no interest any more.
    Close { slot: u64 },
    /// One call; it is answered by exactly one [`Report`] with its ticket, unless the account is
    /// closed.
    Call { slot: u64, ticket: u64, job: Job },
}

/// One call of a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    Identify,
    Poll {
        bot: Bot,
        after: Option<u64>,
    },
    /// Tells the service where to bring updates to.
    Hook,
    Send(Outbound),
    /// Puts a text in the place of a message's; doing it twice does no harm.
    Edit {
        message_id: Arc<str>,
        message: Outbound,
    },
    Fetch {
        file: FileRef,
        bytes_max: u64,
    },
    Typing(Place),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub slot: u64,
    pub ticket: u64,
    pub result: Result<Done, Fault>,
}

/// A call that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    Bot(Bot),
    Updates(Vec<Update>),
    /// The service's id of the message that was sent or changed.
    Sent(Arc<str>),
    File(Arc<[u8]>),
    Nothing,
}
