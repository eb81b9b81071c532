//! The handshake: challenge, `connect`, hello.
//!
//! Who gets in is decided in this order, each step a refusal of its own: the protocol version,
//! the role, the device's proof, the secret, the pairing.

use super::auth::limiter::{Guesser, Locked, SecretKind};
use super::auth::pairing::{Ask, Decision, PAIRING_REQUIRED, Proven, Standing, decide};
use super::auth::proof::{self, Claim, Expected, Proof, ProofError, Signed};
use super::auth::scope::ScopeSet;
use super::auth::secret::{SecretFault, equal};
use super::commit::Key;
use super::hello::{PROTOCOL_MAX, PROTOCOL_MIN};
use super::params::{COUNT, Kind, NAME, POSITIVE, Params, Shape, TEXT, opt, req};
use super::peer::{Challenged, Live, Phase, SecretUsed};
use super::presence::Entry;
use super::{Code, Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::JSON_PADDING_BYTES;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{
    ClientFacts, Device, DeviceToken, Grant, PendingPairing, Record, Role, Text, no_texts,
};
use crate::wire::envelope;
use crate::wire::json::{Json, Writer};
use std::sync::Arc;

/// What may follow `connect` before it is answered, in bytes.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;

const fn open(fields: &'static [super::params::Field]) -> Shape {
    Shape { fields, open: true }
}

/// Parameters of `connect`. Unknown members are let through, here and below.
pub const SHAPE: Shape = open(&[
    req("minProtocol", POSITIVE),
    req("maxProtocol", POSITIVE),
    req(
        "client",
        Kind::Object(&open(&[
            req("id", NAME),
            opt("displayName", NAME),
            req("version", NAME),
            req("platform", NAME),
            opt("deviceFamily", NAME),
            opt("modelIdentifier", NAME),
            req(
                "mode",
                Kind::OneOf(&["webchat", "cli", "ui", "backend", "node", "probe", "test"]),
            ),
            opt("instanceId", NAME),
        ])),
    ),
    opt("caps", Kind::List { min: 0, of: &NAME }),
    opt("commands", Kind::List { min: 0, of: &NAME }),
    opt("permissions", Kind::Map(&Kind::Bool)),
    opt("pathEnv", TEXT),
    opt("role", NAME),
    opt("scopes", Kind::List { min: 0, of: &NAME }),
    opt(
        "device",
        Kind::Object(&open(&[
            req("id", NAME),
            req("publicKey", NAME),
            req("signature", NAME),
            req("signedAt", COUNT),
            opt("nonce", NAME),
        ])),
    ),
    opt(
        "auth",
        Kind::Object(&open(&[
            opt("token", TEXT),
            opt("password", TEXT),
            opt("deviceToken", TEXT),
        ])),
    ),
    opt("locale", TEXT),
    opt("userAgent", TEXT),
]);

/// A `connect` that was let in, on its way to its hello.
struct Joiner {
    id: Box<str>,
    live: Box<Live>,
    presence: Option<(Box<str>, Entry)>,
}

/// Why a `connect` does not go on.
pub(super) enum Halt {
    /// It is refused, with this close code.
    Refused(Refusal, u16),
    /// Its device is being written for another connection: it is judged again afterwards.
    Busy,
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, 1008)
    }
}

/// The parts of `connect` that the checks read.
struct Connect<'t, 'i> {
    params: Params<'t, 'i>,
    client: Params<'t, 'i>,
    auth: Params<'t, 'i>,
    device: Option<Params<'t, 'i>>,
    protocol: u32,
    role: Role,
    scopes: ScopeSet,
    scope_names: Vec<&'i str>,
}

impl<'i> Connect<'_, 'i> {
    /// The token that the client shows, wherever its version puts it.
    fn token(&self) -> Option<&'i str> {
        self.auth
            .text("token")
            .or_else(|| self.auth.text("deviceToken"))
    }

    fn facts(&self, ip: std::net::IpAddr) -> ClientFacts {
        let text = |name: &str| self.client.text(name).map(Text::from);
        ClientFacts {
            display_name: text("displayName"),
            platform: text("platform"),
            device_family: text("deviceFamily"),
            model_identifier: text("modelIdentifier"),
            client_id: text("id"),
            client_mode: text("mode"),
            remote_ip: Some(ip.to_string().into()),
        }
    }
}

impl Gateway {
    /// The first message of a connection: `connect`, or the connection's end.
    pub(super) fn on_first_text(&mut self, now: Now, conn: ConnId, padded: &mut [u8], len: usize) {
        let mut parser = std::mem::take(&mut self.parser);
        match parser.parse(padded, len) {
            Ok(document) => {
                match document.root() {
                    Some(root) => self.on_first_envelope(now, conn, root),
                    None => self.close(conn, 1008, "invalid request frame"),
                }
                parser.recycle(document);
            }
            Err(_) => self.close(conn, 1008, "invalid request frame"),
        }
        self.parser = parser;
    }

    fn on_first_envelope(&mut self, now: Now, conn: ConnId, root: Json<'_, '_>) {
        let Ok(request) = envelope::request(root) else {
            return self.close(conn, 1008, "invalid request frame");
        };
        let went = if request.method == "connect" {
            self.on_connect(now, conn, request.id, request.unknown_key, request.params)
        } else {
            Err(Refusal::invalid("invalid handshake: first request must be connect").into())
        };
        match went {
            Ok(()) => {}
            Err(Halt::Refused(refusal, code)) => {
                self.refuse_connect(conn, request.id, &refusal, code);
            }
            Err(Halt::Busy) => self.connect_later(conn, root),
        }
    }

    /// Judges the same `connect` again when what is being written has been written.
    fn connect_later(&mut self, conn: ConnId, root: Json<'_, '_>) {
        let mut text = Vec::new();
        Writer::new(&mut text).json(root);
        self.start_joining(conn);
        self.commits.wait(Box::new(move |gateway, now| {
            if let Some(peer) = gateway.peers.get_mut(conn) {
                let phase = std::mem::replace(&mut peer.phase, Phase::Closing);
                peer.phase = match phase {
                    Phase::Joining(challenged) => Phase::Challenged(challenged),
                    other => other,
                };
                gateway.on_bytes(now, conn, text);
            }
        }));
    }

    /// Answers a `connect` with an error and closes with the same words.
    pub(super) fn refuse_connect(&mut self, conn: ConnId, id: &str, refusal: &Refusal, code: u16) {
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Warn,
            "gateway/ws",
            "connect refused",
        );
        let ip = self.peers.get(conn).map(|peer| peer.ip.to_string());
        self.log_with(
            line.with("reason", refusal.message.to_string())
                .with("ip", ip.unwrap_or_default()),
        );
        self.respond_refusal(conn, id, refusal);
        self.close(conn, code, &refusal.message);
    }

    fn on_connect(
        &mut self,
        now: Now,
        conn: ConnId,
        id: &str,
        unknown_key: Option<&str>,
        params: Option<Json<'_, '_>>,
    ) -> Result<(), Halt> {
        let Some(Phase::Challenged(challenged)) = self.peers.get(conn).map(|peer| &peer.phase)
        else {
            return Ok(());
        };
        let challenged = challenged.clone();
        if params.is_none() {
            return Err(Refusal::invalid("invalid connect params: must be object").into());
        }
        let params = Params::new(params);
        params
            .check(&SHAPE)
            .map_err(|faults| Refusal::invalid(format!("invalid connect params: {faults}")))?;
        let connect = self.read_connect(params)?;
        if let (Some(key), 3) = (unknown_key, connect.protocol) {
            let text = format!("invalid request frame: at root: unexpected property '{key}'");
            return Err(Refusal::invalid(text).into());
        }
        if let Some(device) = connect.device
            && self.is_being_paired(device.required_text("id"))
        {
            return Err(Halt::Busy);
        }
        let proof = match connect.device {
            Some(device) => Some(self.verify_proof(&connect, device, &challenged)?),
            None => None,
        };
        let proven_id = proof.as_ref().map(Proof::device_id);
        let proven = self.check_secret(&connect, proven_id, &challenged)?;
        let spend = |proof: Proof| proof.spend(&mut self.replays, now.unix_ms);
        let device_id = proof.map(spend).transpose().map_err(refused_proof)?;
        let standing = device_id
            .as_deref()
            .map(|device| self.standing(device, connect.role));
        let decision = decide(&Ask {
            role: connect.role,
            scopes: connect.scopes,
            proven,
            device: standing,
            local: challenged.client.local,
            origin: &challenged.provenance,
            allow_insecure_auth: self.config().gateway.control_ui.allow_insecure_auth,
        });
        match (decision, device_id) {
            (Decision::Admit { granted }, device_id) => {
                let joiner = self.joiner(id, &connect, &challenged, device_id, proven, granted);
                self.admit(now, conn, joiner, proven);
                Ok(())
            }
            (Decision::AdmitAndPair { granted, approved }, Some(device)) => {
                let row = self.paired_silently(&connect, &device, approved, &challenged);
                let joiner = self.joiner(id, &connect, &challenged, Some(device), proven, granted);
                self.store_and_admit(conn, joiner, row);
                Ok(())
            }
            (Decision::NeedPairing(standing), Some(device)) => {
                let sought = self.pairing_of(&connect, &device, standing, &challenged);
                self.request_pairing(conn, id, sought)?;
                Ok(())
            }
            (Decision::AdmitAndPair { .. } | Decision::NeedPairing(_), None) => {
                Err(Refusal::new(Code::NotPaired, PAIRING_REQUIRED).into())
            }
            (Decision::Refuse(why), _) => {
                use super::auth::pairing::Refusal as Why;
                let code = match why {
                    Why::DeviceRequired => Code::NotPaired,
                    Why::InsecureContext => Code::InvalidRequest,
                };
                Err(Refusal::new(code, why.text()).into())
            }
        }
    }

    fn read_connect<'t, 'i>(&self, params: Params<'t, 'i>) -> Result<Connect<'t, 'i>, Halt> {
        let part = |name: &str| Params::new(params.get(name));
        let (min, max) = (params.u64("minProtocol"), params.u64("maxProtocol"));
        let protocol = agree(min.unwrap_or(0), max.unwrap_or(0)).ok_or_else(|| {
            let refusal = Refusal::invalid("protocol mismatch").with_details(|w| {
                w.object(|w| {
                    w.field_str("code", "PROTOCOL_MISMATCH");
                    w.field_opt_u64("clientMinProtocol", min);
                    w.field_opt_u64("clientMaxProtocol", max);
                    w.field_u64("expectedProtocol", u64::from(PROTOCOL_MAX));
                });
            });
            Halt::Refused(refusal, 1002)
        })?;
        let role = match params.text("role") {
            None => Role::Operator,
            Some(word) => Role::parse(word).ok_or_else(|| Refusal::invalid("invalid role"))?,
        };
        let scope_names: Vec<&'i str> = params.texts("scopes").collect();
        Ok(Connect {
            params,
            client: part("client"),
            auth: part("auth"),
            device: params.get("device").map(|device| Params::new(Some(device))),
            protocol,
            role,
            scopes: ScopeSet::parse(scope_names.iter().copied()),
            scope_names,
        })
    }

    fn verify_proof(
        &self,
        connect: &Connect<'_, '_>,
        device: Params<'_, '_>,
        challenged: &Challenged,
    ) -> Result<Proof, Halt> {
        let claim = Claim {
            id: device.required_text("id"),
            public_key: device.required_text("publicKey"),
            signature: device.required_text("signature"),
            signed_at_ms: device.u64("signedAt").unwrap_or(0),
            nonce: device.text("nonce"),
        };
        let signed = Signed {
            client_id: connect.client.required_text("id"),
            client_mode: connect.client.required_text("mode"),
            role: connect.role.as_str(),
            scopes: &connect.scope_names,
            token: connect.token().unwrap_or(""),
            platform: connect.client.text("platform").unwrap_or(""),
            device_family: connect.client.text("deviceFamily").unwrap_or(""),
        };
        let expected = Expected {
            nonce: &challenged.nonce,
            local: challenged.client.local,
            unix_ms: self.now.unix_ms,
        };
        proof::verify(&claim, &signed, &expected).map_err(refused_proof)
    }

    /// The device's own token, or the gateway's secret. Guesses at the latter are counted;
    /// a valid device token passes even while they are locked.
    fn check_secret(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: Option<&str>,
        challenged: &Challenged,
    ) -> Result<Proven, Halt> {
        let shown = [connect.auth.text("token"), connect.auth.text("deviceToken")];
        if let Some(scopes) = device_id.and_then(|device| {
            shown
                .iter()
                .flatten()
                .find_map(|token| self.device_token_scopes(device, connect.role, token))
        }) {
            return Ok(Proven::DeviceToken(scopes));
        }
        let origin = challenged.provenance.origin();
        let guesser = Guesser::new(&challenged.client, origin, SecretKind::Shared);
        if let Some(guesser) = guesser {
            self.limiter
                .check(guesser, self.now.mono_ms)
                .map_err(|locked| Refusal {
                    retryable: true,
                    retry_after_ms: Some(locked.retry_after_ms),
                    ..Refusal::invalid(Locked::TEXT)
                })?;
        }
        match self
            .loaded
            .secret
            .check(connect.token(), connect.auth.text("password"))
        {
            Ok(()) => Ok(Proven::Shared),
            Err(SecretFault::Missing(_)) if nothing_shown(connect) && device_id.is_none() => {
                Err(Refusal::new(Code::NotPaired, "device identity required").into())
            }
            Err(fault) => {
                if let (true, Some(guesser)) = (fault.is_guess(), guesser) {
                    self.limiter.failed(guesser, self.now.mono_ms);
                }
                Err(Refusal::invalid(fault.text()).into())
            }
        }
    }

    /// The scopes of a device token, if it is this device's for this role and not revoked.
    fn device_token_scopes(&self, device: &str, role: Role, shown: &str) -> Option<ScopeSet> {
        let token = self
            .state
            .devices()
            .get(device)?
            .grant(role)?
            .token
            .as_ref()?;
        let good = token.revoked_at_ms.is_none() && equal(token.token.as_bytes(), shown.as_bytes());
        good.then(|| ScopeSet::parse(token.scopes.iter().map(|scope| &**scope)))
    }

    fn standing(&self, device: &str, role: Role) -> Standing {
        match self.state.devices().get(device) {
            None => Standing::Unknown,
            Some(device) => match device.grant(role) {
                None => Standing::OtherRole,
                Some(grant) => {
                    Standing::Paired(ScopeSet::parse(grant.scopes.iter().map(|scope| &**scope)))
                }
            },
        }
    }

    /// The row of a device that is approved here and now.
    fn paired_silently(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: &str,
        approved: ScopeSet,
        challenged: &Challenged,
    ) -> Device {
        let public_key = connect
            .device
            .map_or("", |device| device.required_text("publicKey"));
        let mut row = self.device_row(device_id, public_key, connect.facts(challenged.client.ip));
        let scopes: Arc<[Text]> = approved.names().map(Text::from).collect();
        if connect.role == Role::Node {
            row.caps = connect.params.texts("caps").map(Text::from).collect();
            row.commands = connect.params.texts("commands").map(Text::from).collect();
        }
        let grant = row.grant_mut(connect.role);
        grant.scopes = scopes.clone();
        if let Some(token) = &mut grant.token {
            token.scopes = scopes;
        }
        row
    }

    /// What a person is asked to approve.
    fn pairing_of(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: &str,
        standing: Standing,
        challenged: &Challenged,
    ) -> PendingPairing {
        let texts = |name: &str| connect.params.texts(name).map(Text::from).collect();
        PendingPairing {
            request_id: self.uuid().into(),
            device_id: device_id.into(),
            public_key: connect
                .device
                .map_or("", |device| device.required_text("publicKey"))
                .into(),
            client: connect.facts(challenged.client.ip),
            roles: vec![connect.role],
            scopes: connect.scopes.names().map(Text::from).collect(),
            caps: texts("caps"),
            commands: texts("commands"),
            silent: false,
            is_repair: standing != Standing::Unknown,
            ts: self.now.unix_ms,
        }
    }

    /// A device's row as it is, or a new one.
    pub(super) fn device_row(
        &self,
        device_id: &str,
        public_key: &str,
        client: ClientFacts,
    ) -> Device {
        match self.state.devices().get(device_id) {
            Some(row) => Device {
                client,
                approved_at_ms: self.now.unix_ms,
                ..Device::clone(row)
            },
            None => Device {
                device_id: device_id.into(),
                public_key: public_key.into(),
                client,
                grants: Vec::new(),
                caps: no_texts(),
                commands: no_texts(),
                created_at_ms: self.now.unix_ms,
                approved_at_ms: self.now.unix_ms,
                last_seen_ms: self.now.unix_ms,
            },
        }
    }

    /// A fresh token for a grant.
    pub(super) fn new_token(&mut self, scopes: Arc<[Text]>) -> Box<DeviceToken> {
        Box::new(DeviceToken {
            token: self.random_hex().into(),
            scopes,
            created_at_ms: self.now.unix_ms,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        })
    }

    fn joiner(
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
    fn admit(&mut self, now: Now, conn: ConnId, joiner: Joiner, proven: Proven) {
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
    fn store_and_admit(&mut self, conn: ConnId, joiner: Joiner, mut row: Device) {
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
    pub(super) fn start_joining(&mut self, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(conn) {
            let phase = std::mem::replace(&mut peer.phase, Phase::Closing);
            peer.phase = match phase {
                Phase::Challenged(challenged) => Phase::Joining(challenged),
                other => other,
            };
        }
    }

    /// Keeps a message that arrived while the handshake waits.
    pub(super) fn when_joined(&mut self, conn: ConnId, bytes: Vec<u8>) {
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
        self.effects.push_back(super::Effect::Admitted { conn });
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
    pub(super) fn on_left(&mut self, live: &Live) {
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

/// The highest version that both sides speak.
fn agree(min: u64, max: u64) -> Option<u32> {
    let highest = max.min(u64::from(PROTOCOL_MAX));
    (highest >= min.max(u64::from(PROTOCOL_MIN))).then_some(highest as u32)
}

fn refused_proof(fault: ProofError) -> Halt {
    Refusal::invalid(fault.text()).into()
}

fn nothing_shown(connect: &Connect<'_, '_>) -> bool {
    let shown = |name: &str| connect.auth.text(name).is_some_and(|text| !text.is_empty());
    !shown("token") && !shown("password") && !shown("deviceToken")
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn the_highest_common_version_is_agreed_on() {
        for (min, max, expected) in [
            (3, 3, Some(3)),
            (3, 4, Some(4)),
            (4, 4, Some(4)),
            (1, 9, Some(4)),
            (1, 2, None),
            (5, 9, None),
            (4, 3, None),
        ] {
            assert_eq!(agree(min, max), expected, "{min}..{max}");
        }
    }
}
