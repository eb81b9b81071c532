//! Strangers get a code; whoever owns the gateway lets them in by it.

use super::inbound::{Taken, receiver_of};
use super::outbox::{Letter, Receiver};
use crate::channels::{Incoming, Update};
use crate::config::types::ChannelAccount;
use crate::gateway::broadcast::Weight;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::Stop;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{CONTACT_CODE_TTL_MS, CONTACT_REMINDED_MS, CONTACTS_MAX, CONTACTS_PENDING_MAX};
use crate::log::Level;
use crate::state::{Contact, ContactKey, ContactState, Record, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// 32 signs that nobody takes for one another.
const SIGNS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LEN: usize = 8;

impl Gateway {
    /// Whether somebody let this person in.
    pub(super) fn is_contact_approved(&self, account: &ChannelAccount, id: &str) -> bool {
        let contact = self.state.contacts().get(&key_of(account, id));
        contact.is_some_and(|it| matches!(it.state, ContactState::Approved { .. }))
    }

    /// Somebody unknown wrote: gets a code, or is reminded of it now and then. Where too many wait
    /// already nobody else is answered.
    pub(super) fn take_stranger(
        &mut self,
        slot: u64,
        update: &Update,
        message: &Incoming,
    ) -> Result<Taken, Stop> {
        if self.commits.is_reserved(&Key::Contacts) {
            return Err(Stop::Busy);
        }
        let Some(link) = self.channels.links.get(&slot) else {
            return Ok(Taken::Now);
        };
        let (account, receiver) = (link.account.clone(), receiver_of(link, message));
        let now_ms = self.now.unix_ms;
        let key = key_of(&account, &message.sender.id);
        let known = self.state.contacts().get(&key).map(|it| it.state.clone());
        let (code, expires_at_ms) = match known {
            Some(ContactState::Pending {
                code,
                told_at_ms,
                expires_at_ms,
            }) if expires_at_ms > now_ms => {
                if now_ms.saturating_sub(told_at_ms) < CONTACT_REMINDED_MS {
                    return Ok(Taken::Now);
                }
                (code, expires_at_ms)
            }
            _ if !self.has_place_for_stranger(&account) => {
                let text = "somebody unknown wrote, and as many wait to be let in as may";
                self.log(Level::Warn, "channels", text);
                return Ok(Taken::Now);
            }
            _ => (self.contact_code(), now_ms + CONTACT_CODE_TTL_MS),
        };
        let sender = &message.sender;
        let contact = Arc::new(Contact {
            channel: key.0,
            account_id: key.1,
            id: key.2,
            username: sender.username.clone(),
            name: sender.name.clone(),
            chat: receiver.chat.clone(),
            asked_at_ms: now_ms,
            state: ContactState::Pending {
                code: code.clone(),
                told_at_ms: now_ms,
                expires_at_ms,
            },
        });
        let channel = &contact.channel;
        let text = format!(
            "This agent does not know you yet. Your pairing code is `{code}` (your id: {}).\n\n\
             Whoever owns it lets you in with:\n`clawdia pairing approve {channel} {code}`",
            contact.id
        );
        let mut records = vec![Record::ContactPut(contact.clone())];
        records.extend(self.taken_record(slot, update.id));
        records.extend(self.letters(&receiver, &Letter::text(&text)));
        let update = update.clone();
        self.commit(vec![Key::Contacts], records, move |gateway, _, result| {
            if result.is_ok() {
                let event = "channel.pair.requested";
                gateway.broadcast(event, Weight::Must, None, |_, w| write_contact(w, &contact));
            }
            gateway.on_taken(slot, update, &result);
        });
        Ok(Taken::Soon)
    }

    fn has_place_for_stranger(&self, account: &ChannelAccount) -> bool {
        let contacts = self.state.contacts();
        let now_ms = self.now.unix_ms;
        let waits = |it: &&Arc<Contact>| {
            *it.channel == *account.channel
                && *it.account_id == *account.id
                && matches!(it.state, ContactState::Pending { expires_at_ms, .. } if expires_at_ms > now_ms)
        };
        contacts.len() < CONTACTS_MAX
            && contacts.values().filter(waits).count() < CONTACTS_PENDING_MAX
    }

    fn contact_code(&mut self) -> Text {
        let mut bytes = [0; CODE_LEN];
        self.entropy.fill(&mut bytes);
        let signs = bytes.map(|byte| char::from(SIGNS[usize::from(byte) % SIGNS.len()]));
        signs.iter().collect::<String>().into()
    }

    /// People of a channel who wait or were let in; of all channels where none is named.
    pub(in crate::gateway) fn contacts_of(&self, channel: Option<&str>) -> Vec<Arc<Contact>> {
        let now_ms = self.now.unix_ms;
        let shown = |it: &&Arc<Contact>| {
            let is_over = matches!(it.state, ContactState::Pending { expires_at_ms, .. } if expires_at_ms <= now_ms);
            channel.is_none_or(|channel| *it.channel == *channel) && !is_over
        };
        self.state
            .contacts()
            .values()
            .filter(shown)
            .cloned()
            .collect()
    }

    /// Lets the person with this code in and tells them so; `then` runs when that is stored.
    ///
    /// # Errors
    ///
    /// Nobody waits with this code, or contacts are being written.
    pub(in crate::gateway) fn approve_contact(
        &mut self,
        channel: &str,
        code: &str,
        then: impl FnOnce(&mut Gateway, Result<Arc<Contact>, String>) + Send + 'static,
    ) -> Result<(), Stop> {
        if self.commits.is_reserved(&Key::Contacts) {
            return Err(Stop::Busy);
        }
        let waiting = self.contacts_of(Some(channel));
        let found = waiting.iter().find(
            |it| matches!(&it.state, ContactState::Pending { code: own, .. } if own.eq_ignore_ascii_case(code.trim())),
        );
        let Some(contact) = found else {
            return Err(Refusal::invalid(format!(
                "nobody waits on {channel} with this code; codes last an hour (run: clawdia pairing list)"
            ))
            .into());
        };
        let contact = Arc::new(Contact {
            state: ContactState::Approved {
                at_ms: self.now.unix_ms,
            },
            ..Contact::clone(contact)
        });
        let receiver = Receiver {
            channel: contact.channel.clone(),
            account_id: contact.account_id.clone(),
            chat: contact.chat.clone(),
            thread: None,
            reply_to: None,
        };
        let mut records = vec![Record::ContactPut(contact.clone())];
        let text = "You are let in: whatever you write from now on goes to the agent.";
        records.extend(self.letters(&receiver, &Letter::text(text)));
        self.commit(vec![Key::Contacts], records, move |gateway, _, result| {
            if result.is_ok() {
                gateway.tell_contact_resolved(&contact, true);
                gateway.offer_outgoing();
            }
            then(gateway, result.map(|()| contact));
        });
        Ok(())
    }

    /// Lets a person in no more, or takes a code away.
    ///
    /// # Errors
    ///
    /// There is no such person, or contacts are being written.
    pub(in crate::gateway) fn remove_contact(
        &mut self,
        channel: &str,
        id: &str,
        then: impl FnOnce(&mut Gateway, Result<Arc<Contact>, String>) + Send + 'static,
    ) -> Result<(), Stop> {
        if self.commits.is_reserved(&Key::Contacts) {
            return Err(Stop::Busy);
        }
        let all = self.contacts_of(Some(channel));
        let Some(contact) = all.into_iter().find(|it| *it.id == *id) else {
            let text = format!("{id} was not let in on {channel} (run: clawdia pairing list)");
            return Err(Refusal::invalid(text).into());
        };
        let records = vec![Record::ContactRemove { key: contact.key() }];
        self.commit(vec![Key::Contacts], records, move |gateway, _, result| {
            if result.is_ok() {
                gateway.tell_contact_resolved(&contact, false);
            }
            then(gateway, result.map(|()| contact));
        });
        Ok(())
    }

    fn tell_contact_resolved(&mut self, contact: &Contact, is_approved: bool) {
        self.broadcast("channel.pair.resolved", Weight::Must, None, |gateway, w| {
            w.object(|w| {
                w.field_str("channel", &contact.channel);
                w.field_str("accountId", &contact.account_id);
                w.field_str("id", &contact.id);
                let decision = if is_approved { "approved" } else { "removed" };
                w.field_str("decision", decision);
                w.field_u64("ts", gateway.now.unix_ms);
            });
        });
    }

    /// Forgets codes whose time is over.
    pub(super) fn forget_contacts(&mut self) {
        if self.commits.is_reserved(&Key::Contacts) {
            return;
        }
        let now_ms = self.now.unix_ms;
        let contacts = self.state.contacts().values();
        let over = contacts.filter(
            |it| matches!(it.state, ContactState::Pending { expires_at_ms, .. } if expires_at_ms <= now_ms),
        );
        let records: Vec<Record> = over
            .map(|it| Record::ContactRemove { key: it.key() })
            .collect();
        if !records.is_empty() {
            // A failure is no loss: the next look tries again.
            self.commit(vec![Key::Contacts], records, |_, _, _| {});
        }
    }
}

fn key_of(account: &ChannelAccount, id: &str) -> ContactKey {
    (
        account.channel.as_str().into(),
        account.id.as_str().into(),
        id.into(),
    )
}

/// Writes a person as lists and events show them.
pub(in crate::gateway) fn write_contact(w: &mut Writer<'_>, contact: &Contact) {
    w.object(|w| {
        w.field_str("channel", &contact.channel);
        w.field_str("accountId", &contact.account_id);
        w.field_str("id", &contact.id);
        w.field_opt_str("username", contact.username.as_deref());
        w.field_str("name", &contact.name);
        w.field_u64("askedAtMs", contact.asked_at_ms);
        match &contact.state {
            ContactState::Pending {
                code,
                expires_at_ms,
                ..
            } => {
                w.field_str("code", code);
                w.field_u64("expiresAtMs", *expires_at_ms);
            }
            ContactState::Approved { at_ms } => w.field_u64("approvedAtMs", *at_ms),
        }
    });
}
