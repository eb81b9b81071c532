//! Accounts come into use, ask for news, fail and come back.

use super::taken::TakenUpdates;
use super::{Link, Phase};
use crate::channels::{Bot, Fault, Job, KINDS, Order, Update};
use crate::config::types::ChannelAccount;
use crate::gateway::timers::Timer;
use crate::gateway::{Effect, Gateway};
use crate::limits::{CHANNEL_BACKOFF_MS, CHANNEL_POLL_STALLED_MS};
use crate::log::{Level, LogLine};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

impl Gateway {
    /// Uses the accounts that the configuration names, and no others.
    pub(in crate::gateway) fn open_channels(&mut self) {
        let mut wanted: Vec<Arc<ChannelAccount>> = Vec::new();
        for kind in KINDS {
            for account in self.config().channels.accounts(kind.name) {
                match account {
                    Ok(account) if account.is_on() => wanted.push(Arc::new(account)),
                    Ok(_) => {}
                    Err(fault) => self.log(Level::Error, "channels", &fault),
                }
            }
        }
        let slots: Vec<u64> = self.channels.links.keys().copied().collect();
        for slot in slots {
            let link = &self.channels.links[&slot];
            let same = wanted.iter().position(|it| is_same_line(it, &link.account));
            match same {
                Some(at) => {
                    let account = wanted.swap_remove(at);
                    if let Some(link) = self.channels.links.get_mut(&slot) {
                        link.account = account;
                    }
                }
                None => self.close_channel(slot, "the account is not used any more"),
            }
        }
        for account in wanted {
            self.open_channel(account);
        }
        self.offer_outgoing();
    }

    fn open_channel(&mut self, account: Arc<ChannelAccount>) {
        self.channels.slots_given += 1;
        let slot = self.channels.slots_given;
        self.effects.push_back(Effect::Channel(Order::Open {
            slot,
            account: account.clone(),
        }));
        let link = Link {
            account,
            bot: None,
            phase: Phase::Resting,
            taken: TakenUpdates::default(),
            is_hooked: false,
            bringers: Vec::new(),
            inbox: VecDeque::new(),
            loading: None,
            file_agent: String::new(),
            faults: 0,
            problem: None,
            last_heard_at_ms: None,
            last_in_at_ms: None,
            last_out_at_ms: None,
            sending: None,
            reading: None,
            paused_until_mono_ms: 0,
            probes: BTreeMap::new(),
            probed: None,
        };
        self.channels.links.insert(slot, link);
        self.go_on(slot);
    }

    /// Uses an account no more. What it was sending may have been sent.
    fn close_channel(&mut self, slot: u64, why: &str) {
        self.effects
            .push_back(Effect::Channel(Order::Close { slot }));
        self.timers.clear(Timer::Link(slot));
        self.timers.clear(Timer::Outbox(slot));
        let Some(link) = self.channels.links.remove(&slot) else {
            return;
        };
        for (_, conn) in link.bringers {
            self.answer_webhook(conn, 503);
        }
        for asked in link.probes.into_values() {
            self.on_probed(slot, asked, Err(Fault::Closed));
        }
        if let Some((_, number)) = link.sending {
            self.on_sent(slot, number, Err(Fault::Unknown(why.to_owned())));
        }
    }

    /// Stops using an account until the next start or reload; whether it was in use.
    pub(in crate::gateway) fn log_out_channel(&mut self, channel: &str, account_id: &str) -> bool {
        let slot = self.channels.slot(channel, account_id);
        if let Some(slot) = slot {
            self.close_channel(slot, "the account was logged out meanwhile");
            self.touch_health();
        }
        slot.is_some()
    }

    /// The account does the next thing: says who it is, takes what was heard, or asks for more.
    pub(super) fn go_on(&mut self, slot: u64) {
        let now_ms = self.now.unix_ms;
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        if self.stopping {
            return;
        }
        link.taken.forget_old(now_ms);
        let Some(bot) = link.bot.clone() else {
            let ticket = self.call_channel(slot, Job::Identify);
            return self.wait_for_call(slot, Phase::Identifying(ticket));
        };
        if !link.inbox.is_empty() {
            return self.take_next(slot);
        }
        if link.account.webhook().is_some() {
            return self.listen(slot);
        }
        let after = link.taken.newest;
        let ticket = self.call_channel(slot, Job::Poll { bot, after });
        self.wait_for_call(slot, Phase::Polling(ticket));
    }

    pub(super) fn wait_for_call(&mut self, slot: u64, phase: Phase) {
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.phase = phase;
        }
        let at_ms = self.now.mono_ms + CHANNEL_POLL_STALLED_MS;
        self.timers.set(at_ms, Timer::Link(slot));
    }

    pub(super) fn on_identified(&mut self, slot: u64, bot: Bot) {
        let Some(link) = self.channels.links.get(&slot) else {
            return;
        };
        let account = link.account.clone();
        let stored = self.state.setting(&taken_key(&account, &bot));
        let now_ms = self.now.unix_ms;
        let taken = stored.map(|text| TakenUpdates::parse(text, now_ms));
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Info,
            "channels",
            "the account is in use",
        );
        let line = line.with("channel", &*account.channel);
        self.log_with(
            line.with("account", &*account.id)
                .with("bot", &*bot.username),
        );
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.bot = Some(bot);
            link.taken = taken.unwrap_or_default();
        }
        self.on_heard(slot);
        self.go_on(slot);
    }

    pub(super) fn on_updates(&mut self, slot: u64, updates: Vec<Update>) {
        self.on_heard(slot);
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.inbox.extend(updates);
            self.go_on(slot);
        }
    }

    /// The service answers.
    pub(super) fn on_heard(&mut self, slot: u64) {
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        link.faults = 0;
        link.last_heard_at_ms = Some(self.now.unix_ms);
        if link.problem.take().is_some() {
            self.touch_health();
        }
    }

    /// A call for news failed: it is made again after a while, longer each time.
    pub(super) fn on_link_fault(&mut self, slot: u64, fault: &Fault) {
        if *fault == Fault::Closed {
            return;
        }
        let text = match fault {
            Fault::Conflict(text) => format!(
                "{text} (another program asks for this account's news as well: stop one of them)"
            ),
            other => other.to_string(),
        };
        let wait_ms = match fault {
            Fault::Busy { retry_after_ms, .. } => *retry_after_ms,
            Fault::Unauthorized(_) => CHANNEL_BACKOFF_MS.1,
            _ => self.channel_backoff_ms(self.channels.links.get(&slot).map_or(0, |it| it.faults)),
        };
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        link.faults += 1;
        link.phase = Phase::Resting;
        let is_news = link.problem.as_ref() != Some(&text);
        link.problem = Some(text.clone());
        let account = link.account.clone();
        self.timers
            .set(self.now.mono_ms + wait_ms, Timer::Link(slot));
        if is_news {
            let line = LogLine::new(
                self.now.unix_ms,
                Level::Warn,
                "channels",
                "the channel cannot be heard",
            );
            let line = line
                .with("channel", &*account.channel)
                .with("account", &*account.id);
            self.log_with(line.with("fault", text));
            self.touch_health();
        }
    }

    /// Half the wait, and a random part of the other half.
    pub(super) fn channel_backoff_ms(&mut self, faults: u32) -> u64 {
        let (first_ms, most_ms) = CHANNEL_BACKOFF_MS;
        let window_ms = (first_ms << faults.min(16)).min(most_ms);
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        window_ms / 2 + u64::from_le_bytes(bytes) % (window_ms / 2 + 1)
    }

    /// The account's deadline passed: it tries again, or its call has said nothing for too long.
    pub(in crate::gateway) fn on_link_due(&mut self, slot: u64) {
        let Some(link) = self.channels.links.get(&slot) else {
            return;
        };
        match link.phase {
            Phase::Resting => self.go_on(slot),
            Phase::Taking => {}
            Phase::Listening => {
                if let Some(link) = self.channels.links.get_mut(&slot) {
                    link.is_hooked = false;
                }
                self.go_on(slot);
            }
            Phase::Fetching(_) => {
                let text = "the file did not come in time";
                self.on_file(slot, Err(Fault::Later(text.to_owned())));
            }
            Phase::Identifying(_) | Phase::Polling(_) | Phase::Hooking(_) => {
                self.effects
                    .push_back(Effect::Channel(Order::Renew { slot }));
                let text = "the call for news said nothing at all and is made anew";
                self.on_link_fault(slot, &Fault::Later(text.to_owned()));
            }
        }
    }
}

/// The setting that holds the newest update that was taken. It is the bot's: another one counts for
/// itself.
pub(super) fn taken_key(account: &ChannelAccount, bot: &Bot) -> String {
    format!("channels.{}.taken.{}", account.channel, bot.id)
}

/// Whether what an account's threads know is the same.
fn is_same_line(one: &ChannelAccount, other: &ChannelAccount) -> bool {
    let facts = |it: &ChannelAccount| {
        (
            it.channel.clone(),
            it.id.clone(),
            it.bot_token.clone(),
            it.api_root.clone(),
            it.webhook_url.clone(),
            it.webhook_secret.clone(),
            it.webhook_path.clone(),
        )
    };
    facts(one) == facts(other)
}
