//! The tailnet in the core: our name in it, persons who come through it, and what `status` says.

use super::Gateway;
use super::auth::tailnet::{Claim, Voucher};
use super::connect::Halt;
use super::peer::Challenged;
use crate::config::{BindMode, TailscaleMode};
use crate::ids::ConnId;
use crate::log::{Level, LogLine};
use crate::tailnet::Tailnet;
use crate::tailnet::person::Person;
use crate::wire::http::Head;
use crate::wire::json::Writer;

impl Gateway {
    /// Something was found out: our name is allowed in `Host`, and a fault is told once.
    pub(super) fn on_tailnet(&mut self, tailnet: Tailnet) {
        if tailnet == self.tailnet {
            return;
        }
        let (level, text) = match (&tailnet.fault, &tailnet.url) {
            (Some(fault), _) => (Level::Warn, fault.clone()),
            (None, Some(url)) => (Level::Info, format!("published at {url}")),
            (None, None) => (Level::Info, "this machine's name is known".to_owned()),
        };
        let line = LogLine::new(self.now.unix_ms, level, "tailscale", text);
        self.log_with(line.with("name", tailnet.name.clone().unwrap_or_default()));
        self.tailnet = tailnet;
        self.know_hosts();
        self.touch_health();
    }

    /// Who vouches for an upgrade, as far as its head shows.
    pub(super) fn voucher(&self, conn: ConnId, head: &Head<'_>) -> Voucher {
        let Some(peer) = self.peers.get(conn) else {
            return Voucher::None;
        };
        let fields: Vec<(&str, &[u8])> = head.fields().collect();
        Claim::read(peer.arrival, fields.iter().copied()).map_or(Voucher::None, Voucher::Claimed)
    }

    /// Whether the client is a person whom the daemon knows.
    ///
    /// # Errors
    ///
    /// The daemon has to be asked first.
    pub(super) fn is_vouched_for(&self, challenged: &Challenged) -> Result<bool, Halt> {
        if !self.config().gateway.allow_tailscale() {
            return Ok(false);
        }
        match &challenged.voucher {
            Voucher::None => Ok(false),
            Voucher::Confirmed => Ok(true),
            Voucher::Claimed(claim) => match self.known.person(claim.ip, self.now.mono_ms) {
                Some(person) => Ok(claim.is_of(person)),
                None => Err(Halt::Unconfirmed(claim.clone())),
            },
        }
    }

    /// What the daemon's answer makes of a claim.
    pub(super) fn weigh(&mut self, claim: &Claim, person: Option<Person>) -> Voucher {
        let Some(person) = person else {
            return Voucher::None;
        };
        let is_true = claim.is_of(&person);
        self.known.keep(claim.ip, person, self.now.mono_ms);
        match is_true {
            true => Voucher::Confirmed,
            false => Voucher::None,
        }
    }

    /// Writes the part of `status` about the tailnet, where there is anything to say.
    pub(super) fn write_tailnet(&self, w: &mut Writer<'_>) {
        let gateway = &self.config().gateway;
        if !gateway.is_behind_tailscale() && gateway.bind != BindMode::Tailnet {
            return;
        }
        w.key("tailscale");
        w.object(|w| {
            w.field_str(
                "mode",
                match gateway.tailscale.mode {
                    TailscaleMode::Off => "off",
                    TailscaleMode::Serve => "serve",
                    TailscaleMode::Funnel => "funnel",
                },
            );
            w.field_bool("identities", gateway.allow_tailscale());
            w.field_opt_str("name", self.tailnet.name.as_deref());
            w.field_opt_str("url", self.tailnet.url.as_deref());
            w.field_opt_str("fault", self.tailnet.fault.as_deref());
        });
    }
}
