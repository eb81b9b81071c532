//! Everything that can change in what survives.

use super::{
    Contact, ContactKey, CronJob, CronRun, Device, Idempotency, Message, NodeCall, Outgoing,
    PendingPairing, Run, Session, Text, Transcript, UnixMs,
};
use std::sync::Arc;

/// One change. Rows are shared with the tables, so a clone of a record copies no row.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    DevicePut(Arc<Device>),
    DeviceRemove {
        device_id: Text,
    },
    PairingPut(Arc<PendingPairing>),
    PairingRemove {
        request_id: Text,
    },
    SessionPut(Arc<Session>),
    /// Takes the session out of the list; `MessagesArchive` deals with its messages.
    SessionRemove {
        key: Text,
    },
    /// The store gives the message the next number of its transcript.
    MessageAppend {
        session_id: Text,
        message: Arc<Message>,
    },
    /// Takes the messages up to and with `up_to_seq` (`u64::MAX`: all) out of the transcript
    /// into the archive, where retention deletes them; `summary` takes their place. Where there
    /// are none, nothing changes.
    MessagesArchive {
        session_id: Text,
        up_to_seq: u64,
        summary: Option<Arc<Message>>,
        archived_at_ms: UnixMs,
    },
    /// What retention left of a transcript. Made by the store only.
    TranscriptPut {
        session_id: Text,
        transcript: Transcript,
    },
    RunPut(Arc<Run>),
    RunRemove {
        run_id: Text,
    },
    IdempotencyPut(Arc<Idempotency>),
    IdempotencyRemove {
        method: Text,
        key: Text,
    },
    NodeCallPut(Arc<NodeCall>),
    NodeCallRemove {
        key: Text,
    },
    OutgoingPut(Arc<Outgoing>),
    OutgoingRemove {
        number: u64,
    },
    ContactPut(Arc<Contact>),
    ContactRemove {
        key: ContactKey,
    },
    CronJobPut(Arc<CronJob>),
    /// Its runs go with it.
    CronJobRemove {
        id: Text,
    },
    /// Of the job's runs the newest `kept` stay.
    CronRunAppend {
        run: Arc<CronRun>,
        kept: usize,
    },
    /// `value` is JSON text.
    SettingPut {
        key: Text,
        value: Text,
    },
    SettingRemove {
        key: Text,
    },
}
