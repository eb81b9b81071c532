//! The loop: one thread, readiness in, bytes out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use crate::conn::Input;
use crate::ids::ConnId;
use crate::limits::{
    ACCEPTS_PER_TURN_MAX, JSON_PADDING_BYTES, OUTBOX_SOFT_BYTES, READ_BYTES_PER_FLUSH,
    READ_BYTES_PER_TURN_MAX, RECEIVE_BUFFER_BYTES,
};
use crate::now::Now;
use crate::outbox::Flush;
use crate::wire::frame::Opcode;
use crate::wire::message::Pool;

use super::accept::Acceptor;
use super::app::{Admit, App, Closed, Command, Settings};
use super::clock::{self, Clock};
use super::converse::{Aside, Conversation, Leave, Next};
use super::meter::{Counting, Meter};
use super::peers::{Linger, Peer, Peers, Queued, Timer};
use super::rest::Rest;
use super::signals::{Signal, Signals};
use super::socket::Listener;
use super::sys::ProgramPages;
use super::timers::Wheel;
use super::tls::{self, Cipher};

const EVENTS_PER_TURN_MAX: usize = 1_024;
const LISTENERS: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
/// The first of the tokens of [`Signal::ALL`].
const SIGNALS: usize = usize::MAX - 16;

/// The loop and all its connections.
pub struct Reactor {
    poll: Poll,
    clock: Clock,
    waker: Arc<Waker>,
    pub(super) acceptor: Acceptor,
    signals: Option<Signals>,
    pub(super) settings: Settings,
    pub(super) peers: Peers,
    pub(super) wheel: Wheel,
    pub(super) pool: Pool,
    /// What its TLS connections share.
    pub(super) cipher: Cipher,
    /// What the conversation at hand came to besides messages.
    aside: Aside,
    /// Received bytes, with padding behind them.
    pub(super) receive: Box<[u8]>,
    /// Those to read in the next turn without waiting for readiness.
    pub(super) ready: Vec<ConnId>,
    /// Those that the program gave up and that have bytes to send.
    pub(super) leaving: Vec<ConnId>,
    passed: Vec<usize>,
    /// Bytes read since the outboxes were flushed.
    unanswered_len: usize,
    pub(super) meter: Meter,
    rest: Option<Rest>,
    /// Workers have answered, and not all answers were taken.
    answers: bool,
    stopping: bool,
}

impl Reactor {
    /// A loop on these listeners.
    ///
    /// # Errors
    ///
    /// When the system gives no poll.
    pub fn new(listeners: Vec<Listener>, settings: Settings) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let acceptor = Acceptor::new(listeners, poll.registry(), LISTENERS)?;
        Ok(Self {
            poll,
            clock: Clock::new(),
            waker,
            acceptor,
            signals: None,
            settings,
            peers: Peers::default(),
            wheel: Wheel::new(clock::now().mono_ms),
            pool: Pool::default(),
            cipher: Cipher::default(),
            aside: Aside::default(),
            receive: vec![0; RECEIVE_BUFFER_BYTES + JSON_PADDING_BYTES].into(),
            ready: Vec::new(),
            leaving: Vec::new(),
            passed: Vec::new(),
            unanswered_len: 0,
            meter: Meter::default(),
            rest: None,
            answers: false,
            stopping: false,
        })
    }

    /// What a worker calls after it sent an answer: [`App::collect`] follows.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Hands signals to the program from now on.
    ///
    /// # Errors
    ///
    /// When they cannot be watched.
    pub fn watch(&mut self, mut signals: Signals) -> io::Result<()> {
        for (index, end) in signals.ends.iter_mut().enumerate() {
            self.poll
                .registry()
                .register(end, Token(SIGNALS + index), mio::Interest::READABLE)?;
        }
        self.signals = Some(signals);
        Ok(())
    }

    /// Speaks TLS on every TCP connection that is accepted from now on.
    pub fn secure(&mut self, acceptor: tls::Acceptor) {
        self.cipher.secure(acceptor);
    }

    /// Gives these pages back whenever the loop rests.
    pub fn rest_without(&mut self, pages: ProgramPages) {
        self.rest = Some(Rest::new(pages));
    }

    /// Replaces bounds and intervals; those of connections apply from their next bytes on.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// How many connections there are, those that are ending included.
    pub fn connections(&self) -> usize {
        self.peers.len()
    }

    /// Serves until the program says [`Command::Stop`].
    ///
    /// # Errors
    ///
    /// When readiness cannot be waited for any more.
    pub fn run<A: App>(&mut self, app: &mut A) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        while !self.stopping {
            self.wait(app, &mut events)?;
            let now = self.clock.now();
            self.meter.turn(now);
            let congested = self.cipher.is_congested();
            self.cipher.begin_turn();
            if self.acceptor.is_due(now) && !congested {
                self.accept(app, now);
            }
            self.read_ready(app, now);
            self.take(app, now, &events);
            if self.answers {
                self.answers = app.collect(now);
            }
            self.expire(app, now);
            app.on_read(now, &self.meter);
            self.perform(app, now);
            self.flush(app, now);
        }
        Ok(())
    }

    fn wait<A: App>(&mut self, app: &A, events: &mut Events) -> io::Result<()> {
        let timeout = if !self.ready.is_empty() || self.answers {
            Some(Duration::ZERO)
        } else {
            let wheel = self.wheel.next_deadline_ms().unwrap_or(u64::MAX);
            let app = app.next_deadline_ms().unwrap_or(u64::MAX);
            let accept = self.acceptor.retry_at_ms().unwrap_or(u64::MAX);
            let deadline_ms = wheel.min(app).min(accept);
            self.meter.await_deadline(deadline_ms);
            let wait_ms = || deadline_ms.saturating_sub(self.clock.mono_ms());
            let wait = (deadline_ms != u64::MAX).then(|| Duration::from_millis(wait_ms()));
            match &self.rest {
                Some(rest) => rest.sleep(self.meter.received_bytes, wait),
                None => wait,
            }
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            polled => polled?,
        }
        if let (true, Some(rest), Some(slept)) = (events.is_empty(), &mut self.rest, timeout) {
            rest.slept(slept, self.clock.mono_ms(), self.meter.received_bytes);
        }
        Ok(())
    }

    fn take<A: App>(&mut self, app: &mut A, now: Now, events: &Events) {
        for event in events {
            match event.token() {
                LISTENERS => {
                    self.acceptor.announce();
                    self.accept(app, now);
                }
                WAKER => self.answers = true,
                Token(token) if token >= SIGNALS => self.take_signal(app, now, token - SIGNALS),
                Token(slot) => {
                    let Some((id, peer)) = self.peers.at(slot) else {
                        continue;
                    };
                    if peer.blocked && event.is_writable() {
                        self.unblock(app, id);
                    }
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        self.read(app, now, id);
                    }
                    if self.unanswered_len >= READ_BYTES_PER_FLUSH {
                        app.on_read(now, &self.meter);
                        self.perform(app, now);
                        self.flush(app, now);
                    }
                }
            }
        }
    }

    fn take_signal<A: App>(&mut self, app: &mut A, now: Now, index: usize) {
        if let (Some(signals), Some(signal)) = (&self.signals, Signal::ALL.get(index)) {
            signals.take(index);
            app.on_signal(now, *signal);
        }
    }

    /// Whether this signal came since it was taken last.
    pub fn was_signalled(&self, signal: Signal) -> bool {
        let signals = self.signals.as_ref();
        signals.is_some_and(|signals| signals.take(signal as usize))
    }

    fn accept<A: App>(&mut self, app: &mut A, now: Now) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some((socket, addr)) = self.acceptor.next(now) else {
                return;
            };
            let id = self.peers.next_id();
            let admit = app.on_accept(now, id, &addr);
            if admit == Admit::Refuse {
                continue;
            }
            let Some(mut socket) = self.cipher.wrap(socket) else {
                continue;
            };
            let registered = socket.register(self.poll.registry(), Token(id.slot()));
            self.peers.insert(Peer::new(socket));
            if let Some(deadline_ms) = self.settings.handshake_deadline_ms {
                let timer = match app.expects_proxy_header(&addr) {
                    true => Timer::Announced,
                    false => Timer::Handshake,
                };
                self.set_timer(id, timer, now.mono_ms + deadline_ms);
            }
            if registered.is_err() {
                self.leave(app, now, id, Leave::silent(Closed::Lost, Linger::Drop));
            }
            if let Admit::Evict(other) = admit {
                self.evict(app, now, other);
            }
        }
    }

    /// Reads a peer until it has nothing more or has had its share of the turn.
    pub(super) fn read<A: App>(&mut self, app: &mut A, now: Now, id: ConnId) {
        let mut budget = READ_BYTES_PER_TURN_MAX;
        loop {
            let Some(peer) = self.peers.get_mut(id) else {
                return;
            };
            if peer.paused {
                return;
            }
            if peer.timer == Timer::Announced {
                match self.announce(app, now, id) {
                    true => continue,
                    false => return,
                }
            }
            let held = peer.conn.refill(&mut self.receive);
            let room = RECEIVE_BUFFER_BYTES - held;
            let read = if room == 0 {
                None
            } else {
                let Some(buffer) = self.receive.get_mut(held..RECEIVE_BUFFER_BYTES) else {
                    return;
                };
                match peer.read(buffer, &mut self.cipher) {
                    Ok(0) => {
                        return self.leave(app, now, id, Leave::silent(Closed::Lost, Linger::Drop));
                    }
                    Ok(len) => Some(len),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(0),
                    Err(_) => {
                        return self.leave(app, now, id, Leave::silent(Closed::Lost, Linger::Drop));
                    }
                }
            };
            let len = read.unwrap_or(0);
            let more = peer.socket.holds_more();
            if held + len == 0 && read.is_none() {
                if more {
                    self.make_ready(id);
                }
                return;
            }
            peer.heard = true;
            self.unanswered_len += len;
            self.meter.received_bytes += len as u64;
            let going_on = if peer.leaving.is_some() {
                self.listen_out(app, id, held + len)
            } else {
                let mut conversation = Conversation {
                    app,
                    now,
                    id,
                    limits: self.settings.limits(peer.promoted),
                    pool: &mut self.pool,
                    blocked: peer.blocked,
                    conn: &mut peer.conn,
                    aside: &mut self.aside,
                    in_app: false,
                };
                let next = conversation.run(&mut Input::new(&mut self.receive, held + len));
                let is_plain = matches!(next, Next::Wait) && self.aside.is_nothing();
                is_plain && !peer.conn.is_answering() || self.conclude(app, now, id, next)
            };
            if !going_on || !more && read.is_none_or(|len| len < room && len > 0) {
                return;
            }
            budget = budget.saturating_sub(len.max(1));
            if budget == 0 {
                return self.make_ready(id);
            }
        }
    }

    /// What follows a conversation that was more than messages; whether the peer may be read on.
    #[cold]
    #[inline(never)]
    fn conclude<A: App>(&mut self, app: &mut A, now: Now, id: ConnId, next: Next) -> bool {
        let aside = std::mem::take(&mut self.aside);
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        // A flood of bytes behind a request that is not answered yet waits in the kernel.
        peer.paused = matches!(next, Next::Pause)
            || peer.conn.is_answering() && peer.conn.held_len() >= RECEIVE_BUFFER_BYTES / 2;
        let going_on = matches!(next, Next::Wait) && !peer.paused;
        if aside.late_pong.is_some() {
            peer.aside = aside.late_pong;
        }
        self.reach(now, id, aside.milestone);
        if let Next::Leave(leave) = next {
            self.leave(app, now, id, *leave);
        }
        going_on
    }

    fn expire<A: App>(&mut self, app: &mut A, now: Now) {
        self.wheel.pass(now.mono_ms, &mut self.passed);
        while let Some(slot) = self.passed.pop() {
            if let Some((id, _)) = self.peers.at(slot) {
                self.on_timer(app, now, id);
            }
        }
        if app
            .next_deadline_ms()
            .is_some_and(|deadline_ms| deadline_ms <= now.mono_ms)
        {
            app.expire(now);
        }
    }

    fn perform<A: App>(&mut self, app: &mut A, now: Now) {
        while let Some(command) = app.poll_command() {
            match command {
                Command::Close { conn, code, reason } => self.close(app, now, conn, code, reason),
                Command::Promote(conn) => self.promote(now, conn),
                Command::Answered { conn, keep } => self.answered(app, now, conn, keep),
                Command::Relieve { code, reason } => self.relieve(app, now, code, reason),
                Command::Measure { ticket } => app.on_measured(now, ticket, &self.meter),
                Command::Secure(acceptor) => self.cipher.secure(acceptor),
                Command::StopAccepting => self.acceptor.stop(),
                Command::Stop => self.stopping = true,
            }
        }
    }

    fn flush<A: App>(&mut self, app: &mut A, now: Now) {
        self.unanswered_len = 0;
        let mut broken = Vec::new();
        let mut late_pongs = Vec::new();
        loop {
            self.flush_dirty(app, &mut broken, &mut late_pongs);
            if late_pongs.is_empty() {
                break;
            }
            for id in late_pongs.drain(..) {
                self.send_late_pong(app, id);
            }
        }
        for id in broken {
            self.leave(app, now, id, Leave::silent(Closed::Lost, Linger::Drop));
        }
        if !self.leaving.is_empty() {
            self.flush_leaving(app, now);
        }
        app.turn().end();
    }

    fn flush_dirty<A: App>(
        &mut self,
        app: &mut A,
        broken: &mut Vec<ConnId>,
        late_pongs: &mut Vec<ConnId>,
    ) {
        while let Some((id, outbox, turn)) = app.poll_dirty() {
            let Some(peer) = self.peers.get_mut(id) else {
                outbox.clear(turn);
                continue;
            };
            let sink = Counting {
                meter: &mut self.meter,
                peer,
                cipher: &mut self.cipher,
            };
            match outbox.flush(turn, sink) {
                Flush::Done => {
                    if matches!(peer.aside.as_deref(), Some(Queued::LatePong(_))) {
                        late_pongs.push(id);
                    }
                    if peer.paused {
                        self.resume(id);
                    }
                }
                Flush::Blocked => {
                    peer.blocked = true;
                    let queued_len = outbox.queued_len();
                    if queued_len > OUTBOX_SOFT_BYTES {
                        peer.paused = true;
                    } else if peer.paused && queued_len < OUTBOX_SOFT_BYTES / 2 {
                        self.resume(id);
                    }
                }
                Flush::Broken => broken.push(id),
            }
        }
    }

    fn send_late_pong<A: App>(&mut self, app: &mut A, id: ConnId) {
        let aside = self.peers.get_mut(id).and_then(|peer| peer.aside.take());
        if let (Some(Queued::LatePong(pong)), Some((outbox, turn))) =
            (aside.map(|aside| *aside), app.outbox(id))
        {
            outbox.frame(turn, Opcode::Pong as u8, pong.payload());
        }
    }
}
