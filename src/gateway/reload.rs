//! A new configuration takes over while the gateway runs.

use super::auth::origin::Allowed;
use super::effect::LoadedConfig;
use super::peer::{Phase, SecretUsed};
use super::{Gateway, Identity};
use crate::config::Config;
use crate::ids::ConnId;
use crate::log::Level;

impl Gateway {
    /// Puts a configuration in force. Whoever came in with a secret that is no longer the
    /// gateway's has to come in again.
    pub(super) fn apply_config(&mut self, loaded: LoadedConfig) {
        if self.loaded.document.hash() == loaded.document.hash()
            && self.loaded.secret == loaded.secret
            && self.loaded.config == loaded.config
        {
            return;
        }
        let rotated = self.loaded.secret != loaded.secret;
        let had_persons = self.config().gateway.allow_tailscale();
        self.loaded = loaded;
        self.know_hosts();
        self.touch_health();
        self.log(Level::Info, "gateway/reload", "configuration reloaded");
        self.open_channels();
        self.open_mcp();
        if rotated {
            self.codes.clear();
            self.close_peers_of(SecretUsed::Shared, "gateway secret changed");
        }
        if had_persons && !self.config().gateway.allow_tailscale() {
            self.close_peers_of(SecretUsed::Identity, "Tailscale identities count no more");
        }
    }

    /// Which names are ours depends on the configuration and on the tailnet.
    pub(super) fn know_hosts(&mut self) {
        let name = self.tailnet.name.as_deref();
        self.allowed = allowed(&self.identity, name, &self.loaded.config);
    }

    /// Whoever is on his way in was judged by the former rules as well.
    fn close_peers_of(&mut self, secret: SecretUsed, reason: &str) {
        let conns: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|peer| match &peer.phase {
                Phase::Live(live) => live.secret == secret,
                Phase::Joining(_) => true,
                Phase::Http | Phase::Challenged(_) | Phase::Closing => false,
            })
            .map(|peer| peer.conn)
            .collect();
        for conn in conns {
            self.close(conn, 1008, reason);
        }
    }
}

/// The names and pages that may talk to the gateway. A validated configuration has no entry
/// that cannot be read; if one slips through, none is allowed.
pub(super) fn allowed(identity: &Identity, tailnet: Option<&str>, config: &Config) -> Allowed {
    let hosts = identity.allowed_hosts.iter().map(String::as_str);
    let hosts = hosts.chain(tailnet);
    let origins = config
        .gateway
        .control_ui
        .allowed_origins
        .iter()
        .map(String::as_str);
    Allowed::new(hosts, origins).unwrap_or_default()
}
