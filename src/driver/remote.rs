//! The far end of a connection: what it sent, what it has taken, and what that means.

use crate::conn::Conn;
use crate::wire::close;
use serde_json::Value;
use std::collections::VecDeque;

/// One peer as a test sees it.
pub struct Remote {
    pub(super) conn: Conn,
    /// Bytes that were sent and not read, one piece a read.
    pub(super) inbox: VecDeque<Vec<u8>>,
    /// Bytes that were taken and not understood yet.
    raw: Vec<u8>,
    /// Most bytes that the peer takes in one turn.
    pub window: usize,
    /// What is left of it in this turn.
    pub(super) window_left: usize,
    /// It did not take all that it was offered.
    pub(super) blocked: bool,
    /// Frames are spoken.
    pub opened: bool,
    /// hello-ok was sent.
    pub admitted: bool,
    /// The connection is over.
    pub gone: bool,
    /// Code and reason of the close frame that it was sent.
    pub closed: Option<(u16, String)>,
    /// Text messages that were not asked for yet, oldest first.
    pub messages: VecDeque<Value>,
    /// Payloads of pongs.
    pub pongs: Vec<Vec<u8>>,
    /// All bytes before the first frame: the answer to an upgrade, or HTTP responses.
    pub http: Vec<u8>,
    /// Bytes that it has taken altogether.
    pub taken_len: usize,
}

impl Remote {
    pub(super) fn new() -> Self {
        Self {
            conn: Conn::default(),
            inbox: VecDeque::new(),
            raw: Vec::new(),
            window: usize::MAX,
            window_left: usize::MAX,
            blocked: false,
            opened: false,
            admitted: false,
            gone: false,
            closed: None,
            messages: VecDeque::new(),
            pongs: Vec::new(),
            http: Vec::new(),
            taken_len: 0,
        }
    }

    /// Takes as many bytes as the window allows; how many those are.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.window_left);
        self.window_left -= len;
        self.taken_len += len;
        self.raw.extend_from_slice(&bytes[..len]);
        self.understand();
        len
    }

    fn understand(&mut self) {
        if !self.opened {
            self.http.append(&mut self.raw);
            return;
        }
        if let Some(end) = self.end_of_upgrade() {
            self.http.extend(self.raw.drain(..end));
        }
        if !self.http.ends_with(b"\r\n\r\n") {
            return;
        }
        let mut at = 0;
        while let Some((opcode, payload)) = frame(&self.raw[at..]) {
            let (from, until) = (at + payload.start, at + payload.end);
            let payload = &self.raw[from..until];
            match opcode {
                1 => {
                    let message = serde_json::from_slice(payload);
                    self.messages
                        .push_back(message.expect("the gateway sends JSON"));
                }
                8 => {
                    let (code, reason) = close::decode(payload).expect("a close frame");
                    self.closed = Some((code, reason.to_owned()));
                }
                10 => self.pongs.push(payload.to_vec()),
                _ => {}
            }
            at = until;
        }
        self.raw.drain(..at);
    }

    /// Where the answer to the upgrade ends, as long as it has not been taken off.
    fn end_of_upgrade(&self) -> Option<usize> {
        if self.http.ends_with(b"\r\n\r\n") {
            return None;
        }
        let found = self.raw.windows(4).position(|four| four == b"\r\n\r\n");
        found.map(|at| at + 4)
    }
}

/// Opcode and payload of the frame at the start of `bytes`, if all of it is there.
fn frame(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (start, len) = match second {
        126 => {
            let len = bytes.get(2..4)?;
            (4, u16::from_be_bytes(len.try_into().ok()?) as usize)
        }
        127 => {
            let len = bytes.get(2..10)?;
            (10, u64::from_be_bytes(len.try_into().ok()?) as usize)
        }
        len => (2, usize::from(len)),
    };
    (bytes.len() >= start + len).then_some((first & 15, start..start + len))
}

/// A client's frame: final, masked with `key`.
pub fn masked(opcode: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(key);
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ key[at % 4]),
    );
    out
}
