//! Tokens of channels that stand in files or in the environment, and not in the configuration.

use crate::channels::KINDS;
use crate::config::paths::expand_home;
use crate::config::types::ChannelsConfig;
use crate::limits::SECRET_FILE_BYTES_MAX;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The variable that holds the token of a channel whose entry names none.
const VARIABLES: &[(&str, &str)] = &[("telegram", "TELEGRAM_BOT_TOKEN")];

/// Puts each token where the configuration would have it. What cannot be read is left out; see
/// [`missing`].
pub fn fill(channels: &mut ChannelsConfig, state_dir: &Path) {
    for (name, entry) in &mut channels.0 {
        let Some(entry) = entry.as_object_mut() else {
            continue;
        };
        from_file(entry, state_dir);
        let accounts = entry.get_mut("accounts").and_then(Value::as_object_mut);
        let has_accounts = accounts.as_ref().is_some_and(|it| !it.is_empty());
        for (_, account) in accounts.into_iter().flatten() {
            if let Some(account) = account.as_object_mut() {
                from_file(account, state_dir);
            }
        }
        let is_bare = !entry.contains_key("botToken") && !entry.contains_key("tokenFile");
        let variable = VARIABLES.iter().find(|(channel, _)| channel == name);
        let token = variable.and_then(|(_, variable)| std::env::var(variable).ok());
        if let Some(token) = token.filter(|token| is_bare && !has_accounts && !token.is_empty()) {
            entry.insert("botToken".to_owned(), Value::String(token));
        }
    }
}

fn from_file(entry: &mut Map<String, Value>, state_dir: &Path) {
    if entry.contains_key("botToken") {
        return;
    }
    let Some(file) = entry.get("tokenFile").and_then(Value::as_str) else {
        return;
    };
    let home = std::env::home_dir();
    let path = state_dir.join(expand_home(file, home.as_deref()));
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        let mut file = file.take(SECRET_FILE_BYTES_MAX);
        file.read_to_string(&mut text)
    });
    if read.is_ok() && !text.trim().is_empty() {
        let token = Value::String(text.trim().to_owned());
        entry.insert("botToken".to_owned(), token);
    }
}

/// Accounts that are switched on and have no token, for people.
pub fn missing(channels: &ChannelsConfig) -> Vec<String> {
    let all = KINDS.iter().flat_map(|kind| channels.accounts(kind.name));
    let without = all
        .flatten()
        .filter(|it| it.enabled != Some(false) && it.bot_token.is_none());
    without
        .map(|it| {
            format!(
                "channels.{} ({}) has no token and does not run: set botToken, or a tokenFile that can be read",
                it.channel, it.id
            )
        })
        .collect()
}

/// Every token, for the log to mask.
pub fn all(channels: &ChannelsConfig) -> Vec<String> {
    let all = KINDS.iter().flat_map(|kind| channels.accounts(kind.name));
    let tokens = all.flatten().filter_map(|it| it.bot_token);
    tokens.map(|token| token.expose().to_owned()).collect()
}
