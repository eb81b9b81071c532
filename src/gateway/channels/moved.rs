//! Chats whose id changed: Telegram's groups that become supergroups.
//!
//! A chat is known by its first id for ever: its session, its rows of the outbox, what the configuration says
//! of it. Two settings lead from each later id to the first, and from any to the one that is in use.

use crate::channels::{Incoming, Update};
use crate::config::types::ChannelAccount;
use crate::gateway::Gateway;
use crate::limits::CHATS_MOVED_MAX;
use crate::log::{Level, LogLine};
use crate::state::{Record, Text};

fn first_key(channel: &str, chat: &str) -> String {
    format!("channels.{channel}.first.{chat}")
}

fn now_key(channel: &str, chat: &str) -> String {
    format!("channels.{channel}.now.{chat}")
}

impl Gateway {
    /// The id by which a chat is known.
    fn first_id(&self, channel: &str, chat: &str) -> Text {
        let known = self.state.setting(&first_key(channel, chat));
        known.cloned().unwrap_or_else(|| chat.into())
    }

    /// The id under which it is reached.
    pub(super) fn id_in_use(&self, channel: &str, chat: &str) -> Text {
        let moved = self.state.setting(&now_key(channel, chat));
        moved.cloned().unwrap_or_else(|| chat.into())
    }

    /// The message as of the chat's first id; unless the configuration itself names the later one.
    pub(super) fn at_first_id(&self, account: &ChannelAccount, message: &Incoming) -> Incoming {
        let mut message = message.clone();
        let chat = &mut message.chat.place.chat;
        if !account.groups.contains_key(&**chat) {
            *chat = self.first_id(&account.channel, chat);
        }
        message
    }

    /// What is to be stored where a chat got another id.
    pub(super) fn moved_records(&mut self, channel: &str, from: &str, to: &str) -> Vec<Record> {
        let first = self.first_id(channel, from);
        // A chat that comes back to its first id is no chat of a later one.
        if *first == *to {
            return Vec::new();
        }
        let prefix: Text = first_key(channel, "").into();
        let moved = self.state.settings().range(prefix.clone()..);
        let moved = moved.take_while(|(key, _)| key.starts_with(&*prefix));
        if moved.count() >= CHATS_MOVED_MAX {
            let text = "a chat has another id, and as many are remembered as may";
            self.log(Level::Error, "channels", text);
            return Vec::new();
        }
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Info,
            "channels",
            "a chat has another id",
        );
        self.log_with(
            line.with("channel", channel)
                .with("from", from)
                .with("to", to),
        );
        let put = |key: String, value: &str| Record::SettingPut {
            key: key.into(),
            value: value.into(),
        };
        let mut records = vec![
            put(first_key(channel, to), &first),
            put(now_key(channel, &first), to),
        ];
        if *first != *from {
            records.push(put(now_key(channel, from), to));
        }
        records
    }

    /// Takes an update that tells of such a chat.
    pub(super) fn take_moved(&mut self, slot: u64, update: &Update) -> bool {
        let (Some((from, to)), Some(link)) = (&update.moved, self.channels.links.get(&slot)) else {
            return false;
        };
        let channel = link.account.channel.clone();
        let mut records = self.moved_records(&channel, from, to);
        records.extend(self.taken_record(slot, update.id));
        let update = update.clone();
        self.commit(Vec::new(), records, move |gateway, _, result| {
            gateway.on_taken(slot, update, &result);
        });
        true
    }
}
