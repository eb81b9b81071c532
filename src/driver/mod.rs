//! A driver of the core without sockets, for tests, simulation and fuzzing.
//!
//! It does what the loop does, from bytes to effects and back, with everything made up: the
//! clock, entropy, a store in memory, files in a map, steps that a script or the built-in agent
//! answers. What a peer is sent can be read as messages. So a golden transcript, a simulation
//! and a fuzzer run the very core that serves, and the same seed gives the same bytes.
//!
//! ```
//! use clawdia::driver::Driver;
//!
//! let mut driver = Driver::default();
//! let operator = driver.operator();
//! let status = driver.ok(operator, "status", serde_json::json!({}));
//! assert!(status.is_object());
//! ```
//!
//! Read next: [`Driver::feed`] (bytes in), [`Driver::settle`] (turns until nothing moves),
//! [`device`] (proofs), [`store`] (delays, failures, what survives a crash).
//!
//! Helpers panic where a test made a mistake; nothing here serves a real peer.

mod ask;
mod config;
pub mod device;
mod files;
mod remote;
mod service;
mod steps;
pub mod store;
#[cfg(test)]
mod tests;
mod turn;

pub use ask::{Address, node_params, operator_params};
pub use remote::{Remote, masked};
pub use service::{Fate, Service};
pub use steps::Steps;

use crate::gateway::{Entropy, Gateway, Identity};
use crate::ids::ConnId;
use crate::limits::{CLOSE_GRACE_MS, SHUTDOWN_DRAIN_MS, SHUTDOWN_SPREAD_MS};
use crate::log::LogLine;
use crate::mcp;
use crate::now::Now;
use crate::tailnet::person::Person;
use crate::wire::message::Pool;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use store::Store;

/// The secret of a gateway whose options name none.
pub const TOKEN: &str = "testtoken";
/// The user that the gateway runs as.
pub const UID: u32 = 1_000;
/// Where the made-up clock starts.
pub const START: Now = Now {
    mono_ms: 1_000_000,
    unix_ms: 1_795_000_000_000,
};

/// What a gateway is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// The text of the configuration file, JSON5.
    pub config: String,
    /// Everything random comes from it.
    pub seed: u64,
    /// Who answers the steps of runs.
    pub steps: Steps,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: "{}".into(),
            seed: 1,
            steps: Steps::Builtin,
        }
    }
}

/// A gateway with a world around it.
pub struct Driver {
    /// The core.
    pub gateway: Gateway,
    /// The made-up clock; [`Driver::advance`] moves it.
    pub now: Now,
    /// What survives, and requests that wait for their answer.
    pub store: Store,
    /// Pages and assets by path, as `gateway.controlUi.root` would hold them.
    pub files: BTreeMap<String, (&'static str, Vec<u8>)>,
    /// Whose addresses of the tailnet are, as its daemon would say.
    pub persons: BTreeMap<IpAddr, Person>,
    /// Where it is Some, the daemon is silent, and the tickets of questions gather here.
    pub asked: Option<Vec<u64>>,
    /// What was asked of servers of tools.
    pub mcp: Vec<mcp::Order>,
    /// Files of time zones by name; that of the machine's own zone has none.
    pub zones: BTreeMap<String, Vec<u8>>,
    /// The text of the configuration file as it is now.
    pub config: String,
    /// Steps that nobody has answered yet.
    pub steps: VecDeque<Box<crate::agent::Step>>,
    /// Who answers them.
    pub steps_by: Steps,
    /// What tools want to be done on this machine and nobody has answered, by ticket.
    pub acts: VecDeque<(u64, crate::agent::Act)>,
    /// How each of them is cancelled, those that were answered too.
    pub cancels: Vec<crate::agent::CancelToken>,
    /// Files of every workspace.
    pub notes: BTreeMap<&'static str, String>,
    /// The chat service that channels speak to.
    pub service: Service,
    /// Lines that were logged, oldest first.
    pub log: Vec<LogLine>,
    /// The core takes more connections.
    accepting: bool,
    /// The core said that the process may end.
    pub exited: bool,
    remotes: BTreeMap<ConnId, Remote>,
    slots: Slots,
    pool: Pool,
    requests: u64,
    entropy: Seeded,
}

impl Default for Driver {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Driver {
    /// A gateway that has never run before.
    ///
    /// # Panics
    ///
    /// When the configuration is refused.
    pub fn new(options: Options) -> Self {
        Self::start(
            options.config,
            options.seed,
            options.steps,
            Store::default(),
            START,
            Service::default(),
        )
    }

    fn start(
        config: String,
        seed: u64,
        steps_by: Steps,
        store: Store,
        now: Now,
        service: Service,
    ) -> Self {
        let mut entropy = Seeded(seed);
        let loaded = config::load(&config).unwrap_or_else(|fault| panic!("{fault}"));
        let gateway = Gateway::new(
            now,
            identity(now, loaded.config.gateway.tls.enabled),
            loaded,
            store.committed(),
            Box::new(entropy.fork()),
        );
        let mut driver = Self {
            gateway,
            now,
            store,
            files: BTreeMap::new(),
            persons: BTreeMap::new(),
            asked: None,
            mcp: Vec::new(),
            zones: BTreeMap::new(),
            config,
            steps: VecDeque::new(),
            steps_by,
            acts: VecDeque::new(),
            cancels: Vec::new(),
            notes: BTreeMap::new(),
            service,
            log: Vec::new(),
            accepting: true,
            exited: false,
            remotes: BTreeMap::new(),
            slots: Slots::default(),
            pool: Pool::default(),
            requests: 0,
            entropy,
        };
        driver.settle();
        driver
    }

    /// The process dies and another one starts with what the store has committed. Of the
    /// batches on their way the first `committed` reached the disk, though nobody heard of it.
    pub fn crash(self, committed: usize) -> Self {
        let Self {
            mut store,
            config,
            now,
            mut entropy,
            steps_by,
            files,
            mut service,
            ..
        } = self;
        store.die(committed);
        service.lose();
        let mut next = Self::start(config, entropy.next(), steps_by, store, now, service);
        next.files = files;
        next
    }

    /// The process is asked to end, ends, and another one starts.
    ///
    /// # Panics
    ///
    /// When it does not end in its bounded time.
    pub fn restart(mut self) -> Self {
        self.shut_down();
        self.crash(0)
    }

    /// Asks the process to end and lets it.
    ///
    /// # Panics
    ///
    /// When it does not end in its bounded time.
    pub fn shut_down(&mut self) {
        let reason = "service restart";
        self.handle(crate::gateway::Input::Shutdown { reason });
        self.settle();
        if !self.exited {
            self.advance(SHUTDOWN_DRAIN_MS + SHUTDOWN_SPREAD_MS + CLOSE_GRACE_MS);
        }
        assert!(self.exited, "the gateway does not end");
    }

    /// The configuration file changes and is read again.
    pub fn reload(&mut self, text: &str) {
        self.config = text.into();
        let loaded = config::load(text).map(Box::new);
        self.handle(crate::gateway::Input::Config(loaded));
        self.settle();
    }

    /// Moves the clock, meeting every deadline on the way at its time.
    pub fn advance(&mut self, time_ms: u64) {
        let until_ms = self.now.mono_ms + time_ms;
        self.settle();
        while let Some(due_ms) = self.next_due_ms().filter(|due| *due <= until_ms) {
            self.pass(due_ms.saturating_sub(self.now.mono_ms));
            self.handle(crate::gateway::Input::Expire);
            self.settle();
        }
        self.pass(until_ms - self.now.mono_ms);
    }

    /// The next deadline of the gateway or, while it answers, of the chat service.
    fn next_due_ms(&self) -> Option<u64> {
        let service = self.service.next_deadline_ms();
        let service = service.filter(|_| !self.service.held);
        service
            .into_iter()
            .chain(self.gateway.next_deadline_ms())
            .min()
    }

    fn pass(&mut self, time_ms: u64) {
        self.now.mono_ms += time_ms;
        self.now.unix_ms += time_ms;
    }
}

/// A fixed machine.
fn identity(now: Now, tls: bool) -> Identity {
    Identity {
        version: "0.0.0-test".into(),
        host: "testhost".into(),
        ip: "192.0.2.2".into(),
        platform: "linux 6.8.0".into(),
        device_family: "Linux".into(),
        model_identifier: "x86_64".into(),
        bind_mode: "loopback",
        bind: "127.0.0.1".into(),
        port: 18_789,
        tls,
        config_path: config::PATH.into(),
        state_dir: "/state".into(),
        log_path: files::LOG_PATH.into(),
        allowed_hosts: Vec::new(),
        uid: UID,
        outbox_total_bytes_max: 0,
        started_unix_ms: now.unix_ms,
    }
}

/// Numbers that look random and come from a seed: SplitMix64.
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    /// The next number.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Another source that shares nothing with this one.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

/// Slots of connections, used again as the loop does: the last one that became free first.
#[derive(Default)]
struct Slots {
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl Slots {
    fn take(&mut self) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        ConnId::new(slot, self.generations[slot as usize])
    }

    fn give_back(&mut self, conn: ConnId) {
        self.generations[conn.slot()] += 1;
        self.free.push(conn.slot() as u32);
    }
}
