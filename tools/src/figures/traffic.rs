//! What is asked of a gateway, again and again: for those who measure time and those who count instructions.

use std::io;

use clawdia::driver::device::Device;
use clawdia::wire::frame::Opcode;
use serde_json::{Value, json};

use super::party::{As, Party};
use crate::client::masked_frame;
use crate::fleet::link::text_behind;
use crate::tls::Door;

/// An operator who has one question.
pub struct Asker {
    party: Party,
    question: String,
    request: Vec<u8>,
}

impl Asker {
    /// Joins a gateway, to call this method with these parameters.
    ///
    /// # Errors
    ///
    /// When it is not let in.
    pub fn join(
        door: impl Into<Door>,
        token: &str,
        method: &str,
        params: &Value,
    ) -> io::Result<Self> {
        let question = json!({"type": "req", "id": "0123", "method": method, "params": params});
        let question = question.to_string();
        Ok(Self {
            party: Party::join(door, As::Operator, token)?.0,
            request: masked_frame(Opcode::Text, question.as_bytes()),
            question,
        })
    }

    /// Bytes of its question.
    pub fn question_bytes(&self) -> usize {
        self.question.len()
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// When the answer is a refusal, which is told.
    pub fn check(&mut self) -> io::Result<()> {
        self.party.send(&self.request)?;
        loop {
            let message: Value = serde_json::from_slice(self.party.next_payload()?)?;
            if message["type"] != "res" {
                continue;
            }
            return match message["ok"] == true {
                true => Ok(()),
                false => Err(io::Error::other(format!(
                    "{} is answered with {}",
                    self.question, message["error"]
                ))),
            };
        }
    }

    /// Asks so often, with so many questions under way.
    ///
    /// # Errors
    ///
    /// When one is not answered.
    pub fn ask(&mut self, in_flight: usize, calls: usize) -> io::Result<()> {
        let mut sent = in_flight.min(calls);
        self.party.send(&self.request.repeat(sent))?;
        let mut answered = 0;
        while answered < calls {
            answered += self.party.answers()?;
            let more = (answered + in_flight).min(calls) - sent;
            sent += more;
            self.party.send(&self.request.repeat(more))?;
        }
        Ok(())
    }
}

/// An operator, and the node that it calls.
pub struct Invokes {
    device: Device,
    node: Party,
    operator: Party,
    calls: usize,
}

impl Invokes {
    /// About how many bytes the call has, and its result.
    pub const BYTES: [usize; 2] = [256, 224];

    /// Both join a gateway of this machine.
    ///
    /// # Errors
    ///
    /// When one of them is not let in.
    pub fn join(port: u16, token: &str) -> io::Result<Self> {
        let device = Device::new(u64::MAX - 1);
        let (node, _) = Party::join(port, As::Node(&device), token)?;
        let (operator, _) = Party::join(port, As::Operator, token)?;
        Ok(Self {
            device,
            node,
            operator,
            calls: 0,
        })
    }

    /// So many calls, one after the other: an operator asks, the node answers.
    ///
    /// # Errors
    ///
    /// When one is not answered, or more than once.
    pub fn call(&mut self, times: usize) -> io::Result<()> {
        (0..times).try_for_each(|_| self.one())
    }

    fn one(&mut self) -> io::Result<()> {
        self.calls += 1;
        let (number, id) = (self.calls, &self.device.id);
        self.operator.text(&format!(
            r#"{{"type":"req","id":"{number}","method":"node.invoke","params":{{"nodeId":"{id}",
            "command":"system.which","params":{{"bins":["uptime"]}},"idempotencyKey":"{number}"}}}}"#
        ))?;
        let asked = loop {
            let text = self.node.next_payload()?;
            if let Some(id) = text_behind(text, br#"node.invoke.request","payload":{"id":""#) {
                break id.to_owned();
            }
        };
        self.node.text(&format!(
            r#"{{"type":"req","id":"{number}","method":"node.invoke.result","params":{{
            "id":"{asked}","nodeId":"{id}","ok":true,"payloadJSON":"{{\"bins\":{{}}}}"}}}}"#
        ))?;
        match self.operator.answers()? {
            1 => Ok(()),
            _ => Err(io::Error::other("a call was answered more than once")),
        }
    }
}

/// A paired device that comes in with its proof and its token, and goes.
pub struct Comer {
    /// Its keys.
    pub device: Device,
    door: Door,
    token: String,
}

impl Comer {
    /// About how many bytes its `connect` has.
    pub const BYTES: usize = 800;

    /// Pairs it with a gateway.
    ///
    /// # Errors
    ///
    /// When it is not let in.
    pub fn pair(door: impl Into<Door>, token: &str) -> io::Result<Self> {
        let (device, door) = (Device::new(u64::MAX), door.into());
        let (_, hello) = Party::join(door.clone(), As::Device(&device), token)?;
        let token = hello["auth"]["deviceToken"].as_str().unwrap_or("");
        Ok(Self {
            token: token.to_owned(),
            device,
            door,
        })
    }

    /// Comes and goes so often.
    ///
    /// # Errors
    ///
    /// When it is not let in.
    pub fn come(&self, times: usize) -> io::Result<()> {
        (0..times).try_for_each(|_| {
            Party::join(self.door.clone(), As::Device(&self.device), &self.token).map(drop)
        })
    }
}
