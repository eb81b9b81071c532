//! The way in, once a `connect` was judged: a token where one is due, then hello.

use super::Connect;
use super::device::is_good;
use crate::gateway::auth::pairing::Proven;
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::commit::Key;
use crate::gateway::methods::ADDITIONS_CAP;
use crate::gateway::nodes::NodeFacts;
use crate::gateway::peer::{Challenged, Live, Phase, SecretUsed};
use crate::gateway::presence::Entry;
use crate::gateway::{Effect, Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::JSON_PADDING_BYTES;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Device, PendingPairing, Record, Role};
use std::sync::Arc;

/// What may follow `connect` before it is answered, in bytes.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;

/// A `connect` that was let in, on its way to its hello.
pub(super) struct Joiner {
    id: Box<str>,
    live: Box<Live>,
    /// Of a node.
    node: Option<Box<NodeFacts>>,
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
            // What an operator calls a node counts more than what it calls itself.
            let row = device_id.as_deref().and_then(|device| self.device(device));
            let given = row.filter(|_| connect.role == Role::Node);
            let given = given.and_then(|row| row.name.as_deref()).map(Box::from);
            let host = given
                .or_else(|| text("displayName"))
                .or_else(|| text("id"))
                .unwrap_or_default();
            let key = device_id
                .clone()
                .or_else(|| text("instanceId"))
                .unwrap_or_else(|| challenged.conn_uuid.clone());
            let entry = Entry {
                text: presence_line(&host, mode),
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
                wants_additions: connect.params.texts("caps").any(|cap| cap == ADDITIONS_CAP),
                device_id,
                secret: match proven {
                    Proven::Shared => SecretUsed::Shared,
                    Proven::Owner => SecretUsed::Owner,
                    Proven::DeviceToken(_) | Proven::Code(_) => SecretUsed::Device,
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
            node: (connect.role == Role::Node)
                .then(|| Box::new(NodeFacts::read(connect.params, connect.client))),
            presence,
        }
    }

    /// Lets a peer in at once, or after its device has got a token.
    pub(super) fn admit(&mut self, now: Now, conn: ConnId, joiner: Joiner, proven: Proven) {
        let row = joiner
            .live
            .device_id
            .as_deref()
            .and_then(|device| self.device(device));
        let token = row.and_then(|row| row.grant(joiner.live.role)?.token.as_deref());
        match row {
            Some(row) if proven.knows_secret() && !token.is_some_and(is_good) => {
                let row = row.clone();
                self.store_and_admit(conn, joiner, row);
            }
            _ => self.join(now, conn, joiner),
        }
    }

    /// Stores a device, with a token for the joiner's role, then lets it in.
    pub(super) fn store_and_admit(&mut self, conn: ConnId, joiner: Joiner, mut row: Device) {
        let lock = Key::Device(row.device_id.as_ref().into());
        self.start_joining(conn);
        let role = joiner.live.role;
        let grant = row.grant_mut(role);
        if !grant.token.as_deref().is_some_and(is_good) {
            let scopes = grant.scopes.clone();
            row.grant_mut(role).token = Some(self.new_token(scopes));
        }
        let mut keys = vec![lock];
        let settled = self
            .pending_of(&row.device_id)
            .filter(|pending| is_settled(pending, &row))
            .cloned();
        let mut records = vec![Record::DevicePut(Arc::new(row))];
        if let Some(pending) = &settled {
            keys.push(Key::Pairings);
            records.push(Record::PairingRemove {
                request_id: pending.request_id.clone(),
            });
        }
        self.commit(keys, records, move |gateway, now, result| match result {
            Ok(()) => {
                if let Some(pending) = settled {
                    gateway.tell_resolved(&pending, "approved");
                }
                gateway.join(now, conn, joiner);
            }
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
        let Joiner {
            id,
            live,
            node,
            presence,
        } = joiner;
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
            .filter(|token| is_good(token));
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
        if let Some(facts) = node {
            self.register_node(conn, *facts);
        }
        self.effects.push_back(Effect::Admitted { conn });
        self.start_ticking(conn.slot());
        if let Some((key, entry)) = presence {
            self.put_presence(&key, entry);
        }
        self.log_with(line);
        self.send_hello(conn, &id, token.as_deref());
        self.note_seen(conn);
        if role == Role::Node {
            self.offer_queued_to(conn);
        }
        for mut text in pipelined {
            let len = text.len();
            text.resize(len + JSON_PADDING_BYTES, 0);
            self.on_text(now, conn, &mut text, len);
        }
    }

    /// A node has another name now: the list of who is there says it too.
    pub(in crate::gateway) fn rename_present(&mut self, device_id: &str, name: &str) {
        let Some(entry) = self.presence.get(device_id).cloned() else {
            return;
        };
        let mode = entry.mode.as_deref().unwrap_or("node");
        let entry = Entry {
            text: presence_line(name, mode),
            host: Some(name.into()),
            ..entry
        };
        self.put_presence(device_id, entry);
    }

    /// A live peer went: others learn it, and what waits for it is dropped.
    pub(in crate::gateway) fn on_left(&mut self, live: &Live, why: &str) {
        let line = LogLine::new(self.now.unix_ms, Level::Info, "gateway/ws", "disconnected")
            .with("client", &*live.client_id)
            .with("reason", why)
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

/// A client's line for people.
fn presence_line(host: &str, mode: &str) -> Box<str> {
    format!("Node: {host} · mode {mode}").into()
}

/// Whether the row holds all that the device asked a person for.
fn is_settled(pending: &PendingPairing, row: &Device) -> bool {
    pending.roles.iter().all(|role| {
        let asked = ScopeSet::of_texts(&pending.scopes);
        row.grant(*role).is_some_and(|grant| match role {
            Role::Operator => ScopeSet::of_texts(&grant.scopes).contains_all(asked),
            Role::Node => row.commands == pending.commands && row.caps == pending.caps,
        })
    })
}
