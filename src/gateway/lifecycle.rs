//! The life of a connection: accepted, upgraded, gone; and what is looked after meanwhile.

use super::auth::address::Authority;
use super::auth::admission::Admission;
use super::auth::locality::{
    self, Arrival, Client, Headers, Listener, SOCKET_HOST, asks_for_socket,
};
use super::auth::origin::{Origin, OriginError, Provenance};
use super::effect::LoadedConfig;
use super::peer::{Challenged, Peer, Phase};
use super::timers::Timer;
use super::{Effect, Gateway};
use crate::ids::ConnId;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Retention, Role, StoreRequest};
use crate::wire::http::{Head, Refusal as HttpRefusal};
use std::net::IpAddr;

/// How often expired pairings and keys are looked for.
const FORGET_INTERVAL_MS: u64 = 60_000;
/// How often the store forgets what retention allows.
const PRUNE_INTERVAL_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;

impl Gateway {
    pub(super) fn on_start(&mut self) {
        self.forget_expired();
        // Ends of runs give numbers to messages: those that are taken come first.
        self.resume_outgoing();
        self.resume_runs();
        self.tidy_drafts();
        self.resume_queue();
        self.open_channels();
        self.open_mcp();
        self.start_cron();
    }

    /// A connection was accepted: it gets a place, maybe another one's, or none.
    ///
    /// `descriptors_left` is how many more the process may open without touching its reserve.
    pub fn accept(
        &mut self,
        now: Now,
        conn: ConnId,
        arrival: Arrival,
        descriptors_left: usize,
    ) -> Admission {
        self.now = now;
        if matches!(arrival, Arrival::Socket { uid } if uid != self.identity.uid) {
            self.log(
                Level::Warn,
                "gateway/ws",
                "another user at the Unix socket was refused",
            );
            return Admission::Refuse;
        }
        let ip = arrival.ip();
        let admission = match self.trusts(ip) {
            true => self
                .waiting
                .admit_proxy(conn, ip, now.mono_ms, descriptors_left),
            false => self.waiting.admit(conn, ip, now.mono_ms, descriptors_left),
        };
        match admission {
            Admission::Admit => {}
            Admission::Evict(_) => self.counters.connections_evicted += 1,
            Admission::Refuse => {
                self.counters.connections_refused += 1;
                return admission;
            }
        }
        self.counters.connections_accepted += 1;
        self.peers.insert(Peer::new(conn, arrival));
        admission
    }

    /// Whether a connection from there has to begin with a PROXY header.
    pub fn expects_proxy_header(&self, arrival: Arrival) -> bool {
        let is_proxy = matches!(arrival, Arrival::Tcp(ip) if self.trusts(ip));
        self.config().gateway.proxy_protocol && is_proxy
    }

    /// The PROXY header of a connection came: it is of `source`, or the proxy speaks for itself.
    /// False where the connection has to end, since that address has its share.
    pub fn proxied(&mut self, now: Now, conn: ConnId, source: Option<IpAddr>) -> bool {
        self.now = now;
        let Some(peer) = self.peers.get_mut(conn) else {
            return false;
        };
        let ip = source.unwrap_or(peer.arrival.ip()).to_canonical();
        peer.arrival = Arrival::Relayed(ip);
        source.is_none() || self.waiting.relayed(conn, ip)
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        let mut trusted = self.config().gateway.trusted_proxies.iter();
        trusted.any(|range| range.contains(ip))
    }

    /// Whether an upgrade may go on, before a byte of ours is sent: Host, Origin, and
    /// forwarding headers that can be believed.
    ///
    /// # Errors
    ///
    /// What the peer is answered instead of 101.
    pub fn upgrade(&mut self, now: Now, conn: ConnId, head: &Head<'_>) -> Result<(), HttpRefusal> {
        self.now = now;
        if self.stopping {
            return Err(HttpRefusal::new(503, "shutting down"));
        }
        if self.is_short_of_memory() {
            return Err(HttpRefusal::new(503, super::memory::SHORT));
        }
        let (client, provenance) = self.vet(conn, head)?;
        let voucher = self.voucher(conn, head);
        self.waiting.heard(conn, now.mono_ms);
        let is_told = self
            .peers
            .get(conn)
            .is_some_and(|peer| peer.arrival.ip() != client.ip);
        if is_told && !self.waiting.relayed(conn, client.ip) {
            return Err(HttpRefusal::new(
                503,
                "too many unfinished handshakes of this address",
            ));
        }
        let challenged = Challenged {
            nonce: self.uuid(),
            client,
            provenance,
            voucher,
            conn_uuid: self.uuid().into(),
            pipelined: Vec::new(),
        };
        if let Some(peer) = self.peers.get_mut(conn) {
            peer.phase = Phase::Challenged(Box::new(challenged));
        }
        Ok(())
    }

    fn vet(&self, conn: ConnId, head: &Head<'_>) -> Result<(Client, Provenance), HttpRefusal> {
        let (client, own) = self.vet_host(conn, head)?;
        let fields: Vec<(&str, &[u8])> = head.fields().collect();
        match self.allowed.origin(fields.iter().copied(), &own) {
            Ok(provenance) => Ok((client, provenance)),
            Err(fault) => Err(HttpRefusal::new(403, fault.text())),
        }
    }

    /// The same for a plain request. One that only reads may come from any page: without CORS
    /// headers of ours no page can read the answer.
    ///
    /// # Errors
    ///
    /// What the peer is answered instead.
    pub(super) fn vet_request(
        &self,
        conn: ConnId,
        head: &Head<'_>,
    ) -> Result<(Client, Provenance), HttpRefusal> {
        let (client, own) = self.vet_host(conn, head)?;
        let fields: Vec<(&str, &[u8])> = head.fields().collect();
        let provenance = match head.method {
            "GET" | "HEAD" | "OPTIONS" => Ok(Provenance::Absent),
            _ => self.allowed.mutation(fields.iter().copied(), &own),
        };
        let forbidden = |fault: OriginError| HttpRefusal::new(403, fault.text());
        Ok((client, provenance.map_err(forbidden)?))
    }

    /// The Host rule of the whole port: a name that is not ours is somebody's rebinding. Gives who
    /// asks, and our own origin as he sees it.
    fn vet_host(&self, conn: ConnId, head: &Head<'_>) -> Result<(Client, Origin), HttpRefusal> {
        let gateway = &self.config().gateway;
        let Some(peer) = self.peers.get(conn) else {
            return Err(HttpRefusal::new(503, "no such connection"));
        };
        let listener = Listener {
            port: self.identity.port,
            tls: self.identity.tls,
            trusted: &gateway.trusted_proxies,
            behind_tailscale: gateway.is_behind_tailscale(),
        };
        let fields: Vec<(&str, &[u8])> = head.fields().collect();
        let fields = fields.iter().copied();
        let client = locality::resolve(peer.arrival, fields.clone(), &listener)
            .map_err(|fault| HttpRefusal::new(400, fault.text()))?;
        match self.authority(peer.arrival, fields) {
            Ok(authority) => Ok((client, Origin::own(&authority, client.https))),
            Err(fault) => Err(HttpRefusal::new(403, fault.text())),
        }
    }

    /// Whom a request asks for, if that is us.
    fn authority<'a>(
        &self,
        arrival: Arrival,
        fields: impl Headers<'a>,
    ) -> Result<Authority, OriginError> {
        if asks_for_socket(arrival, fields.clone()) {
            return Authority::parse(SOCKET_HOST).ok_or(OriginError::Host);
        }
        self.allowed.host(fields)
    }

    pub(super) fn on_opened(&mut self, conn: ConnId) {
        let Some(Phase::Challenged(challenged)) = self.peers.get(conn).map(|peer| &peer.phase)
        else {
            return;
        };
        let nonce = challenged.nonce.clone();
        self.send_unnumbered(conn, "connect.challenge", |gateway, w| {
            w.object(|w| {
                w.field_str("nonce", &nonce);
                w.field_u64("ts", gateway.now.unix_ms);
            });
        });
    }

    pub(super) fn on_closed(&mut self, conn: ConnId, why: &str) {
        self.leave(conn, why);
        self.on_http_client_gone(conn);
        self.stop_invokes(conn);
        if let Some(mut peer) = self.peers.remove(conn) {
            peer.outbox.clear(&mut self.turn);
        }
        self.exit_if_empty();
    }

    /// The peer takes part no more: out of every list, its waiting calls forgotten. Its
    /// connection may still be saying goodbye. `why` is for the log.
    pub(super) fn leave(&mut self, conn: ConnId, why: &str) {
        self.waiting.done(conn);
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let phase = std::mem::replace(&mut peer.phase, Phase::Closing);
        let Phase::Live(live) = phase else {
            return;
        };
        match live.role {
            Role::Operator => self.operators.remove(&conn),
            Role::Node => self.nodes.remove(&conn),
        };
        match live.role {
            Role::Operator => self.note_went(&live),
            Role::Node => self.unregister_node(conn),
        }
        self.on_left(&live, why);
        self.on_asker_left(conn);
    }

    pub(super) fn on_config(&mut self, result: Result<Box<LoadedConfig>, String>) {
        match result {
            Ok(loaded) => self.apply_config(*loaded),
            Err(fault) => {
                let line = LogLine::new(
                    self.now.unix_ms,
                    Level::Error,
                    "gateway/reload",
                    "configuration not reloaded; the former one stays in force",
                );
                self.log_with(line.with("fault", fault));
            }
        }
    }

    /// Drops what has expired and looks again later.
    pub(super) fn forget_expired(&mut self) {
        self.forget_pairings();
        self.fleet.forget(self.now.mono_ms);
        self.store_seen_devices();
        self.tend_queue();
        self.tend_channels();
        self.tend_heartbeats();
        if self.now.mono_ms >= self.prune_at_ms {
            self.prune();
        }
        self.timers
            .set(self.now.mono_ms + FORGET_INTERVAL_MS, Timer::Forget);
    }

    /// Has the store forget what retention allows.
    pub(super) fn prune(&mut self) {
        self.prune_at_ms = self.now.mono_ms + PRUNE_INTERVAL_MS;
        let kept = &self.config().retention;
        let before = |days: Option<u64>| {
            let span_ms = days?.saturating_mul(DAY_MS);
            Some(self.now.unix_ms.saturating_sub(span_ms))
        };
        let retention = Retention {
            now_ms: self.now.unix_ms,
            messages_before_ms: before(kept.messages.max_age_days),
            messages_len_max: kept.messages.max_entries,
            archive_before_ms: before(kept.messages.max_age_days),
            runs_before_ms: before(kept.runs.max_age_days),
        };
        self.effects
            .push_back(Effect::Store(StoreRequest::Prune(retention)));
    }
}
