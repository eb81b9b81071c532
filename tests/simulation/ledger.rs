//! What was acknowledged, to be found again after every crash, once.

use clawdia::driver::Driver;
use std::collections::BTreeMap;

/// One text that a client sent to be kept.
struct Note {
    text: String,
    acknowledged: bool,
}

/// All of them.
#[derive(Default)]
pub struct Ledger {
    notes: Vec<Note>,
    /// Trigger words that were sent and not acknowledged: the last one may be any of them.
    words: BTreeMap<usize, String>,
    words_len: usize,
    /// Those acknowledged in the last round that acknowledged any; nobody knows their order.
    last_words: Vec<String>,
    is_new_round: bool,
}

impl Ledger {
    /// A text that nobody else sends; its number.
    pub fn note(&mut self) -> (usize, String) {
        let number = self.notes.len();
        let text = format!("note <{number}>");
        self.notes.push(Note {
            text: text.clone(),
            acknowledged: false,
        });
        (number, text)
    }

    /// The gateway said that it has the text.
    pub fn acknowledge(&mut self, number: usize) {
        self.notes[number].acknowledged = true;
    }

    /// A trigger word that nobody else sets; its number.
    pub fn word(&mut self) -> (usize, String) {
        let number = self.words_len;
        self.words_len += 1;
        let word = format!("word {number}");
        self.words.insert(number, word.clone());
        (number, word)
    }

    /// The gateway said that it has the word.
    pub fn acknowledge_word(&mut self, number: usize) {
        if std::mem::take(&mut self.is_new_round) {
            self.last_words.clear();
        }
        self.last_words.extend(self.words.remove(&number));
    }

    /// What is acknowledged from now on is later than what was before.
    pub fn begin_round(&mut self) {
        self.is_new_round = true;
    }

    /// Compares with what the store has committed.
    pub fn check(&self, driver: &Driver) {
        let bodies: Vec<&str> = driver
            .store
            .all_messages()
            .filter(|stored| {
                let (role, body) = (&*stored.message.role, &stored.message.body);
                // What a tool read of another session is not the message itself.
                role == "user" || (role != "toolResult" && body.contains("kept"))
            })
            .map(|stored| &*stored.message.body)
            .collect();
        for note in &self.notes {
            let times = bodies
                .iter()
                .filter(|body| body.contains(&note.text))
                .count();
            assert!(times <= 1, "{} is there {times} times", note.text);
            assert!(times == 1 || !note.acknowledged, "{} is lost", note.text);
        }
        if !self.last_words.is_empty() {
            let setting = driver.store.state().setting("voicewake.triggers");
            let setting = setting.map_or("", |value| &**value);
            let mut may_be = self.words.values().chain(&self.last_words);
            assert!(
                may_be.any(|word| format!("[\"{word}\"]") == setting),
                "{setting} instead of {:?}",
                self.last_words
            );
        }
    }
}
