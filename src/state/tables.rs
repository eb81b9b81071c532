//! The tables themselves and how a record changes them.

use super::{
    ContactTable, CronTable, Device, IdempotencyTable, NodeCallTable, OutgoingTable,
    PendingPairing, Record, RunTable, Session, Text, Transcript,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that survives and that the core looks at. Messages are not here: they are paged
/// from the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    devices: BTreeMap<Text, Arc<Device>>,
    pairings: BTreeMap<Text, Arc<PendingPairing>>,
    sessions: BTreeMap<Text, Arc<Session>>,
    transcripts: BTreeMap<Text, Transcript>,
    runs: RunTable,
    idempotency: IdempotencyTable,
    node_calls: NodeCallTable,
    outgoing: OutgoingTable,
    contacts: ContactTable,
    cron: CronTable,
    settings: BTreeMap<Text, Text>,
}

impl State {
    /// Paired devices by device id.
    pub fn devices(&self) -> &BTreeMap<Text, Arc<Device>> {
        &self.devices
    }

    /// Pending pairing requests by request id; few, so look through them for a device.
    pub fn pairings(&self) -> &BTreeMap<Text, Arc<PendingPairing>> {
        &self.pairings
    }

    /// Sessions by key.
    pub fn sessions(&self) -> &BTreeMap<Text, Arc<Session>> {
        &self.sessions
    }

    /// Which messages the transcript has; an unknown one has none.
    pub fn transcript(&self, session_id: &str) -> Transcript {
        self.transcripts
            .get(session_id)
            .copied()
            .unwrap_or_default()
    }

    pub fn runs(&self) -> &RunTable {
        &self.runs
    }

    pub fn idempotency(&self) -> &IdempotencyTable {
        &self.idempotency
    }

    /// Calls that are kept until their node has answered.
    pub fn node_calls(&self) -> &NodeCallTable {
        &self.node_calls
    }

    /// Messages on their way to channels.
    pub fn outgoing(&self) -> &OutgoingTable {
        &self.outgoing
    }

    /// People who wrote to channels.
    pub fn contacts(&self) -> &ContactTable {
        &self.contacts
    }

    /// Scheduled jobs.
    pub fn cron(&self) -> &CronTable {
        &self.cron
    }

    /// A setting's JSON text.
    pub fn setting(&self, key: &str) -> Option<&Text> {
        self.settings.get(key)
    }

    /// Settings by key, each as JSON text.
    pub fn settings(&self) -> &BTreeMap<Text, Text> {
        &self.settings
    }

    /// Makes one change that the store has committed. The only way to change the tables.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::DevicePut(device) => {
                self.devices
                    .insert(device.device_id.clone(), device.clone());
            }
            Record::DeviceRemove { device_id } => {
                self.devices.remove(device_id);
            }
            Record::PairingPut(pairing) => {
                self.pairings
                    .insert(pairing.request_id.clone(), pairing.clone());
            }
            Record::PairingRemove { request_id } => {
                self.pairings.remove(request_id);
            }
            Record::SessionPut(session) => {
                self.sessions.insert(session.key.clone(), session.clone());
            }
            Record::SessionRemove { key } => {
                self.sessions.remove(key);
            }
            Record::MessageAppend { session_id, .. } => {
                self.transcripts
                    .entry(session_id.clone())
                    .or_default()
                    .append();
            }
            Record::MessagesArchive {
                session_id,
                up_to_seq,
                summary,
                ..
            } => {
                let mut transcript = self.transcript(session_id);
                transcript.archive(*up_to_seq, summary.is_some());
                self.put_transcript(session_id, transcript);
            }
            Record::TranscriptPut {
                session_id,
                transcript,
            } => {
                self.put_transcript(session_id, *transcript);
            }
            Record::RunPut(run) => self.runs.put(run),
            Record::RunRemove { run_id } => self.runs.remove(run_id),
            Record::IdempotencyPut(entry) => self.idempotency.put(entry),
            Record::IdempotencyRemove { method, key } => self.idempotency.remove(method, key),
            Record::NodeCallPut(call) => self.node_calls.put(call),
            Record::NodeCallRemove { key } => self.node_calls.remove(key),
            Record::OutgoingPut(message) => self.outgoing.put(message),
            Record::OutgoingRemove { number } => self.outgoing.remove(*number),
            Record::ContactPut(contact) => {
                self.contacts.insert(contact.key(), contact.clone());
            }
            Record::ContactRemove { key } => {
                self.contacts.remove(key);
            }
            Record::CronJobPut(job) => self.cron.put(job),
            Record::CronJobRemove { id } => self.cron.remove(id),
            Record::CronRunAppend { run, kept } => self.cron.append(run, *kept),
            Record::SettingPut { key, value } => {
                self.settings.insert(key.clone(), value.clone());
            }
            Record::SettingRemove { key } => {
                self.settings.remove(key);
            }
        }
    }

    /// An empty transcript is as one that never was, here and in the database.
    fn put_transcript(&mut self, session_id: &Text, transcript: Transcript) {
        if transcript.message_count() == 0 {
            self.transcripts.remove(session_id);
        } else {
            self.transcripts.insert(session_id.clone(), transcript);
        }
    }

    /// Asserts what must hold between the tables' parts; walks everything, so for debug builds
    /// and tests.
    pub fn check_invariants(&self) {
        for (id, device) in &self.devices {
            assert_eq!(*id, device.device_id);
            assert!(device.grants.is_sorted_by(|a, b| a.role < b.role));
        }
        assert!(
            self.pairings
                .iter()
                .all(|(id, pairing)| *id == pairing.request_id)
        );
        assert!(
            self.sessions
                .iter()
                .all(|(key, session)| *key == session.key)
        );
        assert!(self.transcripts.values().all(|it| it.first_seq >= 1));
        assert!(
            self.transcripts
                .values()
                .all(|it| it.first_seq <= it.last_seq + 1)
        );
        self.runs.check_invariants();
        self.idempotency.check_invariants();
    }
}

/// Made-up rows for tests; different numbers give different rows.
#[cfg(test)]
pub(crate) mod fixture {
    use super::super::*;
    use std::sync::Arc;

    pub fn device(n: u64) -> Device {
        let client = ClientFacts {
            display_name: Some(format!("node {n}").into()),
            platform: Some("linux".into()),
            client_id: Some("node-host".into()),
            client_mode: Some("node".into()),
            remote_ip: Some("127.0.0.1".into()),
            ..ClientFacts::default()
        };
        let token = DeviceToken {
            token: format!("{n:043}").into(),
            scopes: no_texts(),
            created_at_ms: n,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: Some(n),
        };
        let grant = Grant {
            role: Role::Node,
            scopes: no_texts(),
            token: Some(Box::new(token)),
        };
        Device {
            device_id: format!("{n:064x}").into(),
            public_key: format!("{n:043}").into(),
            client,
            name: None,
            grants: vec![grant],
            caps: texts(&["browser", "system"]),
            commands: texts(&["system.run", "system.which", "browser.proxy"]),
            created_at_ms: n,
            approved_at_ms: n + 1,
            last_seen_ms: n + 2,
        }
    }

    pub fn pairing(n: u64) -> PendingPairing {
        let device = device(n);
        PendingPairing {
            request_id: format!("request-{n}").into(),
            device_id: device.device_id,
            public_key: device.public_key,
            client: device.client,
            roles: vec![Role::Operator],
            scopes: texts(&["operator.read"]),
            caps: no_texts(),
            commands: no_texts(),
            silent: false,
            is_repair: true,
            ts: n,
        }
    }

    pub fn session(n: u64) -> Session {
        Session {
            key: format!("agent:main:s{n}").into(),
            session_id: format!("id-{n}").into(),
            agent_id: "main".into(),
            kind: SessionKind::Direct,
            label: Some(format!("label {n}").into()),
            settings: [(Text::from("sendPolicy"), Text::from("allow"))].into(),
            updated_at_ms: n,
            total_tokens: n,
            ..Session::default()
        }
    }

    pub fn append(session: u64, n: u64) -> Record {
        let message = Message {
            ts: n,
            role: "user".into(),
            body: format!(r#"{{"role":"user","content":"message {n}"}}"#).into(),
        };
        let session_id = format!("id-{session}").into();
        Record::MessageAppend {
            session_id,
            message: Arc::new(message),
        }
    }

    pub fn archive(session: u64, up_to_seq: u64) -> Record {
        let session_id = format!("id-{session}").into();
        Record::MessagesArchive {
            session_id,
            up_to_seq,
            summary: None,
            archived_at_ms: 5,
        }
    }

    pub fn run(n: u64) -> Run {
        Run {
            run_id: format!("run-{n}").into(),
            session_key: format!("agent:main:s{n}").into(),
            session_id: format!("id-{n}").into(),
            state: RunState::Queued,
            accepted_at_ms: n,
            started_at_ms: None,
            ended_at_ms: None,
            open_step_has_side_effect: false,
            delivery: Delivery::default(),
            options: None,
            summary: None,
            error: None,
        }
    }

    pub fn idempotency(n: u64) -> Idempotency {
        Idempotency {
            method: if n.is_multiple_of(2) {
                "chat.send".into()
            } else {
                "agent".into()
            },
            key: format!("key-{n}").into(),
            fingerprint: [n as u8; 32],
            run_id: Some(format!("run-{n}").into()),
            state: IdempotencyState::Done,
            response: format!(r#"{{"runId":"run-{n}"}}"#).into(),
            expires_at_ms: n,
        }
    }

    pub fn node_call(n: u64) -> NodeCall {
        NodeCall {
            key: format!("key-{n}").into(),
            node_id: format!("node-{n}").into(),
            command: "system.run".into(),
            params_json: Some(format!(r#"{{"n":{n}}}"#).into()),
            timeout_ms: None,
            state: if n.is_multiple_of(2) {
                NodeCallState::Waiting
            } else {
                NodeCallState::Ok { payload: None }
            },
            created_at_ms: n,
            expires_at_ms: n,
        }
    }

    pub fn outgoing(n: u64) -> Outgoing {
        Outgoing {
            number: n,
            channel: "telegram".into(),
            account_id: "default".into(),
            chat: format!("{n}").into(),
            thread: None,
            reply_to: None,
            text: format!("text {n}").into(),
            media_url: None,
            file: None,
            state: if n.is_multiple_of(2) {
                OutgoingState::Waiting
            } else {
                OutgoingState::Unknown { why: "cut".into() }
            },
            is_draft: false,
            message_id: None,
            draft: None,
            run_id: None,
            session_key: None,
            key: None,
            tries: 0,
            created_at_ms: n,
            changed_at_ms: n,
        }
    }

    pub fn contact(n: u64) -> Contact {
        Contact {
            channel: "telegram".into(),
            account_id: "default".into(),
            id: format!("{n}").into(),
            username: Some(format!("user{n}").into()),
            name: format!("User {n}").into(),
            chat: format!("{n}").into(),
            asked_at_ms: n,
            state: ContactState::Approved { at_ms: n },
        }
    }

    pub fn cron_job(n: u64) -> CronJob {
        CronJob {
            id: format!("job-{n}").into(),
            agent_id: None,
            name: format!("job {n}").into(),
            description: None,
            enabled: true,
            delete_after_run: None,
            created_at_ms: n,
            updated_at_ms: n,
            schedule: Schedule::Every {
                every_ms: n * 1_000,
                anchor_ms: None,
            },
            session_target: Target::Main,
            wake_mode: WakeMode::NextHeartbeat,
            payload: Payload::SystemEvent { text: "t".into() },
            isolation: None,
            state: CronState::default(),
            run_id: None,
        }
    }

    pub fn cron_run(job: u64, n: u64) -> CronRun {
        CronRun {
            ts: n,
            job_id: format!("job-{job}").into(),
            action: "finished".into(),
            status: CronStatus::Ok,
            error: None,
            summary: Some(format!("summary {n}").into()),
            run_at_ms: n,
            duration_ms: 1,
            next_run_at_ms: None,
        }
    }

    fn texts(words: &[&str]) -> Texts {
        words.iter().map(|word| Text::from(*word)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn putting_again_replaces_and_removing_leaves_nothing_behind() {
        let put = |n| {
            [
                Record::DevicePut(Arc::new(fixture::device(n))),
                Record::PairingPut(Arc::new(fixture::pairing(n))),
                Record::SessionPut(Arc::new(fixture::session(n))),
                fixture::append(n, 1),
                Record::RunPut(Arc::new(fixture::run(n))),
                Record::IdempotencyPut(Arc::new(fixture::idempotency(n))),
                Record::NodeCallPut(Arc::new(fixture::node_call(n))),
                Record::OutgoingPut(Arc::new(fixture::outgoing(n))),
                Record::ContactPut(Arc::new(fixture::contact(n))),
                Record::CronJobPut(Arc::new(fixture::cron_job(n))),
                Record::CronRunAppend {
                    run: Arc::new(fixture::cron_run(n, n)),
                    kept: 9,
                },
                Record::SettingPut {
                    key: "k".into(),
                    value: "1".into(),
                },
            ]
        };
        let mut state = State::default();
        for record in put(1).iter().chain(&put(1)) {
            state.apply(record);
            state.check_invariants();
        }
        assert_eq!(state.devices().len(), 1);
        assert_eq!(state.idempotency().len(), 1);
        assert_eq!(state.transcript("id-1").message_count(), 2);
        for record in [
            Record::DeviceRemove {
                device_id: fixture::device(1).device_id,
            },
            Record::PairingRemove {
                request_id: "request-1".into(),
            },
            Record::SessionRemove {
                key: "agent:main:s1".into(),
            },
            fixture::archive(1, u64::MAX),
            Record::RunRemove {
                run_id: "run-1".into(),
            },
            Record::IdempotencyRemove {
                method: "agent".into(),
                key: "key-1".into(),
            },
            Record::NodeCallRemove {
                key: "key-1".into(),
            },
            Record::OutgoingRemove { number: 1 },
            Record::ContactRemove {
                key: fixture::contact(1).key(),
            },
            Record::CronJobRemove { id: "job-1".into() },
            Record::SettingRemove { key: "k".into() },
        ] {
            state.apply(&record);
            state.apply(&record);
            state.check_invariants();
        }
        assert_eq!(state, State::default());
    }
}
