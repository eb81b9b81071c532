//! One connection of the fleet, which never blocks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use clawdia::wire::frame::Opcode;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::client::{masked_frame, payload_range, tcp_from, upgrade_request};

/// How far the handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The upgrade was asked for.
    Upgrading,
    /// Upgraded; the challenge comes.
    Challenged,
    /// `connect` was sent; hello comes.
    Joining,
    /// Let in.
    Live,
}

/// One connection.
pub struct Link {
    stream: TcpStream,
    /// How far it is.
    pub phase: Phase,
    /// The number of the last numbered event.
    pub seq: u64,
    /// Bytes of a message whose end has not come.
    held: Vec<u8>,
    /// Bytes that the kernel has not taken.
    unsent: Vec<u8>,
}

impl Link {
    /// Connects from an address of this machine and asks for the upgrade.
    ///
    /// # Errors
    ///
    /// When nobody takes it, or descriptors have run out.
    pub fn open(
        source: IpAddr,
        gateway: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let stream = tcp_from(source, gateway)?;
        stream.set_nonblocking(true)?;
        let mut link = Self {
            stream: TcpStream::from_std(stream),
            phase: Phase::Upgrading,
            seq: 0,
            held: Vec::new(),
            unsent: upgrade_request(gateway).into_bytes(),
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut link.stream, token, both)?;
        Ok(link)
    }

    /// Sends a text message.
    ///
    /// # Errors
    ///
    /// When the connection broke.
    pub fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.send(Opcode::Text, text)
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        self.unsent.extend(masked_frame(opcode, payload));
        self.flush()
    }

    /// Sends what the kernel takes.
    ///
    /// # Errors
    ///
    /// When the connection broke.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Ten thousand of them are to cost little here as well.
        self.unsent = Vec::new();
        Ok(())
    }

    /// Reads all that is there and gives each text message to `on_text`. Pings are answered.
    ///
    /// # Errors
    ///
    /// When the gateway refused the upgrade, or ended the connection; or what `on_text` says.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        mut on_text: impl FnMut(&mut Self, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the gateway ended a connection")),
                Ok(len) if self.held.is_empty() => {
                    let used = self.take(&buffer[..len], &mut on_text)?;
                    self.held = buffer[used..len].to_vec();
                }
                Ok(len) => {
                    let mut held = std::mem::take(&mut self.held);
                    held.extend_from_slice(&buffer[..len]);
                    let used = self.take(&held, &mut on_text)?;
                    held.drain(..used);
                    self.held = if held.is_empty() { Vec::new() } else { held };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes whole messages from the start of `bytes`; how many bytes they were.
    fn take(
        &mut self,
        bytes: &[u8],
        on_text: &mut impl FnMut(&mut Self, &[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut used = 0;
        if self.phase == Phase::Upgrading {
            let Some(end) = find(bytes, b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                return Err(io::Error::other("the gateway refused an upgrade"));
            }
            self.phase = Phase::Challenged;
            used = end;
        }
        while let Some(range) = payload_range(&bytes[used..]) {
            let payload = &bytes[used..][range.clone()];
            match bytes[used] & 15 {
                op if op == Opcode::Text as u8 => on_text(self, payload)?,
                op if op == Opcode::Ping as u8 => self.send(Opcode::Pong, payload)?,
                op if op == Opcode::Close as u8 => {
                    let reason = payload.get(2..).unwrap_or_default();
                    let reason = String::from_utf8_lossy(reason);
                    return Err(io::Error::other(format!("closed by the gateway: {reason}")));
                }
                _ => {}
            }
            used += range.end;
        }
        Ok(used)
    }
}

/// Where the first `wanted` ends.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let at = bytes.windows(wanted.len()).position(|it| it == wanted)?;
    Some(at + wanted.len())
}

/// The text behind the first `name`, as far as its quotation mark.
pub fn text_behind<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = &bytes[find(bytes, name)?..];
    let len = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..len]).ok()
}

/// The number behind the first `name`, which blanks may pad.
pub fn number_behind(bytes: &[u8], name: &[u8]) -> Option<u64> {
    let rest = bytes[find(bytes, name)?..].trim_ascii_start();
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..len]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_found_behind_their_names() {
        let text = br#"{"id":"ab","seq":   12,"payloadJSON":"{\"n\":7}"}"#;
        assert_eq!(text_behind(text, br#""id":""#), Some("ab"));
        assert_eq!(number_behind(text, br#""seq":"#), Some(12));
        assert_eq!(number_behind(text, br#"\"n\":"#), Some(7));
        assert_eq!(number_behind(text, br#""id":"#), None);
        assert_eq!(text_behind(text, b"absent"), None);
    }
}
