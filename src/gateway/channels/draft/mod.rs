//! An answer is shown while it is being written: a message that is changed, and whose place the whole
//! answer takes.
//!
//! ```text
//! text ──commit: draft, sending──> sent ──commit: its id──> edits … the run ends
//!        answer, in the place of the draft ──commit: sending, the id──> one more edit ──> gone
//! ```
//!
//! A draft is the one message of an answer's beginning that is ever sent: an edit may be made again, a message
//! may not. So the answer waits until the fate of its draft is known; where nobody knows whether
//! the draft is there, nobody knows it of the answer either, and it is not sent.

#[cfg(test)]
mod tests;

use super::outbox::Receiver;
use super::settle::Outcome;
use crate::channels::{self, Fault, Job, Outbound, Place};
use crate::config::types::StreamMode;
use crate::gateway::Gateway;
use crate::gateway::commit::Key;
use crate::gateway::timers::Timer;
use crate::limits::{DRAFT_BUSY_MS, DRAFT_CHARS_MIN, DRAFT_FAULTS_MAX};
use crate::log::Level;
use crate::state::{Outgoing, OutgoingState, Record, Run, Text};
use std::sync::Arc;

/// What is known of the draft of a live run.
pub(super) struct Draft {
    to: Receiver,
    mode: StreamMode,
    /// Its row's.
    number: Option<u64>,
    /// What was sent last, in the service's markup.
    shown: Text,
    /// It is not changed before this, on the monotonic clock.
    due_mono_ms: u64,
    /// Calls that failed in a row.
    faults: u32,
    /// The chat gets the answer alone.
    is_given_up: bool,
}

impl Gateway {
    /// More of a run's answer is there, so many bytes by now: it is shown soon.
    pub(in crate::gateway) fn on_draft_grown(&mut self, slot: u64, run: &Arc<Run>, len: usize) {
        if len < DRAFT_CHARS_MIN || self.timers.has(Timer::Draft(slot)) {
            return;
        }
        if !self.channels.drafts.contains_key(&run.run_id) {
            let Some(draft) = self.draft_of(run) else {
                return;
            };
            self.channels.drafts.insert(run.run_id.clone(), draft);
        }
        let draft = &self.channels.drafts[&run.run_id];
        if !draft.is_given_up {
            let at_ms = draft.due_mono_ms.max(self.now.mono_ms);
            self.timers.set(at_ms, Timer::Draft(slot));
        }
    }

    /// A draft of a run that has none yet, or has had one before a restart.
    fn draft_of(&self, run: &Arc<Run>) -> Option<Draft> {
        let to = self.receiver_of_run(run)?;
        let link = self.channels.link(&to.channel, &to.account_id);
        let mode = link.map_or(StreamMode::Off, |link| {
            link.account.drafts().unwrap_or_default()
        });
        let row = self.draft_row(&run.run_id);
        Some(Draft {
            to,
            mode,
            number: row.map(|row| row.number),
            shown: "".into(),
            due_mono_ms: 0,
            faults: 0,
            is_given_up: mode == StreamMode::Off
                || row.is_some_and(|row| row.state != OutgoingState::Sending),
        })
    }

    fn draft_row(&self, run_id: &str) -> Option<&Arc<Outgoing>> {
        let is_it = |row: &&Arc<Outgoing>| row.is_draft && row.run_id.as_deref() == Some(run_id);
        self.state.outgoing().iter().find(is_it)
    }

    /// The number of a run's draft, also of one that is just being stored.
    pub(super) fn draft_number(&self, run_id: &str) -> Option<u64> {
        let draft = self.channels.drafts.get(run_id);
        let number = draft.and_then(|draft| draft.number);
        number.or_else(|| self.draft_row(run_id).map(|row| row.number))
    }

    /// The draft of a run may be shown or changed.
    pub(in crate::gateway) fn on_draft_due(&mut self, run_slot: u64) {
        let Some(run) = self.runs.at(run_slot).filter(|_| !self.stopping) else {
            return;
        };
        let run_id = run.row.run_id.clone();
        let session_key = run.row.session_key.clone();
        let draft = self.channels.drafts.get(&run_id);
        let Some(draft) = draft.filter(|draft| !draft.is_given_up) else {
            return;
        };
        let whole = match draft.mode {
            StreamMode::Block => run.text.rfind("\n\n").map_or("", |end| &run.text[..end]),
            _ => &run.text,
        };
        if whole.chars().count() < DRAFT_CHARS_MIN {
            return;
        }
        let to = draft.to.clone();
        let Some((kind, slot)) =
            channels::find(&to.channel).zip(self.channels.slot(&to.channel, &to.account_id))
        else {
            return;
        };
        let text = (kind.render)(whole).into_iter().next().unwrap_or_default();
        if *text == *draft.shown {
            return;
        }
        let link = &self.channels.links[&slot];
        let now_ms = self.now.mono_ms;
        let row = draft
            .number
            .and_then(|number| self.state.outgoing().get(number));
        let is_busy = link.sending.is_some()
            || link.reading.is_some()
            || draft.number.is_some() && row.is_none_or(|row| row.is_unnamed());
        if is_busy || link.paused_until_mono_ms > now_ms {
            let at_ms = link.paused_until_mono_ms.max(now_ms + DRAFT_BUSY_MS);
            return self.timers.set(at_ms, Timer::Draft(run_slot));
        }
        let row = row.cloned();
        if let Some(draft) = self.channels.drafts.get_mut(&run_id) {
            draft.shown = text.as_str().into();
            draft.due_mono_ms = now_ms + (kind.edits_ms)(&to.chat);
        }
        match row {
            Some(row) => self.change_draft(slot, &row, text.into()),
            None => self.open_draft(slot, to, run_id, session_key, text.into()),
        }
    }

    /// Stores that there may be a draft, then sends it.
    fn open_draft(&mut self, slot: u64, to: Receiver, run_id: Text, session_key: Text, text: Text) {
        let Some(mut records) = self.state.outgoing().make_room(1) else {
            return;
        };
        self.channels.outgoing_given += 1;
        let number = self.channels.outgoing_given;
        if let Some(draft) = self.channels.drafts.get_mut(&run_id) {
            draft.number = Some(number);
        }
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.sending = Some((0, number));
        }
        let row = Arc::new(Outgoing {
            number,
            channel: to.channel,
            account_id: to.account_id,
            chat: to.chat,
            thread: to.thread,
            reply_to: to.reply_to,
            text,
            media_url: None,
            file: None,
            state: OutgoingState::Sending,
            is_draft: true,
            message_id: None,
            draft: None,
            run_id: Some(run_id.clone()),
            session_key: Some(session_key),
            key: None,
            tries: 0,
            created_at_ms: self.now.unix_ms,
            changed_at_ms: self.now.unix_ms,
        });
        records.push(Record::OutgoingPut(row.clone()));
        let keys = vec![Key::Outgoing(number)];
        self.commit(keys, records, move |gateway, _, result| {
            if result.is_ok() {
                return gateway.send_marked(slot, &row, None);
            }
            gateway.give_up_draft(&run_id);
            gateway.put_off(slot);
        });
    }

    fn change_draft(&mut self, slot: u64, row: &Outgoing, text: Text) {
        let Some(message_id) = row.message_id.clone() else {
            return;
        };
        let message = Outbound {
            place: Place {
                chat: self.id_in_use(&row.channel, &row.chat),
                thread: row.thread.clone(),
            },
            text,
            media_url: None,
            file: None,
            reply_to: None,
        };
        let job = Job::Edit {
            message_id,
            message,
        };
        let ticket = self.call_channel(slot, job);
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.sending = Some((ticket, row.number));
        }
    }

    fn give_up_draft(&mut self, run_id: &str) {
        if let Some(draft) = self.channels.drafts.get_mut(run_id) {
            draft.number = None;
            draft.is_given_up = true;
        }
    }

    /// The service answered to a draft or to a change of it, or did not.
    pub(super) fn on_draft_sent(
        &mut self,
        slot: u64,
        row: &Outgoing,
        result: Result<Arc<str>, Fault>,
    ) {
        let run_id = row.run_id.clone().unwrap_or_else(|| "".into());
        let now_ms = self.now.mono_ms;
        let draft = self.channels.drafts.get_mut(&run_id);
        let fault = match result {
            Ok(id) => {
                if let Some(draft) = draft {
                    draft.faults = 0;
                }
                return match row.message_id {
                    None => self.settle(row.number, Outcome::Sent(id)),
                    Some(_) => self.offer_of(slot),
                };
            }
            Err(fault) => fault,
        };
        let wait_ms = match fault {
            Fault::Busy { retry_after_ms, .. } => retry_after_ms,
            _ => 0,
        };
        if let Some(draft) = draft {
            draft.faults += 1;
            draft.shown = "".into();
            draft.due_mono_ms = draft.due_mono_ms.max(now_ms.saturating_add(wait_ms));
            draft.is_given_up |= draft.faults >= DRAFT_FAULTS_MAX
                || matches!(
                    fault,
                    Fault::Gone(_) | Fault::Refused(_) | Fault::Unknown(_)
                );
        }
        if let Some(link) = self.channels.links.get_mut(&slot).filter(|_| wait_ms > 0) {
            link.paused_until_mono_ms = now_ms.saturating_add(wait_ms);
        }
        self.log_outgoing(Level::Warn, row, "a draft is not shown", &fault.to_string());
        match fault {
            _ if row.message_id.is_some() => self.offer_of(slot),
            Fault::Unknown(_) | Fault::Closed => {
                self.settle(row.number, Outcome::Unknown(fault.to_string().into()));
            }
            fault => {
                if let Some(draft) = self.channels.drafts.get_mut(&run_id) {
                    draft.number = None;
                }
                self.settle(row.number, Outcome::Failed(fault.to_string().into()));
            }
        }
    }

    /// A row in the place of its draft; an error where nobody knows whether that is there.
    pub(super) fn in_place_of_draft(&self, row: &Outgoing) -> Result<Outgoing, Text> {
        let draft = row
            .draft
            .and_then(|number| self.state.outgoing().get(number));
        let Some(draft) = draft else {
            return Ok(row.clone());
        };
        match &draft.state {
            OutgoingState::Unknown { why } if !self.resends_unknown(row) => {
                Err(format!("its beginning may be there: {why}").into())
            }
            _ => Ok(Outgoing {
                message_id: draft.message_id.clone(),
                draft: None,
                ..row.clone()
            }),
        }
    }

    /// Whether a row must wait for what becomes of its draft.
    pub(super) fn waits_for_draft(&self, row: &Outgoing) -> bool {
        let Some(number) = row.draft else {
            return false;
        };
        let draft = self.state.outgoing().get(number);
        self.commits.is_reserved(&Key::Outgoing(number))
            || draft.is_some_and(|draft| draft.is_unnamed())
    }

    /// A run is over: its draft is not changed any more, but by its answer.
    pub(in crate::gateway) fn close_draft(&mut self, slot: u64, run_id: &str) {
        self.timers.clear(Timer::Draft(slot));
        self.channels.drafts.remove(run_id);
    }

    /// Forgets drafts whose run is over and whose place nothing takes any more.
    pub(in crate::gateway) fn tidy_drafts(&mut self) {
        let is_over = |row: &Outgoing| {
            let run = row
                .run_id
                .as_deref()
                .and_then(|id| self.state.runs().get(id));
            let mut rows = self.state.outgoing().iter();
            run.is_none_or(|run| run.state.is_ended())
                && !rows.any(|it| it.draft == Some(row.number) && it.is_open())
        };
        let in_flight = |number| {
            let mut links = self.channels.links.values();
            links.any(|link| link.sending.is_some_and(|(_, sent)| sent == number))
        };
        let rows = self.state.outgoing().iter().filter(|row| row.is_draft);
        let over = rows.filter(|row| {
            !row.is_unnamed()
                && !in_flight(row.number)
                && !self.commits.is_reserved(&Key::Outgoing(row.number))
                && is_over(row)
        });
        let over: Vec<u64> = over.map(|row| row.number).collect();
        for number in over {
            let records = vec![Record::OutgoingRemove { number }];
            // A failure is no loss: the next look tries again.
            self.commit(vec![Key::Outgoing(number)], records, |_, _, _| {});
        }
    }
}
