//! Who may speak, as a pure rule of an account's settings and a message.

use crate::channels::{Incoming, Sender};
use crate::config::types::{ChannelAccount, DmPolicy, GroupPolicy, GroupRule};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the agent. `is_trusted` where the sender is named, and not just anybody.
    Hear { is_trusted: bool },
    /// Its sender gets a code to be let in with.
    Stranger,
    /// It is passed over.
    Ignore,
}

/// `is_paired`: somebody let the sender in.
pub fn judge(account: &ChannelAccount, message: &Incoming, is_paired: bool) -> Verdict {
    match message.chat.is_group {
        true => in_group(account, message),
        false => alone(account, &message.sender, is_paired),
    }
}

fn alone(account: &ChannelAccount, sender: &Sender, is_paired: bool) -> Verdict {
    let named = is_named(&account.allow_from, sender);
    let anybody = account.allow_from.iter().any(|it| it.trim() == "*");
    match account.dm_policy {
        DmPolicy::Disabled => Verdict::Ignore,
        _ if named => Verdict::Hear { is_trusted: true },
        DmPolicy::Open if anybody => Verdict::Hear { is_trusted: false },
        DmPolicy::Pairing if is_paired => Verdict::Hear { is_trusted: true },
        DmPolicy::Pairing => Verdict::Stranger,
        DmPolicy::Open | DmPolicy::Allowlist => Verdict::Ignore,
    }
}

/// Who was paired may write alone, and is nobody special in a group.
fn in_group(account: &ChannelAccount, message: &Incoming) -> Verdict {
    let rule = match rule_of(account, &message.chat.place.chat) {
        Ok(rule) => rule,
        Err(()) => return Verdict::Ignore,
    };
    let must_name_us = rule.and_then(|rule| rule.require_mention).unwrap_or(true);
    if must_name_us && !message.is_for_us {
        return Verdict::Ignore;
    }
    let list = rule
        .and_then(|rule| rule.allow_from.as_ref())
        .or(account.group_allow_from.as_ref())
        .unwrap_or(&account.allow_from);
    let is_trusted = is_named(list, &message.sender);
    let anybody = list.iter().any(|it| it.trim() == "*");
    match account.group_policy {
        GroupPolicy::Disabled => Verdict::Ignore,
        _ if is_trusted || anybody => Verdict::Hear { is_trusted },
        GroupPolicy::Open => Verdict::Hear { is_trusted },
        GroupPolicy::Allowlist => Verdict::Ignore,
    }
}

/// What the configuration says of a group; an error where it is not to be answered at all.
fn rule_of<'a>(account: &'a ChannelAccount, chat: &str) -> Result<Option<&'a GroupRule>, ()> {
    if account.groups.is_empty() {
        return Ok(None);
    }
    let rule = account.groups.get(chat).or(account.groups.get("*"));
    match rule {
        Some(rule) if rule.enabled != Some(false) => Ok(Some(rule)),
        _ => Err(()),
    }
}

/// Whether a list names the sender: by id, or by a name that starts with `@` or has a letter.
fn is_named(list: &[String], sender: &Sender) -> bool {
    list.iter().any(|entry| {
        let entry = entry.trim();
        let entry = ["telegram:", "tg:"]
            .iter()
            .find_map(|prefix| entry.strip_prefix(prefix))
            .unwrap_or(entry);
        let name = entry.strip_prefix('@').unwrap_or(entry);
        entry == &*sender.id
            || sender
                .username
                .as_deref()
                .is_some_and(|username| !name.is_empty() && name.eq_ignore_ascii_case(username))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::{Chat, Place};
    use serde_json::{Value, json};

    fn account(settings: Value) -> ChannelAccount {
        serde_json::from_value(settings).unwrap()
    }

    fn message(sender: &str, group: Option<&str>, is_for_us: bool) -> Incoming {
        Incoming {
            chat: Chat {
                place: Place {
                    chat: group.unwrap_or(sender).into(),
                    thread: None,
                },
                is_group: group.is_some(),
                title: None,
            },
            sender: Sender {
                id: sender.into(),
                username: Some(format!("User{sender}").into()),
                name: "U".into(),
            },
            message_id: "1".into(),
            text: "hi".into(),
            unix_ms: 0,
            is_for_us,
            quote: None,
            files: Vec::new(),
        }
    }

    const TRUSTED: Verdict = Verdict::Hear { is_trusted: true };
    const ANYBODY: Verdict = Verdict::Hear { is_trusted: false };

    #[test]
    fn who_may_write_alone() {
        for (settings, sender, paired, expected) in [
            (json!({}), "1", false, Verdict::Stranger),
            (json!({}), "1", true, TRUSTED),
            (json!({"allowFrom": ["1"]}), "1", false, TRUSTED),
            (json!({"allowFrom": ["@uSER1"]}), "1", false, TRUSTED),
            (json!({"allowFrom": ["telegram:1"]}), "1", false, TRUSTED),
            (json!({"allowFrom": ["*"]}), "1", false, Verdict::Stranger),
            (
                json!({"dmPolicy": "allowlist", "allowFrom": ["1"]}),
                "2",
                true,
                Verdict::Ignore,
            ),
            (
                json!({"dmPolicy": "allowlist", "allowFrom": ["*"]}),
                "2",
                false,
                Verdict::Ignore,
            ),
            (json!({"dmPolicy": "open"}), "2", false, Verdict::Ignore),
            (
                json!({"dmPolicy": "open", "allowFrom": ["*"]}),
                "2",
                false,
                ANYBODY,
            ),
            (
                json!({"dmPolicy": "disabled", "allowFrom": ["1"]}),
                "1",
                true,
                Verdict::Ignore,
            ),
            (
                json!({"allowFrom": ["", "@", "11"]}),
                "1",
                false,
                Verdict::Stranger,
            ),
        ] {
            let verdict = judge(
                &account(settings.clone()),
                &message(sender, None, false),
                paired,
            );
            assert_eq!(verdict, expected, "{settings} {sender} {paired}");
        }
    }

    #[test]
    fn who_is_answered_in_a_group() {
        let group = Some("-5");
        for (settings, sender, for_us, expected) in [
            (json!({}), "1", true, Verdict::Ignore),
            (json!({"allowFrom": ["1"]}), "1", true, TRUSTED),
            (json!({"allowFrom": ["1"]}), "1", false, Verdict::Ignore),
            (
                json!({"allowFrom": ["1"], "groupAllowFrom": ["2"]}),
                "1",
                true,
                Verdict::Ignore,
            ),
            (json!({"groupPolicy": "open"}), "3", true, ANYBODY),
            (json!({"groupPolicy": "open"}), "3", false, Verdict::Ignore),
            (
                json!({"groupPolicy": "open", "groups": {"-5": {"requireMention": false}}}),
                "3",
                false,
                ANYBODY,
            ),
            (
                json!({"groupPolicy": "open", "groups": {"-6": {}}}),
                "3",
                true,
                Verdict::Ignore,
            ),
            (
                json!({"groupPolicy": "open", "groups": {"*": {}}}),
                "3",
                true,
                ANYBODY,
            ),
            (
                json!({"groupPolicy": "open", "groups": {"-5": {"enabled": false}, "*": {}}}),
                "3",
                true,
                Verdict::Ignore,
            ),
            (
                json!({"groups": {"-5": {"allowFrom": ["3"]}}}),
                "3",
                true,
                TRUSTED,
            ),
            (
                json!({"groupPolicy": "disabled", "allowFrom": ["1"]}),
                "1",
                true,
                Verdict::Ignore,
            ),
        ] {
            // Who was paired alone has no more rights in a group.
            for paired in [false, true] {
                let verdict = judge(
                    &account(settings.clone()),
                    &message(sender, group, for_us),
                    paired,
                );
                assert_eq!(verdict, expected, "{settings} {sender} {for_us}");
            }
        }
    }
}
