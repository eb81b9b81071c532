//! What channels let in.

use super::{Finding, Severity, finding};
use crate::config::{ChannelAccount, Config, DmPolicy, GroupPolicy};

/// Who may speak to the agent from outside.
pub fn look(config: &Config, found: &mut Vec<Finding>) {
    for name in config.channels.enabled() {
        for account in config.channels.accounts(name).into_iter().flatten() {
            if account.is_on() {
                channel(&account, found);
            }
        }
    }
}

fn channel(account: &ChannelAccount, found: &mut Vec<Finding>) {
    let path = account.place();
    let anybody = |list: &[String]| list.iter().any(|it| it.trim() == "*");
    if account.dm_policy == DmPolicy::Open && anybody(&account.allow_from) {
        found.push(finding(
            "channels.dm.open",
            Severity::Critical,
            format!("{path}.dmPolicy is \"open\": everybody who finds the bot commands the agent"),
            format!("clawdia config set {path}.dmPolicy pairing"),
        ));
    }
    if account.group_policy == GroupPolicy::Disabled {
        return;
    }
    let listed = account
        .group_allow_from
        .as_deref()
        .unwrap_or(&account.allow_from);
    let is_open = account.group_policy == GroupPolicy::Open || anybody(listed);
    if is_open {
        found.push(finding(
            "channels.groups.open",
            Severity::Warning,
            format!("{path}: every member of a group that the bot is in commands the agent"),
            format!("clawdia config set {path}.groupPolicy allowlist"),
        ));
    }
    for (group, rule) in &account.groups {
        if rule.enabled == Some(false) || rule.require_mention != Some(false) {
            continue;
        }
        let listed = rule.allow_from.as_deref().unwrap_or(listed);
        let is_open = account.group_policy == GroupPolicy::Open || anybody(listed);
        found.push(finding(
            "channels.groups.unmentioned",
            if is_open {
                Severity::Critical
            } else {
                Severity::Warning
            },
            format!("{path}.groups: in {group} the agent hears what is not said to it"),
            format!("clawdia config set '{path}.groups[\"{group}\"].requireMention' true"),
        ));
    }
}
