//! What people write to the gateway itself: words that stop, and slash commands.

use super::inbound::Taken;
use super::outbox::Receiver;
use crate::channels::{Incoming, Update};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::Stop;
use crate::gateway::method::chat::is_stop_word;
use crate::gateway::runs::StopReason;
use crate::gateway::{Gateway, sessions};
use crate::state::{Record, Text};
use std::sync::Arc;

const GREETING: &str = "Hello. Write to me as you would to anybody; /help shows what else I know.";

impl Gateway {
    /// Does what a command asks for; None for a message to the agent. Only people who are named may
    /// command: to anybody else the agent answers.
    pub(super) fn take_command(
        &mut self,
        slot: u64,
        update: &Update,
        message: &Incoming,
        receiver: &Receiver,
        session_key: &Text,
        is_trusted: bool,
    ) -> Result<Option<Taken>, Stop> {
        if !is_trusted || !message.files.is_empty() {
            return Ok(None);
        }
        if message.text == "/start" {
            self.answer_update(slot, update, receiver, GREETING, Vec::new(), Vec::new());
            return Ok(Some(Taken::Soon));
        }
        if is_stop_word(&message.text) {
            let stopped = self.stop_runs(session_key, None, StopReason::Word);
            let text = match stopped.is_empty() {
                true => "Nothing is at work.",
                false => "Stopped.",
            };
            self.answer_update(slot, update, receiver, text, Vec::new(), Vec::new());
            return Ok(Some(Taken::Soon));
        }
        let Some(command) = self.slash_command(&message.text) else {
            return Ok(None);
        };
        let lock = Key::Session(session_key.as_ref().into());
        if self.commits.is_reserved(&lock) {
            return Err(Stop::Busy);
        }
        self.place_for_session(session_key)?;
        let answer = self.answer_slash(session_key, &command)?;
        if answer.archived.is_some() {
            self.stop_runs(session_key, None, StopReason::SessionGone);
            if self.commits.is_reserved(&lock) {
                return Err(Stop::Busy);
            }
        }
        let said = sessions::injected_message(&answer.text, self.now.unix_ms);
        let session_id = answer.session.session_id.clone();
        let mut records: Vec<Record> = answer.archived.into_iter().collect();
        records.push(Record::SessionPut(Arc::new(answer.session)));
        records.push(Record::MessageAppend {
            session_id,
            message: Arc::new(said),
        });
        self.answer_update(slot, update, receiver, &answer.text, vec![lock], records);
        Ok(Some(Taken::Soon))
    }
}
