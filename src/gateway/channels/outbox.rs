//! Messages that go out: rows in order, one at a time an account.

use super::settle::Outcome;
use crate::agent::{Act, Acted, Below, CancelToken};
use crate::channels::{self, File, Job, Outbound, Place};
use crate::gateway::Gateway;
use crate::gateway::commit::Key;
use crate::gateway::timers::Timer;
use crate::limits::{
    CHANNEL_ANSWER_TEXT_BYTES_MAX, CHANNEL_BACKOFF_MS, CHANNEL_FILE_SENT_BYTES_MAX,
    OUTGOING_KEPT_MS, OUTGOING_TTL_MS, UNSAVED_RETRY_MS,
};
use crate::log::Level;
use crate::state::{Outgoing, OutgoingFile, OutgoingState, Record, Run, Text};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Stands at the end of an answer that is too long for a chat.
const LEFT_OUT: &str = "\n\n[… the rest is in the session …]";
/// UTF-16 units that stand below a file (Bot API: 0 to 1024).
const CAPTION_UNITS_MAX: usize = 1_024;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    pub channel: Text,
    pub account_id: Text,
    pub chat: Text,
    pub thread: Option<Text>,
    pub reply_to: Option<Text>,
}

/// What is to be sent, before it is cut into messages.
#[derive(Clone, Debug, Default)]
pub struct Letter<'a> {
    /// Markdown.
    pub text: &'a str,
    pub media_url: Option<&'a str>,
    pub file: Option<OutgoingFile>,
    /// The run whose answer it is.
    pub run_id: Option<Text>,
    /// The number of the draft whose place its beginning takes.
    pub draft: Option<u64>,
    /// The session that is told where its fate is not known.
    pub session_key: Option<Text>,
    /// The idempotency key of the call that asked for it.
    pub key: Option<Text>,
}

impl<'a> Letter<'a> {
    /// A text of the gateway's own.
    pub fn text(text: &'a str) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl Gateway {
    /// The rows of a message, to be stored with what it comes from. None of them where too many wait:
    /// that is logged, and the session still has the text.
    pub(in crate::gateway) fn letters(
        &mut self,
        to: &Receiver,
        letter: &Letter<'_>,
    ) -> Vec<Record> {
        let Some(kind) = channels::find(&to.channel) else {
            return Vec::new();
        };
        let mut pieces = (kind.render)(&shortened(letter.text));
        let media_url = letter.media_url.map(Text::from);
        let is_caption = pieces.len() == 1 && pieces[0].encode_utf16().count() <= CAPTION_UNITS_MAX;
        if (media_url.is_some() || letter.file.is_some()) && !is_caption {
            pieces.insert(0, String::new());
        }
        let Some(mut records) = self.state.outgoing().make_room(pieces.len()) else {
            let text = "a message is not sent: too many wait for their channel";
            self.log(Level::Error, "channels", text);
            return Vec::new();
        };
        let last = pieces.len().saturating_sub(1);
        for (at, text) in pieces.into_iter().enumerate() {
            self.channels.outgoing_given += 1;
            records.push(Record::OutgoingPut(Arc::new(Outgoing {
                number: self.channels.outgoing_given,
                channel: to.channel.clone(),
                account_id: to.account_id.clone(),
                chat: to.chat.clone(),
                thread: to.thread.clone(),
                reply_to: to.reply_to.clone().filter(|_| at == 0),
                text: text.into(),
                media_url: media_url.clone().filter(|_| at == 0),
                file: letter.file.clone().filter(|_| at == 0),
                state: OutgoingState::Waiting,
                is_draft: false,
                message_id: None,
                draft: letter.draft.filter(|_| at == 0),
                run_id: letter.run_id.clone(),
                session_key: letter.session_key.clone(),
                key: letter.key.clone().filter(|_| at == last),
                tries: 0,
                created_at_ms: self.now.unix_ms,
                changed_at_ms: self.now.unix_ms,
            })));
        }
        records
    }

    /// The rows of a run's answer, where it is to be sent somewhere.
    pub(in crate::gateway) fn delivery_records(&mut self, run: &Run, text: &str) -> Vec<Record> {
        let Some(receiver) = self.receiver_of_run(run) else {
            return Vec::new();
        };
        let letter = Letter {
            run_id: Some(run.run_id.clone()),
            draft: self.draft_number(&run.run_id),
            session_key: Some(run.session_key.clone()),
            ..Letter::text(text)
        };
        self.letters(&receiver, &letter)
    }

    /// Where a run's answer goes: what its caller named, else where its session was written from last.
    pub(super) fn receiver_of_run(&self, run: &Run) -> Option<Receiver> {
        let delivery = &run.delivery;
        if !delivery.deliver {
            return None;
        }
        let own = self.session(&run.session_key);
        // Nobody writes to a session of a job's or a hook's own: its agent's main one counts.
        let name = run.session_key.splitn(3, ':').nth(2).unwrap_or_default();
        let session = match name.starts_with("cron:") || name.starts_with("hook:") {
            true => self.session(&self.session_key_of(self.agent_of_session(&run.session_key))),
            false => own,
        };
        let named = delivery.channel.clone().filter(|it| **it != *"last");
        // Where somebody is named and no channel, and nobody wrote yet, the first that is configured is meant.
        let first = || delivery.to.as_ref().and(self.first_channel());
        let last = || session?.last_channel.clone();
        let channel = named.or_else(last).or_else(|| Some(first()?.into()))?;
        let kind = channels::find(&channel)?;
        let last_to = || {
            session
                .filter(|it| it.last_channel.as_deref() == Some(&channel))?
                .last_to
                .clone()
        };
        let to = delivery.to.clone().or_else(last_to)?;
        let place = (kind.target)(&to)?;
        Some(Receiver {
            account_id: delivery
                .account_id
                .clone()
                .or_else(|| self.default_account(&channel))?,
            channel,
            chat: place.chat,
            thread: delivery.thread_id.clone().or(place.thread),
            reply_to: delivery.reply_to.clone(),
        })
    }

    /// The first channel that is configured.
    pub(in crate::gateway) fn first_channel(&self) -> Option<&'static str> {
        let mut served = channels::KINDS.iter().map(|kind| kind.name);
        served.find(|name| self.default_account(name).is_some())
    }

    /// The account that is meant where none is named.
    pub(in crate::gateway) fn default_account(&self, channel: &str) -> Option<Text> {
        let accounts = self.config().channels.accounts(channel);
        let mut on = accounts.into_iter().flatten().filter(|it| it.is_on());
        on.next().map(|account| account.id.into())
    }

    /// Sends the next message of each account that has nothing else to send.
    pub(in crate::gateway) fn offer_outgoing(&mut self) {
        let slots: Vec<u64> = self.channels.links.keys().copied().collect();
        slots.into_iter().for_each(|slot| self.offer_of(slot));
    }

    pub(in crate::gateway) fn offer_of(&mut self, slot: u64) {
        let Some(link) = self.channels.links.get(&slot) else {
            return;
        };
        if link.sending.is_some() || link.reading.is_some() || self.stopping {
            return;
        }
        let now = self.now;
        if link.paused_until_mono_ms > now.mono_ms {
            return self
                .timers
                .set(link.paused_until_mono_ms, Timer::Outbox(slot));
        }
        let account = link.account.clone();
        let mine = |it: &&Arc<Outgoing>| {
            *it.channel == *account.channel
                && *it.account_id == *account.id
                && it.is_open()
                && !it.is_draft
        };
        let mut blocked = BTreeSet::new();
        let mut due_ms: Option<u64> = None;
        let mut next = None;
        for row in self.state.outgoing().iter().filter(mine) {
            if blocked.contains(&row.chat)
                || self.commits.is_reserved(&Key::Outgoing(row.number))
                || self.waits_for_draft(row)
            {
                blocked.insert(row.chat.clone());
                continue;
            }
            let at_ms = row.changed_at_ms + wait_ms(row.tries);
            if row.state == OutgoingState::Waiting && at_ms <= now.unix_ms {
                next = Some(row.clone());
                break;
            }
            // Nothing overtakes what is before it in the same chat.
            blocked.insert(row.chat.clone());
            if row.state == OutgoingState::Waiting {
                due_ms = Some(due_ms.map_or(at_ms, |due_ms| due_ms.min(at_ms)));
            }
        }
        match (next, due_ms) {
            (Some(row), _) => self.prepare(slot, &row),
            (None, Some(due_ms)) => {
                let at_ms = now.mono_ms + due_ms.saturating_sub(now.unix_ms);
                self.timers.set(at_ms, Timer::Outbox(slot));
            }
            (None, None) => {}
        }
    }

    /// Reads the file of a message, where it has one, and sends it.
    fn prepare(&mut self, slot: u64, row: &Outgoing) {
        let Some(named) = row.file.clone() else {
            return self.mark_sending(slot, row, None);
        };
        let number = row.number;
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.reading = Some(number);
        }
        let act = Act::Load {
            at: Below {
                workspace: named.workspace.to_string(),
                path: named.path.to_string(),
            },
            bytes_max: CHANNEL_FILE_SENT_BYTES_MAX,
        };
        self.act(act, &CancelToken::new(), move |gateway, _, acted| {
            let file = match acted {
                Acted::Bytes(bytes) => Ok(File {
                    name: named.path.rsplit('/').next().unwrap_or("file").into(),
                    bytes,
                    is_document: named.is_document,
                }),
                Acted::Failed(why) => Err(why),
                _ => Err("the file was not read".to_owned()),
            };
            gateway.on_file_read(slot, number, file);
        });
    }

    fn on_file_read(&mut self, slot: u64, number: u64, file: Result<File, String>) {
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        link.reading = None;
        let row = self.state.outgoing().get(number).cloned();
        let is_mine = |row: &Arc<Outgoing>| row.state == OutgoingState::Waiting;
        let is_free = !self.commits.is_reserved(&Key::Outgoing(number)) && !self.stopping;
        let Some(row) = row.filter(|row| is_mine(row) && is_free) else {
            return self.offer_of(slot);
        };
        match file {
            Ok(file) => self.mark_sending(slot, &row, Some(file)),
            Err(why) => {
                self.settle(number, Outcome::Failed(why.into()));
                self.offer_of(slot);
            }
        }
    }

    /// Stores that the message may have been sent, then sends it.
    fn mark_sending(&mut self, slot: u64, row: &Outgoing, file: Option<File>) {
        let number = row.number;
        if self.now.unix_ms >= row.created_at_ms + OUTGOING_TTL_MS {
            let why = "it could not be sent in time";
            return self.settle(number, Outcome::Failed(why.into()));
        }
        let row = match self.in_place_of_draft(row) {
            Ok(row) => row,
            Err(why) => return self.settle(number, Outcome::Unknown(why)),
        };
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        // Ticket 0 is no call's.
        link.sending = Some((0, number));
        let row = Arc::new(Outgoing {
            state: OutgoingState::Sending,
            changed_at_ms: self.now.unix_ms,
            ..row
        });
        let records = vec![Record::OutgoingPut(row.clone())];
        self.commit(
            vec![Key::Outgoing(number)],
            records,
            move |gateway, _, result| {
                match result {
                    Ok(()) => gateway.send_marked(slot, &row, file),
                    // It waits as before.
                    Err(_) => gateway.put_off(slot),
                }
            },
        );
    }

    pub(super) fn send_marked(&mut self, slot: u64, row: &Outgoing, file: Option<File>) {
        let is_there = self
            .channels
            .links
            .get(&slot)
            .is_some_and(|link| link.sending == Some((0, row.number)));
        if !is_there {
            // The account was closed meanwhile, which said already that the fate is not known.
            return;
        }
        let message = Outbound {
            place: Place {
                chat: self.id_in_use(&row.channel, &row.chat),
                thread: row.thread.clone(),
            },
            text: row.text.clone(),
            media_url: row.media_url.clone(),
            file,
            reply_to: row.reply_to.clone(),
        };
        let job = match row.message_id.clone() {
            None => Job::Send(message),
            Some(message_id) => Job::Edit {
                message_id,
                message,
            },
        };
        let ticket = self.call_channel(slot, job);
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.sending = Some((ticket, row.number));
        }
    }

    /// The account sends nothing for a moment.
    pub(super) fn put_off(&mut self, slot: u64) {
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.sending = None;
        }
        let at_ms = self.now.mono_ms + UNSAVED_RETRY_MS;
        self.timers.set(at_ms, Timer::Outbox(slot));
    }

    /// Gives up what waited too long, and forgets what was shown long enough.
    pub(in crate::gateway) fn tend_channels(&mut self) {
        self.forget_contacts();
        self.tidy_drafts();
        let now_ms = self.now.unix_ms;
        let rows: Vec<Arc<Outgoing>> = self.state.outgoing().iter().cloned().collect();
        for row in rows {
            let lock = Key::Outgoing(row.number);
            if self.commits.is_reserved(&lock) {
                continue;
            }
            let age_ms = now_ms.saturating_sub(row.changed_at_ms);
            if row.state == OutgoingState::Waiting && now_ms >= row.created_at_ms + OUTGOING_TTL_MS
            {
                let why = "it could not be sent in time";
                self.settle(row.number, Outcome::Failed(why.into()));
            } else if !row.is_open() && age_ms >= OUTGOING_KEPT_MS {
                let number = row.number;
                let records = vec![Record::OutgoingRemove { number }];
                // A failure is no loss: the next look tries again.
                self.commit(vec![lock], records, |_, _, _| {});
            }
        }
        self.offer_outgoing();
    }
}

/// How long a message waits after so many tries that sent nothing.
fn wait_ms(tries: u32) -> u64 {
    let (first_ms, most_ms) = CHANNEL_BACKOFF_MS;
    match tries.checked_sub(1) {
        None => 0,
        Some(before) => (first_ms << before.min(16)).min(most_ms),
    }
}

/// As much of a text as is sent to a chat.
fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= CHANNEL_ANSWER_TEXT_BYTES_MAX {
        return text.into();
    }
    let end = (0..=CHANNEL_ANSWER_TEXT_BYTES_MAX).rfind(|at| text.is_char_boundary(*at));
    format!("{}{LEFT_OUT}", &text[..end.unwrap_or(0)]).into()
}
