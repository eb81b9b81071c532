//! People who wrote to an account of a channel: let in, or waiting for that.

use super::{Text, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names a person at an account: channel, account and the service's id of the person.
pub type ContactKey = (Text, Text, Text);

/// Whether somebody may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ContactState {
    /// Waits for somebody who knows the code.
    Pending {
        code: Text,
        told_at_ms: UnixMs,
        expires_at_ms: UnixMs,
    },
    Approved {
        at_ms: UnixMs,
    },
}

/// One person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    pub channel: Text,
    pub account_id: Text,
    /// Never changes and is nobody else's.
    pub id: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Text>,
    pub name: Text,
    /// Where to answer.
    pub chat: Text,
    pub asked_at_ms: UnixMs,
    pub state: ContactState,
}

impl Contact {
    /// What names it.
    pub fn key(&self) -> ContactKey {
        (
            self.channel.clone(),
            self.account_id.clone(),
            self.id.clone(),
        )
    }
}

/// People by what names them.
pub type ContactTable = BTreeMap<ContactKey, Arc<Contact>>;
