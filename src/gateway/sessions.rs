//! Chat sessions: their keys, their rows, and the rule for changing one.
//!
//! Who changes a session or its transcript holds [`Key::Session`] of its canonical key:
//!
//! 1. see that `commits.is_reserved(&session_lock(&key))` is false, else `Stop::Busy` (or
//!    `commits.wait` for work of the core's own);
//! 2. take the row with [`Gateway::session_or_new`], change the copy, [`touch`] it;
//! 3. `commit(vec![session_lock(&key)], vec![Record::SessionPut(…), Record::MessageAppend …])`.
//!
//! The row in memory is the old one until the batch has committed, so two changes never start
//! from the same row, and a row taken before a wait is stale after it.

use super::commit::Key;
use super::dispatch::Stop;
use super::{Gateway, Refusal};
use crate::agent::{ModelRef, Thinking, Verbosity};
use crate::config::types::normalize_agent_id;
use crate::limits::{SESSION_KEY_BYTES_MAX, SESSIONS_MAX};
use crate::now::Now;
use crate::state::{Record, Session, SessionKind, Text};
use std::sync::Arc;

pub(super) use super::transcript::{injected_message, user_message};

/// What a change of this session and its transcript has to hold.
pub(super) fn session_lock(key: &str) -> Key {
    Key::Session(key.into())
}

/// The session was used or changed at this time.
pub(super) fn touch(session: &mut Session, now: Now) {
    session.updated_at_ms = session.updated_at_ms.max(now.unix_ms);
}

/// Who takes part in the session with this key.
pub(super) fn kind_of_key(key: &str) -> SessionKind {
    match key {
        "global" => SessionKind::Global,
        "unknown" => SessionKind::Unknown,
        _ if key.contains(":group:") || key.contains(":channel:") => SessionKind::Group,
        _ => SessionKind::Direct,
    }
}

/// Takes all messages out of a transcript.
pub(super) fn archive_all(session_id: Text, now: Now) -> Record {
    Record::MessagesArchive {
        session_id,
        up_to_seq: u64::MAX,
        summary: None,
        archived_at_ms: now.unix_ms,
    }
}

impl Gateway {
    /// The full key of the session that a client names, such as `main`.
    ///
    /// # Errors
    ///
    /// What cannot be a key: too long, or with characters beyond letters, digits and a few
    /// marks. Keys end up in lists, logs and answers of the agent, some of them in paths of
    /// other programs, so nothing in them may mean anything to a terminal or a file system.
    pub(super) fn session_key(&self, text: &str) -> Result<Text, Refusal> {
        let text = text.trim();
        let refuse = |why: &str| Err(Refusal::invalid(format!("invalid session key: {why}")));
        if text.is_empty() {
            return refuse("empty");
        }
        if text.len() > SESSION_KEY_BYTES_MAX {
            return refuse(&format!("longer than {SESSION_KEY_BYTES_MAX} bytes"));
        }
        let fits = |c: char| c.is_alphanumeric() || "-_.:+@#=~!$".contains(c);
        if !text.chars().all(fits) || text.contains("..") {
            return refuse("use letters, digits and - _ . : + @ # = ~ ! $ (no ..)");
        }
        let Some(rest) = text.strip_prefix("agent:") else {
            return Ok(self.canonical_session_key(text).into());
        };
        let parts = rest.split_once(':').filter(|(_, name)| !name.is_empty());
        let agent = parts.and_then(|(agent, _)| normalize_agent_id(agent));
        match (agent, parts) {
            (Some(agent), Some((_, "main"))) => Ok(self.session_key_of(&agent).into()),
            (Some(agent), Some((_, name))) => Ok(format!("agent:{agent}:{name}").into()),
            _ => refuse("use agent:<agent id>:<name>"),
        }
    }

    /// The row of a session, by its canonical key.
    pub(super) fn session(&self, key: &str) -> Option<&Arc<Session>> {
        self.state.sessions().get(key)
    }

    /// A copy of the session's row to change, or a fresh one with an empty transcript.
    pub(super) fn session_or_new(&mut self, key: &str, now: Now) -> Session {
        if let Some(session) = self.session(key) {
            return Session::clone(session);
        }
        Session {
            agent_id: self.agent_of_session(key).into(),
            key: key.into(),
            session_id: self.uuid().into(),
            kind: kind_of_key(key),
            created_at_ms: now.unix_ms,
            updated_at_ms: now.unix_ms,
            ..Session::default()
        }
    }

    /// Makes the session begin again with an empty transcript under a new id; what was set
    /// stays. Gives the record that archives the old transcript, to be committed with the row.
    pub(super) fn start_over(&mut self, session: &mut Session, now: Now) -> Record {
        let old_id = std::mem::replace(&mut session.session_id, self.uuid().into());
        session.input_tokens = 0;
        session.output_tokens = 0;
        session.total_tokens = 0;
        session.context_tokens = 0;
        session.compaction_count = 0;
        session.aborted_last_run = false;
        touch(session, now);
        archive_all(old_id, now)
    }

    /// The agent whose session this is, by the session's canonical key.
    pub(super) fn agent_of_session<'a>(&'a self, key: &'a str) -> &'a str {
        super::method::models::agent_of_key(key).unwrap_or_else(|| self.default_agent())
    }

    /// Whether there is place for a session with this key: it exists, or its agent does and there
    /// are not too many.
    ///
    /// # Errors
    ///
    /// The agent is unknown; `UNAVAILABLE`, with what to do about it.
    pub(super) fn place_for_session(&self, key: &str) -> Result<(), Refusal> {
        if self.session(key).is_some() {
            return Ok(());
        }
        self.check_agent(self.agent_of_session(key))?;
        if self.state.sessions().len() < SESSIONS_MAX {
            return Ok(());
        }
        Err(Refusal::unavailable(format!(
            "there are {SESSIONS_MAX} sessions already; delete some (sessions.delete)"
        )))
    }

    /// Reserves a label for a session: no two of one agent's sessions have the same.
    ///
    /// The key returned has to be among those of the commit that stores the label.
    ///
    /// # Errors
    ///
    /// The label is another session's, or is being given to one.
    pub(super) fn claim_label(&self, key: &str, label: &str) -> Result<Key, Stop> {
        let agent = self.agent_of_session(key);
        let lock = Key::Label(agent.into(), label.into());
        if self.commits.is_reserved(&lock) {
            return Err(Stop::Busy);
        }
        let is_taken = |session: &&Arc<Session>| {
            *session.key != *key
                && *session.agent_id == *agent
                && session.label.as_deref() == Some(label)
        };
        if self
            .state
            .sessions()
            .values()
            .any(|session| is_taken(&session))
        {
            let text = format!("label already in use: {label}");
            return Err(Refusal::invalid(text).into());
        }
        Ok(lock)
    }

    /// The model that answers in a session: its own, or its agent's.
    pub(super) fn model_of_session(&self, session: &Session) -> ModelRef {
        match (&session.model_provider, &session.model) {
            (Some(provider), Some(model)) => ModelRef::new(provider, model),
            _ => self.model_of(&session.agent_id),
        }
    }

    /// How much the model thinks where the session does not say.
    pub(super) fn default_thinking(&self, model: &ModelRef) -> Thinking {
        let configured = self.config().agents.defaults.thinking_default.as_deref();
        let reasons = || self.model_config(model).and_then(|model| model.reasoning);
        match configured.and_then(Thinking::parse) {
            Some(level) => level,
            None if reasons() == Some(true) => Thinking::Low,
            None => Thinking::Off,
        }
    }

    /// What a session keeps of a level that was chosen for it: `off` is only worth keeping where
    /// the model would think otherwise.
    pub(super) fn kept_thinking(&self, session: &Session, level: Thinking) -> Option<Text> {
        let default = self.default_thinking(&self.model_of_session(session));
        (level != Thinking::Off || default != level).then(|| level.as_str().into())
    }

    /// How much of its tool work a session shows, by the session's canonical key.
    pub(super) fn verbosity_of(&self, key: &str) -> Verbosity {
        let session = self.session(key);
        let own = session.and_then(|session| session.verbose_level.as_deref());
        let defaults = &self.config().agents.defaults;
        let level = own.or(defaults.verbose_default.as_deref());
        level.and_then(Verbosity::parse).unwrap_or_default()
    }

    /// How much the model thinks in a session.
    pub(super) fn thinking_of(&self, session: &Session) -> Thinking {
        let own = session.thinking_level.as_deref().and_then(Thinking::parse);
        own.unwrap_or_else(|| self.default_thinking(&self.model_of_session(session)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_who_takes_part() {
        for (key, kind) in [
            ("agent:main:main", SessionKind::Direct),
            ("agent:main:telegram:group:-100", SessionKind::Group),
            ("agent:main:slack:channel:c1", SessionKind::Group),
            ("global", SessionKind::Global),
            ("unknown", SessionKind::Unknown),
        ] {
            assert_eq!(kind_of_key(key), kind, "{key}");
        }
    }

    #[test]
    fn a_change_never_makes_a_session_older() {
        let mut session = Session {
            updated_at_ms: 10,
            ..Session::default()
        };
        let at = |unix_ms| Now {
            mono_ms: 0,
            unix_ms,
        };
        touch(&mut session, at(9));
        assert_eq!(session.updated_at_ms, 10);
        touch(&mut session, at(11));
        assert_eq!(session.updated_at_ms, 11);
    }
}
