//! The programs behind the loop that measure it: one sends every message back, one to everybody.

use clawdia::ids::ConnId;
use clawdia::io::app::{Admit, Answer, App, Closed, Command, Message};
use clawdia::io::signals::Signal;
use clawdia::io::socket::PeerAddr;
use clawdia::now::Now;
use clawdia::outbox::{Outbox, Turn};
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
    dirty: Vec<ConnId>,
    turn: Turn,
    stop: bool,
}

struct Peer {
    id: ConnId,
    outbox: Outbox,
    open: bool,
    dirty: bool,
}

impl Echo {
    /// A server without connections.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            peers: Vec::new(),
            dirty: Vec::new(),
            turn: Turn::default(),
            stop: false,
        }
    }

    fn peer(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.peers
            .get_mut(conn.slot())
            .filter(|peer| peer.id == conn)
    }

    fn broadcast(&mut self, message: &Message<'_>) {
        let opcode = if message.binary {
            Opcode::Binary
        } else {
            Opcode::Text
        };
        let frame = self.turn.raw_frame(opcode as u8, message.bytes());
        for peer in self.peers.iter_mut().filter(|peer| peer.open) {
            peer.outbox.shared(&mut self.turn, frame, 0);
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

    fn on_message(&mut self, _now: Now, conn: ConnId, message: Message<'_>) {
        if self.mode == Mode::Broadcast {
            return self.broadcast(&message);
        }
        let opcode = if message.binary {
            Opcode::Binary
        } else {
            Opcode::Text
        };
        if let Some((outbox, turn)) = self.outbox(conn) {
            outbox.frame(turn, opcode as u8, message.bytes());
        }
    }

    fn on_closed(&mut self, _now: Now, conn: ConnId, _why: Closed) -> Outbox {
        let Some(peer) = self.peer(conn) else {
            return Outbox::default();
        };
        peer.open = false;
        std::mem::take(&mut peer.outbox)
    }

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
        let conn = self.dirty.pop()?;
        let peer = &mut self.peers[conn.slot()];
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
