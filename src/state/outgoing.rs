//! Messages on their way to people in channels.

use super::{Record, Text, UnixMs};
use crate::limits::OUTGOING_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutgoingState {
    /// It surely was not sent.
    Waiting,
    /// It may have been sent: this is stored before its first byte leaves.
    Sending,
    /// It surely was not sent and will not be.
    Failed { why: Text },
    /// Nobody knows whether it was sent.
    Unknown { why: Text },
}

impl OutgoingState {
    /// The word on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// A file below a workspace, that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingFile {
    pub workspace: Text,
    pub path: Text,
    /// It is sent as it is, also where it is a picture.
    #[serde(default)]
    pub is_document: bool,
}

/// One message. Its row goes when the service has answered that it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    /// Its place in the order of sending.
    pub number: u64,
    pub channel: Text,
    pub account_id: Text,
    pub chat: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Text>,
    /// In the service's own markup.
    pub text: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_url: Option<Text>,
    /// A file that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<OutgoingFile>,
    pub state: OutgoingState,
    /// The run whose answer it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Text>,
    /// The session that is told where its fate is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<Text>,
    /// The idempotency key of the `send` call that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Text>,
    /// It shows an answer while it is being written, and is `sending` all that time, or `unknown` where
    /// nobody knows whether it is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_draft: bool,
    /// The service's id of the message that is there already: of the draft, or of the one whose
    /// text this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Text>,
    /// The number of the draft whose place this one takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<u64>,
    /// Tries that surely sent nothing.
    #[serde(default)]
    pub tries: u32,
    pub created_at_ms: UnixMs,
    pub changed_at_ms: UnixMs,
}

impl Outgoing {
    /// Whether something is still to be done with it.
    pub fn is_open(&self) -> bool {
        self.is_draft || matches!(self.state, OutgoingState::Waiting | OutgoingState::Sending)
    }

    /// Whether it may be there, and under which id nobody knows yet.
    pub fn is_unnamed(&self) -> bool {
        self.state == OutgoingState::Sending && self.message_id.is_none()
    }
}

/// Messages by number: few, since what was sent goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingTable {
    by_number: BTreeMap<u64, Arc<Outgoing>>,
}

impl OutgoingTable {
    /// The message with this number.
    pub fn get(&self, number: u64) -> Option<&Arc<Outgoing>> {
        self.by_number.get(&number)
    }

    /// All of them in the order of sending.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Outgoing>> {
        self.by_number.values()
    }

    /// The highest number; 0 where there is none.
    pub fn last_number(&self) -> u64 {
        self.by_number.last_key_value().map_or(0, |(last, _)| *last)
    }

    /// What must be forgotten before `extra` more fit: the oldest of those that are settled. None
    /// where that is not enough.
    pub fn make_room(&self, extra: usize) -> Option<Vec<Record>> {
        let over = (self.by_number.len() + extra).saturating_sub(OUTGOING_MAX);
        let settled = self.iter().filter(|it| !it.is_open());
        let removals: Vec<Record> = settled
            .take(over)
            .map(|it| Record::OutgoingRemove { number: it.number })
            .collect();
        (removals.len() == over).then_some(removals)
    }

    pub(super) fn put(&mut self, message: &Arc<Outgoing>) {
        self.by_number.insert(message.number, message.clone());
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.by_number.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::fixture;

    #[test]
    fn only_what_is_settled_makes_room_oldest_first() {
        let mut table = OutgoingTable::default();
        for n in 1..=OUTGOING_MAX as u64 {
            table.put(&Arc::new(fixture::outgoing(n)));
        }
        assert_eq!(table.make_room(0), Some(Vec::new()));
        let first = table.iter().find(|it| !it.is_open()).map(|it| it.number);
        let removals = table.make_room(1).unwrap();
        assert_eq!(
            removals,
            [Record::OutgoingRemove {
                number: first.unwrap()
            }]
        );
        assert_eq!(table.make_room(OUTGOING_MAX), None);
        assert_eq!(table.last_number(), OUTGOING_MAX as u64);
    }
}
