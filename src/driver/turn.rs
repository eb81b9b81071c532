//! Turns: bytes read, effects performed, outboxes flushed, as the loop does it.

use super::{Driver, Fate, Remote, Steps};
use crate::conn::{Fault, Input as Bytes, Item};
use crate::gateway::auth::admission::Admission;
use crate::gateway::auth::locality::Arrival;
use crate::gateway::{Effect, Fetch, Input};
use crate::ids::ConnId;
use crate::limits::{JSON_PADDING_BYTES, MESSAGE_BYTES_MAX_BEFORE_HELLO, OUTBOX_SOFT_BYTES};
use crate::outbox::Flush;
use crate::wire::close;
use crate::wire::frame::Opcode;
use crate::wire::http::{self, HeaderSpace, Refusal};
use crate::wire::message::MessageLimits;
use crate::wire::respond::write_refusal;
use crate::wire::upgrade::Upgrade;
use std::net::IpAddr;

/// Descriptors that are left in a made-up world.
const DESCRIPTORS: usize = 100_000;

/// How a connection ends.
enum Farewell {
    Nothing,
    Close(u16, String),
    Refusal(Refusal),
}

impl From<Refusal> for Farewell {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Fault> for Farewell {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Http(refusal) => Self::Refusal(refusal),
            Fault::WebSocket(fail) => Self::Close(fail.code(), fail.reason().to_owned()),
        }
    }
}

impl Driver {
    /// Gives the core one input.
    pub fn handle(&mut self, input: Input<'_>) {
        self.gateway.handle(self.now, input);
    }

    /// A connection arrives over TCP from `ip`; None where it is refused.
    pub fn accept(&mut self, ip: IpAddr) -> Option<ConnId> {
        self.accept_from(Arrival::Tcp(ip))
    }

    /// A connection arrives; None where it is refused.
    pub fn accept_from(&mut self, arrival: Arrival) -> Option<ConnId> {
        if !self.accepting {
            return None;
        }
        let conn = self.slots.take();
        match self.gateway.accept(self.now, conn, arrival, DESCRIPTORS) {
            Admission::Refuse => {
                self.slots.give_back(conn);
                return None;
            }
            Admission::Evict(other) => self.hang_up(other),
            Admission::Admit => {}
        }
        self.remotes.insert(conn, Remote::new());
        Some(conn)
    }

    /// Bytes of a peer arrive in one piece.
    pub fn feed(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(remote) = self.remotes.get_mut(&conn)
            && !remote.gone
        {
            remote.inbox.push_back(bytes.to_vec());
        }
    }

    /// The network loses a peer.
    pub fn hang_up(&mut self, conn: ConnId) {
        self.leave(conn, Farewell::Nothing);
    }

    /// The far end of a connection, alive or gone.
    ///
    /// # Panics
    ///
    /// When there was never such a connection.
    pub fn remote(&mut self, conn: ConnId) -> &mut Remote {
        self.remotes.get_mut(&conn).expect("a connection")
    }

    /// Whether the connection still is.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.remotes.get(&conn).is_some_and(|remote| !remote.gone)
    }

    /// Turns until nothing moves: nothing to read, no effect, no answer, no byte that is taken.
    pub fn settle(&mut self) {
        while self.turn() {}
    }

    /// One turn; whether anything moved.
    pub fn turn(&mut self) -> bool {
        let mut moved = self.read();
        if !self.store.held {
            moved |= self.release();
        }
        if self.steps_by != Steps::Held
            && let Some(step) = self.steps.pop_front()
        {
            self.run_step(step);
            moved = true;
        }
        moved |= self.perform();
        if !self.service.held {
            moved |= self.serve_next(Fate::Done);
        }
        moved | self.flush()
    }

    /// The store does the next thing that waits; whether there was one.
    pub fn release(&mut self) -> bool {
        let Some(answer) = self.store.answer_next() else {
            return false;
        };
        self.handle(Input::Store(answer));
        true
    }

    /// Performs effects until there is none; whether there was one.
    pub fn perform(&mut self) -> bool {
        let mut any = false;
        while let Some(effect) = self.gateway.poll_effect() {
            any = true;
            match effect {
                Effect::Close { conn, code, reason } => {
                    self.leave(conn, Farewell::Close(code, reason));
                }
                Effect::Relieve { .. } => {}
                Effect::Finish { conn } => self.leave(conn, Farewell::Nothing),
                Effect::Admitted { conn } => {
                    if let Some(remote) = self.remotes.get_mut(&conn) {
                        remote.admitted = true;
                    }
                }
                Effect::Store(request) => self.store.ask(request),
                Effect::Fetch {
                    ticket,
                    fetch: Fetch::Person { .. },
                } if self.asked.is_some() => self.asked.iter_mut().for_each(|it| it.push(ticket)),
                Effect::Fetch { ticket, fetch } => {
                    let result = self.answer_fetch(fetch);
                    self.handle(Input::Fetched { ticket, result });
                }
                Effect::Step(step) => self.steps.push_back(step),
                Effect::Act {
                    ticket,
                    act,
                    cancel,
                } => {
                    self.cancels.push(cancel);
                    self.take_act(ticket, *act);
                }
                Effect::Channel(order) => self.service.orders.push_back(order),
                Effect::Mcp(order) => self.mcp.push(order),
                Effect::Log(line) => self.log.push(line),
                Effect::StopAccepting => self.accepting = false,
                Effect::Exit | Effect::Abort { .. } => self.exited = true,
            }
        }
        any
    }

    /// Offers every outbox to its peer; whether a byte was taken.
    pub fn flush(&mut self) -> bool {
        let mut taken = 0;
        let before: usize = self.remotes.values().map(|remote| remote.taken_len).sum();
        for (conn, remote) in &mut self.remotes {
            remote.window_left = remote.window;
            // As the loop does when a socket takes bytes again.
            if std::mem::take(&mut remote.blocked) && !remote.gone {
                self.gateway.outbox(*conn);
            }
        }
        while let Some((conn, outbox, turn)) = self.gateway.poll_dirty() {
            if let Some(remote) = self.remotes.get_mut(&conn) {
                let flushed = outbox.flush(turn, |bytes: &[u8]| Some(remote.take(bytes)));
                remote.blocked = matches!(flushed, Flush::Blocked);
            }
        }
        for remote in self.remotes.values() {
            taken += remote.taken_len;
        }
        self.gateway.end_turn();
        taken > before
    }

    /// Reads what has arrived, however many pieces it came in.
    fn read(&mut self) -> bool {
        let mut any = false;
        let conns: Vec<ConnId> = self.remotes.keys().copied().collect();
        for conn in conns {
            while self.is_readable(conn) {
                self.read_one(conn);
                any = true;
            }
        }
        any
    }

    fn is_readable(&self, conn: ConnId) -> bool {
        let waits = |remote: &Remote| !remote.inbox.is_empty() && !remote.gone;
        self.remotes.get(&conn).is_some_and(waits)
            && self.gateway.queued_len(conn) <= OUTBOX_SOFT_BYTES
    }

    /// One read of one peer: every item of its next piece.
    fn read_one(&mut self, conn: ConnId) {
        let Some(remote) = self.remotes.get_mut(&conn) else {
            return;
        };
        let Some(piece) = remote.inbox.pop_front() else {
            return;
        };
        let held = remote.conn.held_len();
        let len = held + piece.len();
        let mut buffer = vec![0; len + JSON_PADDING_BYTES];
        remote.conn.refill(&mut buffer);
        buffer[held..len].copy_from_slice(&piece);
        if let Err(farewell) = self.converse(conn, &mut Bytes::new(&mut buffer, len)) {
            self.leave(conn, farewell);
        }
    }

    fn converse(&mut self, conn: ConnId, bytes: &mut Bytes<'_>) -> Result<(), Farewell> {
        let limits = self.limits_of(conn);
        loop {
            let Some(remote) = self.remotes.get_mut(&conn).filter(|remote| !remote.gone) else {
                return Ok(());
            };
            let Some(item) = remote.conn.poll(bytes, &limits, &mut self.pool)? else {
                remote.conn.keep_rest(bytes, &mut self.pool);
                return Ok(());
            };
            self.take_item(conn, item, bytes)?;
            if self.gateway.queued_len(conn) > OUTBOX_SOFT_BYTES {
                if let Some(remote) = self.remotes.get_mut(&conn) {
                    remote.conn.keep_rest(bytes, &mut self.pool);
                    remote.inbox.push_front(Vec::new());
                }
                return Ok(());
            }
        }
    }

    fn limits_of(&self, conn: ConnId) -> MessageLimits {
        let admitted = self
            .remotes
            .get(&conn)
            .is_some_and(|remote| remote.admitted);
        let after = self.gateway.config().gateway.limits.max_payload_bytes;
        let bytes_max = if admitted {
            after
        } else {
            MESSAGE_BYTES_MAX_BEFORE_HELLO
        };
        MessageLimits {
            bytes_max: bytes_max as u64,
            binary: false,
            checks_whole_text: false,
        }
    }

    fn take_item(
        &mut self,
        conn: ConnId,
        item: Item,
        bytes: &mut Bytes<'_>,
    ) -> Result<(), Farewell> {
        let remote = self.remotes.get_mut(&conn).expect("who was read from");
        let (now, gateway) = (self.now, &mut self.gateway);
        match item {
            Item::Message { range, .. } => {
                let padded = bytes.padded(&range);
                let len = range.len();
                gateway.handle(now, Input::Text { conn, padded, len });
            }
            Item::Assembled { .. } => {
                let padded = remote.conn.assembled();
                let len = padded.len() - JSON_PADDING_BYTES;
                gateway.handle(now, Input::Text { conn, padded, len });
            }
            Item::Ping(range) => {
                if let Some((outbox, turn)) = gateway.outbox(conn) {
                    outbox.frame(turn, Opcode::Pong as u8, bytes.slice(&range));
                }
            }
            Item::Pong => {}
            // RFC 6455 5.5.1: the answer has the code that was received.
            Item::Close { code } => return Err(Farewell::Close(code, String::new())),
            Item::Request { head_len } => return self.take_request(conn, head_len, bytes),
            Item::Body { head_len } => {
                let (head, body) = remote.conn.assembled().split_at(head_len);
                let mut space = HeaderSpace::new();
                let head = &http::parse(head, &mut space)?;
                gateway.handle(now, Input::Http { conn, head, body });
            }
        }
        Ok(())
    }

    fn take_request(
        &mut self,
        conn: ConnId,
        head_len: usize,
        bytes: &mut Bytes<'_>,
    ) -> Result<(), Farewell> {
        let remote = self.remotes.get_mut(&conn).expect("who was read from");
        let (now, gateway) = (self.now, &mut self.gateway);
        let (head_bytes, behind) = bytes.rest().split_at(head_len);
        let mut space = HeaderSpace::new();
        let head = &http::parse(head_bytes, &mut space)?;
        if let Some(upgrade) = Upgrade::read(head)? {
            gateway.upgrade(now, conn, head)?;
            if let Some((outbox, turn)) = gateway.outbox(conn) {
                outbox.bytes(turn, &upgrade.response());
            }
            remote.conn.open();
            remote.opened = true;
            gateway.handle(now, Input::Opened { conn });
            bytes.consume(head_len);
            return Ok(());
        }
        let body_len = gateway.request_head(now, conn, head)?;
        if let Some(body) = behind.get(..body_len) {
            remote.conn.answer();
            gateway.handle(now, Input::Http { conn, head, body });
            bytes.consume(head_len + body_len);
        } else {
            remote
                .conn
                .expect_body(head_bytes, body_len as u32, &mut self.pool);
            bytes.consume(head_len);
        }
        Ok(())
    }

    /// Takes the connection from the core. What is queued and the farewell are still sent.
    fn leave(&mut self, conn: ConnId, farewell: Farewell) {
        let Some(remote) = self.remotes.get_mut(&conn).filter(|remote| !remote.gone) else {
            return;
        };
        remote.gone = true;
        remote.conn.deafen(&mut self.pool);
        let mut outbox = self.gateway.take_outbox(conn);
        self.gateway.handle(
            self.now,
            Input::Closed {
                conn,
                why: "the driver says so",
            },
        );
        match farewell {
            Farewell::Nothing => {}
            Farewell::Close(code, reason) => {
                let payload = close::Payload::new(code, &reason);
                outbox.frame(self.gateway.turn(), Opcode::Close as u8, payload.as_bytes());
            }
            Farewell::Refusal(refusal) => {
                let mut response = Vec::new();
                write_refusal(&mut response, refusal);
                outbox.bytes(self.gateway.turn(), &response);
            }
        }
        // A slow peer is given the time that it needs.
        remote.window_left = usize::MAX;
        outbox.flush(self.gateway.turn(), |bytes: &[u8]| Some(remote.take(bytes)));
        self.slots.give_back(conn);
    }
}
