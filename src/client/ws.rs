//! Whole text messages over a transport: fragments, pings and the closing handshake.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::error::{ClientError, ErrorKind};
use super::frame::{self, Assembler, Broken, Opcode};
use super::random;
use super::transport::Transport;
use super::upgrade;
use super::url::GatewayUrl;
use crate::limits::{CLIENT_MESSAGE_BYTES_MAX, CLOSE_GRACE_MS, CLOSE_REASON_BYTES_MAX};

/// A connected WebSocket, client side.
pub struct WebSocket {
    transport: Box<dyn Transport>,
    /// Bytes that were read and not yet taken, from `taken` on.
    received: Vec<u8>,
    taken: usize,
    assembler: Assembler,
    heard_at: Instant,
    close_sent: bool,
}

impl WebSocket {
    /// Connects to `url`, which has to show one of the pinned certificates, and upgrades.
    pub fn open(
        url: &GatewayUrl,
        pins: Option<&str>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let mut transport = super::transport::open(url, pins, deadline)?;
        let received = upgrade::upgrade(transport.as_mut(), url, deadline)?;
        Ok(Self {
            transport,
            received,
            taken: 0,
            assembler: Assembler::default(),
            heard_at: Instant::now(),
            close_sent: false,
        })
    }

    /// When the peer was last heard of.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Sends one text message.
    pub fn send_text(&mut self, text: &str, deadline: Instant) -> Result<(), ClientError> {
        self.send(Opcode::Text, text.as_bytes(), deadline)
    }

    /// The next text message. Pings are answered meanwhile. A failed read loses nothing when
    /// it was only the deadline: what came of a message is kept.
    pub fn next_text(&mut self, deadline: Instant) -> Result<String, ClientError> {
        loop {
            if let Some(text) = self.text_or_wake(None, deadline)? {
                return Ok(text);
            }
        }
    }

    /// As [`Self::next_text`], but `None` as soon as bytes would have to be waited for and
    /// `wake` has something to read.
    pub fn text_or_wake(
        &mut self,
        wake: Option<BorrowedFd<'_>>,
        deadline: Instant,
    ) -> Result<Option<String>, ClientError> {
        loop {
            let pending = &self.received[self.taken..];
            let decoded = frame::decode(pending, CLIENT_MESSAGE_BYTES_MAX);
            let Some(frame) = decoded.map_err(|broken| self.refuse(broken))? else {
                if let Some(wake) = wake
                    && !self.has_more(wake, deadline)?
                {
                    return Ok(None);
                }
                self.fill(deadline)?;
                continue;
            };
            let (from, to) = (self.taken + frame.payload.0, self.taken + frame.payload.1);
            let payload = self.received[from..to].to_vec();
            self.taken += frame.payload.1;
            match frame.opcode {
                Opcode::Ping => self.send(Opcode::Pong, &payload, deadline)?,
                Opcode::Pong => {}
                Opcode::Close => return Err(self.closed(&payload)),
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    let pushed = self
                        .assembler
                        .push(frame, &payload, CLIENT_MESSAGE_BYTES_MAX);
                    match pushed.map_err(|broken| self.refuse(broken))? {
                        None => {}
                        Some((Opcode::Text, bytes)) => {
                            return String::from_utf8(bytes)
                                .map(Some)
                                .map_err(|_| self.refuse((1007, "a message is not UTF-8")));
                        }
                        Some(_) => return Err(self.refuse((1003, "a binary message"))),
                    }
                }
            }
        }
    }

    /// Says goodbye and waits a moment for the answer, so that the peer logs no lost link.
    pub fn close(mut self, code: u16, reason: &str) {
        if self.send_close(code, reason).is_err() {
            return;
        }
        let deadline = Instant::now() + Duration::from_millis(CLOSE_GRACE_MS);
        while self.next_text(deadline).is_ok() {}
    }

    fn send(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let mut out = Vec::with_capacity(payload.len() + 14);
        frame::encode(&mut out, opcode, payload, random::bytes()?);
        self.transport
            .write_all(&out, deadline)
            .map_err(|error| lost(&error, "the gateway to take a message"))
    }

    /// RFC 6455 5.5.1: a close frame is sent once.
    fn send_close(&mut self, code: u16, reason: &str) -> Result<(), ClientError> {
        if std::mem::replace(&mut self.close_sent, true) {
            return Ok(());
        }
        let mut payload = code.to_be_bytes().to_vec();
        let fits = (0..=CLOSE_REASON_BYTES_MAX.min(reason.len()))
            .rev()
            .find(|&end| reason.is_char_boundary(end));
        payload.extend_from_slice(&reason.as_bytes()[..fits.unwrap_or(0)]);
        let deadline = Instant::now() + Duration::from_millis(CLOSE_GRACE_MS);
        self.send(Opcode::Close, &payload, deadline)
    }

    /// Waits for bytes, or for `wake`; whether there are bytes.
    fn has_more(&mut self, wake: BorrowedFd<'_>, deadline: Instant) -> Result<bool, ClientError> {
        let waited = self.transport.wait(wake, deadline);
        waited.map_err(|error| lost(&error, "the gateway"))
    }

    /// Reads more bytes behind those that wait.
    fn fill(&mut self, deadline: Instant) -> Result<(), ClientError> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let mut chunk = [0; 16 * 1024];
        match self.transport.read(&mut chunk, deadline) {
            Ok(0) => Err(ClientError::new(
                ErrorKind::Closed {
                    code: 1006,
                    reason: String::new(),
                },
                "the connection was cut",
            )),
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                self.heard_at = Instant::now();
                Ok(())
            }
            Err(error) => Err(lost(&error, "the gateway")),
        }
    }

    /// The peer broke a rule: tell it, once, and give up.
    fn refuse(&mut self, (code, rule): Broken) -> ClientError {
        // The connection is lost either way.
        let _ = self.send_close(code, rule);
        ClientError::protocol(format!("the gateway broke the WebSocket protocol: {rule}"))
    }

    fn closed(&mut self, payload: &[u8]) -> ClientError {
        let (code, reason) = match payload {
            [a, b, reason @ ..] => (
                u16::from_be_bytes([*a, *b]),
                String::from_utf8_lossy(reason).into_owned(),
            ),
            _ => (1005, String::new()),
        };
        // RFC 6455 5.5.1: answer with the code received; the peer closes the connection.
        let echo = if code == 1005 { 1000 } else { code };
        let _ = self.send_close(echo, "");
        let message = match (code, reason.as_str()) {
            (1012, _) => "the gateway is restarting".to_owned(),
            (_, "") => format!("the gateway closed the connection ({code})"),
            (_, text) => format!("the gateway closed the connection ({code}): {text}"),
        };
        ClientError::new(ErrorKind::Closed { code, reason }, message)
    }
}

/// What a failed read or write means to a person who waited for `what`.
pub fn lost(error: &io::Error, what: &str) -> ClientError {
    if error.kind() == io::ErrorKind::TimedOut {
        return ClientError::timeout(what);
    }
    let kind = ErrorKind::Closed {
        code: 1006,
        reason: String::new(),
    };
    ClientError::new(kind, format!("the connection was lost: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{self, FakeGateway};

    fn open(fake: &FakeGateway) -> WebSocket {
        WebSocket::open(&fake.url(), None, testing::deadline()).unwrap()
    }

    #[test]
    fn fragments_with_a_ping_between_make_one_message() {
        let fake = FakeGateway::start(|mut peer| {
            peer.raw(&[0x01, 2, b'a', b'b']);
            peer.raw(&[0x89, 1, b'p']);
            peer.raw(&[0x80, 1, b'c']);
            assert_eq!(peer.frame(), (10, b"p".to_vec()), "the pong");
        });
        assert_eq!(open(&fake).next_text(testing::deadline()).unwrap(), "abc");
        fake.join();
    }

    #[test]
    fn a_close_carries_its_code_and_reason_and_is_answered() {
        let fake = FakeGateway::start(|mut peer| {
            peer.raw(&[0x88, 4, 0x03, 0xf4, b'n', b'o']);
            assert_eq!(peer.frame(), (8, vec![0x03, 0xf4]));
        });
        let error = open(&fake).next_text(testing::deadline()).unwrap_err();
        let expected = ErrorKind::Closed {
            code: 1012,
            reason: "no".into(),
        };
        assert_eq!(error.kind, expected);
        fake.join();
    }

    #[test]
    fn a_goodbye_is_said_once_and_its_answer_waited_for() {
        let fake = FakeGateway::start(|mut peer| {
            assert_eq!(peer.frame(), (8, vec![0x03, 0xe8]));
            peer.raw(&[0x88, 2, 0x03, 0xe8]);
            assert_eq!(peer.rest(), b"");
        });
        open(&fake).close(1000, "");
        fake.join();
    }

    #[test]
    fn a_broken_rule_closes_with_its_code() {
        for (bytes, code) in [
            (&[0x83u8, 0][..], 1002u16),
            (&[0x81, 1, 0xff], 1007),
            (&[0x82, 1, b'x'], 1003),
            (&[0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0], 1009),
        ] {
            let bytes = bytes.to_vec();
            let fake = FakeGateway::start(move |mut peer| {
                peer.raw(&bytes);
                let (opcode, payload) = peer.frame();
                assert_eq!((opcode, &payload[..2]), (8, &code.to_be_bytes()[..]));
            });
            let error = open(&fake).next_text(testing::deadline()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Protocol);
            fake.join();
        }
    }

    #[test]
    fn a_passed_deadline_loses_no_bytes() {
        let (go, went) = std::sync::mpsc::channel();
        let fake = FakeGateway::start(move |mut peer| {
            peer.raw(&[0x81, 3, b'a']);
            went.recv().unwrap();
            peer.raw(b"bc");
        });
        let mut ws = open(&fake);
        let soon = Instant::now() + Duration::from_millis(50);
        assert_eq!(ws.next_text(soon).unwrap_err().kind, ErrorKind::Timeout);
        go.send(()).unwrap();
        assert_eq!(ws.next_text(testing::deadline()).unwrap(), "abc");
        fake.join();
    }
}
