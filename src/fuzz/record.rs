//! Records of the store: what a database gives back is what memory became.

use super::INPUT_BYTES_MAX;
use crate::io::store;
use crate::state::{Idempotency, IdempotencyState, Message, Record, State, Text, UnixMs};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Batches of records, one a line (`device JSON`, `-device ID`, `message SESSION BODY` …), a blank
/// line between two batches. The rows go through a real database and back.
///
/// # Panics
///
/// When what is loaded differs from what applying each record made.
pub fn record(bytes: &[u8]) {
    if bytes.len() > INPUT_BYTES_MAX {
        return;
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let batches: Vec<Vec<Record>> = text
        .split("\n\n")
        .map(|batch| batch.lines().filter_map(parse).collect())
        .collect();
    let mut state = State::default();
    for record in batches.iter().flatten() {
        state.apply(record);
    }
    state.check_invariants();
    let loaded = store::replay(&batches).unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(loaded, state);
}

fn parse(line: &str) -> Option<Record> {
    let (kind, rest) = line.split_once(' ')?;
    let text = || Text::from(rest);
    Some(match kind {
        "device" => Record::DevicePut(row(rest)?),
        "-device" => Record::DeviceRemove { device_id: text() },
        "pairing" => Record::PairingPut(row(rest)?),
        "-pairing" => Record::PairingRemove { request_id: text() },
        "session" => Record::SessionPut(row(rest)?),
        "-session" => Record::SessionRemove { key: text() },
        "message" => {
            let (session, body) = rest.split_once(' ')?;
            Record::MessageAppend {
                session_id: session.into(),
                message: message(body),
            }
        }
        "archive" => {
            let (session, up_to) = rest.split_once(' ')?;
            Record::MessagesArchive {
                session_id: session.into(),
                up_to_seq: up_to.trim_end_matches('+').parse().ok()?,
                summary: up_to.ends_with('+').then(|| message("in short")),
                archived_at_ms: 5,
            }
        }
        "run" => Record::RunPut(row(rest)?),
        "-run" => Record::RunRemove { run_id: text() },
        "idempotency" => {
            let (method, rest) = rest.split_once(' ')?;
            let (key, expires) = rest.split_once(' ')?;
            Record::IdempotencyPut(Arc::new(Idempotency {
                method: method.into(),
                key: key.into(),
                fingerprint: [key.len() as u8; 32],
                run_id: (key.len() % 2 == 0).then(|| key.into()),
                state: match key.len() % 3 {
                    0 => IdempotencyState::InFlight,
                    _ => IdempotencyState::Done,
                },
                response: rest.into(),
                expires_at_ms: expires.parse().ok().filter(in_range)?,
            }))
        }
        "-idempotency" => {
            let (method, key) = rest.split_once(' ')?;
            Record::IdempotencyRemove {
                method: method.into(),
                key: key.into(),
            }
        }
        "call" => Record::NodeCallPut(row(rest)?),
        "-call" => Record::NodeCallRemove { key: text() },
        "outgoing" => {
            let row: Arc<crate::state::Outgoing> = row(rest)?;
            in_range(&row.number).then_some(Record::OutgoingPut(row))?
        }
        "-outgoing" => Record::OutgoingRemove {
            number: rest.parse().ok().filter(in_range)?,
        },
        "contact" => Record::ContactPut(row(rest)?),
        "-contact" => {
            let mut words = rest.splitn(3, ' ').map(Text::from);
            Record::ContactRemove {
                key: (words.next()?, words.next()?, words.next()?),
            }
        }
        "job" => Record::CronJobPut(row(rest)?),
        "-job" => Record::CronJobRemove { id: text() },
        "ran" => {
            let (kept, rest) = rest.split_once(' ')?;
            Record::CronRunAppend {
                run: row(rest)?,
                kept: usize::from(kept.parse::<u8>().ok()?),
            }
        }
        "setting" => {
            let (key, value) = rest.split_once(' ')?;
            Record::SettingPut {
                key: key.into(),
                value: value.into(),
            }
        }
        "-setting" => Record::SettingRemove { key: text() },
        _ => return None,
    })
}

fn row<T: DeserializeOwned>(json: &str) -> Option<Arc<T>> {
    serde_json::from_str(json).ok().map(Arc::new)
}

fn message(body: &str) -> Arc<Message> {
    Arc::new(Message {
        ts: 1,
        role: "user".into(),
        body: body.into(),
    })
}

/// SQLite's integers have a sign. The core's own numbers never come near.
fn in_range(number: &UnixMs) -> bool {
    i64::try_from(*number).is_ok()
}
