//! Reading all tables into memory at start.

use crate::limits::RUNS_ENDED_MAX;
use crate::state::{Device, Idempotency, IdempotencyState, Record, State, Text, Texts, Transcript};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Error, Result, Row};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::sync::Arc;

/// Reads everything but messages. A row that cannot be read is an error, never left out.
pub(super) fn load(conn: &Connection) -> Result<State> {
    let mut state = State::default();
    // One transaction, so that all tables are of the same moment.
    conn.execute_batch("BEGIN")?;
    load_tables(conn, &mut |record| state.apply(&record))?;
    conn.execute_batch("COMMIT")?;
    Ok(state)
}

fn load_tables(conn: &Connection, apply: &mut dyn FnMut(Record)) -> Result<()> {
    let mut seen = Seen::default();
    each(conn, "SELECT body FROM device", &mut |row| {
        let mut device: Device = json(row, 0)?;
        seen.share(&mut device);
        apply(Record::DevicePut(Arc::new(device)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM pairing", &mut |row| {
        apply(Record::PairingPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM session", &mut |row| {
        apply(Record::SessionPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    each(conn, TRANSCRIPTS, &mut |row| {
        let transcript = Transcript {
            first_seq: row.get(1)?,
            last_seq: row.get(2)?,
        };
        apply(Record::TranscriptPut {
            session_id: text(row, 0)?,
            transcript,
        });
        Ok(())
    })?;
    // The newest ended ones, as the tables keep them: ties are broken by id there too.
    let runs = format!(
        "SELECT body FROM run WHERE ended_at_ms IS NULL UNION ALL SELECT body FROM (SELECT body \
         FROM run WHERE ended_at_ms IS NOT NULL ORDER BY ended_at_ms DESC, run_id DESC \
         LIMIT {RUNS_ENDED_MAX})"
    );
    each(conn, &runs, &mut |row| {
        apply(Record::RunPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    let idempotency = "SELECT method, key, fingerprint, run_id, is_done, response, expires_at_ms \
         FROM idempotency";
    each(conn, idempotency, &mut |row| {
        apply(Record::IdempotencyPut(Arc::new(idempotency_row(row)?)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM node_call", &mut |row| {
        apply(Record::NodeCallPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM outgoing", &mut |row| {
        apply(Record::OutgoingPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM contact", &mut |row| {
        apply(Record::ContactPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM cron_job", &mut |row| {
        apply(Record::CronJobPut(Arc::new(json(row, 0)?)));
        Ok(())
    })?;
    each(conn, "SELECT body FROM cron_run ORDER BY id", &mut |row| {
        let run = Arc::new(json(row, 0)?);
        apply(Record::CronRunAppend {
            run,
            kept: usize::MAX,
        });
        Ok(())
    })?;
    each(conn, "SELECT key, value FROM setting", &mut |row| {
        apply(Record::SettingPut {
            key: text(row, 0)?,
            value: text(row, 1)?,
        });
        Ok(())
    })
}

/// Each transcript's first and last number, found by seeking from one to the next: the rows
/// between are not read.
pub(super) const TRANSCRIPTS: &str = "
WITH RECURSIVE it (id) AS (
    SELECT min(session_id) FROM message UNION ALL
    SELECT (SELECT min(session_id) FROM message WHERE session_id > it.id) FROM it
    WHERE it.id IS NOT NULL
)
SELECT id, (SELECT min(seq) FROM message WHERE session_id = id),
    (SELECT max(seq) FROM message WHERE session_id = id)
FROM it WHERE id IS NOT NULL";

fn each(
    conn: &Connection,
    sql: &str,
    on_row: &mut dyn FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        on_row(row)?;
    }
    Ok(())
}

fn idempotency_row(row: &Row<'_>) -> Result<Idempotency> {
    Ok(Idempotency {
        method: text(row, 0)?,
        key: text(row, 1)?,
        fingerprint: row.get(2)?,
        run_id: row.get::<_, Option<Box<str>>>(3)?.map(Text::from),
        state: match row.get(4)? {
            true => IdempotencyState::Done,
            false => IdempotencyState::InFlight,
        },
        response: text(row, 5)?,
        expires_at_ms: row.get(6)?,
    })
}

pub(super) fn text(row: &Row<'_>, column: usize) -> Result<Text> {
    Ok(Text::from(str_ref(row, column)?))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    serde_json::from_str(str_ref(row, column)?)
        .map_err(|fault| Error::FromSqlConversionFailure(column, Type::Text, Box::new(fault)))
}

fn str_ref<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str> {
    let wrong =
        |fault: FromSqlError| Error::FromSqlConversionFailure(column, Type::Text, Box::new(fault));
    row.get_ref(column)?.as_str().map_err(wrong)
}

/// Values that many devices have in common, so that ten thousand of them share one copy.
#[derive(Default)]
struct Seen {
    texts: HashSet<Text>,
    lists: HashSet<Texts>,
}

impl Seen {
    fn share(&mut self, device: &mut Device) {
        let client = &mut device.client;
        let facts = [
            &mut client.platform,
            &mut client.device_family,
            &mut client.model_identifier,
            &mut client.client_id,
            &mut client.client_mode,
            &mut client.remote_ip,
        ];
        for fact in facts.into_iter().flatten() {
            share(&mut self.texts, fact);
        }
        share(&mut self.lists, &mut device.caps);
        share(&mut self.lists, &mut device.commands);
        for grant in &mut device.grants {
            share(&mut self.lists, &mut grant.scopes);
            if let Some(token) = &mut grant.token {
                share(&mut self.lists, &mut token.scopes);
            }
        }
    }
}

fn share<T: Clone + Eq + std::hash::Hash>(seen: &mut HashSet<T>, value: &mut T) {
    match seen.get(value) {
        Some(same) => *value = same.clone(),
        None => {
            seen.insert(value.clone());
        }
    }
}
