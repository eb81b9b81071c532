//! The programs behind the loop that measure it: one sends every message back, one to everybody.

use clawdia::ids::{ConnId, Line};
use clawdia::io::app::{Admit, Answer, App, Closed, Command, Message};
use clawdia::io::signals::Signal;
use clawdia::io::socket::PeerAddr;
use clawdia::now::Now;
use clawdia::outbox::{Outbox, SharedFrame, Turn};
use clawdia::wire::envelope::write_event;
use clawdia::wire::frame::Opcode;
use clawdia::wire::http::{Head, Refusal};
use clawdia::wire::message::MessageLimits;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It goes back to its sender.
    Echo,
    /// It goes to everybody who is connected.
    Broadcast,
    /// It goes to everybody inside an event that carries each receiver's own number.
    Events,
}

/// The frame of an event around a text.
pub fn event_frame(turn: &mut Turn, text: &str) -> SharedFrame {
    turn.frame(|w| write_event(w, "message", true, None, |w| w.str(text)))
}

/// Messages up to 16 MiB, text or binary.
pub const LIMITS: MessageLimits = MessageLimits {
    bytes_max: 16 * 1024 * 1024,
    binary: true,
    checks_whole_text: true,
};

/// An echo server's whole state: an outbox for each connection.
pub struct Echo {
    mode: Mode,
    peers: Vec<Peer>,
    dirty: Line,
    turn: Turn,
    stop: bool,
}

struct Peer {
    id: ConnId,
    outbox: Outbox,
    /// Number of the last event.
    seq: u64,
    open: bool,
    dirty: bool,
}

impl Echo {
    /// A server without connections.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            peers: Vec::new(),
            dirty: Line::default(),
            turn: Turn::default(),
            stop: false,
        }
    }

    fn peer(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.peers
            .get_mut(conn.slot())
            .filter(|peer| peer.id == conn)
    }

    #[inline(never)]
    fn broadcast(&mut self, message: &Message<'_>) {
        let frame = match (self.mode, std::str::from_utf8(message.bytes())) {
            (Mode::Events, Ok(text)) => event_frame(&mut self.turn, text),
            _ => self.turn.raw_frame(opcode(message) as u8, message.bytes()),
        };
        for peer in self.peers.iter_mut().filter(|peer| peer.open) {
            peer.seq += 1;
            peer.outbox.shared(&mut self.turn, frame, peer.seq);
            if !peer.dirty {
                peer.dirty = true;
                self.dirty.push(peer.id);
            }
        }
    }
}

impl App for Echo {
    fn on_accept(&mut self, _now: Now, conn: ConnId, _from: &PeerAddr) -> Admit {
        let peer = Peer {
            id: conn,
            outbox: Outbox::default(),
            seq: 0,
            open: false,
            dirty: false,
        };
        match self.peers.get_mut(conn.slot()) {
            Some(slot) => *slot = peer,
            None => self.peers.push(peer),
        }
        Admit::Yes
    }

    fn on_upgrade(&mut self, _now: Now, _conn: ConnId, _head: &Head<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn on_open(&mut self, _now: Now, conn: ConnId) {
        if let Some(peer) = self.peer(conn) {
            peer.open = true;
        }
    }

    fn on_request_head(
        &mut self,
        _now: Now,
        _conn: ConnId,
        _head: &Head<'_>,
    ) -> Result<usize, Refusal> {
        Err(Refusal::new(426, "only WebSocket is served here"))
    }

    fn on_request(&mut self, _now: Now, _conn: ConnId, _head: &Head<'_>, _body: &[u8]) -> Answer {
        Answer::Whole { keep: false }
    }

    #[inline(always)]
    fn on_message(&mut self, _now: Now, conn: ConnId, message: Message<'_>) {
        if self.mode != Mode::Echo {
            return self.broadcast(&message);
        }
        if let Some((outbox, turn)) = self.outbox(conn) {
            outbox.frame(turn, opcode(&message) as u8, message.bytes());
        }
    }

    fn on_closed(&mut self, _now: Now, conn: ConnId, _why: Closed) -> Outbox {
        let Some(peer) = self.peer(conn) else {
            return Outbox::default();
        };
        peer.open = false;
        std::mem::take(&mut peer.outbox)
    }

    #[inline(always)]
    fn outbox(&mut self, conn: ConnId) -> Option<(&mut Outbox, &mut Turn)> {
        let peer = self
            .peers
            .get_mut(conn.slot())
            .filter(|peer| peer.id == conn)?;
        if !peer.dirty {
            peer.dirty = true;
            self.dirty.push(conn);
        }
        Some((&mut peer.outbox, &mut self.turn))
    }

    fn queued_len(&self, conn: ConnId) -> usize {
        self.peers
            .get(conn.slot())
            .map_or(0, |peer| peer.outbox.queued_len())
    }

    fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }

    fn poll_dirty(&mut self) -> Option<(ConnId, &mut Outbox, &mut Turn)> {
        let conn = self.dirty.take_first()?;
        let peer = self.peers.get_mut(conn.slot())?;
        peer.dirty = false;
        Some((conn, &mut peer.outbox, &mut self.turn))
    }

    fn poll_command(&mut self) -> Option<Command> {
        std::mem::take(&mut self.stop).then_some(Command::Stop)
    }

    fn collect(&mut self, _now: Now) -> bool {
        false
    }

    fn expire(&mut self, _now: Now) {}

    fn next_deadline_ms(&self) -> Option<u64> {
        None
    }

    fn on_signal(&mut self, _now: Now, signal: Signal) {
        self.stop |= signal == Signal::Terminate;
    }
}

fn opcode(message: &Message<'_>) -> Opcode {
    if message.binary {
        Opcode::Binary
    } else {
        Opcode::Text
    }
}
