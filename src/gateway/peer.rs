//! The party behind an accepted connection, with role and scopes.

use super::auth::locality::{Arrival, Client};
use super::auth::origin::Provenance;
use super::auth::scope::ScopeSet;
use super::auth::tailnet::Voucher;
use crate::ids::ConnId;
use crate::outbox::Outbox;
use crate::state::Role;

/// One accepted connection.
pub struct Peer {
    /// Slot and generation; an id that differs is somebody else's.
    pub conn: ConnId,
    /// Bytes on their way to this peer.
    pub outbox: Outbox,
    /// Whether the peer is on the dirty list already.
    pub dirty: bool,
    /// Where the connection came from, known from accept.
    pub arrival: Arrival,
    /// How far the handshake is.
    pub phase: Phase,
}

/// The life of a connection, in order.
pub enum Phase {
    /// Accepted; an HTTP head has not come yet, or a plain request is being answered.
    Http,
    /// Upgraded; the challenge was sent and `connect` is awaited.
    Challenged(Box<Challenged>),
    /// `connect` arrived and its records are being written.
    Joining(Box<Challenged>),
    /// hello-ok was sent.
    Live(Box<Live>),
    /// A close is on its way; nothing more is taken from the peer.
    Closing,
}

/// What the upgrade told, for `connect` to be judged by.
#[derive(Clone)]
pub struct Challenged {
    /// Single use: a second `connect` finds another phase.
    pub nonce: String,
    /// Address, locality, Host and Origin.
    pub client: Client,
    /// Where the upgrade says that it comes from.
    pub provenance: Provenance,
    /// Who vouches for the client.
    pub voucher: Voucher,
    /// Connection id for people and logs.
    pub conn_uuid: Box<str>,
    /// Messages that arrived while the handshake waits for the store.
    pub pipelined: Vec<Vec<u8>>,
}

/// A peer that said hello.
pub struct Live {
    /// Operator or node.
    pub role: Role,
    /// What was granted, never more than was asked for.
    pub scopes: ScopeSet,
    /// The protocol version agreed on.
    pub protocol: u32,
    /// Whether it asked for methods and events that its version has not.
    pub wants_additions: bool,
    /// The paired device, where the client has one.
    pub device_id: Option<Box<str>>,
    /// Which secret let it in: a rotated one closes it.
    pub secret: SecretUsed,
    /// `client.id` of `connect`.
    pub client_id: Box<str>,
    /// `client.mode` of `connect`.
    pub client_mode: Box<str>,
    /// Name for people.
    pub display_name: Option<Box<str>>,
    /// `client.platform` of `connect`.
    pub platform: Box<str>,
    /// `client.version` of `connect`.
    pub version: Box<str>,
    /// Address, locality.
    pub client: Client,
    /// Connection id for people and logs.
    pub conn_uuid: Box<str>,
    /// Its entry in the presence list.
    pub presence_key: Option<Box<str>>,
    /// The last event's number.
    pub seq: u64,
    /// Ids of requests whose answer is still to come.
    pub in_flight: Vec<Box<str>>,
    /// Unauthorized or invalid calls in a row.
    pub faults_in_row: u32,
    /// Since when.
    pub connected_at_ms: u64,
}

/// Which secret a connection showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretUsed {
    /// The gateway's token or password.
    Shared,
    /// The token of its device.
    Device,
    /// An identity that somebody else vouched for.
    Identity,
    /// None: the kernel said that it is the gateway's own user.
    Owner,
}

impl Peer {
    /// A peer that was just accepted.
    pub fn new(conn: ConnId, arrival: Arrival) -> Self {
        Self {
            conn,
            outbox: Outbox::default(),
            dirty: false,
            arrival,
            phase: Phase::Http,
        }
    }

    /// The peer's session of the protocol, once it said hello.
    pub fn live(&self) -> Option<&Live> {
        match &self.phase {
            Phase::Live(live) => Some(live),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.phase {
            Phase::Live(live) => Some(live),
            _ => None,
        }
    }
}

/// All accepted connections, by slot.
#[derive(Default)]
pub struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    len: usize,
}

impl Peers {
    /// Puts a new connection in its slot.
    pub fn insert(&mut self, peer: Peer) {
        let slot = peer.conn.slot();
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.len += usize::from(self.slots[slot].is_none());
        self.slots[slot] = Some(Box::new(peer));
    }

    /// The peer of exactly this connection.
    pub fn get(&self, conn: ConnId) -> Option<&Peer> {
        self.slots
            .get(conn.slot())?
            .as_deref()
            .filter(|peer| peer.conn == conn)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.slots
            .get_mut(conn.slot())?
            .as_deref_mut()
            .filter(|peer| peer.conn == conn)
    }

    /// Takes the connection out; None if it went before.
    pub fn remove(&mut self, conn: ConnId) -> Option<Box<Peer>> {
        self.get(conn)?;
        self.len -= 1;
        self.slots[conn.slot()].take()
    }

    /// Accepted connections.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Slots in use or free; for walking them in steps.
    pub fn slots_len(&self) -> usize {
        self.slots.len()
    }

    /// The peer in a slot, whatever its generation.
    pub fn at_slot(&self, slot: usize) -> Option<&Peer> {
        self.slots.get(slot)?.as_deref()
    }

    /// Every peer, by slot.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.slots.iter().filter_map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn an_id_of_an_earlier_generation_reaches_nobody() {
        let arrival = Arrival::Tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut peers = Peers::default();
        let old = ConnId::new(3, 0);
        let new = ConnId::new(3, 1);
        peers.insert(Peer::new(old, arrival));
        assert!(peers.remove(old).is_some());
        peers.insert(Peer::new(new, arrival));
        assert!(peers.get(old).is_none());
        assert!(peers.remove(old).is_none());
        assert!(peers.get_mut(new).is_some());
        assert_eq!(peers.len(), 1);
    }

    #[test]
    fn a_peer_stays_small() {
        assert!(
            std::mem::size_of::<Peer>() <= 80,
            "{}",
            std::mem::size_of::<Peer>()
        );
        assert!(
            std::mem::size_of::<Live>() <= 320,
            "{}",
            std::mem::size_of::<Live>()
        );
    }
}
