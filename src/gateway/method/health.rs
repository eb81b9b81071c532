//! `health`: a snapshot that clients poll, encoded once and used again until something changes.

use crate::gateway::Gateway;
use crate::gateway::broadcast::Weight;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::heartbeat::PROMPT;
use crate::gateway::params::Params;
use crate::gateway::timers::Timer;
use crate::limits::COALESCE_MS;
use crate::now::Now;
use crate::wire::json::Writer;

/// Sessions that a snapshot names.
const RECENT_MAX: usize = 5;
/// A snapshot older than this is encoded anew: it shows ages.
const STALE_MS: u64 = 1_000;

/// The last snapshot.
#[derive(Default)]
pub struct Health {
    encoded: std::cell::RefCell<Encoded>,
    /// Counts changes; sent along as `stateVersion.health`.
    pub version: u64,
}

#[derive(Default)]
struct Encoded {
    json: Vec<u8>,
    version: u64,
    at_ms: u64,
}

/// Answers with the snapshot.
pub fn health(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| gateway.write_health(w));
    Ok(Outcome::Done)
}

impl Gateway {
    /// Something that `health` shows changed: readers are told, at most once in a while.
    pub(in crate::gateway) fn touch_health(&mut self) {
        self.health.version += 1;
        self.set_timer(COALESCE_MS, Timer::Health);
    }

    pub(in crate::gateway) fn broadcast_health(&mut self) {
        let version = Some(self.state_version());
        self.broadcast("health", Weight::MayDrop, version, |gateway, w| {
            gateway.write_health(w);
        });
    }

    /// Writes the snapshot.
    pub(in crate::gateway) fn write_health(&self, w: &mut Writer<'_>) {
        let mut encoded = self.health.encoded.borrow_mut();
        let age_ms = self.now.mono_ms.saturating_sub(encoded.at_ms);
        if encoded.json.is_empty() || encoded.version != self.health.version || age_ms > STALE_MS {
            let mut json = std::mem::take(&mut encoded.json);
            json.clear();
            self.encode_health(&mut Writer::new(&mut json));
            *encoded = Encoded {
                json,
                version: self.health.version,
                at_ms: self.now.mono_ms,
            };
        }
        w.raw(&encoded.json);
    }

    fn encode_health(&self, w: &mut Writer<'_>) {
        let config = self.config();
        let default_agent = self.default_agent();
        w.object(|w| {
            w.field_bool("ok", true);
            w.field_u64("ts", self.now.unix_ms);
            w.field_u64("durationMs", 0);
            self.write_channels_health(w);
            let every_ms = config.agents.heartbeat_of(default_agent).every_ms();
            w.field_u64("heartbeatSeconds", every_ms.unwrap_or(0) / 1_000);
            w.field_str("defaultAgentId", default_agent);
            w.key("agents");
            w.array(|w| {
                for agent in config.agents.ids() {
                    w.object(|w| {
                        w.field_str("agentId", agent);
                        w.field_opt_str(
                            "name",
                            config
                                .agents
                                .get(agent)
                                .and_then(|agent| agent.name.as_deref()),
                        );
                        w.field_bool("isDefault", agent == default_agent);
                        self.write_heartbeat(w, agent);
                        w.key("sessions");
                        self.write_recent_sessions(w, Some(agent));
                    });
                }
            });
            w.key("sessions");
            self.write_recent_sessions(w, None);
        });
    }

    fn write_heartbeat(&self, w: &mut Writer<'_>, agent: &str) {
        let heartbeat = self.config().agents.heartbeat_of(agent);
        let every_ms = heartbeat.every_ms();
        w.key("heartbeat");
        w.object(|w| {
            w.field_bool("enabled", every_ms.is_some());
            w.field_str("every", every_ms.map_or("disabled", |_| &heartbeat.every));
            w.key("everyMs");
            match every_ms {
                Some(every_ms) => w.u64(every_ms),
                None => w.null(),
            }
            w.field_str("prompt", heartbeat.prompt.as_deref().unwrap_or(PROMPT));
            w.field_str("target", &heartbeat.target);
            w.field_u64("ackMaxChars", heartbeat.ack_max_chars as u64);
        });
    }

    /// Writes `{path, count, recent[]}` of one agent's sessions or of all.
    pub(in crate::gateway) fn write_recent_sessions(
        &self,
        w: &mut Writer<'_>,
        agent: Option<&str>,
    ) {
        let rows = self.sessions_newest_first(agent);
        w.object(|w| {
            w.field_str("path", &self.database_path());
            w.field_u64("count", rows.len() as u64);
            w.key("recent");
            w.array(|w| {
                for session in rows.iter().take(RECENT_MAX) {
                    w.object(|w| {
                        w.field_str("key", &session.key);
                        w.field_u64("updatedAt", session.updated_at_ms);
                        let age_ms = self.now.unix_ms.saturating_sub(session.updated_at_ms);
                        w.field_u64("age", age_ms);
                    });
                }
            });
        });
    }
}
