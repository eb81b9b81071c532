//! A peer that was let in: its device is stored where it has to be, then it says hello.

use super::Connect;
use crate::gateway::auth::pairing::Proven;
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::commit::Key;
use crate::gateway::peer::{Challenged, Live, Phase, SecretUsed};
use crate::gateway::presence::Entry;
use crate::gateway::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::JSON_PADDING_BYTES;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Device, Grant, Record, Role};
use std::sync::Arc;

/// What may follow `connect` before it is answered, in bytes.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;

/// A `connect` that was let in, on its way to its hello.
pub(super) struct Joiner {
    id: Box<str>,
    live: Box<Live>,
    presence: Option<(Box<str>, Entry)>,
}

impl Gateway {
    pub(super) fn joiner(
        &mut self,
        id: &str,
        connect: &Connect<'_, '_>,
        challenged: &Challenged,
        device_id: Option<String>,
        proven: Proven,
        granted: ScopeSet,
    ) -> Joiner {
        let text = |name: &str| connect.client.text(name).map(Box::<str>::from);
        let mode = connect.client.required_text("mode");
        let device_id: Option<Box<str>> = device_id.map(Box::from);
        let presence = (mode != "cli").then(|| {
            let host = text("displayName")
                .or_else(|| text("id"))
                .unwrap_or_default();
            let key = device_id
                .clone()
                .or_else(|| text("instanceId"))
                .unwrap_or_else(|| challenged.conn_uuid.clone());
            let entry = Entry {
                text: format!("Node: {host} · mode {mode}").into(),
                host: Some(host),
                ip: (!challenged.client.local).then(|| challenged.client.ip.to_string().into()),
                version: text("version"),
                platform: text("platform"),
                device_family: text("deviceFamily"),
                model_identifier: text("modelIdentifier"),
                mode: Some(mode.into()),
                reason: Some("connect".into()),
                device_id: device_id.clone(),
                instance_id: text("instanceId").or_else(|| device_id.clone()),
                roles: vec![connect.role.as_str().into()],
                scopes: granted.names().map(Box::from).collect(),
                ts: self.now.unix_ms,
                ..Entry::default()
            };
            (key, entry)
        });
        Joiner {
            id: id.into(),
            live: Box::new(Live {
                role: connect.role,
                scopes: granted,
                protocol: connect.protocol,
                device_id,
                secret: match proven {
                    Proven::Shared => SecretUsed::Shared,
                    Proven::DeviceToken(_) => SecretUsed::Device,
                    Proven::Identity => SecretUsed::Identity,
                },
                client_id: text("id").unwrap_or_default(),
                client_mode: mode.into(),
                display_name: text("displayName"),
                platform: text("platform").unwrap_or_default(),
                version: text("version").unwrap_or_default(),
                client: challenged.client,
                conn_uuid: challenged.conn_uuid.clone(),
                presence_key: presence.as_ref().map(|(key, _)| key.clone()),
                seq: 0,
                in_flight: Vec::new(),
                faults_in_row: 0,
                connected_at_ms: self.now.unix_ms,
            }),
            presence,
        }
    }

    /// Lets a peer in at once, or after its device has got a token.
    pub(super) fn admit(&mut self, now: Now, conn: ConnId, joiner: Joiner, proven: Proven) {
        let row = joiner
            .live
            .device_id
            .as_deref()
            .and_then(|device| self.state.devices().get(device).cloned());
        let Some(row) = row else {
            return self.join(now, conn, joiner);
        };
        let role = joiner.live.role;
        let has_token = |grant: &Grant| {
            let token = grant.token.as_ref();
            token.is_some_and(|token| token.revoked_at_ms.is_none())
        };
        if proven != Proven::Shared || row.grant(role).is_some_and(has_token) {
            return self.join(now, conn, joiner);
        }
        self.store_and_admit(conn, joiner, Device::clone(&row));
    }

    /// Stores a device, with a token for the joiner's role, then lets it in.
    pub(super) fn store_and_admit(&mut self, conn: ConnId, joiner: Joiner, mut row: Device) {
        let lock = Key::Device(row.device_id.as_ref().into());
        self.start_joining(conn);
        let role = joiner.live.role;
        let stale = row
            .grant(role)
            .and_then(|grant| grant.token.as_ref())
            .is_none_or(|token| token.revoked_at_ms.is_some());
        if stale {
            let scopes = row.grant_mut(role).scopes.clone();
            let token = self.new_token(scopes);
            row.grant_mut(role).token = Some(token);
        }
        let mut records = vec![Record::DevicePut(Arc::new(row))];
        let mut keys = vec![lock];
        let device = joiner.live.device_id.as_deref().unwrap_or("");
        if let Some(pending) = self.pending_of(device) {
            keys.push(Key::Pairings);
            records.push(Record::PairingRemove {
                request_id: pending.request_id.clone(),
            });
        }
        self.commit(keys, records, move |gateway, now, result| match result {
            Ok(()) => gateway.join(now, conn, joiner),
            Err(fault) => {
                gateway.refuse_connect(conn, &joiner.id, &Refusal::not_stored(&fault), 1013);
            }
        });
    }

    /// The handshake waits for the store: what the peer sends meanwhile is kept.
    pub(in crate::gateway) fn start_joining(&mut self, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(conn) {
            let phase = std::mem::replace(&mut peer.phase, Phase::Closing);
            peer.phase = match phase {
                Phase::Challenged(challenged) => Phase::Joining(challenged),
                other => other,
            };
        }
    }

    /// Keeps a message that arrived while the handshake waits.
    pub(in crate::gateway) fn when_joined(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let Phase::Joining(challenged) = &mut peer.phase else {
            return;
        };
        let kept: usize = challenged.pipelined.iter().map(Vec::len).sum();
        if kept + bytes.len() > PIPELINED_BYTES_MAX {
            return self.close(conn, 1008, "too much sent before hello");
        }
        challenged.pipelined.push(bytes);
    }

    /// The peer is in: hello, first events, presence, then what it sent behind `connect`.
    fn join(&mut self, now: Now, conn: ConnId, joiner: Joiner) {
        let Joiner { id, live, presence } = joiner;
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let pipelined = match &mut peer.phase {
            Phase::Challenged(challenged) | Phase::Joining(challenged) => {
                std::mem::take(&mut challenged.pipelined)
            }
            // The connection ended while its device was being written.
            _ => return,
        };
        let token = live
            .device_id
            .as_deref()
            .and_then(|device| self.state.devices().get(device))
            .and_then(|device| device.grant(live.role))
            .and_then(|grant| grant.token.clone())
            .filter(|token| token.revoked_at_ms.is_none());
        let role = live.role;
        let line = LogLine::new(self.now.unix_ms, Level::Info, "gateway/ws", "connected")
            .with("client", &*live.client_id)
            .with("mode", &*live.client_mode)
            .with("role", role.as_str())
            .with("ip", live.client.ip.to_string())
            .with("conn", &*live.conn_uuid);
        peer.phase = Phase::Live(live);
        self.waiting.done(conn);
        match role {
            Role::Operator => self.operators.insert(conn),
            Role::Node => self.nodes.insert(conn),
        };
        self.effects
            .push_back(crate::gateway::Effect::Admitted { conn });
        self.start_ticking(conn.slot());
        if let Some((key, entry)) = presence {
            self.put_presence(&key, entry);
        }
        self.log_with(line);
        self.send_hello(conn, &id, token.as_deref());
        for mut text in pipelined {
            let len = text.len();
            text.resize(len + JSON_PADDING_BYTES, 0);
            self.on_text(now, conn, &mut text, len);
        }
    }

    /// A live peer went: others learn it, and what waits for it is dropped.
    pub(in crate::gateway) fn on_left(&mut self, live: &Live) {
        let line = LogLine::new(self.now.unix_ms, Level::Info, "gateway/ws", "disconnected")
            .with("client", &*live.client_id)
            .with("conn", &*live.conn_uuid);
        self.log_with(line);
        if let Some(key) = &live.presence_key
            && let Some(entry) = self.presence.get(key)
        {
            let entry = Entry {
                reason: Some("disconnect".into()),
                ts: self.now.unix_ms,
                ..entry.clone()
            };
            self.put_presence(key, entry);
        }
    }
}
