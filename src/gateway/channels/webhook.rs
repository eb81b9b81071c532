//! A service that brings its updates itself, each as one request: answered once what became of the update is
//! stored, so that the service brings it again until then.

use super::{Link, Phase};
use crate::channels::{self, Job};
use crate::gateway::Gateway;
use crate::gateway::auth::limiter::SecretKind;
use crate::gateway::auth::locality::Client;
use crate::gateway::auth::origin::Provenance;
use crate::gateway::auth::secret::equal;
use crate::gateway::timers::Timer;
use crate::ids::ConnId;
use crate::limits::{CHANNEL_UPDATES_MAX, WEBHOOK_BODY_BYTES_MAX, WEBHOOK_RENEW_MS};
use crate::wire::http::{Head, Refusal};
use serde_json::Value;

/// What shows that a request comes from Telegram (Bot API, `setWebhook`).
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

impl Gateway {
    /// Whether updates of some account are brought to a path.
    pub(in crate::gateway) fn is_webhook_path(&self, path: &str) -> bool {
        let mut links = self.channels.links.values();
        links.any(|link| link.account.webhook().is_some_and(|it| it.path == path))
    }

    /// The secret of the webhook; gives the longest body that is read. Guesses are counted.
    pub(in crate::gateway) fn check_webhook_secret(
        &mut self,
        client: &Client,
        provenance: &Provenance,
        head: &Head<'_>,
        path: &str,
    ) -> Result<usize, Refusal> {
        let (origin, mono_ms) = (provenance.origin(), self.now.mono_ms);
        let guesser = self
            .limiter
            .admit(client, origin, SecretKind::Webhook, mono_ms)?;
        match head.only(SECRET_HEADER)? {
            // Looked at only once it is known to be the webhook's: nobody tries the gateway's own here.
            Some(shown) if self.webhook_slot(path, shown).is_some() => {
                match self.loaded.secret.check(Some(shown), Some(shown)) {
                    Err(_) => Ok(WEBHOOK_BODY_BYTES_MAX),
                    Ok(()) => Err(Refusal::new(
                        503,
                        "webhookSecret is the gateway's own secret: choose another one",
                    )),
                }
            }
            Some(_) => {
                self.limiter.failed(guesser, mono_ms);
                Err(Refusal::new(401, "unauthorized: wrong webhook secret"))
            }
            None => Err(Refusal::new(
                401,
                "unauthorized: X-Telegram-Bot-Api-Secret-Token is missing",
            )),
        }
    }

    /// The account whose updates come to this path with this secret.
    fn webhook_slot(&self, path: &str, shown: &str) -> Option<u64> {
        let is_it = |link: &Link| {
            let hook = link.account.webhook();
            hook.is_some_and(|it| {
                it.path == path && equal(shown.as_bytes(), it.secret.expose().as_bytes())
            })
        };
        let mut links = self.channels.links.iter();
        links.find(|(_, link)| is_it(link)).map(|(slot, _)| *slot)
    }

    /// An update is brought; its secret was right.
    pub(in crate::gateway) fn on_webhook(
        &mut self,
        conn: ConnId,
        head: &Head<'_>,
        path: &str,
        body: &[u8],
    ) {
        if head.method != "POST" {
            return self.answer_webhook(conn, 405);
        }
        let shown = head.only(SECRET_HEADER).ok().flatten().unwrap_or("");
        let slot = self.webhook_slot(path, shown);
        let Some((slot, link)) =
            slot.and_then(|slot| Some((slot, self.channels.links.get(&slot)?)))
        else {
            return self.answer_webhook(conn, 503);
        };
        let is_shut = self.stopping || self.is_short_of_memory();
        let Some(bot) = link.bot.clone().filter(|_| !is_shut) else {
            return self.answer_webhook(conn, 503);
        };
        let update = channels::find(&link.account.channel)
            .zip(serde_json::from_slice::<Value>(body).ok())
            .and_then(|(kind, value)| (kind.read)(&value, &bot));
        let Some(update) = update else {
            return self.answer_webhook(conn, 400);
        };
        let is_full = link.inbox.len() >= CHANNEL_UPDATES_MAX
            || link.bringers.len() >= 2 * CHANNEL_UPDATES_MAX;
        if is_full {
            return self.answer_webhook(conn, 503);
        }
        self.on_heard(slot);
        // It has shown its secret, and may wait for as long as a file takes.
        self.waiting.done(conn);
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        link.bringers.push((update.id, conn));
        link.inbox.push_back(update);
        if link.phase == Phase::Listening {
            self.take_next(slot);
        }
    }

    /// What became of an update is stored: whoever brought it may forget it.
    pub(super) fn answer_bringers(&mut self, slot: u64, id: u64) {
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        let is_his = |(update, _): &(u64, ConnId)| *update == id;
        let (his, others) = std::mem::take(&mut link.bringers)
            .into_iter()
            .partition(is_his);
        link.bringers = others;
        let his: Vec<(u64, ConnId)> = his;
        for (_, conn) in his {
            self.answer_webhook(conn, 200);
        }
    }

    pub(super) fn answer_webhook(&mut self, conn: ConnId, status: u16) {
        self.answer_bytes(conn, false, status, "application/json", b"{}\n");
    }

    /// The account waits for what is brought to it, once its service knows where to.
    pub(super) fn listen(&mut self, slot: u64) {
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        if !link.is_hooked {
            let ticket = self.call_channel(slot, Job::Hook);
            return self.wait_for_call(slot, Phase::Hooking(ticket));
        }
        link.phase = Phase::Listening;
        // Somebody may have taken it away meanwhile.
        self.set_timer(WEBHOOK_RENEW_MS, Timer::Link(slot));
    }

    pub(super) fn on_hooked(&mut self, slot: u64) {
        self.timers.clear(Timer::Link(slot));
        self.on_heard(slot);
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.is_hooked = true;
        }
        self.go_on(slot);
    }
}
