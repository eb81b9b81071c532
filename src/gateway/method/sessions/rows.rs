//! A session as clients see it: a row of the list, and the entry that a change answers with.

use crate::gateway::Gateway;
use crate::state::{Session, SessionKind};
use crate::wire::json::Writer;

/// What a row shows of its transcript, where the caller asked.
#[derive(Default)]
pub struct Shown {
    /// What the session is about.
    pub title: Option<String>,
    /// The newest text.
    pub last_message: Option<String>,
}

impl Gateway {
    /// Writes a row of `sessions.list`.
    pub(super) fn write_session_row(&self, w: &mut Writer<'_>, session: &Session, shown: &Shown) {
        let model = self.model_of_session(session);
        w.object(|w| {
            w.field_str("key", &session.key);
            w.field_str("kind", session.kind.as_str());
            w.field_opt_str("label", session.label.as_deref());
            w.field_opt_str("displayName", display_name(session));
            if matches!(session.kind, SessionKind::Direct | SessionKind::Group) {
                w.field_str("chatType", session.kind.as_str());
            }
            self.write_session_state(w, session);
            w.field_str("modelProvider", model.provider());
            w.field_str("model", model.model());
            w.field_u64("contextTokens", self.context_tokens_of(&model));
            if let Some(channel) = session.last_channel.as_deref() {
                w.key("deliveryContext");
                w.object(|w| {
                    w.field_str("channel", channel);
                    w.field_opt_str("to", session.last_to.as_deref());
                });
            }
            w.field_opt_str("derivedTitle", shown.title.as_deref());
            w.field_opt_str("lastMessagePreview", shown.last_message.as_deref());
        });
    }

    /// Writes the entry that `sessions.patch` and `sessions.reset` answer with.
    pub(super) fn write_session_entry(&self, w: &mut Writer<'_>, session: &Session) {
        w.object(|w| {
            w.field_opt_str("label", session.label.as_deref());
            w.field_opt_str("displayName", session.display_name.as_deref());
            self.write_session_state(w, session);
            w.field_opt_str("providerOverride", session.model_provider.as_deref());
            w.field_opt_str("modelOverride", session.model.as_deref());
            w.field_u64("compactionCount", u64::from(session.compaction_count));
        });
    }

    /// Writes the members that a row and an entry share.
    fn write_session_state(&self, w: &mut Writer<'_>, session: &Session) {
        w.field_u64("updatedAt", session.updated_at_ms);
        w.field_str("sessionId", &session.session_id);
        let transcript = self.state.transcript(&session.session_id);
        w.field_bool("systemSent", transcript.message_count() > 0);
        w.field_bool("abortedLastRun", session.aborted_last_run);
        for (name, level) in [
            ("thinkingLevel", &session.thinking_level),
            ("verboseLevel", &session.verbose_level),
            ("reasoningLevel", &session.reasoning_level),
        ] {
            w.field_opt_str(name, level.as_deref());
        }
        for (name, value) in &session.settings {
            w.field_str(name, value);
        }
        w.field_u64("inputTokens", session.input_tokens);
        w.field_u64("outputTokens", session.output_tokens);
        w.field_u64("totalTokens", session.total_tokens);
        w.field_opt_str("lastChannel", session.last_channel.as_deref());
        w.field_opt_str("lastTo", session.last_to.as_deref());
    }
}

/// What people call the session: its stored name, else its label.
fn display_name(session: &Session) -> Option<&str> {
    session.display_name.as_deref().or(session.label.as_deref())
}
