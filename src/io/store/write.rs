//! Writing a batch of records as one transaction.

use super::fault::store_fault;
use crate::state::{
    CronRun, Idempotency, IdempotencyState, Message, Record, Run, StoreFault, Text, Transcript,
    UnixMs,
};
use rusqlite::{Connection, Error, Result, Statement, ToSql, params};
use serde::Serialize;
use std::collections::BTreeMap;

/// The one connection that writes, and the statements that it has prepared.
pub(super) struct Writer<'c> {
    conn: &'c Connection,
    statements: BTreeMap<&'static str, Statement<'c>>,
    /// What `PRAGMA synchronous` was set to last; None before.
    is_durable: Option<bool>,
}

impl<'c> Writer<'c> {
    pub fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            statements: BTreeMap::new(),
            is_durable: None,
        }
    }

    /// Commits all records or, with a fault, none.
    pub fn commit(&mut self, records: &[Record], durable: bool) -> Result<(), StoreFault> {
        self.transaction(durable, |writer| {
            records.iter().try_for_each(|it| writer.write(it))
        })
    }

    /// Runs `body` as one transaction.
    pub fn transaction<T>(
        &mut self,
        durable: bool,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T, StoreFault> {
        let outcome = self
            .begin(durable)
            .and_then(|()| body(self))
            .and_then(|value| {
                self.conn.execute_batch("COMMIT")?;
                Ok(value)
            });
        outcome.map_err(|fault| {
            self.roll_back();
            store_fault(&fault)
        })
    }

    fn begin(&mut self, durable: bool) -> Result<()> {
        // A panic may have left one open.
        self.roll_back();
        if self.is_durable != Some(durable) {
            // FULL syncs the journal at each commit. NORMAL leaves that to the next full commit or
            // checkpoint: the kernel has the bytes, so only a power cut can lose them.
            self.is_durable = None;
            let mode = if durable { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", mode)?;
            self.is_durable = Some(durable);
        }
        self.conn.execute_batch("BEGIN IMMEDIATE")
    }

    /// Leaves no transaction open, whether SQLite has ended the failed one itself or not.
    fn roll_back(&mut self) {
        if !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }

    /// Runs a statement that is prepared once. Returns how many rows changed.
    pub fn execute(&mut self, sql: &'static str, params: &[&dyn ToSql]) -> Result<usize> {
        self.statement(sql)?.execute(params)
    }

    pub fn statement(&mut self, sql: &'static str) -> Result<&mut Statement<'c>> {
        use std::collections::btree_map::Entry;
        match self.statements.entry(sql) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(self.conn.prepare(sql)?)),
        }
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::DevicePut(device) => {
                self.execute(DEVICE_PUT, params![&*device.device_id, json(device)?])
            }
            Record::DeviceRemove { device_id } => self.execute(
                "DELETE FROM device WHERE device_id = ?1",
                params![&**device_id],
            ),
            Record::PairingPut(it) => {
                self.execute(PAIRING_PUT, params![&*it.request_id, int(it.ts), json(it)?])
            }
            Record::PairingRemove { request_id } => self.execute(
                "DELETE FROM pairing WHERE request_id = ?1",
                params![&**request_id],
            ),
            Record::SessionPut(session) => {
                self.execute(SESSION_PUT, params![&*session.key, json(session)?])
            }
            Record::SessionRemove { key } => {
                self.execute("DELETE FROM session WHERE key = ?1", params![&**key])
            }
            Record::MessageAppend {
                session_id,
                message,
            } => {
                let mut transcript = self.transcript(session_id)?;
                self.put_message(session_id, transcript.append(), message)
            }
            Record::MessagesArchive {
                session_id,
                up_to_seq,
                summary,
                archived_at_ms,
            } => self.archive(session_id, *up_to_seq, summary.as_deref(), *archived_at_ms),
            // Made from rows that are there already.
            Record::TranscriptPut { .. } => Ok(0),
            Record::RunPut(run) => self.put_run(run),
            Record::RunRemove { run_id } => {
                self.execute("DELETE FROM run WHERE run_id = ?1", params![&**run_id])
            }
            Record::IdempotencyPut(entry) => self.put_idempotency(entry),
            Record::IdempotencyRemove { method, key } => {
                self.execute(IDEMPOTENCY_REMOVE, params![&**method, &**key])
            }
            Record::NodeCallPut(call) => {
                self.execute(NODE_CALL_PUT, params![&*call.key, json(call)?])
            }
            Record::NodeCallRemove { key } => {
                self.execute("DELETE FROM node_call WHERE key = ?1", params![&**key])
            }
            Record::OutgoingPut(message) => {
                self.execute(OUTGOING_PUT, params![int(message.number), json(message)?])
            }
            Record::OutgoingRemove { number } => self.execute(
                "DELETE FROM outgoing WHERE number = ?1",
                params![int(*number)],
            ),
            Record::ContactPut(it) => {
                let row = params![&*it.channel, &*it.account_id, &*it.id, json(it)?];
                self.execute(CONTACT_PUT, row)
            }
            Record::ContactRemove { key } => {
                self.execute(CONTACT_REMOVE, params![&*key.0, &*key.1, &*key.2])
            }
            Record::CronJobPut(job) => self.execute(CRON_JOB_PUT, params![&*job.id, json(job)?]),
            Record::CronJobRemove { id } => {
                self.execute("DELETE FROM cron_run WHERE job_id = ?1", params![&**id])?;
                self.execute("DELETE FROM cron_job WHERE id = ?1", params![&**id])
            }
            Record::CronRunAppend { run, kept } => self.append_cron_run(run, *kept),
            Record::SettingPut { key, value } => {
                self.execute(SETTING_PUT, params![&**key, &**value])
            }
            Record::SettingRemove { key } => {
                self.execute("DELETE FROM setting WHERE key = ?1", params![&**key])
            }
        }
        .map(drop)
    }

    /// The transcript as the rows say it.
    pub fn transcript(&mut self, session_id: &Text) -> Result<Transcript> {
        let ends: (Option<u64>, Option<u64>) = self
            .statement(TRANSCRIPT)?
            .query_row([&**session_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(match ends {
            (Some(first_seq), Some(last_seq)) => Transcript {
                first_seq,
                last_seq,
            },
            _ => Transcript::default(),
        })
    }

    fn put_message(&mut self, session_id: &Text, seq: u64, it: &Message) -> Result<usize> {
        let row = params![&**session_id, int(seq), int(it.ts), &*it.role, &*it.body];
        self.execute("INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5)", row)
    }

    fn archive(
        &mut self,
        session_id: &Text,
        up_to_seq: u64,
        summary: Option<&Message>,
        at_ms: UnixMs,
    ) -> Result<usize> {
        let mut transcript = self.transcript(session_id)?;
        let Some((_, last)) = transcript.archive(up_to_seq, summary.is_some()) else {
            return Ok(0);
        };
        // What a person cut away belongs to the conversation no more.
        let place = match summary {
            Some(_) => session_id.to_string(),
            None => format!("{session_id}#cut"),
        };
        self.execute(
            ARCHIVE,
            params![&**session_id, int(last), int(at_ms), place],
        )?;
        let delete = "DELETE FROM message WHERE session_id = ?1 AND seq <= ?2";
        self.execute(delete, params![&**session_id, int(last)])?;
        summary.map_or(Ok(0), |summary| self.put_message(session_id, last, summary))
    }

    fn put_run(&mut self, run: &Run) -> Result<usize> {
        let at = run.ended_at_ms.unwrap_or(run.accepted_at_ms);
        let ended_at = run.state.is_ended().then(|| int(at));
        self.execute(
            RUN_PUT,
            params![&*run.run_id, run.state.as_str(), ended_at, json(run)?],
        )
    }

    fn append_cron_run(&mut self, run: &CronRun, kept: usize) -> Result<usize> {
        let row = params![&*run.job_id, json(run)?];
        self.execute("INSERT INTO cron_run (job_id, body) VALUES (?1, ?2)", row)?;
        let older = params![&*run.job_id, int(kept.max(1) as u64)];
        self.execute(CRON_RUNS_FORGET, older)
    }

    fn put_idempotency(&mut self, entry: &Idempotency) -> Result<usize> {
        let row = params![
            &*entry.method,
            &*entry.key,
            entry.fingerprint,
            entry.run_id.as_deref(),
            entry.state == IdempotencyState::Done,
            &*entry.response,
            int(entry.expires_at_ms)
        ];
        self.execute(IDEMPOTENCY_PUT, row)
    }
}

const DEVICE_PUT: &str =
    "INSERT INTO device VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body";
const PAIRING_PUT: &str = "INSERT INTO pairing VALUES (?1, ?2, ?3) \
     ON CONFLICT DO UPDATE SET ts = excluded.ts, body = excluded.body";
const SESSION_PUT: &str =
    "INSERT INTO session VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body";
const TRANSCRIPT: &str = "SELECT (SELECT min(seq) FROM message WHERE session_id = ?1), \
     (SELECT max(seq) FROM message WHERE session_id = ?1)";
const ARCHIVE: &str = "INSERT INTO message_archive \
     (session_id, seq, ts, role, body, archived_at_ms) \
     SELECT ?4, seq, ts, role, body, ?3 FROM message \
     WHERE session_id = ?1 AND seq <= ?2 ORDER BY seq";
const RUN_PUT: &str = "INSERT INTO run VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE \
     SET state = excluded.state, ended_at_ms = excluded.ended_at_ms, body = excluded.body";
const IDEMPOTENCY_PUT: &str = "INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
     ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, run_id = excluded.run_id, \
     is_done = excluded.is_done, response = excluded.response, \
     expires_at_ms = excluded.expires_at_ms";
pub(super) const IDEMPOTENCY_REMOVE: &str =
    "DELETE FROM idempotency WHERE method = ?1 AND key = ?2";
const NODE_CALL_PUT: &str =
    "INSERT INTO node_call VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body";
const OUTGOING_PUT: &str =
    "INSERT INTO outgoing VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body";
const CONTACT_PUT: &str = "INSERT INTO contact VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT DO UPDATE SET body = excluded.body";
const CONTACT_REMOVE: &str =
    "DELETE FROM contact WHERE channel = ?1 AND account_id = ?2 AND id = ?3";
const CRON_JOB_PUT: &str =
    "INSERT INTO cron_job VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body";
const CRON_RUNS_FORGET: &str = "DELETE FROM cron_run WHERE job_id = ?1 AND id <= (SELECT id FROM \
     cron_run WHERE job_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
const SETTING_PUT: &str =
    "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";

/// SQLite's integers have a sign; times and numbers beyond its range are as good as its end.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn json(row: &impl Serialize) -> Result<String> {
    serde_json::to_string(row).map_err(|fault| Error::ToSqlConversionFailure(Box::new(fault)))
}
