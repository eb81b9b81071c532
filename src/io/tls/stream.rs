//! One TLS connection, by rustls's interface without buffers of its own.
//!
//! Everything that arrived is decrypted at once; what the reader has no room for waits as
//! plaintext. A write is as few records as its length allows; what the kernel does not take of
//! them is kept, and the bytes count as written, so that no more than one piece ever waits here.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;

use mio::net::TcpStream;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};

use crate::limits::{TLS_PARTIAL_BYTES_MAX, TLS_RECEIVE_BYTES, TLS_WRITE_BYTES};

use super::{Acceptor, Cipher};

/// RFC 8446 5.1: the content type of a handshake record, the first byte of every connection.
const CONTENT_HANDSHAKE: u8 = 22;
/// More than an alert with its record takes.
const ALERT_BYTES_MAX: usize = 64;

/// An accepted TCP socket that speaks TLS.
pub struct TlsStream {
    pub(in crate::io) tcp: TcpStream,
    state: UnbufferedServerConnection,
    /// A record that is not whole yet, or a handshake message in several.
    partial: Vec<u8>,
    /// Plaintext that the reader had no room for.
    plain: Vec<u8>,
    /// Records, or the rest of one, that the kernel did not take.
    unsent: Vec<u8>,
    /// Another read gives something that no readiness announces.
    more: bool,
    /// A byte has come.
    begun: bool,
    /// The peer has said all it had to.
    ended: bool,
    /// Nothing of ours follows any more: we said so, or the protocol was broken.
    closed: bool,
}

impl TlsStream {
    pub(super) fn new(tcp: TcpStream, acceptor: &Acceptor) -> Option<Self> {
        Some(Self {
            tcp,
            state: UnbufferedServerConnection::new(acceptor.config()).ok()?,
            partial: Vec::new(),
            plain: Vec::new(),
            unsent: Vec::new(),
            more: false,
            begun: false,
            ended: false,
            closed: false,
        })
    }

    /// Whether another read gives something without a readiness before it.
    pub(in crate::io) fn holds_more(&self) -> bool {
        self.more
    }

    /// Bytes that the kernel did not take yet.
    pub(in crate::io) fn unsent_len(&self) -> usize {
        self.unsent.len()
    }

    /// Reads plaintext: `Ok(0)` is the end, `WouldBlock` that there is none now. At most one
    /// piece is taken from the kernel, whatever it turns out to hold.
    pub(in crate::io) fn read(&mut self, out: &mut [u8], cipher: &mut Cipher) -> io::Result<usize> {
        if self.closed {
            // What still comes is thrown away, so it is not decrypted.
            self.more = false;
            return self.tcp.read(out);
        }
        if !self.plain.is_empty() {
            let len = self.plain.len().min(out.len());
            out[..len].copy_from_slice(&self.plain[..len]);
            self.plain.drain(..len);
            if self.plain.is_empty() {
                self.plain = Vec::new();
            }
            self.more = true;
            return Ok(len);
        }
        if self.ended {
            return Ok(0);
        }
        if self.state.is_handshaking() && !cipher.spend_handshake() {
            self.more = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.more = false;
        let held = self.partial.len();
        let incoming = &mut cipher.incoming[..];
        let len = self.tcp.read(&mut incoming[held..])?;
        incoming[..held].copy_from_slice(&self.partial);
        self.partial.clear();
        self.ended = len == 0;
        let mut sink = Sink { out, len: 0 };
        let understood = self.decrypt(&mut incoming[..held + len], &mut sink, &mut cipher.outgoing);
        let filled = sink.len;
        self.send_rest()?;
        understood?;
        self.more = held + len == TLS_RECEIVE_BYTES || !self.plain.is_empty();
        if filled > 0 {
            self.more |= self.ended;
            return Ok(filled);
        }
        if self.ended {
            return Ok(0);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes in every whole record of `bytes` and keeps the rest of them.
    fn decrypt(
        &mut self,
        bytes: &mut [u8],
        sink: &mut Sink<'_>,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true)
            && bytes.first().is_some_and(|byte| *byte != CONTENT_HANDSHAKE)
        {
            // Who does not speak TLS at all is not told anything in it.
            self.closed = true;
            return Err(broken("no handshake"));
        }
        let mut start = 0;
        loop {
            let UnbufferedStatus { discard, state } =
                self.state.process_tls_records(&mut bytes[start..]);
            start += discard;
            let waits = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        sink.put(record.map_err(broken)?.payload, &mut self.plain);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let len = data.encode(scratch).map_err(broken)?;
                    self.unsent.extend_from_slice(&scratch[..len]);
                    false
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    false
                }
                Ok(_) => true,
                Err(fault) => {
                    self.queue_alert(&mut bytes[start..], scratch);
                    return Err(broken(fault));
                }
            };
            if waits {
                break;
            }
        }
        self.keep(&bytes[start..])
    }

    fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        if rest.len() > TLS_PARTIAL_BYTES_MAX {
            return Err(broken("a handshake message is too long"));
        }
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Says in the protocol's own words why it was broken.
    fn queue_alert(&mut self, rest: &mut [u8], scratch: &mut [u8]) {
        self.closed = true;
        while let Ok(ConnectionState::EncodeTlsData(mut data)) =
            self.state.process_tls_records(rest).state
        {
            if let Ok(len) = data.encode(scratch) {
                self.unsent.extend_from_slice(&scratch[..len]);
            }
        }
    }

    /// Takes plaintext: as much of it as can be sent now and one piece more. Before the handshake
    /// is done, and after the end, it is swallowed: nothing ever leaves in the clear.
    pub(in crate::io) fn write(&mut self, bytes: &[u8], cipher: &mut Cipher) -> io::Result<usize> {
        if self.closed || self.state.is_handshaking() {
            return Ok(bytes.len());
        }
        self.send_rest()?;
        let mut taken = 0;
        for piece in bytes.chunks(TLS_WRITE_BYTES) {
            if !self.unsent.is_empty() {
                break;
            }
            let scratch = &mut cipher.outgoing[..];
            let len = self.encrypt(scratch, |traffic, out| traffic.encrypt(piece, out))?;
            let sent = if self.unsent.is_empty() {
                self.offer(&scratch[..len])?
            } else {
                0
            };
            if sent < len {
                self.unsent.extend_from_slice(&scratch[sent..len]);
                self.send_rest()?;
            }
            taken += piece.len();
        }
        match taken {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    /// Lets `f` write records into `out` once everything that goes before them is queued.
    fn encrypt(
        &mut self,
        out: &mut [u8],
        f: impl FnOnce(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        loop {
            let UnbufferedStatus { discard, state } =
                self.state.process_tls_records(&mut self.partial);
            match state.map_err(broken)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return f(&mut traffic, out).map_err(broken);
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    let len = data.encode(out).map_err(broken)?;
                    self.unsent.extend_from_slice(&out[..len]);
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                // Whole records were taken in when they came.
                _ => return Err(broken("no place for a write")),
            }
            self.partial.drain(..discard);
        }
    }

    /// Offers the kernel what it did not take before.
    pub(in crate::io) fn send_rest(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = match self.tcp.write(&self.unsent) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.unsent.drain(..sent);
        }
        self.unsent = Vec::new();
        Ok(())
    }

    fn offer(&mut self, record: &[u8]) -> io::Result<usize> {
        match self.tcp.write(record) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            offered => offered,
        }
    }

    /// Says that nothing more comes (RFC 8446 6.1). Where the kernel takes nothing any more, the
    /// peer learns it from the end of the stream.
    pub(in crate::io) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) || self.state.is_handshaking() {
            return;
        }
        let mut alert = [0; ALERT_BYTES_MAX];
        if let Ok(len) = self.encrypt(&mut alert, |traffic, out| traffic.queue_close_notify(out)) {
            self.unsent.extend_from_slice(&alert[..len]);
        }
        // A peer that is gone already needs no telling.
        let _ = self.send_rest();
    }

    /// Ends our half of the connection.
    pub(in crate::io) fn shut_down_writing(&mut self) -> io::Result<()> {
        self.close();
        self.tcp.shutdown(Shutdown::Write)
    }
}

/// Where plaintext goes.
struct Sink<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Sink<'_> {
    fn put(&mut self, payload: &[u8], rest: &mut Vec<u8>) {
        let room = &mut self.out[self.len..];
        let len = payload.len().min(room.len());
        room[..len].copy_from_slice(&payload[..len]);
        self.len += len;
        rest.extend_from_slice(&payload[len..]);
    }
}

/// The peer's fault, or the protocol's end: the connection cannot go on.
fn broken(fault: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault.to_string())
}

#[cfg(test)]
mod tests;
