//! Channels: accounts at chat services, what people write to them and what is sent back.
//!
//! ```text
//! poll ──> inbox ──> who may speak? ──commit: message, run, "taken"──> next poll
//! answer ──commit with the run's end──> waiting ──commit──> sending ──> gone | failed | unknown
//! ```
//!
//! An update counts as taken only with what became of it, in one transaction; the next poll tells the
//! service so. A message that goes out has a row: that it may have been sent is stored before its
//! first byte leaves, and what the service did not answer is never sent again, but told.

mod account;
mod commands;
mod contacts;
mod draft;
mod files;
mod inbound;
mod moved;
mod outbox;
mod policy;
mod probe;
mod settle;
mod taken;
#[cfg(test)]
mod tests;
mod typing;
mod webhook;

pub(super) use contacts::write_contact;
pub(super) use outbox::{Letter, Receiver};
use probe::{Probed, Probes};

use super::Gateway;
use super::dispatch::KeptCall;
use crate::channels::{Bot, Done, Fault, Job, Order, Report, Update};
use crate::config::types::ChannelAccount;
use crate::ids::ConnId;
use crate::state::{Text, UnixMs};
use settle::Outcome;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// All accounts that are used, and what is on its way.
#[derive(Default)]
pub struct Channels {
    /// By slot; slots are never given twice.
    links: BTreeMap<u64, Link>,
    slots_given: u64,
    tickets_given: u64,
    /// The number of the newest outgoing message.
    outgoing_given: u64,
    /// Calls of `send` by the number of the message that they wait for.
    callers: BTreeMap<u64, Vec<KeptCall>>,
    probes: Probes,
    /// What is shown of answers that are being written, by run.
    drafts: BTreeMap<Text, draft::Draft>,
    /// Outcomes that the store did not take yet.
    unsaved: BTreeMap<u64, Outcome>,
}

/// One account at work.
pub(super) struct Link {
    pub account: Arc<ChannelAccount>,
    /// Who it is; None until the service has said so.
    pub bot: Option<Bot>,
    phase: Phase,
    /// Updates that count as taken.
    taken: taken::TakenUpdates,
    /// The service knows where to bring updates to.
    is_hooked: bool,
    /// Who brought which update and waits for an answer.
    bringers: Vec<(u64, ConnId)>,
    /// Updates that were heard and not taken.
    inbox: VecDeque<Update>,
    /// The file of the first of them.
    loading: Option<files::Loading>,
    /// Whose workspace it goes to.
    file_agent: String,
    /// Calls that failed in a row.
    faults: u32,
    /// What is wrong, for people.
    pub problem: Option<String>,
    pub last_heard_at_ms: Option<UnixMs>,
    pub last_in_at_ms: Option<UnixMs>,
    pub last_out_at_ms: Option<UnixMs>,
    /// Ticket and number of the message that is being sent.
    sending: Option<(u64, u64)>,
    /// The number of the message whose file is being read; it was surely not sent.
    reading: Option<u64>,
    /// The service wants no message before this, on the monotonic clock.
    paused_until_mono_ms: u64,
    /// By ticket: which call of `channels.status` asked, and when on the monotonic clock.
    probes: BTreeMap<u64, (u64, u64)>,
    pub probed: Option<Probed>,
}

/// What an account waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A deadline.
    Resting,
    /// The call with this ticket.
    Identifying(u64),
    Polling(u64),
    Hooking(u64),
    /// That an update is brought, or a deadline.
    Listening,
    Fetching(u64),
    /// The store, or somebody who writes what it needs.
    Taking,
}

impl Channels {
    /// Whether a message is being sent.
    pub fn is_busy(&self) -> bool {
        self.links.values().any(|link| link.sending.is_some())
    }

    /// The account at work with this name.
    pub(super) fn link(&self, channel: &str, account_id: &str) -> Option<&Link> {
        let slot = self.slot(channel, account_id)?;
        self.links.get(&slot)
    }

    fn slot(&self, channel: &str, account_id: &str) -> Option<u64> {
        let is_it = |link: &Link| link.account.channel == channel && link.account.id == account_id;
        let mut links = self.links.iter();
        links.find(|(_, link)| is_it(link)).map(|(slot, _)| *slot)
    }
}

impl Gateway {
    /// A channel's thread reports.
    pub(super) fn on_channel(&mut self, report: Report) {
        let Report {
            slot,
            ticket,
            result,
        } = report;
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        if let Some((sent, number)) = link.sending
            && sent == ticket
        {
            link.sending = None;
            let id = result.and_then(|done| match done {
                Done::Sent(id) => Ok(id),
                _ => Err(Fault::Unknown("another call was answered".to_owned())),
            });
            self.on_sent(slot, number, id);
            return self.drain();
        }
        if let Some(asked) = link.probes.remove(&ticket) {
            let bot = result.and_then(|done| match done {
                Done::Bot(bot) => Ok(bot),
                _ => Err(Fault::Unknown("another call was answered".to_owned())),
            });
            return self.on_probed(slot, asked, bot);
        }
        match (link.phase, result) {
            (Phase::Identifying(asked), result) if asked == ticket => match result {
                Ok(Done::Bot(bot)) => self.on_identified(slot, bot),
                Ok(_) => {}
                Err(fault) => self.on_link_fault(slot, &fault),
            },
            (Phase::Polling(asked), result) if asked == ticket => match result {
                Ok(Done::Updates(updates)) => self.on_updates(slot, updates),
                Ok(_) => {}
                Err(fault) => self.on_link_fault(slot, &fault),
            },
            (Phase::Hooking(asked), result) if asked == ticket => match result {
                Ok(_) => self.on_hooked(slot),
                Err(fault) => self.on_link_fault(slot, &fault),
            },
            (Phase::Fetching(asked), result) if asked == ticket => {
                let bytes = result.and_then(|done| match done {
                    Done::File(bytes) => Ok(bytes),
                    _ => Err(Fault::Later("another call was answered".to_owned())),
                });
                self.on_file(slot, bytes);
                self.drain();
            }
            _ => {}
        }
    }

    /// Orders a call; its ticket.
    fn call_channel(&mut self, slot: u64, job: Job) -> u64 {
        self.channels.tickets_given += 1;
        let ticket = self.channels.tickets_given;
        let order = Order::Call { slot, ticket, job };
        self.effects.push_back(super::Effect::Channel(order));
        ticket
    }
}
