//! A client that costs little itself: one blocking socket, frames counted rather than read.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{node_params, operator_params};
use clawdia::wire::frame::Opcode;
use serde_json::{Value, json};

use crate::client::{masked_frame, payload_range};
use crate::tls::{Door, Wire};

/// Parties that shake hands at the same time.
const CROWD: usize = 128;

/// Bytes that one read takes.
const READ_BYTES: usize = 16 * 1024;

/// An open connection.
pub struct Party {
    stream: Box<dyn Wire>,
    received: Vec<u8>,
    taken: usize,
}

/// Whom a party comes as.
#[derive(Clone, Copy)]
pub enum As<'a> {
    /// An operator without a device.
    Operator,
    /// An operator with a device.
    Device(&'a Device),
    /// A node.
    Node(&'a Device),
}

impl Party {
    /// Opens a connection to a port of this machine, as far as the upgrade.
    ///
    /// # Errors
    ///
    /// When the gateway does not take it.
    pub fn open(door: &Door) -> io::Result<Self> {
        Ok(Self {
            stream: door.open()?,
            received: Vec::new(),
            taken: 0,
        })
    }

    /// The whole handshake with the gateway's secret or a device's token; gives the hello.
    ///
    /// # Errors
    ///
    /// When the gateway refuses it.
    pub fn join(door: impl Into<Door>, who: As<'_>, token: &str) -> io::Result<(Self, Value)> {
        let mut party = Self::open(&door.into())?;
        party.ask_in(who, token)?;
        let hello = party.hello()?;
        Ok((party, hello))
    }

    /// Answers the challenge with `connect`.
    fn ask_in(&mut self, who: As<'_>, token: &str) -> io::Result<()> {
        let challenge: Value = serde_json::from_slice(self.next_payload()?)?;
        let nonce = challenge["payload"]["nonce"].as_str().unwrap_or("");
        let mut params = match who {
            As::Operator | As::Device(_) => operator_params(),
            As::Node(_) => node_params(&["system.run", "system.which"]),
        };
        params["auth"]["token"] = token.into();
        if let As::Device(device) | As::Node(device) = who {
            device.sign(&mut params, Proof::V2, nonce, unix_ms());
        }
        let request = json!({"type":"req","id":"c","method":"connect","params":params});
        self.send(&masked_frame(Opcode::Text, request.to_string().as_bytes()))
    }

    fn hello(&mut self) -> io::Result<Value> {
        let answer: Value = serde_json::from_slice(self.next_payload()?)?;
        if answer["ok"] != true {
            return Err(io::Error::other(format!("not let in: {answer}")));
        }
        Ok(answer["payload"].clone())
    }

    /// Sends frames that were made before.
    ///
    /// # Errors
    ///
    /// When the connection broke.
    pub fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames)?;
        self.stream.flush()
    }

    /// Sends a text message.
    ///
    /// # Errors
    ///
    /// When the connection broke.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.send(&masked_frame(Opcode::Text, text.as_bytes()))
    }

    /// The payload of the next frame.
    ///
    /// # Errors
    ///
    /// When the connection broke, or nothing came in time.
    pub fn next_payload(&mut self) -> io::Result<&[u8]> {
        loop {
            if let Some(range) = payload_range(&self.received[self.taken..]) {
                let start = self.taken + range.start;
                self.taken += range.end;
                return Ok(&self.received[start..self.taken]);
            }
            self.receive()?;
        }
    }

    /// Waits until there is at least one answer, and counts those that are there.
    ///
    /// # Errors
    ///
    /// As [`Party::next_payload`].
    pub fn answers(&mut self) -> io::Result<usize> {
        let mut count = 0;
        loop {
            while let Some(range) = payload_range(&self.received[self.taken..]) {
                let payload = &self.received[self.taken..][range.clone()];
                count += usize::from(payload.starts_with(b"{\"type\":\"res\""));
                self.taken += range.end;
            }
            if count > 0 {
                return Ok(count);
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let mut buffer = [0; READ_BYTES];
        let read = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..read]);
        match read {
            0 => Err(io::Error::other("the gateway closed the connection")),
            _ => Ok(()),
        }
    }

    /// Forgets what was received, so that a crowd of parties needs little memory.
    fn forget(&mut self) {
        self.received = Vec::new();
        self.taken = 0;
    }
}

/// Lets many in, a crowd at a time.
///
/// # Errors
///
/// When one of them is refused.
pub fn join_all(door: impl Into<Door>, all: &[As<'_>], token: &str) -> io::Result<Vec<Party>> {
    let door = door.into();
    let mut joined = Vec::with_capacity(all.len());
    for crowd in all.chunks(CROWD) {
        let mut parties = Vec::with_capacity(crowd.len());
        for who in crowd {
            let mut party = Party::open(&door)?;
            party.ask_in(*who, token)?;
            parties.push(party);
        }
        for party in &mut parties {
            party.hello()?;
            party.forget();
        }
        joined.append(&mut parties);
    }
    Ok(joined)
}

/// Now, in milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
