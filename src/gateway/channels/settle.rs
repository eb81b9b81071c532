//! What became of a message: stored first, then told to whoever waits and to its session.

use crate::channels::{self, Fault};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::KeptCall;
use crate::gateway::timers::Timer;
use crate::gateway::{Gateway, Refusal, sessions};
use crate::limits::{IDEMPOTENCY_TTL_MS, UNSAVED_RETRY_MS};
use crate::log::{Level, LogLine};
use crate::state::{Idempotency, IdempotencyState, Message, Outgoing, OutgoingState, Record, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// Characters of a message that are shown where its fate is told.
const PREVIEW_CHARS_MAX: usize = 80;
/// Why a message that was being sent when the process ended is in doubt.
const ENDED: &str = "the gateway ended before the answer came";

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The service has it, under this id.
    Sent(Text),
    /// It surely was not sent, or may be sent twice, and is tried again.
    Again,
    /// What it was to take the place of is not there: it is sent as a message of its own.
    Anew,
    /// It surely was not sent, and will not be.
    Failed(Text),
    /// Nobody knows.
    Unknown(Text),
}

impl Outcome {
    /// Whether something is still to be done.
    fn is_open(&self) -> bool {
        matches!(self, Self::Again | Self::Anew)
    }
}

impl Gateway {
    /// After a start: what was being sent may have arrived.
    pub(in crate::gateway) fn resume_outgoing(&mut self) {
        self.channels.outgoing_given = self.state.outgoing().last_number();
        let rows = self.state.outgoing().iter();
        let in_doubt = rows.filter(|it| it.state == OutgoingState::Sending);
        // A draft that is there stays until its run is over.
        let in_doubt = in_doubt.filter(|it| !it.is_draft || it.is_unnamed());
        let in_doubt: Vec<Arc<Outgoing>> = in_doubt.cloned().collect();
        for row in in_doubt {
            let again = !row.is_draft && (row.message_id.is_some() || self.resends_unknown(&row));
            let outcome = match again {
                true => Outcome::Again,
                false => Outcome::Unknown(ENDED.into()),
            };
            self.settle(row.number, outcome);
        }
    }

    /// The service answered, or did not.
    pub(super) fn on_sent(&mut self, slot: u64, number: u64, result: Result<Arc<str>, Fault>) {
        let Some(row) = self.state.outgoing().get(number).cloned() else {
            return;
        };
        if row.is_draft {
            return self.on_draft_sent(slot, &row, result);
        }
        let now = self.now;
        let is_edit = row.message_id.is_some();
        let outcome = match result {
            Ok(id) => Outcome::Sent(id),
            Err(Fault::Refused(why)) => Outcome::Failed(why.into()),
            Err(Fault::Gone(_)) if is_edit => Outcome::Anew,
            Err(Fault::Unknown(_) | Fault::Closed) if is_edit => Outcome::Again,
            Err(Fault::Unknown(_)) if self.resends_unknown(&row) => Outcome::Again,
            Err(Fault::Unknown(why)) => Outcome::Unknown(why.into()),
            Err(Fault::Moved { to, .. }) => {
                let from = self.id_in_use(&row.channel, &row.chat);
                let records = self.moved_records(&row.channel, &from, &to);
                // A failure is no loss: the next try is told the same.
                self.commit(Vec::new(), records, |_, _, _| {});
                Outcome::Again
            }
            Err(Fault::Closed) => Outcome::Unknown("the account was closed meanwhile".into()),
            Err(fault) => {
                self.log_outgoing(Level::Warn, &row, "not sent yet", &fault.to_string());
                if let Fault::Busy { retry_after_ms, .. } = fault
                    && let Some(link) = self.channels.links.get_mut(&slot)
                {
                    link.paused_until_mono_ms = now.mono_ms.saturating_add(retry_after_ms);
                }
                Outcome::Again
            }
        };
        if let (Outcome::Sent(_), Some(link)) = (&outcome, self.channels.links.get_mut(&slot)) {
            link.last_out_at_ms = Some(now.unix_ms);
        }
        self.settle(number, outcome);
    }

    pub(super) fn resends_unknown(&self, row: &Outgoing) -> bool {
        let accounts = self.config().channels.accounts(&row.channel);
        let mut accounts = accounts.into_iter().flatten();
        accounts.any(|it| it.id == *row.account_id && it.resend_unknown)
    }

    /// Stores an outcome, then tells it.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome) {
        let Some(row) = self.state.outgoing().get(number).cloned() else {
            return;
        };
        let told = self.words_for_session(&row, &outcome);
        let session = told.is_some().then(|| row.session_key.as_deref()).flatten();
        let session = session.and_then(|key| self.session(key)).cloned();
        let mut keys = vec![Key::Outgoing(number)];
        keys.extend(
            session
                .as_ref()
                .map(|it| Key::Session(it.key.as_ref().into())),
        );
        let entry = row.key.as_deref().filter(|_| !outcome.is_open());
        keys.extend(entry.map(|key| Key::Idempotency("send", key.into())));
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.settle(number, outcome);
            }));
        }
        let mut records = vec![self.row_after(&row, &outcome)];
        records.extend(self.send_done(&row, &outcome));
        let message =
            told.map(|text| Arc::new(sessions::injected_message(&text, self.now.unix_ms)));
        if let (Some(session), Some(message)) = (&session, &message) {
            records.push(Record::MessageAppend {
                session_id: session.session_id.clone(),
                message: message.clone(),
            });
        }
        let told = session
            .zip(message)
            .map(|(session, message)| (session.key.clone(), message));
        self.commit(keys, records, move |gateway, _, result| {
            gateway.on_settled(&row, outcome, told, result);
        });
    }

    fn row_after(&self, row: &Outgoing, outcome: &Outcome) -> Record {
        let mut message_id = row.message_id.clone();
        let (state, tries) = match outcome {
            Outcome::Sent(id) if row.is_draft => {
                message_id = Some(id.clone());
                (OutgoingState::Sending, row.tries)
            }
            Outcome::Failed(_) if row.is_draft => {
                return Record::OutgoingRemove { number: row.number };
            }
            Outcome::Anew => {
                message_id = None;
                (OutgoingState::Waiting, row.tries)
            }
            Outcome::Sent(_) => return Record::OutgoingRemove { number: row.number },
            Outcome::Again => (OutgoingState::Waiting, row.tries + 1),
            Outcome::Failed(why) => (OutgoingState::Failed { why: why.clone() }, row.tries),
            Outcome::Unknown(why) => (OutgoingState::Unknown { why: why.clone() }, row.tries),
        };
        Record::OutgoingPut(Arc::new(Outgoing {
            state,
            message_id,
            tries,
            changed_at_ms: self.now.unix_ms,
            ..row.clone()
        }))
    }

    fn on_settled(
        &mut self,
        row: &Outgoing,
        outcome: Outcome,
        told: Option<(Text, Arc<Message>)>,
        result: Result<(), String>,
    ) {
        if result.is_err() {
            self.channels.unsaved.insert(row.number, outcome);
            return self.set_timer(UNSAVED_RETRY_MS, Timer::Unsaved);
        }
        if let Some((key, message)) = told {
            let run_id = self.uuid();
            self.send_injected(&run_id, (&key, &key), 1, &message);
        }
        match &outcome {
            // That was told when it happened.
            _ if row.is_draft => {}
            Outcome::Failed(why) => self.log_outgoing(Level::Error, row, "not sent", why),
            Outcome::Unknown(why) => {
                self.log_outgoing(Level::Error, row, "whether it was sent is not known", why);
            }
            Outcome::Sent(_) | Outcome::Again | Outcome::Anew => {}
        }
        if !outcome.is_open() {
            self.touch_health();
            let callers = self
                .channels
                .callers
                .remove(&row.number)
                .unwrap_or_default();
            for call in callers {
                match refusal_of(&outcome) {
                    None => {
                        let json = answer_of(row, &outcome);
                        self.reply_kept(&call, |_, w| w.raw(json.as_bytes()));
                    }
                    Some(refusal) => self.refuse_kept(&call, &refusal),
                }
            }
        }
        if row.run_id.is_some() {
            self.tidy_drafts();
        }
        if let Some(slot) = self.channels.slot(&row.channel, &row.account_id) {
            self.offer_of(slot);
        }
    }

    /// The call is answered when the message with this number is settled.
    pub(in crate::gateway) fn wait_for_number(&mut self, number: u64, call: KeptCall) {
        self.channels.callers.entry(number).or_default().push(call);
    }

    /// The same for the message of a `send` call with this key.
    pub(in crate::gateway) fn wait_for_sent(&mut self, key: &str, call: KeptCall) {
        let is_it = |row: &&Arc<Outgoing>| row.key.as_deref() == Some(key);
        let row = self.state.outgoing().iter().find(is_it).cloned();
        match row.map(|row| row.number) {
            Some(number) => self.wait_for_number(number, call),
            None => self.refuse_kept(&call, &Refusal::unavailable("not known any more")),
        }
    }

    /// Tries to store outcomes that the store did not take.
    pub(in crate::gateway) fn settle_unsaved(&mut self) {
        for (number, outcome) in std::mem::take(&mut self.channels.unsaved) {
            self.settle(number, outcome);
        }
    }

    /// The idempotency key of a `send` call, with what a repeat is answered from now on.
    fn send_done(&self, row: &Outgoing, outcome: &Outcome) -> Option<Record> {
        if outcome.is_open() {
            return None;
        }
        let entry = self.state.idempotency().get("send", row.key.as_deref()?)?;
        Some(Record::IdempotencyPut(Arc::new(Idempotency {
            state: IdempotencyState::Done,
            response: answer_of(row, outcome),
            expires_at_ms: self.now.unix_ms + IDEMPOTENCY_TTL_MS,
            ..Idempotency::clone(entry)
        })))
    }

    /// What its session is told where a message did not arrive, or maybe did not.
    fn words_for_session(&self, row: &Outgoing, outcome: &Outcome) -> Option<String> {
        let label = channels::find(&row.channel).map_or("the channel", |kind| kind.label);
        let start: String = row.text.chars().take(PREVIEW_CHARS_MAX).collect();
        match outcome {
            // Its answer's session is told of the answer.
            _ if row.is_draft => None,
            Outcome::Sent(_) | Outcome::Again | Outcome::Anew => None,
            Outcome::Failed(why) => Some(format!(
                "[not delivered to {label}: {why}. It began: {start:?}]"
            )),
            Outcome::Unknown(why) => Some(format!(
                "[unknown whether this reached {label}: {why}. It is not sent again. It began: {start:?}]"
            )),
        }
    }

    pub(super) fn log_outgoing(
        &mut self,
        level: Level,
        row: &Outgoing,
        message: &'static str,
        why: &str,
    ) {
        let line = LogLine::new(self.now.unix_ms, level, "channels", message);
        let line = line.with("channel", &*row.channel);
        let line = line
            .with("account", &*row.account_id)
            .with("to", &*row.chat);
        self.log_with(line.with("fault", why.to_owned()));
    }
}

/// What a `send` call is answered; an error's is `{runId, status, summary}`.
fn answer_of(row: &Outgoing, outcome: &Outcome) -> Text {
    let mut out = Vec::new();
    Writer::new(&mut out).object(|w| {
        w.field_str("runId", row.key.as_deref().unwrap_or(""));
        match (outcome, refusal_of(outcome)) {
            (Outcome::Sent(id), _) => {
                w.field_str("messageId", id);
                w.field_str("channel", &row.channel);
                w.field_str("accountId", &row.account_id);
                w.field_str("chatId", &row.chat);
            }
            (_, refusal) => {
                w.field_str("status", "error");
                w.field_opt_str("summary", refusal.as_ref().map(|it| &*it.message));
            }
        }
    });
    String::from_utf8_lossy(&out).into()
}

fn refusal_of(outcome: &Outcome) -> Option<Refusal> {
    let text = match outcome {
        Outcome::Sent(_) | Outcome::Again | Outcome::Anew => return None,
        Outcome::Failed(why) => format!("not sent: {why}"),
        Outcome::Unknown(why) => format!("unknown whether it was sent: {why}"),
    };
    Some(Refusal::unavailable(text))
}
