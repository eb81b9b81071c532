//! What the loop serves: the seam between sockets and a program that knows none.

use std::net::SocketAddr;

use crate::conn::Conn;
use crate::ids::ConnId;
use crate::limits::{CLOSE_GRACE_MS, HTTP_BODY_DEADLINE_MS};
use crate::now::Now;
use crate::outbox::{Outbox, Turn};
use crate::wire::http::{Head, Refusal};
use crate::wire::message::MessageLimits;

use super::meter::Meter;
use super::signals::Signal;
use super::socket::PeerAddr;
use super::tls::Acceptor;

/// A program behind the loop. The loop calls it with what peers did and the time; the program
/// leaves bytes in outboxes and commands. Nothing here may block.
pub trait App {
    /// A connection arrived. Answered with yes, its outbox exists from now on.
    fn on_accept(&mut self, now: Now, conn: ConnId, from: &PeerAddr) -> Admit;

    /// Whether an accepted connection has to begin with a PROXY header.
    fn expects_proxy_header(&self, _from: &PeerAddr) -> bool {
        false
    }

    /// Its header came, with the client's address where it has one: whether it may go on.
    fn on_proxied(&mut self, _now: Now, _conn: ConnId, _source: Option<SocketAddr>) -> bool {
        false
    }

    /// A well-formed WebSocket request: whether this one is welcome, by its Host, Origin and path.
    ///
    /// # Errors
    ///
    /// What the peer is answered before it is disconnected.
    fn on_upgrade(&mut self, now: Now, conn: ConnId, head: &Head<'_>) -> Result<(), Refusal>;

    /// Frames may be sent: the answer to the upgrade is in the outbox.
    fn on_open(&mut self, now: Now, conn: ConnId);

    /// The head of a plain request, before any of its body is read: how many bytes of body to take, which are those that
    /// the head tells ([`Head::content_len`]) where they are not too many for the program. Below 2 GiB.
    ///
    /// # Errors
    ///
    /// What the peer is answered before it is disconnected.
    fn on_request_head(
        &mut self,
        now: Now,
        conn: ConnId,
        head: &Head<'_>,
    ) -> Result<usize, Refusal>;

    /// A whole plain request. The response goes through the outbox.
    fn on_request(&mut self, now: Now, conn: ConnId, head: &Head<'_>, body: &[u8]) -> Answer;

    /// A whole message.
    fn on_message(&mut self, now: Now, conn: ConnId, message: Message<'_>);

    /// The connection ends, exactly once for each one that was accepted. Gives the outbox back:
    /// what is in it is still sent, and nothing of the program's can follow.
    fn on_closed(&mut self, now: Now, conn: ConnId, why: Closed) -> Outbox;

    /// The outbox of a connection, for bytes of the protocol's own. The program puts the
    /// connection on its list of dirty ones.
    fn outbox(&mut self, conn: ConnId) -> Option<(&mut Outbox, &mut Turn)>;

    /// Bytes that wait in the connection's outbox; 0 for one that is gone.
    fn queued_len(&self, conn: ConnId) -> usize;

    /// What the outboxes share.
    fn turn(&mut self) -> &mut Turn;

    /// The next connection whose outbox was written to since it was last asked for.
    fn poll_dirty(&mut self) -> Option<(ConnId, &mut Outbox, &mut Turn)>;

    /// The next thing that the program wants done.
    fn poll_command(&mut self) -> Option<Command>;

    /// Takes answers of workers, a bounded number; true when there are more. Called after the
    /// loop's waker was used.
    fn collect(&mut self, now: Now) -> bool;

    /// The loop goes on after it waited, or has read much: memory may be looked at.
    fn on_read(&mut self, _now: Now, _meter: &Meter) {}

    /// What the loop has done so far, as [`Command::Measure`] asked.
    fn on_measured(&mut self, _now: Now, _ticket: u64, _meter: &Meter) {}

    /// Handles the program's own deadlines that have passed.
    fn expire(&mut self, now: Now);

    /// The first of the program's own deadlines.
    fn next_deadline_ms(&self) -> Option<u64>;

    /// A signal arrived.
    fn on_signal(&mut self, now: Now, signal: Signal);
}

/// Whether a connection is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    Yes,
    /// Disconnected at once; the program hears no more of it.
    Refuse,
    /// Let in, in place of another one that is disconnected.
    Evict(ConnId),
}

/// Whether a plain request has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The whole response is in the outbox. The connection is kept for another request, or ends.
    Whole { keep: bool },
    /// More follows; [`Command::Answered`] ends it.
    Later,
}

/// A message in the receive buffer, to be read, or parsed in place.
pub struct Message<'a> {
    pub binary: bool,
    padded: &'a mut [u8],
}

impl<'a> Message<'a> {
    /// `padded` ends with the padding.
    pub(super) fn new(binary: bool, padded: &'a mut [u8]) -> Self {
        Self { binary, padded }
    }

    /// The message's bytes.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        match self.padded.get(..self.len()) {
            Some(bytes) => bytes,
            None => &[],
        }
    }

    /// The message's length in bytes.
    pub fn len(&self) -> usize {
        self.padded.len() - crate::limits::JSON_PADDING_BYTES
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message and the padding behind it; the padding is not to be changed.
    pub fn padded(self) -> &'a mut [u8] {
        self.padded
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer sent a close frame with this code.
    ByPeer(u16),
    /// The peer went without a word, or the network did.
    Lost,
    /// The peer broke a rule and was told this code or status.
    Fault(u16),
    /// A deadline passed: the handshake's, a request's, or a pong's.
    Timeout,
    /// The program asked for it.
    ByCommand,
    /// Its place was given to another one.
    Evicted,
    /// A plain request was answered and no other one follows.
    Answered,
    /// The code that reads this peer's bytes panicked.
    Panic,
}

impl Closed {
    /// What the log says.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ByPeer(_) => "closed by the client",
            Self::Lost => "connection lost",
            Self::Fault(_) => "protocol fault",
            Self::Timeout => "no answer in time",
            Self::ByCommand => "closed by the gateway",
            Self::Evicted => "made room for another",
            Self::Answered => "answered",
            Self::Panic => "fault of our own",
        }
    }
}

/// What the program wants done with a connection or the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sends what is queued and a close frame, then disconnects.
    Close {
        conn: ConnId,
        code: u16,
        reason: String,
    },
    /// The handshake is done: the deadline is lifted, the wider limits hold, pings begin.
    Promote(ConnId),
    /// A response that was to come later is in the outbox, whole.
    Answered { conn: ConnId, keep: bool },
    /// Give back spare memory, and send away whoever holds much of it by unfinished messages.
    Relieve { code: u16, reason: &'static str },
    /// Ask the loop what it has done: [`App::on_measured`] follows.
    Measure { ticket: u64 },
    /// New TCP connections get this certificate; those that are there keep theirs.
    Secure(Acceptor),
    /// No more connections are accepted.
    StopAccepting,
    /// The loop returns after this turn.
    Stop,
}

/// Bounds and intervals of all connections of a loop.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Before [`Command::Promote`].
    pub before: MessageLimits,
    /// After it.
    pub after: MessageLimits,
    /// From accept to [`Command::Promote`], not extended by bytes.
    pub handshake_deadline_ms: Option<u64>,
    /// From the end of a request's head to the end of its body.
    pub body_deadline_ms: u64,
    /// Between two pings of a promoted connection.
    pub ping_interval_ms: Option<u64>,
    /// For the peer's part of the closing handshake.
    pub close_grace_ms: u64,
}

impl Settings {
    /// A connection's bounds.
    #[inline(always)]
    pub(super) fn limits(&self, promoted: bool) -> &MessageLimits {
        match promoted {
            true => &self.after,
            false => &self.before,
        }
    }

    /// The same limits before and after, no deadline before, no pings: an echo server's.
    pub fn open(limits: MessageLimits) -> Self {
        Self {
            before: limits,
            after: limits,
            handshake_deadline_ms: None,
            body_deadline_ms: HTTP_BODY_DEADLINE_MS,
            ping_interval_ms: None,
            close_grace_ms: CLOSE_GRACE_MS,
        }
    }
}

const _: () = assert!(std::mem::size_of::<Conn>() <= 24);
