//! `hello-ok`: what a client learns when it is let in.
//!
//! The constant parts, methods and events, are encoded once and used again for every peer.

use super::Gateway;
use super::auth::secret::GatewaySecret;
use super::broadcast::{Audience, EVENTS};
use super::methods::{ADDITIONS, Access, METHODS};
use super::peer::{Live, SecretUsed};
use crate::ids::ConnId;
use crate::limits::OUTBOX_SOFT_BYTES;
use crate::state::{DeviceToken, Role};
use crate::wire::envelope::{StateVersion, write_response};
use crate::wire::json::Writer;
use std::sync::OnceLock;

/// The highest protocol version that the gateway speaks with operators and nodes.
pub const PROTOCOL_MAX: u32 = 4;
/// The lowest one.
pub const PROTOCOL_MIN: u32 = 3;

impl Gateway {
    /// Answers `connect` and sends the first events behind it.
    pub(super) fn send_hello(&mut self, conn: ConnId, id: &str, token: Option<&DeviceToken>) {
        self.send_text(conn, |gateway, w| {
            let Some(live) = gateway.peers.get(conn).and_then(|peer| peer.live()) else {
                return;
            };
            write_response(w, id, |w| gateway.write_hello(w, live, token));
        });
        let Some(live) = self.peers.get(conn).and_then(|peer| peer.live()) else {
            return;
        };
        match live.role {
            Role::Operator
                if Audience::Operators(super::auth::scope::Scope::Read).includes(live) =>
            {
                let version = Some(self.state_version());
                self.send_event(conn, "health", version, |gateway, w| {
                    gateway.write_health(w)
                });
            }
            Role::Operator => {}
            Role::Node => {
                self.send_unnumbered(conn, "voicewake.changed", |gateway, w| {
                    gateway.write_triggers(w);
                });
            }
        }
    }

    /// Versions of the coalesced lists.
    pub(super) fn state_version(&self) -> StateVersion {
        StateVersion {
            presence: self.presence.version,
            health: self.health.version,
        }
    }

    fn write_hello(&self, w: &mut Writer<'_>, live: &Live, token: Option<&DeviceToken>) {
        let limits = &self.config().gateway.limits;
        w.object(|w| {
            w.field_str("type", "hello-ok");
            w.field_u64("protocol", u64::from(live.protocol));
            w.key("server");
            w.object(|w| {
                w.field_str("version", &self.identity.version);
                w.field_str("host", &self.identity.host);
                w.field_str("connId", &live.conn_uuid);
                if live.protocol >= 4 {
                    w.field_str("bootId", &self.boot_id);
                }
            });
            w.key("features");
            w.raw(features(live));
            w.key("snapshot");
            self.write_snapshot(w, live);
            self.write_hello_auth(w, live, token);
            w.key("policy");
            w.object(|w| {
                w.field_u64("maxPayload", limits.max_payload_bytes as u64);
                w.field_u64("maxBufferedBytes", OUTBOX_SOFT_BYTES as u64);
                w.field_u64("tickIntervalMs", limits.tick_interval_ms);
            });
        });
    }

    fn write_snapshot(&self, w: &mut Writer<'_>, live: &Live) {
        w.object(|w| {
            w.key("presence");
            match live.role {
                Role::Operator => self.write_presence(w),
                Role::Node => w.array(|w| self.write_own_presence(w)),
            }
            w.key("health");
            match live.role {
                Role::Operator => self.write_health(w),
                Role::Node => w.object(|_| {}),
            }
            w.key("stateVersion");
            self.state_version().write(w);
            w.field_u64("uptimeMs", self.uptime_ms());
            w.field_str("configPath", &self.identity.config_path);
            w.field_str("stateDir", &self.identity.state_dir);
            w.key("sessionDefaults");
            w.object(|w| {
                w.field_str("defaultAgentId", self.default_agent());
                w.field_str("mainKey", self.main_key());
                w.field_str("mainSessionKey", &self.main_session_key());
                w.field_str("scope", self.session_scope());
            });
        });
    }

    /// What let a peer in, in the words of `hello-ok.auth.method`.
    fn method_of(&self, secret: SecretUsed) -> &'static str {
        match (secret, &self.loaded.secret) {
            (SecretUsed::Shared, GatewaySecret::Password(_)) => "password",
            (SecretUsed::Shared, _) => "token",
            (SecretUsed::Device, _) => "device-token",
            (SecretUsed::Identity, _) => "tailscale",
            (SecretUsed::Owner, _) => "none",
        }
    }

    /// Version 3 clients get `auth` where a device token exists, version 4 clients always.
    fn write_hello_auth(&self, w: &mut Writer<'_>, live: &Live, token: Option<&DeviceToken>) {
        if token.is_none() && live.protocol < 4 {
            return;
        }
        w.key("auth");
        w.object(|w| {
            if live.protocol >= 4 {
                w.field_str("method", self.method_of(live.secret));
            }
            if let Some(token) = token {
                w.field_str("deviceToken", &token.token);
            }
            w.field_str("role", live.role.as_str());
            match token {
                Some(token) => w.field_strs("scopes", token.scopes.iter().map(|scope| &**scope)),
                None => w.field_strs("scopes", live.scopes.names()),
            }
            if let Some(token) = token {
                let issued = token.rotated_at_ms.unwrap_or(token.created_at_ms);
                w.field_u64("issuedAtMs", issued);
            }
        });
    }
}

/// `features`, encoded once a protocol version.
fn features(live: &Live) -> &'static [u8] {
    static FEATURES: [OnceLock<Vec<u8>>; 3] = [const { OnceLock::new() }; 3];
    let [three, more, four] = &FEATURES;
    match (live.protocol, live.wants_additions) {
        (..4, false) => three.get_or_init(|| encode_features(false, false)),
        (..4, true) => more.get_or_init(|| encode_features(true, false)),
        _ => four.get_or_init(|| encode_features(true, true)),
    }
}

fn encode_features(with_additions: bool, is_four: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let is_told = |name: &&str| with_additions || !ADDITIONS.contains(name);
    let methods = METHODS.iter().filter(|row| row.access != Access::First);
    let mut w = Writer::new(&mut out);
    w.object(|w| {
        w.field_strs("methods", methods.map(|row| row.name).filter(is_told));
        let events = EVENTS.iter().map(|(name, _)| *name);
        w.field_strs("events", events.filter(is_told));
        if is_four {
            // What version 4 added to methods of the same name, none of which is served.
            w.field_strs("capabilities", []);
        }
    });
    out
}
