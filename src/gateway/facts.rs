//! What the built-in agent may say about this gateway, as it is now.

use super::Gateway;
use super::peer::Live;
use crate::agent::{
    ChannelFact, DeviceFact, Facts, GatewayFacts, HealthFacts, Listed, PairingFact, PeerFact,
    RunFacts, SessionFact, SessionFacts, Zone,
};
use crate::ids::ConnId;
use crate::state::Session;
use std::collections::BTreeSet;

impl Gateway {
    /// A snapshot for one step of a run in `session`.
    pub(super) fn facts(&self, session: &Session) -> Facts {
        let config = self.config();
        Facts {
            agent_name: self.agent_name(&session.agent_id),
            unix_ms: self.now.unix_ms,
            zone: Zone::default(),
            gateway: self.gateway_facts(),
            health: HealthFacts {
                ok: true,
                problems: Vec::new(),
            },
            operators: self.peer_facts(&self.operators),
            nodes: self.peer_facts(&self.nodes),
            sessions: Listed::counted(
                self.state.sessions().len(),
                self.sessions_newest_first(None)
                    .into_iter()
                    .map(|session| SessionFact {
                        key: session.key.to_string(),
                        updated_unix_ms: session.updated_at_ms,
                        messages: self.message_count(session),
                    }),
            ),
            devices: Listed::counted(
                self.state.devices().len(),
                self.state.devices().values().map(|device| DeviceFact {
                    name: name_of(&device.client).unwrap_or_else(|| short(&device.device_id)),
                    roles: device
                        .grants
                        .iter()
                        .map(|grant| grant.role.as_str().to_owned())
                        .collect(),
                    platform: text(&device.client.platform),
                    connected: self.is_connected(&device.device_id),
                }),
            ),
            pairings: Listed::from_all(
                self.state
                    .pairings()
                    .values()
                    .filter(|pending| !self.has_expired(pending))
                    .map(|pending| PairingFact {
                        request_id: pending.request_id.to_string(),
                        name: name_of(&pending.client).unwrap_or_else(|| short(&pending.device_id)),
                        role: pending
                            .roles
                            .first()
                            .map_or("", |role| role.as_str())
                            .to_owned(),
                        platform: text(&pending.client.platform),
                        ip: text(&pending.client.remote_ip),
                        since_unix_ms: pending.ts,
                    }),
            ),
            channels: Listed::from_all(config.channels.enabled().map(|channel| ChannelFact {
                name: channel.to_owned(),
                state: self.channel_state(channel).to_owned(),
            })),
            models: Listed::from_all(self.model_names()),
            model_apis: crate::agent::MODEL_APIS,
            default_model: self.default_model().to_string(),
            runs: RunFacts {
                active: self.runs.at_work(),
                waiting: self.runs.len() - self.runs.at_work(),
            },
            session: self.session_facts(session),
        }
    }

    fn gateway_facts(&self) -> GatewayFacts {
        let me = &self.identity;
        GatewayFacts {
            version: me.version.clone(),
            host_name: me.host.clone(),
            platform: me.platform.clone(),
            uptime_ms: self.uptime_ms(),
            bind: me.bind.clone(),
            port: me.port,
            urls: vec![format!("ws://{}:{}", me.bind, me.port)],
            tls: self.config().gateway.tls.enabled,
            auth_mode: match self.loaded.secret {
                super::auth::secret::GatewaySecret::Token(_) => "token",
                super::auth::secret::GatewaySecret::Password(_) => "password",
                super::auth::secret::GatewaySecret::None => "none",
            }
            .to_owned(),
            config_path: me.config_path.clone(),
            state_dir: me.state_dir.clone(),
            memory_bytes: None,
        }
    }

    fn session_facts(&self, session: &Session) -> SessionFacts {
        SessionFacts {
            key: session.key.to_string(),
            model: self.model_of_session(session).to_string(),
            thinking: self.thinking_of(session),
            verbosity: self.verbosity_of(&session.key),
            messages: self.message_count(session),
            updated_unix_ms: session.updated_at_ms,
            tokens_input: session.input_tokens,
            tokens_output: session.output_tokens,
        }
    }

    fn peer_facts(&self, conns: &BTreeSet<ConnId>) -> Listed<PeerFact> {
        Listed::counted(
            conns.len(),
            conns.iter().filter_map(|conn| {
                let live = self.peers.get(*conn)?.live()?;
                Some(peer_fact(live))
            }),
        )
    }

    /// The display name of an agent.
    pub(super) fn agent_name(&self, agent: &str) -> String {
        let config = self.config().agents.get(agent);
        config
            .and_then(|agent| agent.identity.name.clone().or_else(|| agent.name.clone()))
            .unwrap_or_else(|| "Clawdia".to_owned())
    }

    fn message_count(&self, session: &Session) -> u64 {
        self.state.transcript(&session.session_id).message_count()
    }

    /// Whether a device is connected, in whatever role.
    pub(super) fn is_connected(&self, device_id: &str) -> bool {
        self.operators.iter().chain(&self.nodes).any(|conn| {
            let live = self.peers.get(*conn).and_then(|peer| peer.live());
            live.is_some_and(|live| live.device_id.as_deref() == Some(device_id))
        })
    }
}

fn peer_fact(live: &Live) -> PeerFact {
    PeerFact {
        name: live
            .display_name
            .as_deref()
            .unwrap_or(&live.client_id)
            .to_owned(),
        mode: live.client_mode.to_string(),
        platform: live.platform.to_string(),
        version: live.version.to_string(),
        ip: live.client.ip.to_string(),
        since_unix_ms: live.connected_at_ms,
    }
}

fn name_of(client: &crate::state::ClientFacts) -> Option<String> {
    let name = client.display_name.as_ref().or(client.client_id.as_ref())?;
    Some(name.to_string())
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn text(value: &Option<crate::state::Text>) -> String {
    value.as_deref().unwrap_or("").to_owned()
}
