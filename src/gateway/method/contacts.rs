//! `channels.pairing.*`: people who wrote to a channel and wait to be let in.

use crate::channels;
use crate::gateway::channels::write_contact;
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::state::{Contact, ContactState};
use std::sync::Arc;

/// `channels.pairing.list`: those who wait, and those who were let in.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let channel = params.text("channel").map(known).transpose()?;
    let contacts = gateway.contacts_of(channel.as_deref());
    let is_pending = |it: &&Arc<Contact>| matches!(it.state, ContactState::Pending { .. });
    gateway.reply(call, |_, w| {
        w.object(|w| {
            w.key("pending");
            w.array(|w| {
                for contact in contacts.iter().filter(is_pending) {
                    write_contact(w, contact);
                }
            });
            w.key("approved");
            w.array(|w| {
                for contact in contacts.iter().filter(|it| !is_pending(it)) {
                    write_contact(w, contact);
                }
            });
        });
    });
    Ok(Outcome::Done)
}

/// `channels.pairing.approve`: lets the person with this code in.
pub fn approve(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let channel = known(params.required_text("channel"))?;
    let kept = call.keep();
    let code = params.required_text("code");
    gateway.approve_contact(&channel, code, move |gateway, result| {
        answer(gateway, &kept, result)
    })?;
    Ok(Outcome::Later)
}

/// `channels.pairing.remove`: takes a code or the right to write away.
pub fn remove(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let channel = known(params.required_text("channel"))?;
    let kept = call.keep();
    let id = params.required_text("id");
    gateway.remove_contact(&channel, id, move |gateway, result| {
        answer(gateway, &kept, result)
    })?;
    Ok(Outcome::Later)
}

fn answer(gateway: &mut Gateway, call: &KeptCall, result: Result<Arc<Contact>, String>) {
    match result {
        Ok(contact) => gateway.reply_kept(call, |_, w| write_contact(w, &contact)),
        Err(fault) => gateway.refuse_kept(call, &Refusal::not_stored(&fault)),
    }
}

/// The name of a channel that this program serves.
fn known(channel: &str) -> Result<String, Refusal> {
    let name = channel.trim().to_lowercase();
    match channels::find(&name) {
        Some(_) => Ok(name),
        None => {
            let names: Vec<&str> = channels::KINDS.iter().map(|kind| kind.name).collect();
            let text = format!(
                "there is no channel {name:?}; there are: {}",
                names.join(", ")
            );
            Err(Refusal::invalid(text))
        }
    }
}
