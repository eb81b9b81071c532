//! The `channels` section: an open map, one entry a channel, and its accounts as they are meant.

use crate::config::Secret;
use crate::config::ecosystem::channel_names;
use crate::config::suggest::nearest;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The account that stands in a channel's entry itself.
pub const DEFAULT_ACCOUNT: &str = "default";

/// The two names of how an answer is shown while it is being written.
const STREAMING: [&str; 2] = ["streamMode", "streaming"];

/// The path of webhooks on the gateway's own port.
const WEBHOOK_PATH: &str = "/telegram-webhook";

/// Channels by name, references resolved, otherwise as in the file. Each channel reads its own entry.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ChannelsConfig(pub Map<String, Value>);

impl ChannelsConfig {
    /// The entry of a channel.
    pub fn get(&self, channel: &str) -> Option<&Map<String, Value>> {
        self.0.get(channel).and_then(Value::as_object)
    }

    /// Entries that no channel has, and the name that each was probably meant to be.
    pub fn misspelt(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let keys = self.0.keys().map(String::as_str);
        let keys = keys.filter(|key| !channel_names().any(|name| name == *key));
        keys.filter_map(|key| Some((key, nearest(key, channel_names())?)))
    }

    /// The channels that have an entry and are not switched off.
    pub fn enabled(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, entry)| entry.get("enabled") != Some(&Value::Bool(false)))
            .map(|(name, _)| name.as_str())
            .filter(|name| channel_names().any(|known| known == *name))
    }

    /// The accounts of a channel, in the order of their ids. What an account does not say, the
    /// channel's entry says for it. One that cannot be read is told as such, in its place.
    pub fn accounts(&self, channel: &str) -> Vec<Result<ChannelAccount, String>> {
        let Some(entry) = self.get(channel) else {
            return Vec::new();
        };
        let mut base = entry.clone();
        let listed = match base.remove("accounts") {
            Some(Value::Object(accounts)) => accounts,
            _ => Map::new(),
        };
        let own_token = base.contains_key("botToken") || base.contains_key("tokenFile");
        let mut merged: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        if own_token || listed.is_empty() {
            merged.insert(DEFAULT_ACCOUNT.to_owned(), base.clone());
        }
        for (id, account) in listed {
            // A token is one account's alone.
            let mut whole = base.clone();
            whole.remove("botToken");
            whole.remove("tokenFile");
            let own = account.as_object().cloned().unwrap_or_default();
            if STREAMING.iter().any(|key| own.contains_key(*key)) {
                STREAMING.iter().for_each(|key| drop(whole.remove(*key)));
            }
            whole.extend(own);
            merged.insert(id, whole);
        }
        let read = |(id, whole): (String, Map<String, Value>)| {
            let account: Result<ChannelAccount, _> = serde_json::from_value(Value::Object(whole));
            let account = account.map_err(|fault| format!("channels.{channel} ({id}): {fault}"))?;
            Ok(ChannelAccount {
                channel: channel.to_owned(),
                id,
                ..account
            })
        };
        merged.into_iter().map(read).collect()
    }
}

/// Names only: the entries hold bot tokens.
impl std::fmt::Debug for ChannelsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// One account of a channel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChannelAccount {
    #[serde(skip)]
    pub channel: String,
    #[serde(skip)]
    pub id: String,
    pub enabled: Option<bool>,
    /// For people.
    pub name: Option<String>,
    pub bot_token: Option<Secret>,
    pub dm_policy: DmPolicy,
    /// Ids or names of people; `*` is everybody.
    pub allow_from: Vec<String>,
    pub group_policy: GroupPolicy,
    /// Who may speak in groups; `allow_from` where there is none.
    pub group_allow_from: Option<Vec<String>>,
    /// Groups by id; where there are some, others are not answered. `*` is any group.
    pub groups: BTreeMap<String, GroupRule>,
    /// Where the service's interface is, for a server of one's own.
    pub api_root: Option<String>,
    /// Where the service brings updates to, from outside; without it they are asked for.
    pub webhook_url: Option<String>,
    pub webhook_secret: Option<Secret>,
    /// The same from inside: the path on the gateway's own port.
    pub webhook_path: Option<String>,
    /// The longest file that is loaded, in millions of bytes.
    pub media_max_mb: Option<u64>,
    /// How an answer is shown while it is being written.
    pub stream_mode: Option<StreamMode>,
    /// The same, as newer programs write it: a word, true or false, or `{mode}`.
    pub streaming: Option<Value>,
    /// Sends again what may have been sent already.
    pub resend_unknown: bool,
}

impl ChannelAccount {
    /// Whether it is to run.
    pub fn is_on(&self) -> bool {
        self.enabled != Some(false) && self.bot_token.is_some()
    }

    /// Where its settings stand: `channels.telegram`, or the account's object below it.
    pub fn place(&self) -> String {
        match self.id.as_str() {
            DEFAULT_ACCOUNT => format!("channels.{}", self.channel),
            id => format!("channels.{}.accounts.{id}", self.channel),
        }
    }

    /// How an answer is shown while it is being written.
    ///
    /// # Errors
    ///
    /// What is wrong with `streaming`.
    pub fn drafts(&self) -> Result<StreamMode, String> {
        let Some(streaming) = &self.streaming else {
            return Ok(self.stream_mode.unwrap_or_default());
        };
        let mode = match streaming {
            Value::Object(parts) => parts.get("mode").unwrap_or(&Value::Bool(true)),
            other => other,
        };
        let read = match (mode, mode.as_str()) {
            (Value::Bool(false), _) | (_, Some("off")) => StreamMode::Off,
            (_, Some("block")) => StreamMode::Block,
            // The work of tools is not shown in a draft, so progress is that of the answer.
            (Value::Bool(true), _) | (_, Some("partial" | "progress")) => StreamMode::Partial,
            _ => return Err(format!("is {mode}")),
        };
        match self.stream_mode {
            Some(other) if other != read => {
                Err(format!("is {mode}, and streamMode says otherwise"))
            }
            _ => Ok(read),
        }
    }

    /// How updates are brought; None where they are asked for.
    pub fn webhook(&self) -> Option<Webhook<'_>> {
        Some(Webhook {
            url: self.webhook_url.as_deref()?,
            secret: self.webhook_secret.as_ref()?,
            path: self.webhook_path.as_deref().unwrap_or(WEBHOOK_PATH),
        })
    }
}

/// How a service brings updates.
#[derive(Clone, Copy, Debug)]
pub struct Webhook<'a> {
    pub url: &'a str,
    pub secret: &'a Secret,
    pub path: &'a str,
}

/// How an answer is shown while it is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamMode {
    /// It comes when it is whole.
    Off,
    /// As far as it has come.
    #[default]
    Partial,
    /// Paragraph by paragraph.
    Block,
}

/// Who may write to the agent directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DmPolicy {
    /// Those that are allowed or were paired; others get a code.
    #[default]
    Pairing,
    /// Those that are allowed.
    Allowlist,
    /// Everybody, where `allowFrom` says `*`.
    Open,
    Disabled,
}

/// In which groups the agent answers whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupPolicy {
    /// Everybody in them.
    Open,
    /// Those that are allowed.
    #[default]
    Allowlist,
    Disabled,
}

/// What holds in one group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRule {
    pub enabled: Option<bool>,
    /// Whether only what names the bot is answered.
    pub require_mention: Option<bool>,
    /// In place of the account's.
    pub allow_from: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accounts(entry: Value) -> Vec<ChannelAccount> {
        let channels: ChannelsConfig =
            serde_json::from_value(json!({ "telegram": entry })).unwrap();
        let read = channels.accounts("telegram").into_iter();
        read.map(Result::unwrap).collect()
    }

    #[test]
    fn an_account_inherits_everything_but_the_token() {
        let entry = json!({"botToken": "1:a", "dmPolicy": "open", "allowFrom": ["*"],
            "accounts": {"work": {"botToken": "2:b", "dmPolicy": "allowlist"}, "old": {}}});
        let read = accounts(entry);
        let ids: Vec<&str> = read.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["default", "old", "work"]);
        assert_eq!(read[0].bot_token, Some(Secret::new("1:a")));
        assert!(!read[1].is_on(), "no token, no account");
        assert_eq!(read[2].dm_policy, DmPolicy::Allowlist);
        assert_eq!(read[2].allow_from, ["*"]);
        assert_eq!(read[2].bot_token, Some(Secret::new("2:b")));
    }

    #[test]
    fn a_key_that_is_no_channel_counts_as_none_and_its_channel_is_found() {
        let section = json!({"telegran": {"botToken": "1:a"}, "discord": {}, "defaults": {},
            "zebra": {}, "telegram": {"enabled": false}});
        let channels: ChannelsConfig = serde_json::from_value(section).unwrap();
        assert_eq!(channels.enabled().collect::<Vec<_>>(), ["discord"]);
        let misspelt: Vec<_> = channels.misspelt().collect();
        assert_eq!(misspelt, [("telegran", "telegram")]);
    }

    #[test]
    fn drafts_have_two_names_and_an_account_says_either() {
        use StreamMode::{Block, Off, Partial};
        for (entry, mode) in [
            (json!({}), Ok(Partial)),
            (json!({"streamMode": "block"}), Ok(Block)),
            (json!({"streaming": "off"}), Ok(Off)),
            (json!({"streaming": false}), Ok(Off)),
            (json!({"streaming": "progress"}), Ok(Partial)),
            (
                json!({"streaming": {"mode": "block", "preview": {}}}),
                Ok(Block),
            ),
            (json!({"streaming": {"preview": {}}}), Ok(Partial)),
            (
                json!({"streaming": "block", "streamMode": "block"}),
                Ok(Block),
            ),
            (json!({"streaming": "often"}), Err("often")),
            (
                json!({"streaming": "off", "streamMode": "block"}),
                Err("streamMode"),
            ),
        ] {
            let read = accounts(entry.clone())[0].drafts();
            match mode {
                Ok(mode) => assert_eq!(read, Ok(mode), "{entry}"),
                Err(word) => assert!(read.unwrap_err().contains(word), "{entry}"),
            }
        }
        let read =
            accounts(json!({"streaming": "off", "accounts": {"work": {"streamMode": "block"}}}));
        assert_eq!(read[0].drafts(), Ok(Block));
    }

    #[test]
    fn without_accounts_the_entry_itself_is_one_and_strangers_need_a_code() {
        let read = accounts(json!({"botToken": "1:a"}));
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].id, DEFAULT_ACCOUNT);
        assert_eq!(read[0].dm_policy, DmPolicy::Pairing);
        assert_eq!(read[0].group_policy, GroupPolicy::Allowlist);
        assert!(!format!("{:?}", read[0]).contains("1:a"));
    }
}
