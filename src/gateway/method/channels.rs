//! `channels.status`, `channels.logout`, and what `health` and `status` say about channels.
//!
//! A channel that is configured is shown with what the configuration says of it; one that this
//! program serves also with how its accounts are.

use crate::channels;
use crate::config::types::{ChannelAccount, DEFAULT_ACCOUNT};
use crate::gateway::channels::Link;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::CHANNEL_CALL_MS;
use crate::now::Now;
use crate::state::{Outgoing, OutgoingState};
use crate::wire::json::Writer;
use std::sync::Arc;

/// Messages whose fate is told one by one.
const SHOWN_MAX: usize = 20;
/// Characters of their texts.
const SHOWN_CHARS_MAX: usize = 80;

/// Names of channels for people.
const LABELS: &[(&str, &str)] = &[
    ("telegram", "Telegram"),
    ("whatsapp", "WhatsApp"),
    ("discord", "Discord"),
    ("slack", "Slack"),
    ("signal", "Signal"),
    ("imessage", "iMessage"),
];

/// `channels.status`: with `probe` every account is asked who it is first.
pub fn status(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    if params.bool("probe") == Some(true) {
        let timeout_ms = params.u64("timeoutMs").unwrap_or(CHANNEL_CALL_MS);
        gateway.probe_channels(call.keep(), timeout_ms.clamp(1, CHANNEL_CALL_MS));
        return Ok(Outcome::Later);
    }
    gateway.reply(call, |gateway, w| gateway.write_channels(w));
    Ok(Outcome::Done)
}

/// `channels.logout`: the account is used no more until the next start or reload. A bot token lives
/// in the configuration, which only its owner changes.
pub fn logout(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let channel = params.required_text("channel").trim().to_lowercase();
    if channels::find(&channel).is_none() {
        let text = format!("invalid channels.logout channel: {channel}");
        return Err(Refusal::invalid(text).into());
    }
    let account_id = params.text("accountId").unwrap_or(DEFAULT_ACCOUNT);
    let was_on = gateway.log_out_channel(&channel, account_id);
    gateway.reply(call, |_, w| {
        w.object(|w| {
            w.field_str("channel", &channel);
            w.field_str("accountId", account_id);
            w.field_bool("cleared", false);
            w.field_bool("loggedOut", was_on);
        });
    });
    Ok(Outcome::Done)
}

fn label(channel: &str) -> &str {
    LABELS
        .iter()
        .find(|(name, _)| *name == channel)
        .map_or(channel, |(_, label)| label)
}

impl Gateway {
    /// Whether the channel is one of the ecosystem's, or configured here.
    pub(in crate::gateway) fn is_known_channel(&self, channel: &str) -> bool {
        LABELS.iter().any(|(name, _)| *name == channel)
            || self.config().channels.get(channel).is_some()
    }

    /// Whether something can be sent to a channel.
    ///
    /// # Errors
    ///
    /// Names the channel, and what it lacks.
    pub(in crate::gateway) fn check_channel(&self, channel: &str) -> Result<(), Refusal> {
        let text = match channels::find(channel) {
            Some(_) if self.default_account(channel).is_some() => return Ok(()),
            Some(_) => format!(
                "{channel} is not configured (set channels.{channel}.botToken; run: clawdia channels status)"
            ),
            None => {
                let served: Vec<&str> = channels::KINDS.iter().map(|kind| kind.name).collect();
                format!(
                    "channels.{channel}: messages go to {} alone",
                    served.join(", ")
                )
            }
        };
        Err(Refusal::invalid(text))
    }

    /// The same where no channel is named, or the one of the last message: there has to be one.
    ///
    /// # Errors
    ///
    /// As above.
    pub(in crate::gateway) fn check_delivery(&self, channel: Option<&str>) -> Result<(), Refusal> {
        match channel.filter(|it| *it != "last") {
            Some(channel) => self.check_channel(channel),
            None if self.first_channel().is_some() => Ok(()),
            None => self.check_channel(channels::KINDS.first().map_or("", |kind| kind.name)),
        }
    }

    fn is_channel_configured(&self, channel: &str) -> bool {
        self.config().channels.get(channel).is_some_and(|entry| {
            let has_token = |entry: &serde_json::Map<String, serde_json::Value>| {
                ["botToken", "tokenFile", "token"]
                    .iter()
                    .any(|key| entry.get(*key).is_some_and(|value| value.is_string()))
            };
            let accounts = entry.get("accounts").and_then(|it| it.as_object());
            let mut accounts = accounts.into_iter().flatten();
            has_token(entry) || accounts.any(|(_, it)| it.as_object().is_some_and(has_token))
        })
    }

    /// The accounts of a channel that can be read; of one that this program does not serve none.
    fn accounts_of(&self, channel: &str) -> Vec<ChannelAccount> {
        match channels::find(channel) {
            Some(kind) => {
                let accounts = self.config().channels.accounts(kind.name);
                accounts.into_iter().flatten().collect()
            }
            None => Vec::new(),
        }
    }

    fn channel_names(&self) -> Vec<&str> {
        self.config().channels.enabled().collect()
    }

    pub(in crate::gateway) fn write_channels(&self, w: &mut Writer<'_>) {
        let names = self.channel_names();
        w.object(|w| {
            w.field_u64("ts", self.now.unix_ms);
            self.write_order_and_labels(w, &names);
            w.key("channelDetailLabels");
            w.object(|w| names.iter().for_each(|name| w.field_str(name, label(name))));
            w.key("channelSystemImages");
            w.object(|_| {});
            w.key("channelMeta");
            w.array(|w| {
                for name in &names {
                    w.object(|w| {
                        w.field_str("id", name);
                        w.field_str("label", label(name));
                        w.field_str("detailLabel", label(name));
                    });
                }
            });
            w.key("channels");
            w.object(|w| {
                for name in &names {
                    w.key(name);
                    w.object(|w| self.write_channel(w, name));
                }
            });
            w.key("channelAccounts");
            w.object(|w| {
                for name in &names {
                    w.key(name);
                    w.array(|w| self.write_accounts(w, name));
                }
            });
            w.key("channelDefaultAccountId");
            w.object(|w| {
                names
                    .iter()
                    .for_each(|name| w.field_str(name, DEFAULT_ACCOUNT))
            });
        });
    }

    fn write_channel(&self, w: &mut Writer<'_>, name: &str) {
        let configured = self.is_channel_configured(name);
        w.field_bool("configured", configured);
        w.field_str("tokenSource", if configured { "config" } else { "none" });
        let link = self
            .accounts_of(name)
            .first()
            .and_then(|account| self.channels.link(name, &account.id));
        w.field_bool("running", link.is_some());
        if let Some(link) = link {
            w.field_opt_str("lastError", link.problem.as_deref());
        }
    }

    fn write_accounts(&self, w: &mut Writer<'_>, name: &str) {
        let accounts = self.accounts_of(name);
        if accounts.is_empty() {
            return w.object(|w| {
                w.field_str("accountId", DEFAULT_ACCOUNT);
                w.field_bool("enabled", true);
                w.field_bool("configured", self.is_channel_configured(name));
                w.field_bool("running", false);
            });
        }
        for account in accounts {
            w.object(|w| self.write_account(w, &account));
        }
    }

    fn write_account(&self, w: &mut Writer<'_>, account: &ChannelAccount) {
        w.field_str("accountId", &account.id);
        w.field_opt_str("name", account.name.as_deref());
        w.field_bool("enabled", account.enabled != Some(false));
        w.field_bool("configured", account.bot_token.is_some());
        let link = self.channels.link(&account.channel, &account.id);
        w.field_bool("running", link.is_some());
        if let Some(link) = link {
            write_link(w, link);
        }
        let mine =
            |it: &&Arc<Outgoing>| *it.channel == *account.channel && *it.account_id == *account.id;
        let rows = self.state.outgoing().iter().filter(mine);
        // A draft's fate is its answer's.
        let rows: Vec<&Arc<Outgoing>> = rows.filter(|it| !it.is_draft).collect();
        let count = |word: &str| rows.iter().filter(|it| it.state.as_str() == word).count() as u64;
        w.key("outbox");
        w.object(|w| {
            for word in ["waiting", "sending", "failed", "unknown"] {
                w.field_u64(word, count(word));
            }
        });
        let settled: Vec<_> = rows.into_iter().filter(|it| !it.is_open()).collect();
        if settled.is_empty() {
            return;
        }
        w.key("notDelivered");
        w.array(|w| {
            for row in settled.iter().rev().take(SHOWN_MAX) {
                w.object(|w| write_settled(w, row));
            }
        });
    }

    fn write_order_and_labels(&self, w: &mut Writer<'_>, names: &[&str]) {
        w.field_strs("channelOrder", names.iter().copied());
        w.key("channelLabels");
        w.object(|w| names.iter().for_each(|name| w.field_str(name, label(name))));
    }

    /// Writes the members of `health` that are about channels.
    pub(in crate::gateway) fn write_channels_health(&self, w: &mut Writer<'_>) {
        let names = self.channel_names();
        w.key("channels");
        w.object(|w| {
            for name in &names {
                w.key(name);
                w.object(|w| {
                    self.write_channel(w, name);
                    w.field_str("accountId", "default");
                    w.key("accounts");
                    w.object(|w| {
                        w.key("default");
                        w.object(|w| {
                            self.write_channel(w, name);
                            w.field_str("accountId", "default");
                        });
                    });
                });
            }
        });
        self.write_order_and_labels(w, &names);
    }

    /// How a channel is, for people.
    pub(in crate::gateway) fn channel_state(&self, name: &str) -> &'static str {
        if self.is_channel_configured(name) {
            "configured"
        } else {
            "not configured"
        }
    }

    /// Writes a line a channel, for people.
    pub(in crate::gateway) fn write_channel_summary(&self, w: &mut Writer<'_>) {
        w.array(|w| {
            for name in self.channel_names() {
                w.str(&format!("{}: {}", label(name), self.channel_state(name)));
            }
        });
    }
}

fn write_link(w: &mut Writer<'_>, link: &Link) {
    w.field_bool(
        "connected",
        link.problem.is_none() && link.last_heard_at_ms.is_some(),
    );
    let mode = match link.account.webhook() {
        Some(_) => "webhook",
        None => "polling",
    };
    w.field_str("mode", mode);
    w.field_opt_str("lastError", link.problem.as_deref());
    w.field_opt_u64("lastHeardAt", link.last_heard_at_ms);
    w.field_opt_u64("lastInboundAt", link.last_in_at_ms);
    w.field_opt_u64("lastOutboundAt", link.last_out_at_ms);
    if let Some(bot) = &link.bot {
        w.field_str("username", &bot.username);
    }
    if let Some(probed) = &link.probed {
        w.key("probe");
        w.object(|w| {
            w.field_bool("ok", probed.result.is_ok());
            w.field_u64("elapsedMs", probed.elapsed_ms);
            match &probed.result {
                Ok(bot) => {
                    w.key("bot");
                    w.object(|w| {
                        w.field_str("id", &bot.id);
                        w.field_str("username", &bot.username);
                    });
                }
                Err(fault) => w.field_str("error", fault),
            }
        });
    }
}

/// A message that was not sent, or maybe was.
fn write_settled(w: &mut Writer<'_>, row: &Outgoing) {
    w.field_u64("number", row.number);
    w.field_str("state", row.state.as_str());
    w.field_str("to", &row.chat);
    if let OutgoingState::Failed { why } | OutgoingState::Unknown { why } = &row.state {
        w.field_str("error", why);
    }
    let start: String = row.text.chars().take(SHOWN_CHARS_MAX).collect();
    w.field_str("text", &start);
    w.field_opt_str("sessionKey", row.session_key.as_deref());
    w.field_u64("at", row.changed_at_ms);
}
