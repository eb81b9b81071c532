//! Chat sessions and the messages in them.

use super::{Text, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who takes part in a session, as `sessions.list` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    Direct,
    Group,
    Global,
    #[default]
    Unknown,
}

impl SessionKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Global => "global",
            Self::Unknown => "unknown",
        }
    }
}

/// One session's head. Its messages are in the database alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Session {
    /// `agent:<agentId>:<name>`.
    pub key: Text,
    /// Names the transcript; a reset gives a new one.
    pub session_id: Text,
    pub agent_id: Text,
    pub kind: SessionKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose_level: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_level: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_provider: Option<Text>,
    /// Every other setting that `sessions.patch` knows, by its name on the wire
    /// (`sendPolicy`, `execHost`, …).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<Text, Text>,
    pub created_at_ms: UnixMs,
    pub updated_at_ms: UnixMs,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
    /// Tokens of the last request's context; 0 where unknown.
    pub context_tokens: u64,
    pub compaction_count: u32,
    /// Where the last message came from, for answers that name no channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_channel: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_to: Option<Text>,
    pub aborted_last_run: bool,
}

/// Which messages a transcript has: all numbers from `first_seq` to `last_seq`.
///
/// The tables and the store both count with it, so they cannot come to differ. One that was
/// emptied begins again with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Number of the oldest message that is not archived; `last_seq + 1` where there is none.
    pub first_seq: u64,
    /// Number of the newest message; `first_seq - 1` where there is none.
    pub last_seq: u64,
}

impl Default for Transcript {
    fn default() -> Self {
        Self {
            first_seq: 1,
            last_seq: 0,
        }
    }
}

impl Transcript {
    /// Messages that are not archived.
    pub const fn message_count(&self) -> u64 {
        self.last_seq + 1 - self.first_seq
    }

    /// Makes place for one more message and gives its number.
    pub fn append(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// Takes out the messages up to and with `up_to_seq` and gives their numbers, first and
    /// last; a summary takes the last one's number. None where there are none.
    pub fn archive(&mut self, up_to_seq: u64, has_summary: bool) -> Option<(u64, u64)> {
        let (first, last) = (self.first_seq, up_to_seq.min(self.last_seq));
        if last < first {
            return None;
        }
        self.first_seq = if has_summary { last } else { last + 1 };
        Some((first, last))
    }
}

/// One message of a transcript, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub ts: UnixMs,
    /// `user`, `assistant`, `toolResult`, `system` …
    pub role: Text,
    /// The whole message object as JSON text, as `chat.history` shows it.
    pub body: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archiving_takes_a_prefix_and_a_summary_takes_its_last_number() {
        let mut transcript = Transcript::default();
        assert_eq!(transcript.archive(u64::MAX, true), None);
        for seq in 1..=5 {
            assert_eq!(transcript.append(), seq);
        }
        assert_eq!(transcript.archive(3, true), Some((1, 3)));
        assert_eq!(transcript.message_count(), 3);
        assert_eq!(transcript.archive(2, false), None);
        assert_eq!(transcript.archive(u64::MAX, false), Some((3, 5)));
        assert_eq!(transcript.message_count(), 0);
        assert_eq!(transcript.append(), 6);
        assert_eq!(transcript.message_count(), 1);
    }

    #[test]
    fn a_session_reads_back_as_it_was_written_and_from_fewer_fields() {
        let session = super::super::tables::fixture::session(3);
        let text = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&text).unwrap(), session);
        let least: Session = serde_json::from_str(r#"{"key":"agent:main:main"}"#).unwrap();
        assert_eq!(&*least.key, "agent:main:main");
        assert_eq!(least.kind, SessionKind::Unknown);
    }
}
