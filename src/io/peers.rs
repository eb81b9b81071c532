//! The connection table: slots that are used again, each time under a new generation.

use std::io;

use crate::conn::Conn;
use crate::ids::ConnId;
use crate::limits::CONTROL_BYTES_MAX;
use crate::outbox::Outbox;

use super::socket::{Carrier, Socket};
use super::sys;
use super::tls::{Cipher, TlsStream};

/// One accepted connection, as small as it can be: there may be tens of thousands.
pub(super) struct Peer {
    pub(super) socket: Socket,
    pub(super) conn: Conn,
    /// What is sent besides the program's outbox.
    pub(super) aside: Option<Box<Queued>>,
    /// Set once the program gave the connection up.
    pub(super) leaving: Option<Linger>,
    pub(super) timer: Timer,
    /// The socket takes nothing until it becomes writable.
    pub(super) blocked: bool,
    /// Nothing is read until the outbox is shorter, or the request before is answered.
    pub(super) paused: bool,
    /// It is on the loop's list of those to read without waiting for readiness.
    pub(super) ready: bool,
    pub(super) promoted: bool,
    /// Bytes came since the last ping.
    pub(super) heard: bool,
    /// A ping was sent.
    pub(super) pinged: bool,
}

// A debug build's sockets carry checks of their own.
const _: () = assert!(
    cfg!(debug_assertions) || std::mem::size_of::<Slot>() <= 64,
    "a peer fits in one cache line"
);

/// What waits to be sent and is not in the program's outbox.
pub(super) enum Queued {
    /// The latest ping of those that came while the socket took nothing.
    LatePong(Pong),
    /// What is still to be sent after the program gave the connection up.
    Farewell(Outbox),
}

/// What happens to a connection once its last bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linger {
    /// Both sides said all they had to.
    Drop,
    /// Our close frame waits for the peer's.
    AwaitClose,
    /// The peer may still be sending. Closing now would make its system throw our last bytes away
    /// unread, so what comes is read and thrown away until it stops or the grace is over.
    Discard,
}

/// What a connection's one deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    None,
    /// The handshake's, and a PROXY header comes first.
    Announced,
    Handshake,
    Body,
    Ping,
    Grace,
}

/// A pong that waits outside the outbox.
pub(super) struct Pong {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: u8,
}

impl Pong {
    /// With the payload of its ping, at most 125 bytes.
    pub(super) fn new(payload: &[u8]) -> Self {
        let mut bytes = [0; CONTROL_BYTES_MAX];
        bytes[..payload.len()].copy_from_slice(payload);
        Self {
            bytes,
            len: payload.len() as u8,
        }
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Peer {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            conn: Conn::default(),
            aside: None,
            leaving: None,
            timer: Timer::None,
            blocked: false,
            paused: false,
            ready: false,
            promoted: false,
            heard: false,
            pinged: false,
        }
    }

    #[inline(always)]
    pub(super) fn read(&mut self, buffer: &mut [u8], cipher: &mut Cipher) -> io::Result<usize> {
        match self.socket.carrier() {
            Carrier::Plain(socket) => sys::receive(socket, buffer),
            Carrier::Tls(stream) => read_secured(stream, buffer, cipher, &mut self.blocked),
        }
    }

    /// As an outbox asks for it: how many bytes were taken, `None` for a broken socket.
    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8], cipher: &mut Cipher) -> Option<usize> {
        if self.blocked {
            return Some(0);
        }
        match self.socket.carrier() {
            Carrier::Plain(socket) => sys::send(socket, bytes),
            Carrier::Tls(stream) => {
                let written = stream.write(bytes, cipher);
                self.blocked |= stream.unsent_len() > 0;
                taken(written)
            }
        }
    }

    /// The bytes that are still to be sent to a peer that leaves.
    pub(super) fn take_farewell(&mut self) -> Option<Outbox> {
        match self.aside.take().map(|aside| *aside) {
            Some(Queued::Farewell(outbox)) => Some(outbox),
            Some(Queued::LatePong(_)) | None => None,
        }
    }

    /// Whether a peer that leaves has got everything.
    pub(super) fn has_said_all(&self) -> bool {
        let queued =
            matches!(self.aside.as_deref(), Some(Queued::Farewell(outbox)) if !outbox.is_empty());
        !queued && self.socket.unsent_len() == 0
    }
}

// Apart, so that who speaks without TLS does not pay for it.
#[inline(never)]
fn read_secured(
    stream: &mut TlsStream,
    buffer: &mut [u8],
    cipher: &mut Cipher,
    blocked: &mut bool,
) -> io::Result<usize> {
    let read = stream.read(buffer, cipher);
    // A handshake writes while it reads.
    *blocked |= stream.unsent_len() > 0;
    read
}

fn taken(written: io::Result<usize>) -> Option<usize> {
    match written {
        Ok(len) => Some(len),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Some(0)
        }
        Err(_) => None,
    }
}

struct Slot {
    generation: u32,
    peer: Option<Peer>,
}

/// All connections of a loop.
#[derive(Default)]
pub(super) struct Peers {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Peers {
    /// The id that the next inserted connection gets.
    pub(super) fn next_id(&self) -> ConnId {
        match self.free.last() {
            Some(slot) => ConnId::new(*slot, self.slots[*slot as usize].generation),
            None => ConnId::new(self.slots.len() as u32, 0),
        }
    }

    /// Puts a connection into the slot of [`Peers::next_id`].
    pub(super) fn insert(&mut self, peer: Peer) -> ConnId {
        let id = self.next_id();
        if self.free.pop().is_some() {
            self.slots[id.slot()].peer = Some(peer);
        } else {
            self.slots.push(Slot {
                generation: 0,
                peer: Some(peer),
            });
        }
        id
    }

    /// Takes a connection out; its slot will be used again under another generation.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Peer> {
        let slot = self
            .slots
            .get_mut(id.slot())
            .filter(|slot| slot.generation == id.generation())?;
        let peer = slot.peer.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot() as u32);
        Some(peer)
    }

    /// The connection, if it still is the one that the id was given to.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Peer> {
        let slot = self.slots.get_mut(id.slot())?;
        if slot.generation != id.generation() {
            return None;
        }
        slot.peer.as_mut()
    }

    /// The connection in a slot now.
    #[inline(always)]
    pub(super) fn at(&mut self, slot: usize) -> Option<(ConnId, &mut Peer)> {
        let Slot { generation, peer } = self.slots.get_mut(slot)?;
        Some((ConnId::new(slot as u32, *generation), peer.as_mut()?))
    }

    /// The connections that weigh so much or more, with their weights.
    pub(super) fn heavier_than(
        &self,
        least: usize,
        weight: impl Fn(&Peer) -> usize,
    ) -> Vec<(usize, ConnId)> {
        let slots = self.slots.iter().enumerate();
        let weighed = slots.filter_map(|(at, slot)| {
            let id = ConnId::new(at as u32, slot.generation);
            Some((weight(slot.peer.as_ref()?), id))
        });
        weighed.filter(|(weight, _)| *weight >= least).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
