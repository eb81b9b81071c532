//! What was asked of the gateway, and what it promised.

use std::collections::BTreeSet;

/// The method that a message went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Chat,
    Agent,
}

impl Method {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat.send",
            Self::Agent => "agent",
        }
    }
}

/// A message that was sent, perhaps several times with the same key.
#[derive(Clone, Debug)]
pub struct Message {
    pub method: Method,
    pub session: String,
    /// The idempotency key, which the text ends with.
    pub key: String,
    /// The gateway said that it has it.
    pub acked: bool,
    /// The gateway said that its run has ended.
    pub ended: bool,
    /// The life of the gateway in which it was sent first.
    pub life: u32,
}

impl Message {
    /// What is said: something that the built-in agent answers briefly.
    pub fn text(&self) -> String {
        format!("thanks {}", self.key)
    }
}

/// One value that is written over and over, by one writer, one write at a time.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// The last value that is known to stand.
    settled: Option<String>,
    /// Written since, not acknowledged.
    tried: Vec<String>,
    /// A write is under way.
    pub busy: bool,
}

impl Register {
    /// A write begins.
    pub fn write(&mut self, value: String) {
        self.tried.push(value);
        self.busy = true;
    }

    /// It was acknowledged.
    pub fn acknowledge(&mut self, value: &str) {
        self.settle(Some(value.to_owned()));
    }

    /// The value that was read, after a crash. False where it cannot have been written.
    #[must_use]
    pub fn read(&mut self, value: Option<String>) -> bool {
        let is_known = value == self.settled
            || value
                .as_ref()
                .is_some_and(|value| self.tried.contains(value));
        self.settle(value);
        is_known
    }

    fn settle(&mut self, value: Option<String>) {
        self.settled = value;
        self.tried.clear();
        self.busy = false;
    }
}

/// Answers that came for the requests of one connection.
#[derive(Debug, Default)]
pub struct Answers {
    over: BTreeSet<u64>,
}

impl Answers {
    /// The request has its last answer; false where it had it before.
    #[must_use]
    pub fn end(&mut self, request: u64) -> bool {
        self.over.insert(request)
    }

    /// Whether the request has its last answer.
    pub fn has_ended(&self, request: u64) -> bool {
        self.over.contains(&request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_takes_what_was_acknowledged_or_tried_since() {
        let text = |text: &str| Some(text.to_owned());
        let mut register = Register::default();
        assert!(register.read(None));
        register.write("a".into());
        register.acknowledge("a");
        register.write("b".into());
        assert!(register.clone().read(text("a")));
        assert!(register.clone().read(text("b")));
        assert!(!register.clone().read(None));
        assert!(register.read(text("b")));
        assert!(!register.read(text("a")), "it was seen to be gone");
    }

    #[test]
    fn the_last_answer_comes_once() {
        let mut answers = Answers::default();
        assert!(answers.end(1));
        assert!(answers.has_ended(1));
        assert!(!answers.end(1));
    }
}
