//! What carries a connection's bytes.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use super::sys;
use super::tls::TlsStream;

/// An accepted socket that never blocks. Nothing above this file asks what carries the bytes.
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

/// How a socket's bytes travel.
pub enum Carrier<'a> {
    Plain(BorrowedFd<'a>),
    Tls(&'a mut TlsStream),
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix {
        /// The user that it runs as, by the kernel's word.
        uid: u32,
    },
}

impl Socket {
    /// What the kernel carries as it is, or the stream that speaks TLS.
    #[inline(always)]
    pub fn carrier(&mut self) -> Carrier<'_> {
        match self {
            Self::Tcp(stream) => Carrier::Plain(TcpStream::as_fd(stream)),
            Self::Unix(stream) => Carrier::Plain(UnixStream::as_fd(stream)),
            Self::Tls(stream) => Carrier::Tls(stream),
        }
    }

    /// Whether the last read left something that no readiness announces.
    #[inline(always)]
    pub fn holds_more(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.holds_more())
    }

    /// Bytes that were written and that the kernel did not take yet: it takes nothing now.
    #[inline(always)]
    pub fn unsent_len(&self) -> usize {
        match self {
            Self::Tls(stream) => stream.unsent_len(),
            Self::Tcp(_) | Self::Unix(_) => 0,
        }
    }

    /// Offers the kernel again what it did not take.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub fn send_rest(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) => stream.send_rest(),
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }

    /// Tells the peer that nothing more comes, where the protocol has a word for it.
    pub fn close(&mut self) {
        if let Self::Tls(stream) = self {
            stream.close();
        }
    }

    /// Looks at the first bytes that the network brought, and leaves them there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while there are none, or whatever is wrong with the connection.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buffer),
            Self::Tls(stream) => stream.tcp.peek(buffer),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Takes bytes that were looked at, below whatever carries the connection.
    pub fn skip(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.read_exact(bytes),
            Self::Tls(stream) => stream.tcp.read_exact(bytes),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn shut_down_writing(&mut self) {
        // A peer that is gone already needs no telling.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => stream.shut_down_writing(),
        };
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, both),
            Self::Unix(stream) => stream.register(registry, token, both),
            Self::Tls(stream) => stream.tcp.register(registry, token, both),
        }
    }
}

/// A bound socket that connections arrive at.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds a TCP address; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When the address is not ours or taken: nothing else is tried.
    pub fn bind_tcp(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        // Accepted sockets inherit it. A turn's bytes leave in one write, so there is nothing
        // that waiting for more could put together.
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        Ok(Self::Tcp(listener))
    }

    /// A TCP socket that listens already.
    ///
    /// # Errors
    ///
    /// When it cannot be told not to block.
    pub fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    /// A Unix socket that listens already.
    ///
    /// # Errors
    ///
    /// When it cannot be told not to block.
    pub fn from_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(UnixListener::from_std(listener)))
    }

    /// The address that was bound, with its real port.
    ///
    /// # Errors
    ///
    /// When it is no TCP socket, which has none.
    pub fn local_addr(&self) -> io::Result<PeerAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(PeerAddr::Tcp),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Socket, PeerAddr)> {
        match self {
            Self::Tcp(listener) => listener
                .accept()
                .map(|(stream, addr)| (Socket::Tcp(stream), PeerAddr::Tcp(addr))),
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let uid = sys::peer_uid(&stream)?;
                Ok((Socket::Unix(stream), PeerAddr::Unix { uid }))
            }
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Self::Unix(listener) => listener.register(registry, token, Interest::READABLE),
        }
    }
}
