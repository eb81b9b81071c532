//! Forgetting what retention allows, a bounded amount at a time.

use super::load::{TRANSCRIPTS, text};
use super::write::{IDEMPOTENCY_REMOVE, Writer, int};
use crate::limits::{PAIRING_TTL_MS, PRUNE_ROWS_MAX, RUNS_ENDED_MAX};
use crate::state::{Pruned, Record, Retention, StoreFault, Text, Transcript, UnixMs};
use rusqlite::{Result, ToSql, params};

/// Deletes at most `PRUNE_ROWS_MAX` rows of each kind, in one transaction.
pub(super) fn prune(writer: &mut Writer<'_>, limits: &Retention) -> Result<Pruned, StoreFault> {
    let not_durable = false; // What comes back after a power cut is forgotten again.
    writer.transaction(not_durable, |writer| {
        let mut pruned = Pruned::default();
        forget_idempotency(writer, limits.now_ms, &mut pruned)?;
        forget_pairings(writer, limits.now_ms, &mut pruned)?;
        forget_runs(writer, limits.runs_before_ms.unwrap_or(0), &mut pruned)?;
        if let Some(before_ms) = limits.archive_before_ms {
            forget_archive(writer, before_ms, &mut pruned)?;
        }
        if limits.messages_before_ms.is_some() || limits.messages_len_max.is_some() {
            let before_ms = limits.messages_before_ms.unwrap_or(0);
            let len_max = limits.messages_len_max.unwrap_or(u64::MAX);
            forget_messages(writer, before_ms, len_max, &mut pruned)?;
        }
        Ok(pruned)
    })
}

fn forget_idempotency(writer: &mut Writer<'_>, now: UnixMs, pruned: &mut Pruned) -> Result<()> {
    let expired =
        "SELECT method, key FROM idempotency WHERE is_done AND expires_at_ms < ?1 LIMIT ?2";
    let keys = select(writer, expired, params![int(now), ROWS], |row| {
        Ok((text(row, 0)?, text(row, 1)?))
    })?;
    pruned.has_more |= keys.len() == PRUNE_ROWS_MAX;
    for (method, key) in keys {
        writer.execute(IDEMPOTENCY_REMOVE, params![&*method, &*key])?;
        pruned
            .records
            .push(Record::IdempotencyRemove { method, key });
    }
    Ok(())
}

fn forget_pairings(writer: &mut Writer<'_>, now: UnixMs, pruned: &mut Pruned) -> Result<()> {
    let asked_before = int(now.saturating_sub(PAIRING_TTL_MS));
    let expired = "SELECT request_id FROM pairing WHERE ts < ?1 LIMIT ?2";
    for request_id in select(writer, expired, params![asked_before, ROWS], |row| {
        text(row, 0)
    })? {
        writer.execute(
            "DELETE FROM pairing WHERE request_id = ?1",
            params![&*request_id],
        )?;
        pruned.records.push(Record::PairingRemove { request_id });
    }
    Ok(())
}

fn forget_runs(writer: &mut Writer<'_>, before_ms: UnixMs, pruned: &mut Pruned) -> Result<()> {
    let old = "SELECT run_id FROM run WHERE ended_at_ms < ?1 LIMIT ?2";
    let mut ids = select(writer, old, params![int(before_ms), ROWS], |row| {
        text(row, 0)
    })?;
    let too_many = "SELECT run_id FROM run WHERE ended_at_ms IS NOT NULL \
         ORDER BY ended_at_ms DESC, run_id DESC LIMIT ?2 OFFSET ?1";
    let kept = int(RUNS_ENDED_MAX as u64);
    ids.extend(select(writer, too_many, params![kept, ROWS], |row| {
        text(row, 0)
    })?);
    pruned.has_more |= ids.len() >= PRUNE_ROWS_MAX;
    for run_id in ids {
        writer.execute("DELETE FROM run WHERE run_id = ?1", params![&*run_id])?;
        pruned.records.push(Record::RunRemove { run_id });
    }
    Ok(())
}

fn forget_archive(writer: &mut Writer<'_>, before_ms: UnixMs, pruned: &mut Pruned) -> Result<()> {
    let delete = "DELETE FROM message_archive WHERE id IN \
         (SELECT id FROM message_archive WHERE archived_at_ms < ?1 LIMIT ?2)";
    let deleted = writer.execute(delete, params![int(before_ms), ROWS])?;
    pruned.has_more |= deleted == PRUNE_ROWS_MAX;
    Ok(())
}

/// Only from a transcript's beginning up to the first message that is to stay, so that its
/// numbers have no gap.
fn forget_messages(
    writer: &mut Writer<'_>,
    before_ms: UnixMs,
    len_max: u64,
    pruned: &mut Pruned,
) -> Result<()> {
    let transcripts: Vec<(Text, Transcript)> = select(writer, TRANSCRIPTS, &[], |row| {
        Ok((
            text(row, 0)?,
            Transcript {
                first_seq: row.get(1)?,
                last_seq: row.get(2)?,
            },
        ))
    })?;
    let mut left = PRUNE_ROWS_MAX as u64;
    for (session_id, mut transcript) in transcripts {
        let oldest = "SELECT ts FROM message WHERE session_id = ?1 ORDER BY seq LIMIT ?2";
        let asked = params![&*session_id, int(left)];
        let times = select(writer, oldest, asked, |row| row.get::<_, u64>(0))?;
        let old = times.iter().take_while(|ts| **ts < before_ms).count() as u64;
        let too_many = transcript.message_count().saturating_sub(len_max);
        let forgotten = old.max(too_many).min(left);
        if forgotten == 0 {
            continue;
        }
        transcript.first_seq += forgotten;
        let delete = "DELETE FROM message WHERE session_id = ?1 AND seq < ?2";
        writer.execute(delete, params![&*session_id, int(transcript.first_seq)])?;
        pruned.records.push(Record::TranscriptPut {
            session_id,
            transcript,
        });
        left -= forgotten;
        if left == 0 {
            pruned.has_more = true;
            break;
        }
    }
    Ok(())
}

const ROWS: i64 = PRUNE_ROWS_MAX as i64;

fn select<T>(
    writer: &mut Writer<'_>,
    sql: &'static str,
    params: &[&dyn ToSql],
    read: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    writer.statement(sql)?.query_map(params, read)?.collect()
}
