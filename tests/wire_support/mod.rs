//! Drives a connection's state machine without sockets, and makes what clients send.
#![allow(dead_code)] // Each test program uses a part of it.

use clawdia::conn::{Conn, Fault, Input, Item};
use clawdia::limits::{JSON_PADDING_BYTES, RECEIVE_BUFFER_BYTES};
use clawdia::wire::frame::{self, Opcode};
use clawdia::wire::message::{MessageLimits, Pool};

/// What was understood, with the bytes that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(u16),
    /// The code of the close frame that the peer is answered.
    Fail(u16),
}

pub const LIMITS: MessageLimits = MessageLimits {
    bytes_max: 1 << 20,
    binary: true,
    checks_whole_text: true,
};

/// A connection that speaks frames, and the loop's side of it.
pub struct Talk {
    pub conn: Conn,
    pub pool: Pool,
    pub limits: MessageLimits,
    buffer: Vec<u8>,
}

impl Talk {
    pub fn new(limits: MessageLimits) -> Self {
        let mut conn = Conn::default();
        conn.open();
        let buffer = vec![0; RECEIVE_BUFFER_BYTES + JSON_PADDING_BYTES];
        Self {
            conn,
            pool: Pool::default(),
            limits,
            buffer,
        }
    }

    /// Everything that is understood from `bytes`, received at once.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        for bytes in bytes.chunks(RECEIVE_BUFFER_BYTES / 2) {
            self.feed_one_read(bytes, &mut said);
        }
        said
    }

    /// Everything that is understood from `bytes`, received in pieces of `len`.
    pub fn feed_cut(&mut self, bytes: &[u8], len: usize) -> Vec<Said> {
        bytes
            .chunks(len)
            .flat_map(|piece| self.feed(piece))
            .collect()
    }

    fn feed_one_read(&mut self, bytes: &[u8], said: &mut Vec<Said>) {
        let held = self.conn.refill(&mut self.buffer);
        self.buffer[held..held + bytes.len()].copy_from_slice(bytes);
        let mut input = Input::new(&mut self.buffer, held + bytes.len());
        loop {
            match self.conn.poll(&mut input, &self.limits, &mut self.pool) {
                Ok(Some(item)) => said.push(owned(item, &mut self.conn, &mut input)),
                Ok(None) => break,
                Err(Fault::WebSocket(fail)) => {
                    said.push(Said::Fail(fail.code()));
                    break;
                }
                Err(Fault::Http(refusal)) => panic!("no HTTP was spoken: {refusal:?}"),
            }
        }
        self.conn.keep_rest(&input, &mut self.pool);
    }
}

fn owned(item: Item, conn: &mut Conn, input: &mut Input<'_>) -> Said {
    let message = |binary, padded: &[u8]| {
        let bytes = padded[..padded.len() - JSON_PADDING_BYTES].to_vec();
        if binary {
            Said::Binary(bytes)
        } else {
            Said::Text(bytes)
        }
    };
    match item {
        Item::Message { binary, range } => message(binary, input.padded(&range)),
        Item::Assembled { binary } => message(binary, conn.assembled()),
        Item::Ping(range) => Said::Ping(input.slice(&range).to_vec()),
        Item::Pong => Said::Pong,
        Item::Close { code } => Said::Close(code),
        Item::Request { .. } | Item::Body { .. } => panic!("no HTTP was spoken"),
    }
}

/// Everything that a fresh connection understands from `bytes`.
pub fn hear(bytes: &[u8]) -> Vec<Said> {
    Talk::new(LIMITS).feed(bytes)
}

/// A masked frame with these first bits and opcode.
pub fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x9d, 0x01, 0x7f, 0xe2];
    let (head, len) = frame::encode(Opcode::Text, payload.len());
    let mut bytes = head[..len].to_vec();
    bytes[0] = first;
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

/// A final frame.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    raw(0x80 | opcode as u8, payload)
}

/// A fragment that others follow.
pub fn fragment(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    raw(opcode as u8, payload)
}

pub fn text(payload: impl AsRef<[u8]>) -> Said {
    Said::Text(payload.as_ref().to_vec())
}

/// Numbers that only look random: the same seed gives the same ones.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}
