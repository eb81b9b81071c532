//! The core: takes inputs, changes state, leaves effects and bytes in outboxes.
//!
//! One thread owns it. It never blocks and never fails: what takes time is an [`Effect`], and
//! its outcome another [`Input`]. Time and entropy come from outside, so a test, a simulation
//! and the reactor drive it alike.
//!
//! Read next: [`effect`] (what goes in and out), [`dispatch`] (one request), [`methods`] (the
//! table), [`commit`] (what must survive), [`broadcast`] (events).

mod api;
mod approvals;
mod attachments;
pub mod auth;
pub mod broadcast;
mod channels;
pub mod commit;
mod connect;
mod cron;
pub mod dispatch;
pub mod effect;
mod entry;
mod facts;
mod fetch;
mod heartbeat;
mod hello;
mod http;
mod identity;
mod lifecycle;
mod mcp;
mod memory;
mod method;
pub mod methods;
mod metrics;
mod names;
mod nodes;
mod pairing;
pub mod params;
mod parting;
pub mod peer;
mod presence;
mod refusal;
mod reload;
mod runs;
mod sessions;
mod slash;
mod slow;
mod system_events;
mod tailnet;
mod timers;
mod tools;
mod transcript;
mod zones;

pub use effect::{Effect, Fetch, FetchResult, Input, LoadedConfig};
pub use identity::{Entropy, Identity};
pub use memory::Memory;
pub use metrics::Load;
pub use refusal::{Code, Refusal};

use crate::ids::{ConnId, Line};
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::outbox::{Outbox, Turn};
use crate::state::State;
use crate::tailnet::Tailnet;
use crate::wire::envelope::Parser;
use auth::admission::{Budget, Waiting};
use auth::limiter::Limiter;
use auth::replay::Replays;
use commit::Commits;
use fetch::Tickets;
use peer::{Peer, Peers, Phase};
use presence::Presence;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use timers::Timers;

/// The gateway: all of its state, and what it has to say.
pub struct Gateway {
    now: Now,
    identity: Identity,
    loaded: LoadedConfig,
    /// What io found out about the tailnet.
    tailnet: Tailnet,
    /// Whose addresses of the tailnet are.
    known: auth::tailnet::Known,
    allowed: auth::origin::Allowed,
    state: State,
    entropy: Box<dyn Entropy>,
    /// Names this process, so that a client sees that it meets another one.
    boot_id: Box<str>,
    peers: Peers,
    /// Live peers by role; broadcasts walk these, in a fixed order.
    operators: BTreeSet<ConnId>,
    nodes: BTreeSet<ConnId>,
    turn: Turn,
    dirty: Line,
    receivers_spare: Vec<ConnId>,
    effects: VecDeque<Effect>,
    /// None while a message is being read: one that comes out of it gets a parser of its own.
    parser: Option<Parser>,
    commits: Commits,
    tickets: Tickets,
    timers: Timers,
    slow: slow::SlowPeers,
    presence: Presence,
    health: method::health::Health,
    limiter: Limiter,
    waiting: Waiting,
    replays: Replays,
    /// What clients of protocol version 3, and of later ones, signed last.
    proof_versions: [auth::proof::Version; 2],
    codes: auth::code::Codes,
    runs: runs::Runs,
    http_runs: api::HttpRuns,
    hooks: api::Hooks,
    invokes: api::Invokes,
    approvals: approvals::Approvals,
    fleet: nodes::Fleet,
    processes: tools::Processes,
    channels: channels::Channels,
    mcp: mcp::Servers,
    system_events: system_events::SystemEvents,
    zones: zones::Zones,
    cron: cron::Cron,
    heartbeats: heartbeat::Heartbeats,
    counters: metrics::Counters,
    shortage: memory::Shortage,
    /// When the store is to forget what retention allows, on the monotonic clock.
    prune_at_ms: u64,
    stopping: bool,
    /// Set once what was accepted is finished.
    parting: Option<parting::Parting>,
}

impl Gateway {
    /// A gateway with what survived the last one.
    pub fn new(
        now: Now,
        identity: Identity,
        loaded: LoadedConfig,
        state: State,
        entropy: Box<dyn Entropy>,
    ) -> Self {
        let limits = &loaded.config.gateway.limits;
        let waiting = Waiting::new(Budget {
            per_ip_max: limits.handshakes_per_ip_max,
            total_max: limits.handshakes_max,
        });
        let system_events = system_events::SystemEvents::of(&state);
        let mut gateway = Self {
            now,
            allowed: reload::allowed(&identity, None, &loaded.config),
            identity,
            tailnet: Tailnet::default(),
            known: auth::tailnet::Known::default(),
            state,
            entropy,
            boot_id: Box::default(),
            peers: Peers::default(),
            operators: BTreeSet::new(),
            nodes: BTreeSet::new(),
            turn: Turn::default(),
            dirty: Line::default(),
            receivers_spare: Vec::new(),
            effects: VecDeque::new(),
            parser: Some(Parser::default()),
            commits: Commits::default(),
            tickets: Tickets::default(),
            timers: Timers::default(),
            slow: slow::SlowPeers::default(),
            presence: Presence::default(),
            health: method::health::Health::default(),
            limiter: Limiter::default(),
            waiting,
            replays: Replays::default(),
            proof_versions: [auth::proof::Version::V2, auth::proof::Version::V3],
            codes: auth::code::Codes::default(),
            runs: runs::Runs::default(),
            http_runs: api::HttpRuns::default(),
            hooks: api::Hooks::default(),
            invokes: api::Invokes::default(),
            approvals: approvals::Approvals::default(),
            fleet: nodes::Fleet::default(),
            processes: tools::Processes::default(),
            channels: channels::Channels::default(),
            mcp: mcp::Servers::default(),
            system_events,
            zones: zones::Zones::new(),
            cron: cron::Cron::default(),
            heartbeats: heartbeat::Heartbeats::default(),
            counters: metrics::Counters::default(),
            shortage: memory::Shortage::default(),
            prune_at_ms: 0,
            stopping: false,
            parting: None,
            loaded,
        };
        gateway.boot_id = gateway.uuid().into();
        let mut random = [0u8; 8];
        gateway.entropy.fill(&mut random);
        gateway.fleet.seed(u64::from_le_bytes(random));
        gateway.on_start();
        gateway
    }

    /// Takes one input, to completion.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Opened { conn } => self.on_opened(conn),
            Input::Text { conn, padded, len } => self.on_text(now, conn, padded, len),
            Input::Http { conn, head, body } => self.on_http(conn, head, body),
            Input::Closed { conn, why } => self.on_closed(conn, why),
            Input::Step(output) => self.on_step(output),
            Input::StepRefused { tag, message } => self.on_step_refused(tag, &message),
            Input::Acted { ticket, acted } => self.on_acted(ticket, acted),
            Input::Store(answer) => self.on_store(now, answer),
            Input::Channel(report) => self.on_channel(report),
            Input::Mcp(report) => self.on_mcp(report),
            Input::Fetched { ticket, result } => self.on_fetched(now, ticket, result),
            Input::Config(result) => self.on_config(result),
            Input::Memory(memory) => self.on_memory(memory),
            Input::Tailnet(tailnet) => self.on_tailnet(tailnet),
            Input::Shutdown { reason } => self.on_shutdown(reason),
            Input::Expire => {}
        }
        self.expire();
        self.end_lost_calls();
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    /// The next thing that the world is asked to do. Ask until None at the end of each turn.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.seal_batch();
        self.effects.pop_front()
    }

    /// The next peer with something to send, once a turn each. They go in the order in which they were found, which
    /// for an event is that of their memory: thousands of them are fetched ahead that way, and not backwards.
    pub fn poll_dirty(&mut self) -> Option<(ConnId, &mut Outbox, &mut Turn)> {
        while let Some(conn) = self.dirty.take_first() {
            if self.peers.get(conn).is_some() {
                let peer = self.peers.get_mut(conn)?;
                peer.dirty = false;
                return Some((conn, &mut peer.outbox, &mut self.turn));
            }
        }
        None
    }

    /// The outbox of a connection, for frames that the connection itself answers with. It is
    /// flushed with this turn's: asking for it is also how one that was blocked goes on.
    pub fn outbox(&mut self, conn: ConnId) -> Option<(&mut Outbox, &mut Turn)> {
        self.mark_dirty(conn);
        let peer = self.peers.get_mut(conn)?;
        Some((&mut peer.outbox, &mut self.turn))
    }

    /// The outbox of a connection that ends: what is in it may still be sent.
    pub fn take_outbox(&mut self, conn: ConnId) -> Outbox {
        self.peers
            .get_mut(conn)
            .map(|peer| std::mem::take(&mut peer.outbox))
            .unwrap_or_default()
    }

    /// Bytes that wait for a peer; 0 for one that is gone.
    pub fn queued_len(&self, conn: ConnId) -> usize {
        self.peers
            .get(conn)
            .map_or(0, |peer| peer.outbox.queued_len())
    }

    /// Connections that have not said hello and count against the budget for handshakes.
    pub fn handshakes_len(&self) -> usize {
        self.waiting.len()
    }

    /// What the outboxes share.
    pub fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }

    /// All dirty peers were flushed: what they shared is forgotten.
    pub fn end_turn(&mut self) {
        self.turn.end();
    }

    /// When [`Input::Expire`] is due, on the monotonic clock.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<crate::config::Config> {
        &self.loaded.config
    }

    fn mark_dirty(&mut self, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(conn)
            && !peer.dirty
        {
            peer.dirty = true;
            self.dirty.push(conn);
        }
    }

    /// Closes a connection; what is queued for it goes out first.
    fn close(&mut self, conn: ConnId, code: u16, reason: &str) {
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        if matches!(peer.phase, Phase::Closing) {
            return;
        }
        self.effects.push_back(Effect::Close {
            conn,
            code,
            reason: reason.to_owned(),
        });
        self.leave(conn, reason);
    }

    fn log(&mut self, level: Level, subsystem: &'static str, message: &str) {
        let line = LogLine::new(self.now.unix_ms, level, subsystem, message);
        self.effects.push_back(Effect::Log(line));
    }

    fn log_with(&mut self, line: LogLine) {
        self.effects.push_back(Effect::Log(line));
    }

    /// What must hold after each input.
    pub fn check_invariants(&self) {
        self.runs.check_invariants();
        for (conns, role) in [
            (&self.operators, crate::state::Role::Operator),
            (&self.nodes, crate::state::Role::Node),
        ] {
            for conn in conns {
                let live = self.peers.get(*conn).and_then(Peer::live);
                assert!(
                    live.is_some_and(|live| live.role == role),
                    "{conn} has gone"
                );
            }
        }
        let live = self
            .peers
            .iter()
            .filter(|peer| peer.live().is_some())
            .count();
        assert_eq!(live, self.operators.len() + self.nodes.len());
        self.check_nodes();
    }
}
