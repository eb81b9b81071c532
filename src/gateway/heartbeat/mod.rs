//! Heartbeats: an agent looks from time to time whether there is something to do.
//!
//! Each is a run in a session of its own, `agent:<id>:heartbeat`, which begins empty, so the
//! chat stays as it is. It is told the lines that wait for the main session. An answer that is
//! the agreed "nothing to do" is not shown; any other is put into the main session.

mod answer;
mod hours;

use super::Gateway;
use super::broadcast::Weight;
use super::channels::{Letter, Receiver};
use super::commit::Key;
use super::dispatch::Stop;
use super::runs::{Beside, Origin, Over, Request};
use super::sessions::session_lock;
use super::timers::Timer;
use super::transcript::{cut_chars, injected_message};
use crate::agent::ModelRef;
use crate::agent::builtin::PROVIDER;
use crate::config::HeartbeatConfig;
use crate::limits::{HEARTBEAT_PREVIEW_CHARS, HEARTBEAT_REPEAT_MS};
use crate::log::{Level, LogLine};
use crate::state::{Delivery, Record, Text};
use crate::wire::json::Writer;
use answer::{Answer, read};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The stored outcome of the last one.
pub(super) const LAST_HEARTBEAT: &str = "heartbeat.last";
/// The name of the session that heartbeats run in.
const SESSION: &str = "heartbeat";
/// What an agent is asked where the configuration says nothing.
pub(super) const PROMPT: &str = "Read HEARTBEAT.md if it exists (workspace context). Follow it \
    strictly. Do not infer or repeat old tasks from prior chats. If nothing needs attention, reply \
    HEARTBEAT_OK.";

/// When each agent's next heartbeat is due.
#[derive(Default)]
pub struct Heartbeats {
    due_mono_ms: BTreeMap<String, u64>,
    /// Agents that were woken while theirs was under way.
    again: BTreeSet<String>,
}

/// What became of a heartbeat, as clients are told.
struct Beat<'a> {
    status: &'static str,
    reason: Option<&'a str>,
    preview: Option<&'a str>,
    duration_ms: u64,
}

impl Gateway {
    /// Gives every agent with heartbeats a time, and takes it from those without.
    pub(super) fn tend_heartbeats(&mut self) {
        let agents: Vec<(String, u64)> = self.agents_with_heartbeat();
        let is_one = |agent: &String| agents.iter().any(|(id, _)| id == agent);
        self.heartbeats.due_mono_ms.retain(|agent, _| is_one(agent));
        for (agent, every_ms) in agents {
            let latest_ms = self.now.mono_ms.saturating_add(every_ms);
            let due = self
                .heartbeats
                .due_mono_ms
                .entry(agent)
                .or_insert(latest_ms);
            // A shorter interval counts from now.
            *due = latest_ms.min(*due);
        }
        match self.heartbeats.due_mono_ms.values().min() {
            Some(next_ms) => self.timers.set(*next_ms, Timer::Heartbeat),
            None => self.timers.clear(Timer::Heartbeat),
        }
    }

    /// Agents whose heartbeats come by themselves, with the interval: those with an entry of their
    /// own, else the default one. The built-in agent has nothing to look after.
    fn agents_with_heartbeat(&self) -> Vec<(String, u64)> {
        if !self.heartbeats_enabled() {
            return Vec::new();
        }
        let agents = &self.config().agents;
        let explicit = agents.list.iter().any(|agent| agent.heartbeat.is_some());
        let beats = |id: &&str| match explicit {
            true => agents
                .get(id)
                .is_some_and(|agent| agent.heartbeat.is_some()),
            false => *id == agents.default_id(),
        };
        let all = agents.ids().into_iter().filter(beats);
        let with_model = all.filter(|id| self.model_of(id).provider() != PROVIDER);
        with_model
            .filter_map(|id| Some((id.to_owned(), agents.heartbeat_of(id).every_ms()?)))
            .collect()
    }

    /// The time of a heartbeat has come.
    pub(super) fn on_heartbeat_due(&mut self) {
        let now_ms = self.now.mono_ms;
        let due = self.heartbeats.due_mono_ms.iter();
        let agents: Vec<String> = due
            .filter(|(_, at_ms)| **at_ms <= now_ms)
            .map(|(agent, _)| agent.clone())
            .collect();
        for agent in agents {
            self.heartbeats.due_mono_ms.remove(&agent);
            if !self.stopping {
                self.beat_in_hours(agent);
            }
        }
        self.tend_heartbeats();
    }

    /// Begins a heartbeat, unless the agent is asleep at this hour.
    fn beat_in_hours(&mut self, agent: String) {
        let heartbeat = self.config().agents.heartbeat_of(&agent);
        let Some(hours) = heartbeat.active_hours.clone() else {
            return self.beat(&agent, "interval");
        };
        let zone = self.zone_of_hours(&hours);
        self.with_zone(zone.as_deref(), move |gateway, zone| {
            // Who cannot tell the hour does not keep quiet for ever.
            let zone = zone.unwrap_or_default();
            if hours::is_within(&hours, &zone, gateway.now.unix_ms) {
                gateway.beat(&agent, "interval");
            }
        });
    }

    /// An agent has something to hear: it is asked now and not at its next heartbeat.
    pub(super) fn wake_agent(&mut self, agent: &str, reason: &str) {
        if self.heartbeats_enabled() {
            self.beat(agent, reason);
        }
    }

    fn beat(&mut self, agent: &str, reason: &str) {
        let session_key: Text = format!("agent:{agent}:{SESSION}").into();
        if !self.runs.is_lane_free(&session_key) {
            self.heartbeats.again.insert(agent.to_owned());
            return;
        }
        let heartbeat = self.config().agents.heartbeat_of(agent);
        let prompt = heartbeat.prompt.as_deref().map(str::trim);
        let prompt = prompt.filter(|prompt| !prompt.is_empty()).unwrap_or(PROMPT);
        let message = prompt.to_owned();
        let model = heartbeat.model.as_deref().and_then(ModelRef::parse);
        let request = Request {
            origin: Origin::Heartbeat,
            run_id: format!("heartbeat-{}", self.uuid()).into(),
            session_key: session_key.clone(),
            shown_key: session_key,
            message,
            images: Vec::new(),
            thinking: None,
            extra_prompt: None,
            timeout_ms: None,
            delivery: Delivery::default(),
            fingerprint: [0; 32],
            also: Vec::new(),
        };
        let beside = Beside {
            afresh: true,
            model,
            ..Beside::default()
        };
        let accepted = self.accept_run_beside(request, beside, Box::new(|_, _, _| None));
        match accepted {
            Ok(()) => {}
            Err(Stop::Busy) => {
                let (agent, reason) = (agent.to_owned(), reason.to_owned());
                self.commits
                    .wait(Box::new(move |gateway, _| gateway.beat(&agent, &reason)));
            }
            Err(Stop::Refuse(refusal)) => self.note_heartbeat(&Beat {
                status: "skipped",
                reason: Some(&refusal.message),
                preview: None,
                duration_ms: 0,
            }),
        }
    }

    /// A heartbeat's run has ended.
    pub(super) fn on_heartbeat_over(&mut self, over: &Over<'_>) {
        let agent = self.agent_of_session(&over.row.session_key).to_owned();
        let heartbeat: HeartbeatConfig = self.config().agents.heartbeat_of(&agent).clone();
        let since_ms = over.row.accepted_at_ms;
        let duration_ms = self.now.unix_ms.saturating_sub(since_ms);
        let mut beat = Beat {
            status: "failed",
            reason: over.error,
            preview: None,
            duration_ms,
        };
        match (over.error, read(over.text, heartbeat.ack_max_chars)) {
            (Some(_), _) => self.note_heartbeat(&beat),
            (None, Answer::Empty) => {
                beat.status = "ok-empty";
                self.note_heartbeat(&beat);
            }
            (None, Answer::Nothing) => {
                beat.status = "ok-token";
                self.note_heartbeat(&beat);
            }
            (None, Answer::Says(text)) => {
                let preview = cut_chars(&text, HEARTBEAT_PREVIEW_CHARS).into_owned();
                beat.preview = Some(&preview);
                beat.status = "sent";
                if self.was_just_said(&preview) {
                    beat.status = "skipped";
                    beat.reason = Some("duplicate");
                } else {
                    self.tell_main_session(&agent, &over.row.run_id, &text);
                }
                self.note_heartbeat(&beat);
            }
        }
        if self.heartbeats.again.remove(&agent) {
            self.beat(&agent, "wake");
        }
    }

    /// Whether the last heartbeat said the same, not long ago: nobody wants to be nagged.
    fn was_just_said(&self, preview: &str) -> bool {
        let last = self.state.setting(LAST_HEARTBEAT);
        let last = last.and_then(|json| serde_json::from_str::<Value>(json).ok());
        last.is_some_and(|last| {
            let at_ms = last["ts"].as_u64().unwrap_or(0);
            last["preview"] == preview && self.now.unix_ms < at_ms + HEARTBEAT_REPEAT_MS
        })
    }

    /// Puts what an agent has to say into its main session, where everybody sees it.
    fn tell_main_session(&mut self, agent: &str, run_id: &Text, text: &str) {
        let key: Text = self.session_key_of(agent).into();
        let lock = session_lock(&key);
        if self.commits.is_reserved(&lock) {
            let (agent, run_id, text) = (agent.to_owned(), run_id.clone(), text.to_owned());
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.tell_main_session(&agent, &run_id, &text);
            }));
        }
        let mut session = self.session_or_new(&key, self.now);
        session.updated_at_ms = self.now.unix_ms;
        let message = Arc::new(injected_message(text, self.now.unix_ms));
        let letters = match self.receiver_of_heartbeat(agent) {
            Ok(Some(receiver)) => {
                let letter = Letter {
                    run_id: Some(run_id.clone()),
                    session_key: Some(key.clone()),
                    ..Letter::text(text)
                };
                self.letters(&receiver, &letter)
            }
            Ok(None) => Vec::new(),
            Err(fault) => {
                let line = LogLine::new(
                    self.now.unix_ms,
                    Level::Warn,
                    "gateway/heartbeat",
                    "not sent",
                );
                self.log_with(line.with("fault", fault));
                Vec::new()
            }
        };
        let mut records = vec![
            Record::MessageAppend {
                session_id: session.session_id.clone(),
                message: message.clone(),
            },
            Record::SessionPut(Arc::new(session)),
        ];
        records.extend(letters);
        let run_id = run_id.clone();
        self.commit(vec![lock], records, move |gateway, _, result| {
            if result.is_ok() {
                gateway.touch_health();
                gateway.offer_outgoing();
                gateway.send_injected(&run_id, (&key, &key), 0, &message);
            }
        });
    }

    /// Where a heartbeat's words go besides the main session: nowhere, where that was written from
    /// last, or into a channel.
    fn receiver_of_heartbeat(&self, agent: &str) -> Result<Option<Receiver>, String> {
        let heartbeat = self.config().agents.heartbeat_of(agent);
        let session = self.session(&self.session_key_of(agent));
        let last = session.and_then(|it| it.last_channel.clone().zip(it.last_to.clone()));
        let (channel, to) = match (heartbeat.target.trim(), last) {
            ("none", _) | ("last", None) => return Ok(None),
            ("last", Some(last)) => last,
            (channel, last) => {
                let last = last.filter(|(of, _)| **of == *channel).map(|(_, to)| to);
                let to = heartbeat.to.as_deref().map(Text::from).or(last);
                (channel.into(), to.ok_or("heartbeat.to is missing")?)
            }
        };
        let receiver = self.receiver_named(&channel, &to, None);
        receiver
            .map(Some)
            .map_err(|refusal| refusal.message.into_owned())
    }

    /// Tells clients what became of a heartbeat and keeps it.
    fn note_heartbeat(&mut self, beat: &Beat<'_>) {
        let mut value = json!({
            "ts": self.now.unix_ms,
            "status": beat.status,
            "durationMs": beat.duration_ms,
        });
        for (name, text) in [("reason", beat.reason), ("preview", beat.preview)] {
            if let Some(text) = text {
                value[name] = text.into();
            }
        }
        self.store_last_heartbeat(value.to_string().into());
        self.broadcast(
            "heartbeat",
            Weight::MayDrop,
            None,
            |_, w: &mut Writer<'_>| {
                w.value(&value);
            },
        );
    }

    fn store_last_heartbeat(&mut self, value: Text) {
        let lock = Key::Setting(LAST_HEARTBEAT);
        if self.commits.is_reserved(&lock) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.store_last_heartbeat(value);
            }));
        }
        let record = Record::SettingPut {
            key: LAST_HEARTBEAT.into(),
            value,
        };
        self.commit(vec![lock], vec![record], |_, _, _| {});
    }

    /// Whose lines a session's runs are told: a heartbeat's session hears those of the main one.
    pub(super) fn events_session<'a>(&'a self, session: &'a str) -> std::borrow::Cow<'a, str> {
        let agent = self.agent_of_session(session);
        match session
            .strip_prefix("agent:")
            .and_then(|it| it.split_once(':'))
        {
            Some((_, SESSION)) => self.session_key_of(agent).into(),
            _ => session.into(),
        }
    }
}
