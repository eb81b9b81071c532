//! TLS on accepted connections: records in, plaintext out, and nothing else of it seen above
//! [`super::socket`].

pub mod certificate;
pub mod pin;
pub mod server;
mod stream;
pub mod x509;

use crate::limits::{TLS_HANDSHAKES_PER_TURN_MAX, TLS_OUTGOING_BYTES, TLS_RECEIVE_BYTES};

use super::socket::Socket;
pub use server::Acceptor;
pub use stream::TlsStream;

/// What all TLS connections of a loop share: the certificate of new ones, and the memory in which
/// records lie while they are read and written. A connection that is idle owns none.
#[derive(Default)]
pub struct Cipher {
    acceptor: Option<Acceptor>,
    /// Records as they came; of no size while TLS is off.
    incoming: Box<[u8]>,
    /// Records to be sent.
    outgoing: Box<[u8]>,
    handshakes_left: usize,
}

impl Cipher {
    /// Speaks TLS on every TCP connection that is accepted from now on.
    pub fn secure(&mut self, acceptor: Acceptor) {
        if self.acceptor.is_none() {
            self.incoming = vec![0; TLS_RECEIVE_BYTES].into();
            self.outgoing = vec![0; TLS_OUTGOING_BYTES].into();
        }
        self.acceptor = Some(acceptor);
    }

    /// A handshake costs as much as hundreds of messages: in one turn only so many go on, so that
    /// those who are connected are served while a crowd arrives.
    #[inline]
    pub(super) fn begin_turn(&mut self) {
        self.handshakes_left = TLS_HANDSHAKES_PER_TURN_MAX;
    }

    /// More wait to shake hands than a turn has time for: newcomers stay in the backlog.
    pub(super) fn is_congested(&self) -> bool {
        self.acceptor.is_some() && self.handshakes_left == 0
    }

    /// The socket as the loop is to use it; None where TLS cannot be begun.
    pub(super) fn wrap(&self, socket: Socket) -> Option<Socket> {
        match (&self.acceptor, socket) {
            (Some(acceptor), Socket::Tcp(stream)) => {
                let stream = TlsStream::new(stream, acceptor)?;
                Some(Socket::Tls(Box::new(stream)))
            }
            (_, socket) => Some(socket),
        }
    }

    /// Takes one step of a handshake out of the turn's share; false where none is left.
    fn spend_handshake(&mut self) -> bool {
        let left = self.handshakes_left.checked_sub(1);
        self.handshakes_left = left.unwrap_or(0);
        left.is_some()
    }
}
