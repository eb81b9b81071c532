//! What the gateway has after a crash, held against the ledger.

use std::collections::{BTreeMap, BTreeSet};

use clawdia::client::identity::Identity;
use clawdia::client::{Client, ClientError};
use clawdia::driver::Seeded;
use serde_json::{Value, json};

use super::keeper::Keeper;
use super::ledger::Message;
use super::talker::{Talker, params, unexpected};
use super::{Access, deadline};

/// Keys of a talker that are repeated after each crash, and old devices that come in again.
const SAMPLES: u64 = 3;
/// Rows of the longest history.
const ROWS_MAX: usize = 1_000;

/// One look at a gateway.
pub struct Verifier<'a> {
    access: &'a Access,
    client: Client,
    random: Seeded,
    /// Things that were found to be as promised.
    pub verified: u64,
    pub faults: Vec<String>,
}

impl<'a> Verifier<'a> {
    /// Comes in as `identity`.
    ///
    /// # Errors
    ///
    /// When the gateway does not let it.
    pub fn new(
        access: &'a Access,
        identity: &Identity,
        random: Seeded,
    ) -> Result<Self, ClientError> {
        let client = access.enter(identity)?;
        Ok(Self {
            access,
            client,
            random,
            verified: 0,
            faults: Vec::new(),
        })
    }

    /// What the last life was told, some keys of earlier ones, and some devices.
    ///
    /// # Errors
    ///
    /// When the gateway does not answer.
    pub fn look(&mut self, talkers: &mut [Talker], keeper: &mut Keeper) -> Result<(), ClientError> {
        let life = self.access.life;
        for talker in talkers.iter_mut() {
            self.settings(talker)?;
            for _ in 0..SAMPLES {
                if let Some(at) = talker.recent_message(life) {
                    self.repeat(&mut talker.messages[at])?;
                }
            }
        }
        let is_fresh = |message: &Message| message.life + 1 >= life;
        let sessions: BTreeSet<&str> = messages(talkers)
            .filter(|message| is_fresh(message))
            .map(|message| message.session.as_str())
            .collect();
        for (session, messages) in by_session(talkers) {
            if sessions.contains(session) {
                self.transcript(session, &messages, false)?;
            }
        }
        for at in 0..keeper.devices.len() {
            let is_fresh = keeper.devices[at].life + 1 >= life;
            let devices = keeper.devices.len() as u64;
            if is_fresh || self.random.below(devices) < SAMPLES {
                keeper.check(self.access, at)?;
                self.verified += 1;
            }
        }
        Ok(())
    }

    /// Everything, once every run has ended.
    ///
    /// # Errors
    ///
    /// When the gateway does not answer.
    pub fn look_at_all(
        &mut self,
        talkers: &mut [Talker],
        keeper: &mut Keeper,
    ) -> Result<(), ClientError> {
        for talker in talkers.iter_mut() {
            self.settings(talker)?;
        }
        for (session, messages) in by_session(talkers) {
            self.wait_for_runs(session)?;
            self.transcript(session, &messages, true)?;
            if !self.faults.is_empty() {
                // One run that never ends is enough; waiting for all of them takes long.
                return Ok(());
            }
        }
        for at in 0..keeper.devices.len() {
            keeper.check(self.access, at)?;
            self.verified += 1;
        }
        Ok(())
    }

    /// Labels and trigger words stand as they were acknowledged last, or tried since.
    fn settings(&mut self, talker: &mut Talker) -> Result<(), ClientError> {
        let key = talker.labelled();
        let list = self.call("sessions.list", &json!({"search": key, "limit": 10}))?;
        let rows = list["sessions"].as_array().into_iter().flatten();
        let label = rows
            .filter(|row| row["key"] == key.as_str())
            .find_map(|row| row["label"].as_str())
            .map(str::to_owned);
        self.expect(talker.label.read(label.clone()), || {
            format!("session {key} has the label {label:?}")
        });
        if let Some(triggers) = &mut talker.triggers {
            let words = self.call("voicewake.get", &json!({}))?;
            let word = words["triggers"][0]
                .as_str()
                .filter(|word| word.contains("-v"));
            let is_known = triggers.read(word.map(str::to_owned));
            self.expect(is_known, || format!("the trigger words are {words}"));
        }
        Ok(())
    }

    /// A key that was used before, once more.
    fn repeat(&mut self, message: &mut Message) -> Result<(), ClientError> {
        let request = self
            .client
            .send(message.method.name(), &params(message), deadline())?;
        match self.client.answer(request, deadline()) {
            Ok(answer) => {
                let fault = unexpected(message, &answer, true, message.acked, false);
                self.expect(fault.is_none(), || {
                    format!("a repeat of {}: {fault:?}: {answer}", message.key)
                });
                message.acked = true;
                message.ended |= answer["status"] == "ok";
            }
            Err(error) if error.as_gateway().is_some() => {
                let is_full = error.is_retryable() && !message.acked;
                self.expect(is_full, || {
                    format!("a repeat of {}: {error:?}", message.key)
                });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Every acknowledged message stands once, every other one at most once; `ended`: each has
    /// exactly one answer.
    fn transcript(
        &mut self,
        session: &str,
        messages: &[&Message],
        ended: bool,
    ) -> Result<(), ClientError> {
        let (asked, answered) = self.history(session)?;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for text in &asked {
            *counts.entry(text).or_default() += 1;
        }
        let mut over = 0;
        for message in messages {
            let text = message.text();
            let count = counts.remove(text.as_str()).unwrap_or(0);
            over += usize::from(message.ended);
            let fits = count == 1 || count == 0 && !message.acked;
            self.expect(fits, || {
                let said = if message.acked {
                    "acknowledged"
                } else {
                    "not acknowledged"
                };
                format!(
                    "{session}: {} was {said} and stands {count} times",
                    message.key
                )
            });
        }
        self.expect(counts.is_empty(), || {
            format!("{session}: nobody sent {counts:?}")
        });
        let fits = match ended {
            true => answered == asked.len(),
            false => answered >= over && answered <= asked.len(),
        };
        self.expect(fits, || {
            let asked = asked.len();
            format!("{session}: {asked} messages, {over} known to be answered, {answered} answers")
        });
        Ok(())
    }

    /// The texts that were said in a session, and how many answers there are.
    fn history(&mut self, session: &str) -> Result<(Vec<String>, usize), ClientError> {
        let params = json!({"sessionKey": session, "limit": ROWS_MAX});
        let history = self.call("chat.history", &params)?;
        let rows = history["messages"].as_array().cloned().unwrap_or_default();
        if rows.len() >= ROWS_MAX {
            return Err(ClientError::protocol(
                "the session is longer than its history",
            ));
        }
        let of = |role: &str| {
            rows.iter()
                .filter(|row| row["role"] == role)
                .collect::<Vec<_>>()
        };
        let asked = of("user").iter().map(|row| text_of(row)).collect();
        Ok((asked, of("assistant").len()))
    }

    /// Waits until the last run of a session has ended: they run in their order.
    fn wait_for_runs(&mut self, session: &str) -> Result<(), ClientError> {
        loop {
            let (asked, answered) = self.history(session)?;
            if answered >= asked.len() {
                return Ok(());
            }
            let key = asked
                .last()
                .and_then(|text| text.split(' ').nth(1))
                .unwrap_or("");
            let params = json!({"runId": key, "timeoutMs": 25_000});
            let outcome = self.call("agent.wait", &params)?;
            if outcome["status"] != "timeout" {
                self.expect(outcome["status"] == "ok", || format!("{key}: {outcome}"));
                return Ok(());
            }
            // Others may be before it; only a run that nobody works on would never end.
            let (_, now) = self.history(session)?;
            if now == answered {
                self.faults
                    .push(format!("{session}: the run {key} does not end"));
                return Ok(());
            }
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value, ClientError> {
        self.client.call(method, params, deadline())
    }

    fn expect(&mut self, is_so: bool, fault: impl FnOnce() -> String) {
        match is_so {
            true => self.verified += 1,
            false => self.faults.push(fault()),
        }
    }
}

fn messages(talkers: &[Talker]) -> impl Iterator<Item = &Message> {
    talkers.iter().flat_map(|talker| &talker.messages)
}

fn by_session(talkers: &[Talker]) -> BTreeMap<&str, Vec<&Message>> {
    let mut sessions: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in messages(talkers) {
        sessions.entry(&message.session).or_default().push(message);
    }
    sessions
}

fn text_of(row: &Value) -> String {
    match &row["content"] {
        Value::String(text) => text.clone(),
        parts => parts
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|part| part["text"].as_str())
            .collect(),
    }
}
