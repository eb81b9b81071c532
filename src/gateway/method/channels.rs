//! `channels.status`, and what `health` and `status` say about channels.
//!
//! A channel that is configured is shown with what the configuration says of it; none runs
//! until the program has that channel.

use crate::gateway::Gateway;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::now::Now;
use crate::wire::json::Writer;

/// Names of channels for people.
const LABELS: &[(&str, &str)] = &[
    ("telegram", "Telegram"),
    ("whatsapp", "WhatsApp"),
    ("discord", "Discord"),
    ("slack", "Slack"),
    ("signal", "Signal"),
    ("imessage", "iMessage"),
];

/// `channels.status`.
pub fn status(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| gateway.write_channels(w));
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

    fn is_channel_configured(&self, channel: &str) -> bool {
        self.config().channels.get(channel).is_some_and(|channel| {
            ["botToken", "tokenFile", "token"]
                .iter()
                .any(|key| channel.get(*key).is_some_and(|value| value.is_string()))
        })
    }

    fn channel_names(&self) -> Vec<&str> {
        self.config().channels.enabled().collect()
    }

    fn write_channels(&self, w: &mut Writer<'_>) {
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
                    w.array(|w| {
                        w.object(|w| {
                            w.field_str("accountId", "default");
                            w.field_bool("enabled", true);
                            w.field_bool("configured", self.is_channel_configured(name));
                            w.field_bool("running", false);
                        });
                    });
                }
            });
            w.key("channelDefaultAccountId");
            w.object(|w| names.iter().for_each(|name| w.field_str(name, "default")));
        });
    }

    fn write_channel(&self, w: &mut Writer<'_>, name: &str) {
        let configured = self.is_channel_configured(name);
        w.field_bool("configured", configured);
        w.field_str("tokenSource", if configured { "config" } else { "none" });
        w.field_bool("running", false);
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
