//! The gateway behind the loop: turns of sockets, answers and effects between the two.

use super::files::{Answer as FileAnswer, Files};
use super::heart::Heart;
use crate::agent::StepOutput;
use crate::channels::Report;
use crate::gateway::auth::admission::Admission;
use crate::gateway::auth::locality::Arrival;
use crate::gateway::{Effect, Fetch, FetchResult, Gateway, Input, Load};
use crate::ids::ConnId;
use crate::io::app::{Admit, Answer, App, Closed, Command, Message};
use crate::io::channels::Channels;
use crate::io::hands::Hands;
use crate::io::log::Log;
use crate::io::mcp::Servers;
use crate::io::memory::Watch;
use crate::io::meter::Meter;
use crate::io::signals::Signal;
use crate::io::socket::PeerAddr;
use crate::io::store::Store;
use crate::io::sys;
use crate::io::tailnet::{Answer as TailnetAnswer, Keeper};
use crate::io::tls::Acceptor;
use crate::io::workers::Workers;
use crate::limits::ANSWERS_PER_TURN_MAX;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::outbox::{Outbox, Turn};
use crate::wire::http::{Head, Refusal};
use crossbeam_channel::Receiver;
use std::net::SocketAddr;

/// The core with everything that executes its effects.
pub struct GatewayApp {
    pub gateway: Gateway,
    pub store: Store,
    pub files: Files,
    pub tailnet: Keeper,
    pub workers: Workers,
    pub hands: Hands,
    pub steps: Receiver<StepOutput>,
    pub channels: Channels,
    pub reports: Receiver<Report>,
    pub mcp: Servers,
    pub log: Log,
    /// Descriptors that the process may have.
    pub descriptors_max: u64,
    /// For connections that are accepted from now on.
    pub acceptor: Option<Acceptor>,
    pub heart: Heart,
    /// Looks at memory, where there is a limit.
    pub memory: Option<Watch>,
    /// The process is to be started again after its end.
    pub restarts: bool,
    /// It was asked to end for good.
    pub ends: bool,
    /// The loop was told to end.
    pub stopped: bool,
    /// Why the process cannot go on, if it cannot.
    pub fault: Option<String>,
}

impl App for GatewayApp {
    fn on_accept(&mut self, now: Now, conn: ConnId, from: &PeerAddr) -> Admit {
        let arrival = arrival(from);
        match self.gateway.accept(
            now,
            conn,
            arrival,
            sys::descriptors_left(self.descriptors_max, conn.slot()),
        ) {
            Admission::Admit => Admit::Yes,
            Admission::Refuse => Admit::Refuse,
            Admission::Evict(other) => Admit::Evict(other),
        }
    }

    fn expects_proxy_header(&self, from: &PeerAddr) -> bool {
        self.gateway.expects_proxy_header(arrival(from))
    }

    fn on_proxied(&mut self, now: Now, conn: ConnId, source: Option<SocketAddr>) -> bool {
        self.gateway
            .proxied(now, conn, source.map(|addr| addr.ip()))
    }

    fn on_upgrade(&mut self, now: Now, conn: ConnId, head: &Head<'_>) -> Result<(), Refusal> {
        self.gateway.upgrade(now, conn, head)
    }

    fn on_open(&mut self, now: Now, conn: ConnId) {
        self.gateway.handle(now, Input::Opened { conn });
    }

    fn on_request_head(
        &mut self,
        now: Now,
        conn: ConnId,
        head: &Head<'_>,
    ) -> Result<usize, Refusal> {
        self.gateway.request_head(now, conn, head)
    }

    fn on_request(&mut self, now: Now, conn: ConnId, head: &Head<'_>, body: &[u8]) -> Answer {
        self.gateway.handle(now, Input::Http { conn, head, body });
        Answer::Later
    }

    fn on_message(&mut self, now: Now, conn: ConnId, message: Message<'_>) {
        let len = message.len();
        let padded = message.padded();
        self.gateway.handle(now, Input::Text { conn, padded, len });
    }

    fn on_closed(&mut self, now: Now, conn: ConnId, why: Closed) -> Outbox {
        let outbox = self.gateway.take_outbox(conn);
        self.gateway.handle(
            now,
            Input::Closed {
                conn,
                why: why.text(),
            },
        );
        outbox
    }

    fn outbox(&mut self, conn: ConnId) -> Option<(&mut Outbox, &mut Turn)> {
        self.gateway.outbox(conn)
    }

    fn queued_len(&self, conn: ConnId) -> usize {
        self.gateway.queued_len(conn)
    }

    fn turn(&mut self) -> &mut Turn {
        self.gateway.turn()
    }

    fn poll_dirty(&mut self) -> Option<(ConnId, &mut Outbox, &mut Turn)> {
        self.gateway.poll_dirty()
    }

    fn poll_command(&mut self) -> Option<Command> {
        if let Some(acceptor) = self.acceptor.take() {
            return Some(Command::Secure(acceptor));
        }
        while let Some(effect) = self.gateway.poll_effect() {
            if let Some(command) = self.perform(effect) {
                return Some(command);
            }
        }
        None
    }

    fn collect(&mut self, now: Now) -> bool {
        for _ in 0..ANSWERS_PER_TURN_MAX {
            if let Some(answer) = self.store.try_answer() {
                self.gateway.handle(now, Input::Store(answer));
            } else if let Ok(output) = self.steps.try_recv() {
                self.gateway.handle(now, Input::Step(output));
            } else if let Some((ticket, acted)) = self.hands.try_answer() {
                self.gateway.handle(now, Input::Acted { ticket, acted });
            } else if let Ok(report) = self.reports.try_recv() {
                self.gateway.handle(now, Input::Channel(report));
            } else if let Some(report) = self.mcp.try_report() {
                self.gateway.handle(now, Input::Mcp(report));
            } else if let Some(answer) = self.files.try_answer() {
                self.on_file(now, answer);
            } else if let Some(answer) = self.tailnet.try_answer() {
                self.on_tailnet(now, answer);
            } else {
                return false;
            }
        }
        true
    }

    fn on_read(&mut self, now: Now, meter: &Meter) {
        let memory = self.memory.as_mut();
        if let Some(memory) = memory.and_then(|it| it.look(now, meter.received_bytes)) {
            self.gateway.handle(now, Input::Memory(memory));
        }
    }

    fn on_measured(&mut self, now: Now, ticket: u64, meter: &Meter) {
        let load = Load {
            received_bytes: meter.received_bytes,
            sent_bytes: meter.sent_bytes,
            turns: meter.turns,
            deadlines: meter.deadlines,
            late_ms_total: meter.late_ms_total,
            late_ms_max: meter.late_ms_max,
            relieved: meter.relieved,
            store_queue_len: self.store.queue_len(),
            step_threads: self.workers.threads(),
            step_panics: self.workers.panics(),
        };
        let result = FetchResult::Load(load);
        self.gateway.handle(now, Input::Fetched { ticket, result });
    }

    fn expire(&mut self, now: Now) {
        self.heart.beat(now);
        self.gateway.handle(now, Input::Expire);
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        let heart = self.heart.next_ms();
        let gateway = self.gateway.next_deadline_ms();
        let memory = self.memory.as_ref().and_then(Watch::next_ms);
        [heart, gateway, memory].into_iter().flatten().min()
    }

    fn on_signal(&mut self, now: Now, signal: Signal) {
        match signal {
            Signal::Terminate | Signal::Restart => {
                // Who is asked to end does not start again, whatever was asked before or after.
                self.ends |= signal == Signal::Terminate;
                self.restarts |= signal == Signal::Restart;
                self.heart.stopping();
                let reason = "service restart";
                self.gateway.handle(now, Input::Shutdown { reason });
            }
            Signal::Reload => {
                self.heart.reloading(now);
                self.files.reload();
            }
        }
    }
}

fn arrival(from: &PeerAddr) -> Arrival {
    match from {
        PeerAddr::Tcp(addr) => Arrival::Tcp(addr.ip().to_canonical()),
        PeerAddr::Unix { uid } => Arrival::Socket { uid: *uid },
    }
}

impl GatewayApp {
    fn perform(&mut self, effect: Effect) -> Option<Command> {
        match effect {
            Effect::Close { conn, code, reason } => {
                return Some(Command::Close { conn, code, reason });
            }
            Effect::Finish { conn } => return Some(Command::Answered { conn, keep: false }),
            Effect::Admitted { conn } => return Some(Command::Promote(conn)),
            Effect::StopAccepting => return Some(Command::StopAccepting),
            Effect::Relieve { code, reason } => return Some(Command::Relieve { code, reason }),
            Effect::Exit if !self.stopped => {
                self.stopped = true;
                return Some(Command::Stop);
            }
            Effect::Exit => {}
            Effect::Abort { message } => {
                self.fault.get_or_insert(message);
                return Some(Command::Stop);
            }
            Effect::Store(request) => {
                if let Err(answer) = self.store.submit(request) {
                    let now = crate::io::clock::now();
                    self.gateway.handle(now, Input::Store(answer));
                }
            }
            Effect::Fetch {
                ticket,
                fetch: Fetch::Person { ip },
            } => {
                if let Some(answer) = self.tailnet.whois(ticket, ip) {
                    self.on_tailnet(crate::io::clock::now(), answer);
                }
            }
            Effect::Fetch {
                ticket,
                fetch: Fetch::Load,
            } => return Some(Command::Measure { ticket }),
            Effect::Fetch { ticket, fetch } => {
                if let Some(answer) = self.files.fetch(ticket, fetch) {
                    self.on_file(crate::io::clock::now(), answer);
                }
            }
            Effect::Step(step) => {
                let tag = step.tag;
                if let Err(refused) = self.workers.submit(*step) {
                    let message = refused.message().to_owned();
                    let now = crate::io::clock::now();
                    self.gateway
                        .handle(now, Input::StepRefused { tag, message });
                }
            }
            Effect::Act {
                ticket,
                act,
                cancel,
            } => {
                if let Some(acted) = self.hands.begin(ticket, *act, cancel) {
                    let now = crate::io::clock::now();
                    self.gateway.handle(now, Input::Acted { ticket, acted });
                }
            }
            Effect::Channel(order) => {
                if let Some(report) = self.channels.perform(order) {
                    let now = crate::io::clock::now();
                    self.gateway.handle(now, Input::Channel(report));
                }
            }
            Effect::Mcp(order) => {
                if let Some(report) = self.mcp.perform(order) {
                    let now = crate::io::clock::now();
                    self.gateway.handle(now, Input::Mcp(report));
                }
            }
            Effect::Log(line) => self.log.write(line),
        }
        None
    }

    fn on_tailnet(&mut self, now: Now, answer: TailnetAnswer) {
        self.gateway.handle(
            now,
            match answer {
                TailnetAnswer::Tailnet(tailnet) => Input::Tailnet(tailnet),
                TailnetAnswer::Person { ticket, person } => Input::Fetched {
                    ticket,
                    result: FetchResult::Person(person),
                },
            },
        );
    }

    fn on_file(&mut self, now: Now, answer: FileAnswer) {
        match answer {
            FileAnswer::Fetched { ticket, result } => {
                self.gateway.handle(now, Input::Fetched { ticket, result });
            }
            FileAnswer::Reloaded(result) => {
                self.gateway.handle(now, Input::Config(result));
                self.heart.reloaded();
            }
            FileAnswer::Certificate(Ok(acceptor)) => {
                let text = "new connections get the certificate that is in its files now";
                let line = LogLine::new(now.unix_ms, Level::Info, "tls", text);
                self.log.write(line);
                self.acceptor = Some(acceptor);
            }
            FileAnswer::Certificate(Err(fault)) => {
                let text = "the certificate was not read again; the former one stays in use";
                let line = LogLine::new(now.unix_ms, Level::Error, "tls", text);
                self.log.write(line.with("fault", fault));
            }
        }
    }
}
