//! Updates, one after the other: each is taken with what becomes of it, in one transaction.

use super::account::taken_key;
use super::outbox::{Letter, Receiver};
use super::policy::{Verdict, judge};
use super::{Link, Phase};
use crate::channels::{Incoming, Update};
use crate::config::types::{DmScope, SessionScope};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::Stop;
use crate::gateway::runs::{Origin, Request};
use crate::gateway::timers::Timer;
use crate::gateway::{Gateway, Refusal};
use crate::limits::UNSAVED_RETRY_MS;
use crate::state::{Delivery, Record, Text};

/// How an update was dealt with.
pub(super) enum Taken {
    /// Nothing is to be stored.
    Now,
    /// It is being stored; the account goes on afterwards.
    Soon,
}

impl Gateway {
    /// Deals with what was heard until something has to be stored, then asks for more.
    pub(super) fn take_next(&mut self, slot: u64) {
        loop {
            let Some(link) = self.channels.links.get_mut(&slot) else {
                return;
            };
            link.phase = Phase::Taking;
            let Some(update) = link.inbox.pop_front() else {
                return self.go_on(slot);
            };
            link.taken.forget_old(self.now.unix_ms);
            // A service that missed that it was taken sends it again.
            if link.taken.has(update.id) {
                self.answer_bringers(slot, update.id);
                continue;
            }
            let id = update.id;
            match self.take(slot, &update) {
                Ok(Taken::Now) => self.note_taken(slot, id),
                Ok(Taken::Soon) => return,
                Err(Stop::Busy) => {
                    self.put_back(slot, update);
                    return self
                        .commits
                        .wait(Box::new(move |gateway, _| gateway.take_next(slot)));
                }
                Err(Stop::Refuse(refusal)) => return self.take_refused(slot, &update, &refusal),
            }
        }
    }

    fn put_back(&mut self, slot: u64, update: Update) {
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.inbox.push_front(update);
        }
    }

    fn note_taken(&mut self, slot: u64, id: u64) {
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.taken = link.taken.with(id, self.now.unix_ms);
            link.loading = None;
        }
        self.answer_bringers(slot, id);
    }

    /// Records that an update was taken; to be stored with what became of it.
    pub(super) fn taken_record(&self, slot: u64, id: u64) -> Option<Record> {
        let link = self.channels.links.get(&slot)?;
        let key = taken_key(&link.account, link.bot.as_ref()?);
        Some(Record::SettingPut {
            key: key.into(),
            value: link.taken.with(id, self.now.unix_ms).text().into(),
        })
    }

    /// What of an update had to be stored is, or could not be: then it is dealt with again.
    pub(super) fn on_taken(&mut self, slot: u64, update: Update, result: &Result<(), String>) {
        if result.is_ok() {
            self.note_taken(slot, update.id);
            self.offer_outgoing();
            return self.take_next(slot);
        }
        self.put_back(slot, update);
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.phase = Phase::Resting;
        }
        let at_ms = self.now.mono_ms + UNSAVED_RETRY_MS;
        self.timers.set(at_ms, Timer::Link(slot));
    }

    fn take(&mut self, slot: u64, update: &Update) -> Result<Taken, Stop> {
        if self.take_moved(slot, update) {
            return Ok(Taken::Soon);
        }
        let (Some(message), Some(link)) = (&update.message, self.channels.links.get(&slot)) else {
            return Ok(Taken::Now);
        };
        let account = link.account.clone();
        let message = &self.at_first_id(&account, message);
        let is_paired = self.is_contact_approved(&account, &message.sender.id);
        let is_trusted = match judge(&account, message, is_paired) {
            Verdict::Ignore => return Ok(Taken::Now),
            Verdict::Stranger => return self.take_stranger(slot, update, message),
            Verdict::Hear { is_trusted } => is_trusted,
        };
        let now_ms = self.now.unix_ms;
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.last_in_at_ms = Some(now_ms);
        }
        let link = &self.channels.links[&slot];
        let receiver = receiver_of(link, message);
        let session_key = self.session_of(&account.channel, message);
        self.check_may_speak(&session_key)?;
        if let Some(taken) =
            self.take_command(slot, update, message, &receiver, &session_key, is_trusted)?
        {
            return Ok(taken);
        }
        let agent = self.agent_of_session(&session_key).to_owned();
        let Some(file) = self.file_of(slot, update, &agent) else {
            return Ok(Taken::Soon);
        };
        let also = self.taken_record(slot, update.id).into_iter().collect();
        let request = Request {
            origin: Origin::Channel,
            run_id: self.uuid().into(),
            shown_key: session_key.clone(),
            session_key,
            message: format!("{}{}", told(message), file.note).trim().to_owned(),
            images: file.images,
            thinking: None,
            extra_prompt: Some(about(&account.channel, message)),
            timeout_ms: None,
            delivery: Delivery {
                deliver: true,
                channel: Some(receiver.channel.clone()),
                to: Some(receiver.chat.clone()),
                account_id: Some(receiver.account_id.clone()),
                thread_id: receiver.thread.clone(),
                reply_to: receiver.reply_to.clone(),
            },
            fingerprint: [0; 32],
            also,
        };
        let update = update.clone();
        let accepted = move |gateway: &mut Gateway, _, result: Result<(), String>| {
            gateway.on_taken(slot, update, &result);
            None
        };
        self.accept_run(request, Box::new(accepted))?;
        Ok(Taken::Soon)
    }

    /// A message that cannot be dealt with is told so, and counts as taken.
    fn take_refused(&mut self, slot: u64, update: &Update, refusal: &Refusal) {
        let (Some(message), Some(link)) = (&update.message, self.channels.links.get(&slot)) else {
            return;
        };
        let receiver = receiver_of(link, message);
        let text = format!("This message was not taken: {}", refusal.message);
        self.answer_update(slot, update, &receiver, &text, Vec::new(), Vec::new());
    }

    /// Stores an answer of the gateway's own, and other records, with the fact that the update was
    /// taken.
    pub(super) fn answer_update(
        &mut self,
        slot: u64,
        update: &Update,
        receiver: &Receiver,
        text: &str,
        keys: Vec<Key>,
        mut records: Vec<Record>,
    ) {
        records.extend(self.taken_record(slot, update.id));
        records.extend(self.letters(receiver, &Letter::text(text)));
        let update = update.clone();
        self.commit(keys, records, move |gateway, _, result| {
            gateway.on_taken(slot, update, &result);
        });
    }

    /// The session that a message belongs to.
    fn session_of(&self, channel: &str, message: &Incoming) -> Text {
        let agent = self.default_agent();
        let place = &message.chat.place;
        let session = &self.config().session;
        let sender = &message.sender.id;
        if message.chat.is_group {
            let topic = place.thread.as_deref();
            let topic = topic.map_or_else(String::new, |topic| format!(":topic:{topic}"));
            return format!("agent:{agent}:{channel}:group:{}{topic}", place.chat).into();
        }
        match (session.scope, session.dm_scope) {
            (SessionScope::Global, _) | (_, DmScope::Main) => self.session_key_of(agent).into(),
            (_, DmScope::PerPeer) => format!("agent:{agent}:dm:{sender}").into(),
            (_, DmScope::PerChannelPeer) => format!("agent:{agent}:{channel}:dm:{sender}").into(),
        }
    }
}

/// Where the answer to a message goes. In a group it quotes what it answers.
pub(super) fn receiver_of(link: &Link, message: &Incoming) -> Receiver {
    let place = &message.chat.place;
    Receiver {
        channel: link.account.channel.as_str().into(),
        account_id: link.account.id.as_str().into(),
        chat: place.chat.clone(),
        thread: place.thread.clone(),
        reply_to: message.chat.is_group.then(|| message.message_id.clone()),
    }
}

/// What the agent reads.
fn told(message: &Incoming) -> String {
    let mut text = String::new();
    if let Some(quote) = &message.quote {
        text += &format!("[answers {}: {:?}]\n", quote.name, quote.text);
    }
    if message.chat.is_group {
        text += &format!("{}: ", message.sender.name);
    }
    text += &message.text;
    text.trim().to_owned()
}

/// What the agent is told about where a message came from.
fn about(channel: &str, message: &Incoming) -> Text {
    let name = &message.sender.name;
    let place = match (&message.chat.title, message.chat.is_group) {
        (Some(title), true) => format!(" in the group {title:?}"),
        (None, true) => " in a group".to_owned(),
        (_, false) => String::new(),
    };
    format!("{name:?} wrote this over {channel}{place}; your answer is sent there.").into()
}
