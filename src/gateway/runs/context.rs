//! What a model reads of a transcript: the conversation before the run, the run's own message,
//! and what its tools have done since.

use super::budget::tokens_of;
use crate::agent::{Answered, ChatMessage, Speaker, ToolCall};
use crate::gateway::transcript;
use crate::state::{Message, StoredMessage, picture_bytes};
use serde_json::Value;
use std::collections::VecDeque;

/// Where a run's messages are in its transcript.
pub struct Place<'a> {
    /// The number of the message that it answers.
    pub message_seq: u64,
    /// First and last numbers of what its tools left.
    pub own: &'a [(u64, u64)],
    /// Numbers of messages that other runs are yet to answer.
    pub waiting: &'a [u64],
}

impl Place<'_> {
    /// Whether a message is of the run's own work.
    pub fn is_own(&self, seq: u64) -> bool {
        let mut own = self.own.iter();
        own.any(|(first, last)| (*first..=*last).contains(&seq))
    }
}

/// The messages in the order in which they belong, whatever came between them. Of those before
/// the run the newest that fit into `tokens_max` with all of the run's own.
pub fn conversation(
    rows: &[StoredMessage],
    place: &Place<'_>,
    tokens_max: u64,
) -> Vec<ChatMessage> {
    let (mut before, mut asked, mut own) = (Vec::new(), None, Vec::new());
    for row in rows.iter().filter(|row| !place.waiting.contains(&row.seq)) {
        let message = chat_message(&row.message);
        match row.seq {
            seq if seq == place.message_seq => asked = message,
            seq if place.is_own(seq) => own.extend(message),
            _ => before.extend(message),
        }
    }
    let mut left = tokens_max.saturating_sub(asked.iter().chain(&own).map(tokens_of).sum());
    let fits = |message: &&ChatMessage| {
        let len = tokens_of(message);
        let fits = len <= left;
        left = left.saturating_sub(len);
        fits
    };
    let newest = before.iter().rev().take_while(fits).count();
    before.drain(..before.len() - newest);
    before.extend(asked);
    before.extend(own);
    answered(before)
}

/// Puts every result behind its call, which is what providers insist on. A call without a
/// result gets one that says so; a result whose call is not among the messages is left out.
fn answered(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut out = Vec::with_capacity(messages.len());
    let mut rest: VecDeque<ChatMessage> = messages.into();
    while let Some(message) = rest.pop_front() {
        let calls = match &message.speaker {
            Speaker::Tool(_) => continue,
            Speaker::Assistant { calls } => calls.clone(),
            Speaker::User | Speaker::System => Vec::new(),
        };
        let unix_ms = message.unix_ms;
        out.push(message);
        for call in calls {
            let at = rest.iter().position(|message| answers(message, &call));
            let result = at.and_then(|at| rest.remove(at));
            out.push(result.unwrap_or_else(|| unanswered(call, unix_ms)));
        }
    }
    out
}

fn answers(message: &ChatMessage, call: &ToolCall) -> bool {
    matches!(&message.speaker, Speaker::Tool(answered) if answered.call_id == call.id)
}

fn unanswered(call: ToolCall, unix_ms: u64) -> ChatMessage {
    ChatMessage {
        speaker: Speaker::Tool(Answered {
            call_id: call.id,
            name: call.name,
            is_error: true,
        }),
        text: "no result is known: the run ended before it came".into(),
        images: Vec::new(),
        unix_ms,
    }
}

/// A transcript row as a model reads it; None for rows that say nothing to it.
fn chat_message(message: &Message) -> Option<ChatMessage> {
    let text = transcript::text_of(&message.body);
    let row = || serde_json::from_str::<Value>(&message.body).ok();
    let speaker = match &*message.role {
        "user" => Speaker::User,
        "system" => Speaker::System,
        "assistant" => Speaker::Assistant {
            calls: calls(&row()?),
        },
        "toolResult" => Speaker::Tool(answer(&row()?)?),
        _ => return None,
    };
    let images = match picture_bytes(&message.body) {
        0 => Vec::new(),
        _ => transcript::images_of(&row()?),
    };
    let says_something = !images.is_empty()
        || match &speaker {
            Speaker::Assistant { calls } => !calls.is_empty(),
            Speaker::Tool(_) => true,
            Speaker::User | Speaker::System => false,
        };
    (text.is_some() || says_something).then(|| ChatMessage {
        speaker,
        text: text.unwrap_or_default().into(),
        images,
        unix_ms: message.ts,
    })
}

fn calls(row: &Value) -> Vec<ToolCall> {
    let items = row["content"].as_array().into_iter().flatten();
    items
        .filter(|item| item["type"] == "toolCall")
        .filter_map(|item| {
            Some(ToolCall {
                id: item["id"].as_str()?.into(),
                name: item["name"].as_str()?.into(),
                arguments: item["arguments"].to_string().into(),
            })
        })
        .collect()
}

fn answer(row: &Value) -> Option<Answered> {
    Some(Answered {
        call_id: row["toolCallId"].as_str()?.into(),
        name: row["toolName"].as_str().unwrap_or("").into(),
        is_error: row["isError"] == true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn row(seq: u64, body: Value) -> StoredMessage {
        let message = Message {
            ts: seq,
            role: body["role"].as_str().unwrap().into(),
            body: body.to_string().into(),
        };
        StoredMessage {
            seq,
            message: Arc::new(message),
        }
    }

    fn says(seq: u64, role: &str, text: &str) -> StoredMessage {
        let content = json!([{"type": "text", "text": text}]);
        row(seq, json!({"role": role, "content": content}))
    }

    fn asks(seq: u64, ids: &[&str]) -> StoredMessage {
        let call = |id: &&str| json!({"type": "toolCall", "id": id, "name": "t", "arguments": {}});
        let content: Vec<Value> = ids.iter().map(call).collect();
        row(seq, json!({"role": "assistant", "content": content}))
    }

    fn result(seq: u64, id: &str, text: &str) -> StoredMessage {
        let content = json!([{"type": "text", "text": text}]);
        row(
            seq,
            json!({"role": "toolResult", "toolCallId": id, "toolName": "t", "content": content}),
        )
    }

    fn read(rows: &[StoredMessage], place: &Place<'_>) -> Vec<String> {
        let word = |message: &ChatMessage| match &message.speaker {
            Speaker::User => format!("user {}", message.text),
            Speaker::System => format!("system {}", message.text),
            Speaker::Assistant { calls } => {
                let ids: Vec<&str> = calls.iter().map(|call| &*call.id).collect();
                format!("asks {}{}", ids.join(","), message.text)
            }
            Speaker::Tool(it) if it.is_error => format!("{} failed", it.call_id),
            Speaker::Tool(it) => format!("{} {}", it.call_id, message.text),
        };
        conversation(rows, place, u64::MAX)
            .iter()
            .map(word)
            .collect()
    }

    #[test]
    fn a_run_reads_what_was_before_it_its_own_message_and_its_own_tools() {
        let rows = [
            says(1, "user", "first"),
            says(2, "user", "mine"),
            says(3, "user", "for later"),
            says(4, "assistant", "to the first"),
            asks(5, &["a", "b"]),
            result(6, "b", "two"),
            result(7, "a", "one"),
        ];
        let place = Place {
            message_seq: 2,
            own: &[(5, 7)],
            waiting: &[3],
        };
        let expected = [
            "user first",
            "asks to the first",
            "user mine",
            "asks a,b",
            "a one",
            "b two",
        ];
        assert_eq!(read(&rows, &place), expected);
    }

    #[test]
    fn the_oldest_messages_are_left_out_where_not_all_fit() {
        let long = "x".repeat(300);
        let rows = [
            says(1, "user", &long),
            says(2, "assistant", "short"),
            says(3, "user", &long),
        ];
        let place = Place {
            message_seq: 3,
            own: &[],
            waiting: &[],
        };
        for (tokens_max, len) in [(1_000, 3), (150, 2), (1, 1)] {
            assert_eq!(
                conversation(&rows, &place, tokens_max).len(),
                len,
                "{tokens_max}"
            );
        }
    }

    #[test]
    fn every_call_has_one_result_behind_it_and_no_result_is_without_a_call() {
        let rows = [
            result(1, "cut off", "its call is on another page"),
            asks(2, &["a"]),
            says(3, "user", "meanwhile"),
            result(4, "a", "one"),
            asks(5, &["a"]),
            says(6, "user", "mine"),
        ];
        let place = Place {
            message_seq: 6,
            own: &[],
            waiting: &[],
        };
        let expected = [
            "asks a",
            "a one",
            "user meanwhile",
            "asks a",
            "a failed",
            "user mine",
        ];
        assert_eq!(read(&rows, &place), expected);
    }
}
