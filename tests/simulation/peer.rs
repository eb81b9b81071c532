//! One connection of a simulated client, and what every connection must keep to.

use clawdia::ids::ConnId;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a request was for, so that its answer can be entered.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Nothing that must be found again.
    Other,
    /// The text of this number is kept once this is answered.
    Note(usize),
    /// The trigger word of this number.
    Word(usize),
    /// As `Note`, and a second answer follows the first one.
    Run(usize),
    /// A run that somebody asked for before.
    SameRun(usize),
}

struct Sent {
    purpose: Purpose,
    answers: u32,
    /// How many it gets, at least and at most.
    due: (u32, u32),
}

/// One connection.
pub struct Peer {
    pub conn: ConnId,
    sent: BTreeMap<String, Sent>,
    last_seq: u64,
}

impl Peer {
    pub fn new(conn: ConnId) -> Self {
        Self {
            conn,
            sent: BTreeMap::new(),
            last_seq: 0,
        }
    }

    pub fn sends(&mut self, id: &str, purpose: Purpose) {
        let sent = Sent {
            purpose,
            answers: 0,
            due: (1, 1),
        };
        self.sent.insert(id.to_owned(), sent);
    }

    /// Somebody else asks for the run of this number too. Bytes of connections overtake each other,
    /// so whoever has no answer yet may turn out to have asked again.
    pub fn may_be_overtaken(&mut self, number: usize) {
        for sent in self.sent.values_mut() {
            if sent.answers == 0 && matches!(sent.purpose, Purpose::Run(it) if it == number) {
                sent.purpose = Purpose::SameRun(number);
            }
        }
    }

    /// Takes a message; what it acknowledges.
    pub fn takes(&mut self, message: &Value) -> Option<Purpose> {
        if message["type"] == "event" {
            if let Some(seq) = message["seq"].as_u64() {
                // Nobody is so slow here that an event is dropped.
                assert_eq!(seq, self.last_seq + 1, "{message}");
                self.last_seq = seq;
            }
            return None;
        }
        let id = message["id"].as_str().expect("an id");
        if id == "invalid" {
            return None;
        }
        let sent = self.sent.get_mut(id);
        let sent = sent.unwrap_or_else(|| panic!("an answer to somebody else: {message}"));
        sent.answers += 1;
        let is_accepted = message["payload"]["status"] == "accepted";
        match sent.purpose {
            Purpose::Run(_) if is_accepted => sent.due = (2, 2),
            // The end is told to who asked first, or to who asked again after that was lost.
            Purpose::SameRun(_) if is_accepted => sent.due = (1, 2),
            _ => {}
        }
        assert!(sent.answers <= sent.due.1, "answered again: {message}");
        (message["ok"] == true).then_some(sent.purpose)
    }

    /// Nothing is under way any more: everything was answered.
    pub fn ends(&self) {
        for (id, sent) in &self.sent {
            let answers = sent.answers;
            let is_answered = (sent.due.0..=sent.due.1).contains(&answers);
            assert!(is_answered, "{id} has {answers} answers");
        }
    }
}
