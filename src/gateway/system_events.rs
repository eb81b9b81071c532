//! Lines for an agent's main session: its next run is told them, then they are gone. What was
//! acknowledged is stored, so a restart loses none.

use super::Gateway;
use super::commit::Key;
use crate::limits::SYSTEM_EVENTS_MAX;
use crate::state::{Record, State, Text};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The stored lines.
const EVENTS: &str = "system.events";

/// What happens when a line is stored, or could not be.
pub type Stored = Box<dyn FnOnce(&mut Gateway, Result<(), String>) + Send>;

/// Lines that wait, oldest first.
#[derive(Clone, Debug, Default)]
pub struct SystemEvents {
    lines: VecDeque<Line>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    number: u64,
    /// The session that is meant.
    session: Text,
    text: Text,
}

impl SystemEvents {
    /// What an earlier process left.
    pub fn of(state: &State) -> Self {
        let stored = state.setting(EVENTS);
        let lines = stored.and_then(|json| serde_json::from_str(json).ok());
        Self {
            lines: lines.unwrap_or_default(),
        }
    }

    /// All lines.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| &*line.text)
    }

    /// The lines of a session.
    pub fn texts_of(&self, session: &str) -> impl Iterator<Item = &str> {
        let own = self
            .lines
            .iter()
            .filter(move |line| *line.session == *session);
        own.map(|line| &*line.text)
    }

    /// The last line's number.
    pub fn last(&self) -> u64 {
        self.lines.back().map_or(0, |line| line.number)
    }

    /// Whether the line is one more: the same twice in a row is one.
    fn push(&mut self, session: &str, text: &str) -> bool {
        let last = self.lines.back();
        if last.is_some_and(|line| *line.text == *text && *line.session == *session) {
            return false;
        }
        if self.lines.len() == SYSTEM_EVENTS_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(Line {
            number: self.last() + 1,
            session: session.into(),
            text: text.into(),
        });
        true
    }

    fn record(&self) -> Record {
        Record::SettingPut {
            key: EVENTS.into(),
            value: serde_json::to_string(&self.lines)
                .unwrap_or_default()
                .into(),
        }
    }
}

impl Gateway {
    /// What has to be free before [`Gateway::events_with`] is stored.
    pub(super) fn events_key() -> Key {
        Key::Setting(EVENTS)
    }

    /// The lines with one more for an agent's main session, and the record that stores them. The
    /// caller commits it with [`Gateway::events_key`] and then puts the lines in place.
    pub(super) fn events_with(&self, agent: &str, text: &str) -> (SystemEvents, Record) {
        let mut events = self.system_events.clone();
        events.push(&self.session_key_of(agent), text);
        let record = events.record();
        (events, record)
    }

    /// Keeps a line for the next run of an agent's main session.
    pub(super) fn add_system_event(&mut self, agent: &str, text: &str, stored: Stored) {
        if self.commits.is_reserved(&Self::events_key()) {
            let (agent, text) = (agent.to_owned(), text.to_owned());
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.add_system_event(&agent, &text, stored);
            }));
        }
        let mut events = self.system_events.clone();
        if !events.push(&self.session_key_of(agent), text) {
            return stored(self, Ok(()));
        }
        self.put_events(events, stored);
    }

    /// The same for the default agent, where nobody waits.
    pub(super) fn queue_system_event(&mut self, text: &str) {
        let agent = self.default_agent().to_owned();
        self.add_system_event(&agent, text, Box::new(|_, _| {}));
    }

    /// A run of the session was told the lines up to this number.
    pub(super) fn forget_system_events(&mut self, session: &str, up_to: u64) {
        let session = self.events_session(session).into_owned();
        let is_told = |line: &Line| *line.session == *session && line.number <= up_to;
        if !self.system_events.lines.iter().any(is_told) {
            return;
        }
        if self.commits.is_reserved(&Self::events_key()) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.forget_system_events(&session, up_to);
            }));
        }
        let mut events = self.system_events.clone();
        events.lines.retain(|line| !is_told(line));
        self.put_events(events, Box::new(|_, _| {}));
    }

    fn put_events(&mut self, events: SystemEvents, stored: Stored) {
        let record = events.record();
        self.commit(
            vec![Self::events_key()],
            vec![record],
            |gateway, _, result| {
                if result.is_ok() {
                    gateway.system_events = events;
                }
                stored(gateway, result);
            },
        );
    }
}
