//! Events: encoded once, sent to whoever may read them, numbered for each receiver.

use super::auth::scope::Scope;
use super::{Gateway, peer::Live};
use crate::ids::ConnId;
use crate::limits::OUTBOX_SOFT_BYTES;
use crate::outbox::SharedFrame;
use crate::state::Role;
use crate::wire::envelope::{StateVersion, write_event};
use crate::wire::json::Writer;

/// Who may read an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every connection, whatever its role and scopes.
    Everybody,
    /// Operators with this scope.
    Operators(Scope),
    /// Operators who may read, and all nodes.
    ReadersAndNodes,
    /// One connection at a time; never broadcast.
    One,
}

/// Every event that the gateway sends, and who may read it. `hello-ok` advertises the names.
pub const EVENTS: &[(&str, Audience)] = &[
    ("connect.challenge", Audience::One),
    ("agent", Audience::Operators(Scope::Read)),
    ("chat", Audience::Operators(Scope::Read)),
    ("presence", Audience::Operators(Scope::Read)),
    ("tick", Audience::Everybody),
    ("talk.mode", Audience::Operators(Scope::Read)),
    ("shutdown", Audience::Everybody),
    ("health", Audience::Operators(Scope::Read)),
    ("heartbeat", Audience::Operators(Scope::Read)),
    ("cron", Audience::Operators(Scope::Read)),
    (
        "channel.pair.requested",
        Audience::Operators(Scope::Pairing),
    ),
    ("channel.pair.resolved", Audience::Operators(Scope::Pairing)),
    ("device.pair.requested", Audience::Operators(Scope::Pairing)),
    ("device.pair.resolved", Audience::Operators(Scope::Pairing)),
    (
        "exec.approval.requested",
        Audience::Operators(Scope::Approvals),
    ),
    (
        "exec.approval.resolved",
        Audience::Operators(Scope::Approvals),
    ),
    ("node.invoke.progress", Audience::One),
    ("node.invoke.request", Audience::One),
    ("node.invokeMany.result", Audience::One),
    ("node.pair.requested", Audience::Operators(Scope::Pairing)),
    ("node.pair.resolved", Audience::Operators(Scope::Pairing)),
    ("voicewake.changed", Audience::ReadersAndNodes),
];

/// Who may read the event; None for one that does not exist.
pub fn audience(event: &str) -> Option<Audience> {
    EVENTS
        .iter()
        .find(|(name, _)| *name == event)
        .map(|(_, audience)| *audience)
}

impl Audience {
    /// Whether this peer is among them.
    pub fn includes(self, live: &Live) -> bool {
        match (self, live.role) {
            (Self::Everybody, _) | (Self::ReadersAndNodes, Role::Node) => true,
            (Self::Operators(scope), Role::Operator) => live.scopes.allows(scope),
            (Self::ReadersAndNodes, Role::Operator) => live.scopes.allows(Scope::Read),
            (Self::Operators(_), Role::Node) | (Self::One, _) => false,
        }
    }

    fn reaches_nodes(self) -> bool {
        matches!(self, Self::Everybody | Self::ReadersAndNodes)
    }
}

/// How an event is treated when a peer does not drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Must arrive: it uses memory up to the peer's hard limit.
    Must,
    /// May be dropped for a peer over the soft limit; the gap in `seq` tells it to refresh.
    MayDrop,
}

impl Gateway {
    /// Sends an event to everybody who may read it.
    pub(super) fn broadcast(
        &mut self,
        event: &'static str,
        weight: Weight,
        version: Option<StateVersion>,
        payload: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        let receivers = self.receivers(event);
        self.send_to(receivers, event, weight, version, payload);
    }

    /// Sends an event of a chat session to everybody who may read it, and to the nodes that
    /// subscribed to the session.
    pub(super) fn broadcast_chat(
        &mut self,
        session_key: &str,
        event: &'static str,
        weight: Weight,
        payload: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        let mut receivers = self.receivers(event);
        receivers.extend(self.fleet.subscriptions.of(session_key));
        self.send_to(receivers, event, weight, None, payload);
    }

    fn send_to(
        &mut self,
        receivers: Vec<ConnId>,
        event: &'static str,
        weight: Weight,
        version: Option<StateVersion>,
        payload: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        if !receivers.is_empty() {
            let frame = self.encode(event, version, payload);
            for conn in &receivers {
                self.deliver(*conn, frame, weight);
            }
        }
        self.receivers_spare = receivers;
    }

    /// Encodes an event once, for [`Gateway::deliver`] in the same turn.
    pub(super) fn encode(
        &mut self,
        event: &'static str,
        version: Option<StateVersion>,
        payload: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) -> SharedFrame {
        let mut turn = std::mem::take(&mut self.turn);
        let frame = turn.frame(|w| write_event(w, event, true, version, |w| payload(self, w)));
        self.turn = turn;
        frame
    }

    /// Gives one peer an encoded event with its own next number.
    pub(super) fn deliver(&mut self, conn: ConnId, frame: SharedFrame, weight: Weight) {
        let turn = &mut self.turn;
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let over = peer.outbox.queued_len() + frame.wire_len() > OUTBOX_SOFT_BYTES;
        let Some(live) = peer.live_mut() else {
            return;
        };
        live.seq += 1;
        let seq = live.seq;
        if over && weight == Weight::MayDrop {
            self.counters.deliveries_dropped += 1;
            return;
        }
        self.counters.deliveries += 1;
        peer.outbox.shared(turn, frame, seq);
        self.mark_dirty(conn);
        if over {
            self.watch_outbox(conn);
        }
    }

    /// Sends an event without a number to one peer, at any phase.
    pub(super) fn send_unnumbered(
        &mut self,
        conn: ConnId,
        event: &str,
        payload: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        self.send_text(conn, |gateway, w| {
            write_event(w, event, false, None, |w| payload(gateway, w));
        });
    }

    /// Sends a numbered event to one peer alone.
    pub(super) fn send_event(
        &mut self,
        conn: ConnId,
        event: &'static str,
        version: Option<StateVersion>,
        payload: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        let frame = self.encode(event, version, payload);
        self.deliver(conn, frame, Weight::Must);
    }

    fn receivers(&mut self, event: &'static str) -> Vec<ConnId> {
        let Some(audience) = audience(event) else {
            debug_assert!(false, "{event} is not in the table of events");
            return Vec::new();
        };
        let mut receivers = std::mem::take(&mut self.receivers_spare);
        receivers.clear();
        let may = |conn: &&ConnId| {
            self.peers
                .get(**conn)
                .and_then(|peer| peer.live())
                .is_some_and(|live| audience.includes(live))
        };
        receivers.extend(self.operators.iter().filter(may));
        if audience.reaches_nodes() {
            receivers.extend(self.nodes.iter().filter(may));
        }
        receivers
    }
}
