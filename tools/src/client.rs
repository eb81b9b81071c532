//! A WebSocket client reduced to what a load generator needs: the handshake, and frames that are
//! made before the clock runs.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use clawdia::wire::frame::{self, Opcode};
use rustix::net::{AddressFamily, SocketType, bind, connect as connect_socket, socket};

const KEY: [u8; 4] = [0x12, 0xa5, 0x5c, 0xe7];

/// A connected and upgraded socket, still blocking.
///
/// # Errors
///
/// When the server does not answer the upgrade with 101.
pub fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = tcp(addr)?;
    upgrade(&mut stream, addr)?;
    Ok(stream)
}

/// A connected socket.
///
/// # Errors
///
/// When nobody takes it.
pub fn tcp(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// The same from an address of this machine: each has its own ports to run out of.
///
/// # Errors
///
/// As [`tcp`], and when the address is not this machine's.
pub fn tcp_from(source: IpAddr, addr: SocketAddr) -> io::Result<TcpStream> {
    let family = match source {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(source, 0))?;
    connect_socket(&socket, &addr)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The head that asks `addr` for an upgrade.
pub fn upgrade_request(addr: SocketAddr) -> String {
    // A gateway trusts this machine only under its own name and port.
    format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Upgrades a connection to `addr`.
///
/// # Errors
///
/// When the server does not answer with 101.
pub fn upgrade(stream: &mut (impl Read + Write), addr: SocketAddr) -> io::Result<()> {
    stream.write_all(upgrade_request(addr).as_bytes())?;
    stream.flush()?;
    let mut head = Vec::new();
    let mut byte = [0];
    // Byte by byte, so that nothing behind the head is lost; it is short.
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other("the server refused the upgrade"));
    }
    Ok(())
}

/// A whole frame as clients send it.
pub fn masked_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (head, len) = frame::encode(opcode, payload.len());
    let mut bytes = head[..len].to_vec();
    bytes[1] |= 0x80;
    bytes.extend(KEY);
    bytes.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// A whole frame as the server sends it.
pub fn server_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (head, len) = frame::encode(opcode, payload.len());
    [&head[..len], payload].concat()
}

/// Where the payload of the server's frame at the start of `bytes` is, if all of it is there.
pub fn payload_range(bytes: &[u8]) -> Option<Range<usize>> {
    let (start, len) = match bytes.get(1)? {
        126 => (
            4,
            u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize,
        ),
        127 => (
            10,
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
        ),
        len => (2, usize::from(*len)),
    };
    (bytes.len() >= start + len).then_some(start..start + len)
}
