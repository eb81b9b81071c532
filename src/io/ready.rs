//! Peers that are read in the next turn without waiting for readiness.

use super::app::App;
use super::reactor::Reactor;
use crate::ids::ConnId;
use crate::now::Now;

impl Reactor {
    pub(super) fn read_ready<A: App>(&mut self, app: &mut A, now: Now) {
        // Those that become ready meanwhile wait for the next turn.
        let mut ready = std::mem::take(&mut self.ready);
        for id in ready.drain(..) {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.ready = false;
                self.read(app, now, id);
            }
        }
        if self.ready.is_empty() {
            self.ready = ready;
        }
    }

    pub(super) fn make_ready(&mut self, id: ConnId) {
        if let Some(peer) = self.peers.get_mut(id).filter(|peer| !peer.ready) {
            peer.ready = true;
            self.ready.push(id);
        }
    }

    /// Reads a peer again whose outbox has become short enough.
    pub(super) fn resume(&mut self, id: ConnId) {
        let peer = self.peers.get_mut(id);
        if let Some(peer) = peer.filter(|peer| !peer.conn.is_answering()) {
            peer.paused = false;
            self.make_ready(id);
        }
    }
}
