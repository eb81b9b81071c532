//! A run is accepted once its message is stored.

use super::{LiveRun, RunPhase, StopReason};
use crate::agent::{CancelToken, Image, ModelRef, Thinking, Usage};
use crate::config::types::QueueMode;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{KeptCall, Stop};
use crate::gateway::{Gateway, Refusal, sessions};
use crate::limits::{IDEMPOTENCY_TTL_MS, RUNS_LIVE_MAX, RUNS_PER_SESSION_MAX};
use crate::now::Now;
use crate::state::{
    Delivery, Idempotency, IdempotencyState, Message, Record, Run, RunState, Session, Text,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who accepted a run. Its idempotency key belongs to that method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// `chat.send`.
    Chat,
    /// `agent`.
    Agent,
    /// An agent, out of another session: there is no key.
    Tool,
    /// A node, by what somebody said to it: there is no key.
    Node,
    /// A plain HTTP request that waits for the answer: there is no key.
    Http,
    /// Somebody in a channel: there is no key.
    Channel,
    /// `POST /hooks/agent`.
    Hook,
    /// A scheduled job: there is no key.
    Cron,
    /// A heartbeat: there is no key.
    Heartbeat,
}

impl Origin {
    /// The method whose idempotency key it is.
    pub const fn method(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat.send"),
            Self::Agent => Some("agent"),
            Self::Hook => Some("hooks.agent"),
            Self::Tool | Self::Node | Self::Http | Self::Channel | Self::Cron | Self::Heartbeat => {
                None
            }
        }
    }
}

/// What somebody wants to be run.
#[derive(Clone)]
pub struct Request {
    pub origin: Origin,
    /// The caller's idempotency key, or a fresh id.
    pub run_id: Text,
    /// The session, as stored and as its client wrote it.
    pub session_key: Text,
    pub shown_key: Text,
    pub message: String,
    /// Pictures that come with it.
    pub images: Vec<Image>,
    pub thinking: Option<Thinking>,
    pub extra_prompt: Option<Text>,
    pub timeout_ms: Option<u64>,
    pub delivery: Delivery,
    /// SHA-256 of what a repeat must have equal.
    pub fingerprint: [u8; 32],
    /// What is stored in the same transaction.
    pub also: Vec<Record>,
}

/// What a restart needs to go on with a run, kept in its row.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    pub origin: Origin,
    pub shown_key: String,
    pub message_seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_prompt: Option<String>,
    pub timeout_ms: u64,
    /// First and last numbers of what its tools left in the transcript.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<(u64, u64)>,
    #[serde(default)]
    pub rounds: u32,
}

/// What happens once a run is stored: an answer to the caller.
pub type Accepted =
    Box<dyn FnOnce(&mut Gateway, Now, Result<(), String>) -> Option<KeptCall> + Send>;

/// What is stored together with a run.
#[derive(Default)]
pub struct Beside {
    pub keys: Vec<Key>,
    pub records: Vec<Record>,
    /// Its session begins again with an empty transcript.
    pub afresh: bool,
    /// The model that answers in its session from now on.
    pub model: Option<ModelRef>,
}

impl Gateway {
    /// Stores a run with its message, then queues it. `accepted` answers the caller and may give
    /// back the call that waits for the run's end.
    ///
    /// # Errors
    ///
    /// Busy while the session or key is being written; refused where too many runs wait.
    pub(in crate::gateway) fn accept_run(
        &mut self,
        request: Request,
        accepted: Accepted,
    ) -> Result<(), Stop> {
        self.accept_run_beside(request, Beside::default(), accepted)
    }

    /// The same, with more that is stored in the same transaction.
    ///
    /// # Errors
    ///
    /// As above.
    pub(in crate::gateway) fn accept_run_beside(
        &mut self,
        mut request: Request,
        beside: Beside,
        accepted: Accepted,
    ) -> Result<(), Stop> {
        let mut keys = beside.keys;
        keys.push(Key::Session(request.session_key.as_ref().into()));
        if let Some(method) = request.origin.method() {
            keys.push(Key::Idempotency(method, request.run_id.as_ref().into()));
        }
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            return Err(Stop::Busy);
        }
        self.check_room(&request.session_key)?;
        self.place_for_session(&request.session_key)?;
        let mut session = self.session_or_new(&request.session_key, self.now);
        session.updated_at_ms = self.now.unix_ms;
        if request.origin == Origin::Channel {
            session.last_channel = request.delivery.channel.clone();
            session.last_to = request.delivery.to.clone();
        }
        let mut records = beside.records;
        if beside.afresh {
            records.push(self.start_over(&mut session, self.now));
        }
        if let Some(model) = beside.model {
            session.model_provider = Some(model.provider().into());
            session.model = Some(model.model().into());
        }
        let message_seq = self.state.transcript(&session.session_id).last_seq + 1;
        let message = sessions::user_message(&request.message, &request.images, self.now.unix_ms);
        let live = self.live_run(&request, &session, message_seq);
        records.extend(self.make_room_for_key(&request)?);
        records.push(Record::SessionPut(Arc::new(session.clone())));
        records.push(append(&session, message));
        records.push(Record::RunPut(live.row.clone()));
        records.append(&mut request.also);
        self.commit(keys, records, move |gateway, now, result| {
            let stored = result.is_ok();
            let call = accepted(gateway, now, result);
            if stored {
                let mode = gateway
                    .session(&live.row.session_key)
                    .map_or(QueueMode::default(), |it| gateway.queue_mode_of(it));
                let interrupts =
                    matches!(live.origin, Origin::Chat | Origin::Agent | Origin::Channel);
                if mode == QueueMode::Interrupt && interrupts {
                    gateway.stop_runs(&live.row.session_key, None, StopReason::Newer);
                }
                gateway.touch_health();
                gateway.runs.insert(LiveRun { call, ..live });
                gateway.start_runs();
            }
        });
        Ok(())
    }

    /// Whether another run may wait.
    fn check_room(&self, session_key: &str) -> Result<(), Refusal> {
        let lane = self.runs.slots_of(session_key).len();
        let text = if self.runs.len() >= RUNS_LIVE_MAX {
            format!("too many runs wait (at most {RUNS_LIVE_MAX}); try again later")
        } else if lane >= RUNS_PER_SESSION_MAX {
            format!("too many runs wait in this session (at most {RUNS_PER_SESSION_MAX})")
        } else {
            return Ok(());
        };
        Err(Refusal {
            retryable: true,
            ..Refusal::unavailable(text)
        })
    }

    fn make_room_for_key(&self, request: &Request) -> Result<Vec<Record>, Refusal> {
        let Some(method) = request.origin.method() else {
            return Ok(Vec::new());
        };
        let Some(mut records) = self.state.idempotency().make_room(1, 0) else {
            return Err(Refusal {
                retryable: true,
                ..Refusal::unavailable("too many requests are in flight; try again later")
            });
        };
        records.push(Record::IdempotencyPut(Arc::new(Idempotency {
            method: method.into(),
            key: request.run_id.clone(),
            fingerprint: request.fingerprint,
            run_id: Some(request.run_id.clone()),
            state: IdempotencyState::InFlight,
            response: Text::from(""),
            expires_at_ms: self.now.unix_ms + IDEMPOTENCY_TTL_MS,
        })));
        Ok(records)
    }

    fn live_run(&self, request: &Request, session: &Session, message_seq: u64) -> LiveRun {
        let agents = &self.config().agents;
        let timeout_ms = request
            .timeout_ms
            .filter(|ms| *ms > 0)
            .unwrap_or(agents.defaults.timeout_seconds.saturating_mul(1_000))
            .min(crate::limits::RUN_TIMEOUT_MS_MAX);
        let kept = Kept {
            origin: request.origin,
            shown_key: request.shown_key.to_string(),
            message_seq,
            thinking: request.thinking.map(|level| level.as_str().to_owned()),
            extra_prompt: request.extra_prompt.as_deref().map(str::to_owned),
            timeout_ms,
            own: Vec::new(),
            rounds: 0,
        };
        let row = Run {
            run_id: request.run_id.clone(),
            session_key: session.key.clone(),
            session_id: session.session_id.clone(),
            state: RunState::Queued,
            accepted_at_ms: self.now.unix_ms,
            started_at_ms: None,
            ended_at_ms: None,
            open_step_has_side_effect: false,
            delivery: request.delivery.clone(),
            options: serde_json::to_string(&kept).ok().map(Text::from),
            summary: None,
            error: None,
        };
        self.revive(Arc::new(row), kept)
    }

    /// A live run of a stored one, as it waits.
    pub(super) fn revive(&self, row: Arc<Run>, kept: Kept) -> LiveRun {
        LiveRun {
            row,
            shown_key: kept.shown_key.into(),
            origin: kept.origin,
            message_seq: kept.message_seq,
            own: kept.own,
            rounds: kept.rounds,
            fallbacks_tried: 0,
            round: None,
            used: Usage::default(),
            thinking: kept.thinking.as_deref().and_then(Thinking::parse),
            extra_prompt: kept.extra_prompt.map(Text::from),
            notes: None,
            compacting: None,
            is_compacted: false,
            deadline_mono_ms: self.now.mono_ms.saturating_add(kept.timeout_ms),
            call: None,
            generation: 0,
            cancel: CancelToken::new(),
            phase: RunPhase::Waiting,
            seq: 0,
            events_told: 0,
            text: String::new(),
            delta_mono_ms: None,
            started_at_ms: None,
        }
    }
}

/// A message at the end of a session's transcript.
pub(super) fn append(session: &Session, message: Message) -> Record {
    Record::MessageAppend {
        session_id: session.session_id.clone(),
        message: Arc::new(message),
    }
}
