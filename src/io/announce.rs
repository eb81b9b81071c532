//! The PROXY header at the very start of a connection, below TLS.

use std::io;

use crate::ids::ConnId;
use crate::limits::PROXY_HEADER_BYTES_MAX;
use crate::now::Now;
use crate::wire::proxy;

use super::app::{App, Closed};
use super::converse::Leave;
use super::peers::{Linger, Timer};
use super::reactor::Reactor;

impl Reactor {
    /// Looks for the header that the connection has to begin with; whether the peer may be read
    /// now. What is no header, or comes from an address that has its share, ends the connection
    /// without a word: who sent it does not speak our language yet.
    pub(super) fn announce<A: App>(&mut self, app: &mut A, now: Now, id: ConnId) -> bool {
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        let mut bytes = [0; PROXY_HEADER_BYTES_MAX];
        let found = match peer.socket.peek(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Ok(0) | Err(_) => None,
            Ok(len) => match proxy::parse(&bytes[..len]) {
                Ok(None) => return false,
                Ok(Some(header)) => Some(header),
                Err(proxy::NoHeader) => None,
            },
        };
        let taken = found.is_some_and(|header| {
            peer.timer = Timer::Handshake;
            peer.socket.skip(&mut bytes[..header.len]).is_ok()
                && app.on_proxied(now, id, header.source)
        });
        if !taken {
            self.leave(
                app,
                now,
                id,
                Leave::silent(Closed::Fault(400), Linger::Drop),
            );
        }
        taken
    }
}
