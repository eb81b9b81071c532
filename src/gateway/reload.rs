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
        {
            return;
        }
        let rotated = self.loaded.secret != loaded.secret;
        self.allowed = allowed(&self.identity, &loaded.config);
        self.loaded = loaded;
        self.touch_health();
        self.log(Level::Info, "gateway/reload", "configuration reloaded");
        if rotated {
            self.codes.clear();
            self.close_shared_secret_peers();
        }
    }

    /// Whoever is on his way in was judged by the former secret as well.
    fn close_shared_secret_peers(&mut self) {
        let conns: Vec<ConnId> = self
            .peers
            .iter()
            .filter(|peer| match &peer.phase {
                Phase::Live(live) => live.secret == SecretUsed::Shared,
                Phase::Joining(_) => true,
                Phase::Http | Phase::Challenged(_) | Phase::Closing => false,
            })
            .map(|peer| peer.conn)
            .collect();
        for conn in conns {
            self.close(conn, 1008, "gateway secret changed");
        }
    }
}

/// The names and pages that may talk to the gateway. A validated configuration has no entry
/// that cannot be read; if one slips through, none is allowed.
pub(super) fn allowed(identity: &Identity, config: &Config) -> Allowed {
    let hosts = identity.allowed_hosts.iter().map(String::as_str);
    let origins = config
        .gateway
        .control_ui
        .allowed_origins
        .iter()
        .map(String::as_str);
    Allowed::new(hosts, origins).unwrap_or_default()
}
