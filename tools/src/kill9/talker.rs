//! One connection full of messages, repeats and settings, until the gateway dies.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use clawdia::client::identity::Identity;
use clawdia::client::{Client, GatewayError, Incoming};
use clawdia::driver::Seeded;
use serde_json::{Value, json};

use super::ledger::{Answers, Message, Method, Register};
use super::{Access, deadline};

/// Requests that wait for their first answer.
const IN_FLIGHT: usize = 8;
/// Runs whose end is awaited; with the former within what one connection may ask at a time.
const RUNS_AWAITED: usize = 40;
/// Messages to a session before the next one begins: all of it fits into one `chat.history`.
const SESSION_MESSAGES: u64 = 100;
/// Keys are repeated for so many lives after their first.
pub const REPEAT_LIVES: u32 = 5;

/// A client that talks, and all that it was told over the gateway's lives.
pub struct Talker {
    identity: Identity,
    name: String,
    random: Seeded,
    pub messages: Vec<Message>,
    /// The label of a session of its own.
    pub label: Register,
    /// The trigger words, for the one talker that sets them.
    pub triggers: Option<Register>,
    values: u64,
    /// Requests that were acknowledged.
    pub acknowledged: u64,
    pub faults: Vec<String>,
}

/// What a request was for.
#[derive(Clone)]
enum Sent {
    Message {
        at: usize,
        /// Whether the key had been sent before, and acknowledged.
        repeat: bool,
        known: bool,
        /// `agent` has been accepted: its last answer is still to come, perhaps.
        accepted: bool,
    },
    Label(String),
    Triggers(String),
}

impl Talker {
    /// A talker whose keys and sessions begin with `name`.
    pub fn new(name: String, identity: Identity, random: Seeded, sets_triggers: bool) -> Self {
        Self {
            identity,
            name,
            random,
            messages: Vec::new(),
            label: Register::default(),
            triggers: sets_triggers.then(Register::default),
            values: 0,
            acknowledged: 0,
            faults: Vec::new(),
        }
    }

    /// The session whose label it sets.
    pub fn labelled(&self) -> String {
        format!("agent:main:{}-label", self.name)
    }

    /// Talks until the connection breaks.
    pub fn talk(&mut self, access: &Access) {
        let mut client = match access.enter(&self.identity) {
            Ok(client) => client,
            Err(error) => {
                self.faults
                    .extend(access.fault("a talker's connect", &error));
                return;
            }
        };
        let mut open: BTreeMap<u64, Sent> = BTreeMap::new();
        let mut answers = Answers::default();
        loop {
            if let Err(error) = self.fill(access, &mut client, &mut open) {
                self.faults
                    .extend(access.fault("a talker's request", &error));
                return;
            }
            match client.next(deadline()) {
                Ok(Incoming::Event(_)) => {}
                Ok(Incoming::Response(request, result)) => {
                    self.on_answer(request, result, &mut open, &mut answers);
                }
                Err(error) => {
                    self.faults
                        .extend(access.fault("a talker's answer", &error));
                    return;
                }
            }
        }
    }

    fn fill(
        &mut self,
        access: &Access,
        client: &mut Client,
        open: &mut BTreeMap<u64, Sent>,
    ) -> Result<(), clawdia::client::ClientError> {
        let waits = |sent: &&Sent| !matches!(sent, Sent::Message { accepted: true, .. });
        let runs = |sent: &&Sent| {
            matches!(
                sent,
                Sent::Message {
                    accepted: true,
                    repeat: false,
                    ..
                }
            )
        };
        while open.values().filter(waits).count() < IN_FLIGHT
            && open.values().filter(runs).count() < RUNS_AWAITED
        {
            let (method, params, sent) = self.next_request(access);
            let request = client.send(method, &params, deadline())?;
            open.insert(request, sent);
        }
        Ok(())
    }

    /// What to ask next. It counts as tried before it is sent.
    fn next_request(&mut self, access: &Access) -> (&'static str, Value, Sent) {
        match self.random.below(100) {
            0..8 if !self.label.busy => {
                let value = self.next_value();
                self.label.write(value.clone());
                let params = json!({"key": self.labelled(), "label": value});
                ("sessions.patch", params, Sent::Label(value))
            }
            8..16 if self.triggers.as_ref().is_some_and(|words| !words.busy) => {
                let value = self.next_value();
                if let Some(triggers) = &mut self.triggers {
                    triggers.write(value.clone());
                }
                let params = json!({"triggers": [value]});
                ("voicewake.set", params, Sent::Triggers(value))
            }
            16..30 => match self.recent_message(access.life) {
                Some(at) => self.message(at, true),
                None => self.fresh_message(access),
            },
            _ => self.fresh_message(access),
        }
    }

    fn next_value(&mut self) -> String {
        self.values += 1;
        format!("{}-v{}", self.name, self.values)
    }

    fn fresh_message(&mut self, access: &Access) -> (&'static str, Value, Sent) {
        let number = self.messages.len();
        let session = if self.random.below(3) == 0 {
            let others = access.shared.fetch_add(1, Ordering::Relaxed);
            format!("agent:main:shared-{}", others / SESSION_MESSAGES)
        } else {
            format!(
                "agent:main:{}-{}",
                self.name,
                number as u64 / SESSION_MESSAGES
            )
        };
        self.messages.push(Message {
            method: match self.random.below(3) {
                0 => Method::Agent,
                _ => Method::Chat,
            },
            session,
            key: format!("{}-k{number}", self.name),
            acked: false,
            ended: false,
            life: access.life,
        });
        self.message(number, false)
    }

    fn message(&self, at: usize, repeat: bool) -> (&'static str, Value, Sent) {
        let message = &self.messages[at];
        let sent = Sent::Message {
            at,
            repeat,
            known: message.acked,
            accepted: false,
        };
        (message.method.name(), params(message), sent)
    }

    /// A message of the last lives, to be sent again.
    pub fn recent_message(&mut self, life: u32) -> Option<usize> {
        let from = self
            .messages
            .partition_point(|message| message.life + REPEAT_LIVES < life);
        let count = self.messages.len() - from;
        (count > 0).then(|| from + self.random.below(count as u64) as usize)
    }

    fn on_answer(
        &mut self,
        request: u64,
        result: Result<Value, GatewayError>,
        open: &mut BTreeMap<u64, Sent>,
        answers: &mut Answers,
    ) {
        if answers.has_ended(request) {
            self.faults
                .push(format!("request {request} was answered again: {result:?}"));
            return;
        }
        let Some(sent) = open.remove(&request) else {
            self.faults
                .push(format!("an answer to nothing: {result:?}"));
            return;
        };
        let more = match (&sent, &result) {
            (Sent::Message { .. }, _) => self.on_message_answer(sent, &result),
            (Sent::Label(value), Ok(_)) => {
                self.label.acknowledge(value);
                self.acknowledged += 1;
                None
            }
            (Sent::Triggers(value), Ok(_)) => {
                self.triggers
                    .as_mut()
                    .into_iter()
                    .for_each(|words| words.acknowledge(value));
                self.acknowledged += 1;
                None
            }
            (Sent::Label(_) | Sent::Triggers(_), Err(error)) => {
                self.faults
                    .push(format!("a setting was refused: {error:?}"));
                None
            }
        };
        match more {
            Some(sent) => drop(open.insert(request, sent)),
            // It is over for the first time: that was looked at above.
            None => drop(answers.end(request)),
        }
    }

    /// Books an answer to a message; gives it back where another answer is to come.
    fn on_message_answer(
        &mut self,
        sent: Sent,
        result: &Result<Value, GatewayError>,
    ) -> Option<Sent> {
        let Sent::Message {
            at,
            repeat,
            known,
            accepted,
        } = sent
        else {
            return None;
        };
        let message = &mut self.messages[at];
        let answer = match result {
            Ok(payload) => payload,
            // Too many runs wait: nothing was promised, unless it had been before.
            Err(error) if error.retryable == Some(true) && !known && !accepted => return None,
            Err(error) => {
                let text = format!(
                    "{} {}: refused: {error:?}",
                    message.method.name(),
                    message.key
                );
                self.faults.push(text);
                return None;
            }
        };
        let status = answer["status"].as_str().unwrap_or("");
        if let Some(fault) = unexpected(message, answer, repeat, known, accepted) {
            self.faults.push(format!(
                "{} {}: {fault}: {answer}",
                message.method.name(),
                message.key
            ));
        }
        self.acknowledged += 1;
        message.acked = true;
        message.ended |= status == "ok";
        // A repeat in flight is accepted, and that is all; a fresh one is answered again.
        (status == "accepted").then_some(Sent::Message {
            at,
            repeat,
            known,
            accepted: true,
        })
    }
}

/// The parameters that a message is sent with, the same at each repeat.
pub fn params(message: &Message) -> Value {
    json!({
        "sessionKey": message.session,
        "message": message.text(),
        "idempotencyKey": message.key,
    })
}

/// What is wrong with an answer.
pub fn unexpected(
    message: &Message,
    answer: &Value,
    repeat: bool,
    known: bool,
    accepted: bool,
) -> Option<&'static str> {
    if answer["runId"] != message.key.as_str() {
        return Some("another run's answer");
    }
    let status = answer["status"].as_str().unwrap_or("");
    match (message.method, status) {
        (Method::Chat, "started") if known => Some("an acknowledged message was started again"),
        (Method::Chat, "started") => None,
        (Method::Chat, "in_flight" | "ok") if repeat => None,
        (Method::Agent, "accepted") if !accepted => None,
        (Method::Agent, "ok") if repeat || accepted => None,
        _ => Some("a status that does not fit"),
    }
}
