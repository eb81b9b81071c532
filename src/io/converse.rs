//! What is done with the bytes of one read. Knows no socket.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::conn::{Conn, Fault, Input, Item, Short};
use crate::ids::ConnId;
use crate::limits::{OUTBOX_SOFT_BYTES, PONGS_QUEUED_BYTES_MAX};
use crate::now::Now;
use crate::wire::close;
use crate::wire::frame::Opcode;
use crate::wire::http::{self, HeaderSpace, Refusal};
use crate::wire::message::{MessageLimits, Pool};
use crate::wire::upgrade::Upgrade;

use super::app::{Answer, App, Closed, Message};
use super::peers::{Linger, Pong, Queued};

/// How a connection is taken leave of.
#[derive(Debug)]
pub(super) struct Leave {
    pub(super) why: Closed,
    pub(super) farewell: Farewell,
    pub(super) linger: Linger,
}

/// The last thing that a peer is told.
#[derive(Debug)]
pub(super) enum Farewell {
    Nothing,
    Close(u16, String),
    Refusal(Refusal),
}

impl Leave {
    /// Without a word.
    pub(super) fn silent(why: Closed, linger: Linger) -> Self {
        Self {
            why,
            farewell: Farewell::Nothing,
            linger,
        }
    }

    /// With a close frame, and without listening any more.
    pub(super) fn fail(why: Closed, code: u16, reason: &str) -> Self {
        Self {
            why,
            farewell: Farewell::Close(code, reason.to_owned()),
            linger: Linger::Discard,
        }
    }

    /// With an HTTP response.
    pub(super) fn refuse(why: Closed, refusal: Refusal) -> Self {
        Self {
            why,
            farewell: Farewell::Refusal(refusal),
            linger: Linger::Discard,
        }
    }
}

impl From<Refusal> for Leave {
    fn from(refusal: Refusal) -> Self {
        Self::refuse(Closed::Fault(refusal.status), refusal)
    }
}

impl From<Fault> for Leave {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Http(refusal) => refusal.into(),
            Fault::WebSocket(fail) => {
                Self::fail(Closed::Fault(fail.code()), fail.code(), fail.reason())
            }
        }
    }
}

/// Where a conversation stands after the bytes of one read.
#[derive(Debug)]
pub(super) enum Next {
    /// More bytes are needed.
    Wait,
    /// Nothing more may be read until the outbox is shorter.
    Pause,
    Leave(Box<Leave>),
}

/// What changed during a conversation that the loop's timers have to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Milestone {
    #[default]
    None,
    /// Frames are spoken from now on.
    Opened,
    /// A request's body is awaited.
    BodyAwaited,
    /// A request is being answered, for as long as the program needs.
    Answering,
    /// A request was answered; another one may come.
    Answered,
}

/// What came up besides messages.
#[derive(Default)]
pub(super) struct Aside {
    pub(super) milestone: Milestone,
    /// The latest ping that could not be answered at once.
    pub(super) late_pong: Option<Box<Queued>>,
}

impl Aside {
    #[inline(always)]
    pub(super) fn is_nothing(&self) -> bool {
        self.milestone == Milestone::None && self.late_pong.is_none()
    }
}

/// One connection's conversation over the bytes of one read.
pub(super) struct Conversation<'c, A> {
    pub(super) app: &'c mut A,
    pub(super) now: Now,
    pub(super) id: ConnId,
    pub(super) conn: &'c mut Conn,
    pub(super) limits: &'c MessageLimits,
    pub(super) pool: &'c mut Pool,
    /// The socket takes nothing now.
    pub(super) blocked: bool,
    pub(super) aside: &'c mut Aside,
    /// The program is being called: a panic is its own.
    pub(super) in_app: bool,
}

impl<A: App> Conversation<'_, A> {
    /// Handles every item of the input. A panic in the code that reads a peer's bytes ends that
    /// peer alone; one of the program goes on.
    #[inline(always)]
    pub(super) fn run(&mut self, input: &mut Input<'_>) -> Next {
        match isolated(|| self.run_items(input)) {
            Ok(Ok(next)) => next,
            Ok(Err(leave)) => Next::Leave(leave),
            Err(panic) if self.in_app => resume_unwind(panic),
            Err(_) => Next::Leave(Box::new(self.panicked())),
        }
    }

    #[inline(always)]
    fn run_items(&mut self, input: &mut Input<'_>) -> Result<Next, Box<Leave>> {
        let mut next = Next::Wait;
        while !input.is_empty() {
            if let Some(Short { binary, range }) = self.conn.poll_short(input, self.limits) {
                self.tell(binary, &range, input);
            } else {
                let polled = self.conn.poll(input, self.limits, self.pool);
                match polled.map_err(|fault| Box::new(fault.into()))? {
                    None => break,
                    Some(Item::Message { binary, range }) => self.tell(binary, &range, input),
                    Some(item) => {
                        self.in_app = true;
                        self.handle(item, input).map_err(Box::new)?;
                        self.in_app = false;
                    }
                }
            }
            // While all outboxes together are short, this one is.
            if self.app.turn().queued_total() > OUTBOX_SOFT_BYTES
                && self.app.queued_len(self.id) > OUTBOX_SOFT_BYTES
            {
                next = Next::Pause;
                break;
            }
        }
        self.conn.keep_rest(input, self.pool);
        Ok(next)
    }

    /// Hands a message that lies in the input to the program.
    #[inline(always)]
    fn tell(&mut self, binary: bool, range: &Range<usize>, input: &mut Input<'_>) {
        let message = Message::new(binary, input.padded(range));
        self.in_app = true;
        self.app.on_message(self.now, self.id, message);
        self.in_app = false;
    }

    #[cold]
    fn panicked(&self) -> Leave {
        if self.conn.is_open() {
            Leave::fail(Closed::Panic, close::INTERNAL_ERROR, "internal error")
        } else {
            Leave::refuse(Closed::Panic, Refusal::new(500, "internal error"))
        }
    }

    #[cold]
    #[inline(never)]
    fn handle(&mut self, item: Item, input: &mut Input<'_>) -> Result<(), Leave> {
        match item {
            Item::Assembled { binary } => {
                self.app.on_message(
                    self.now,
                    self.id,
                    Message::new(binary, self.conn.assembled()),
                );
            }
            Item::Ping(range) => self.pong(input.slice(&range)),
            Item::Close { code } => {
                // RFC 6455 5.5.1: the answer has the code that was received.
                let farewell = Farewell::Close(code, String::new());
                return Err(Leave {
                    why: Closed::ByPeer(code),
                    farewell,
                    linger: Linger::Drop,
                });
            }
            Item::Request { head_len } => return self.request(head_len, input),
            Item::Body { head_len } => return self.request_with_body(head_len),
            Item::Message { .. } | Item::Pong => {}
        }
        Ok(())
    }

    /// RFC 6455 5.5.3: of several pings that were not answered yet, only the latest has to be.
    fn pong(&mut self, payload: &[u8]) {
        // Answers that wait are sent first, and one pong behind them.
        let queued_len = self.app.queued_len(self.id);
        if self.blocked || queued_len + payload.len() > PONGS_QUEUED_BYTES_MAX {
            self.aside.late_pong = Some(Box::new(Queued::LatePong(Pong::new(payload))));
            return;
        }
        self.aside.late_pong = None;
        if let Some((outbox, turn)) = self.app.outbox(self.id) {
            outbox.frame(turn, Opcode::Pong as u8, payload);
        }
    }

    fn request(&mut self, head_len: usize, input: &mut Input<'_>) -> Result<(), Leave> {
        let bytes = input.rest();
        let (head_bytes, behind) = bytes.split_at(head_len);
        let mut space = HeaderSpace::new();
        self.in_app = false;
        let head = http::parse(head_bytes, &mut space)?;
        let upgrade = Upgrade::read(&head)?;
        self.in_app = true;
        if let Some(upgrade) = upgrade {
            self.app.on_upgrade(self.now, self.id, &head)?;
            self.send(&upgrade.response());
            self.conn.open();
            self.aside.milestone = Milestone::Opened;
            self.app.on_open(self.now, self.id);
            input.consume(head_len);
            return Ok(());
        }
        let body_len = self.app.on_request_head(self.now, self.id, &head)?;
        if let Some(body) = behind.get(..body_len) {
            self.conn.answer();
            let answer = self.app.on_request(self.now, self.id, &head, body);
            input.consume(head_len + body_len);
            return self.after(answer);
        }
        if behind.is_empty() && head.expects_continue() {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.conn
            .expect_body(head_bytes, body_len as u32, self.pool);
        self.aside.milestone = Milestone::BodyAwaited;
        input.consume(head_len);
        Ok(())
    }

    fn request_with_body(&mut self, head_len: usize) -> Result<(), Leave> {
        let (head_bytes, body) = self.conn.assembled().split_at(head_len);
        let mut space = HeaderSpace::new();
        let head = http::parse(head_bytes, &mut space)?;
        let answer = self.app.on_request(self.now, self.id, &head, body);
        self.after(answer)
    }

    fn after(&mut self, answer: Answer) -> Result<(), Leave> {
        match answer {
            Answer::Whole { keep: true } => {
                self.conn.expect_request();
                self.aside.milestone = Milestone::Answered;
                Ok(())
            }
            Answer::Whole { keep: false } => Err(Leave::silent(Closed::Answered, Linger::Discard)),
            Answer::Later => {
                self.aside.milestone = Milestone::Answering;
                Ok(())
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if let Some((outbox, turn)) = self.app.outbox(self.id) {
            outbox.bytes(turn, bytes);
        }
    }
}

/// Runs code that reads a peer's bytes. What it leaves half done is never used again.
#[inline]
fn isolated<T>(f: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::app::{Admit, Command};
    use crate::io::signals::Signal;
    use crate::io::socket::PeerAddr;
    use crate::limits::JSON_PADDING_BYTES;
    use crate::outbox::{Outbox, Turn};
    use crate::wire::http::Head;

    /// A program that panics at every message.
    #[derive(Default)]
    struct Fragile(Turn, Outbox);

    impl App for Fragile {
        fn on_accept(&mut self, _: Now, _: ConnId, _: &PeerAddr) -> Admit {
            Admit::Yes
        }
        fn on_upgrade(&mut self, _: Now, _: ConnId, _: &Head<'_>) -> Result<(), Refusal> {
            Ok(())
        }
        fn on_open(&mut self, _: Now, _: ConnId) {}
        fn on_request_head(&mut self, _: Now, _: ConnId, _: &Head<'_>) -> Result<usize, Refusal> {
            Ok(0)
        }
        fn on_request(&mut self, _: Now, _: ConnId, _: &Head<'_>, _: &[u8]) -> Answer {
            Answer::Later
        }
        fn on_message(&mut self, _: Now, _: ConnId, _: Message<'_>) {
            panic!("the program's own")
        }
        fn on_closed(&mut self, _: Now, _: ConnId, _: Closed) -> Outbox {
            std::mem::take(&mut self.1)
        }
        fn outbox(&mut self, _: ConnId) -> Option<(&mut Outbox, &mut Turn)> {
            Some((&mut self.1, &mut self.0))
        }
        fn queued_len(&self, _: ConnId) -> usize {
            self.1.queued_len()
        }
        fn turn(&mut self) -> &mut Turn {
            &mut self.0
        }
        fn poll_dirty(&mut self) -> Option<(ConnId, &mut Outbox, &mut Turn)> {
            None
        }
        fn poll_command(&mut self) -> Option<Command> {
            None
        }
        fn collect(&mut self, _: Now) -> bool {
            false
        }
        fn expire(&mut self, _: Now) {}
        fn next_deadline_ms(&self) -> Option<u64> {
            None
        }
        fn on_signal(&mut self, _: Now, _: Signal) {}
    }

    fn converse(conn: &mut Conn, bytes: &[u8]) -> Next {
        let limits = MessageLimits {
            bytes_max: 100,
            binary: false,
            checks_whole_text: true,
        };
        let mut buffer = bytes.to_vec();
        buffer.extend([0; JSON_PADDING_BYTES]);
        Conversation {
            app: &mut Fragile::default(),
            now: Now::default(),
            id: ConnId::new(0, 0),
            conn,
            limits: &limits,
            pool: &mut Pool::default(),
            blocked: false,
            aside: &mut Aside::default(),
            in_app: false,
        }
        .run(&mut Input::new(&mut buffer, bytes.len()))
    }

    #[test]
    fn a_panic_in_the_protocol_ends_that_peer_with_a_word() {
        let mut conn = Conn::default();
        conn.sabotage();
        let Next::Leave(leave) = converse(&mut conn, b"x") else {
            panic!("it went on")
        };
        assert_eq!((leave.why, leave.linger), (Closed::Panic, Linger::Discard));
        assert!(matches!(
            leave.farewell,
            Farewell::Refusal(Refusal { status: 500, .. })
        ));
        conn.open();
        let limits = MessageLimits {
            bytes_max: 1,
            binary: true,
            checks_whole_text: true,
        };
        let told = Conversation {
            app: &mut Fragile::default(),
            now: Now::default(),
            id: ConnId::new(0, 0),
            conn: &mut conn,
            limits: &limits,
            pool: &mut Pool::default(),
            blocked: false,
            aside: &mut Aside::default(),
            in_app: false,
        }
        .panicked();
        assert!(matches!(
            told.farewell,
            Farewell::Close(close::INTERNAL_ERROR, _)
        ));
    }

    #[test]
    fn a_panic_of_the_program_is_not_caught_here() {
        let mut conn = Conn::default();
        conn.open();
        let text = [0x81, 0x81, 0, 0, 0, 0, b'x'];
        let panicked = catch_unwind(AssertUnwindSafe(|| converse(&mut conn, &text)));
        assert!(panicked.is_err());
    }
}
