//! What carries the bytes: a TCP or Unix socket, or TLS over TCP.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::{ClientError, ErrorKind};
use super::tls::Tls;
use super::url::GatewayUrl;

/// A byte stream on which every operation has a deadline.
pub trait Transport: Send {
    /// Reads at least one byte into `buf`; 0 is the end of the stream. A passed deadline is
    /// an error of kind `TimedOut`.
    fn read(&mut self, buf: &mut [u8], deadline: Instant) -> io::Result<usize>;

    /// Writes all of `bytes`.
    fn write_all(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()>;

    /// Waits until there is something to read here, or in `wake`; whether it is here. A passed
    /// deadline is an error of kind `TimedOut`.
    fn wait(&mut self, wake: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool>;
}

/// [`Transport::wait`] for a socket without bytes that were taken from it already.
fn wait_for(socket: BorrowedFd<'_>, wake: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
    let mut both = [
        PollFd::from_borrowed_fd(socket, PollFlags::IN),
        PollFd::from_borrowed_fd(wake, PollFlags::IN),
    ];
    loop {
        let left = remaining(deadline)?;
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut both, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(!both[0].revents().is_empty()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens the transport that `url` asks for; `pins` are the certificates that may be shown there.
pub fn open(
    url: &GatewayUrl,
    pins: Option<&str>,
    deadline: Instant,
) -> Result<Box<dyn Transport>, ClientError> {
    if let Some(path) = &url.socket {
        return match UnixStream::connect(path) {
            Ok(stream) => Ok(Box::new(Blocking(stream))),
            Err(error) => Err(ClientError::new(
                ErrorKind::Unreachable,
                format!("nothing answers on {}: {error}", path.display()),
            )),
        };
    }
    let tcp = connect(url, deadline)?;
    if !url.secure {
        return Ok(tcp);
    }
    Ok(Box::new(Tls::open(tcp, url, pins, deadline)?))
}

/// A TCP connection to where `url` says.
pub(super) fn connect(
    url: &GatewayUrl,
    deadline: Instant,
) -> Result<Box<dyn Transport>, ClientError> {
    let addresses = resolve(url, deadline)?;
    let mut last = None;
    for address in addresses {
        remaining(deadline).map_err(expired)?;
        match to(address, deadline) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(unreachable_error(url, last))
}

/// A TCP connection to this very address.
///
/// # Errors
///
/// The system's, or `TimedOut`.
pub fn to(address: SocketAddr, deadline: Instant) -> io::Result<Box<dyn Transport>> {
    let stream = TcpStream::connect_timeout(&address, remaining(deadline)?)?;
    // A request is one small write that must not wait for the acknowledgement of the last; where
    // the system refuses the option, it is only slower.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(Blocking(stream)))
}

/// A socket of the system, each operation of which can be given a time.
trait Timed: Read + Write + AsFd + Send {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_read_timeout(self, Some(timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_write_timeout(self, Some(timeout))
    }
}

impl Timed for UnixStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        UnixStream::set_read_timeout(self, Some(timeout))
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        UnixStream::set_write_timeout(self, Some(timeout))
    }
}

struct Blocking<S>(S);

impl<S: Timed> Transport for Blocking<S> {
    fn read(&mut self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            self.0.set_read_timeout(remaining(deadline)?)?;
            match self.0.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(as_timeout(error)),
                Ok(count) => return Ok(count),
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.0.set_write_timeout(remaining(deadline)?)?;
            match self.0.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(as_timeout(error)),
            }
        }
        Ok(())
    }

    fn wait(&mut self, wake: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
        wait_for(self.0.as_fd(), wake, deadline)
    }
}

/// Time left until `deadline`, never zero (which the system would read as "for ever").
fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

/// A blocking socket reports a passed timeout as `WouldBlock`.
fn as_timeout(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// The socket addresses of `url`. Only a real name costs a thread: the system's resolver has
/// no deadline of its own.
fn resolve(url: &GatewayUrl, deadline: Instant) -> Result<Vec<SocketAddr>, ClientError> {
    let port = url.port;
    let with_port = |ips: Vec<IpAddr>| {
        ips.into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect()
    };
    if let Some(ips) = url.literal_addresses() {
        return Ok(with_port(ips));
    }
    let (answer, answers) = mpsc::channel();
    let host = url.host.clone();
    std::thread::spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Nobody listens any more once the deadline passed.
        let _ = answer.send(found.map(Iterator::collect::<Vec<_>>));
    });
    match answers.recv_timeout(remaining(deadline).map_err(expired)?) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ClientError::new(
            ErrorKind::Unreachable,
            format!("the host name {} is not known", url.host),
        )),
        Err(_) => Err(ClientError::timeout("the name service")),
    }
}

fn expired(_: io::Error) -> ClientError {
    ClientError::timeout("the connection")
}

fn unreachable_error(url: &GatewayUrl, last: Option<io::Error>) -> ClientError {
    match last {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => {
            ClientError::timeout(&format!("a connection to {}", url.authority()))
        }
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => ClientError::new(
            ErrorKind::Unreachable,
            format!("nothing listens on {}", url.authority()),
        ),
        Some(error) => ClientError::new(
            ErrorKind::Unreachable,
            format!("cannot reach {}: {error}", url.authority()),
        ),
        None => ClientError::new(
            ErrorKind::Unreachable,
            format!("{} has no address", url.host),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(60)
    }

    #[test]
    fn a_silent_peer_is_given_up_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = GatewayUrl::loopback(listener.local_addr().unwrap().port());
        let mut transport = open(&url, None, soon()).unwrap();
        let error = transport.read(&mut [0; 8], soon()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_closed_port_says_that_nothing_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = GatewayUrl::loopback(listener.local_addr().unwrap().port());
        drop(listener);
        let error = open(&url, None, soon()).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.message.contains("nothing listens"), "{error}");
    }

    #[test]
    fn tls_is_never_replaced_by_plain_text() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = GatewayUrl::loopback(listener.local_addr().unwrap().port());
        let url = GatewayUrl {
            secure: true,
            ..plain
        };
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut first = [0];
            peer.read_exact(&mut first).unwrap();
            peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            first[0]
        });
        let pin = "ab".repeat(32);
        let long = Instant::now() + Duration::from_secs(10);
        let error = open(&url, Some(&pin), long).err().unwrap();
        assert!(error.message.contains("does not speak TLS"), "{error}");
        // RFC 8446 5.1: a handshake record.
        assert_eq!(server.join().unwrap(), 22);
    }
}
