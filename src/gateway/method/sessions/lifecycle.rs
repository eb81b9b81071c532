//! `sessions.reset`, `sessions.delete`, `sessions.compact`: what happens to transcripts.
//!
//! Messages that leave a transcript are archived in the database, where retention deletes them.

use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::runs::StopReason;
use crate::gateway::sessions::{archive_all, session_lock, touch};
use crate::gateway::{Gateway, Refusal};
use crate::limits::COMPACT_MESSAGES_KEPT;
use crate::now::Now;
use crate::state::{Record, Session, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// `sessions.reset`: an empty transcript under a new id; what was set stays.
pub fn reset(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let key = gateway.session_key(params.required_text("key"))?;
    gateway.place_for_session(&key)?;
    gateway.free_session(&key)?;
    let mut session = gateway.session_or_new(&key, now);
    let mut records = vec![gateway.start_over(&mut session, now)];
    let session = Arc::new(session);
    records.push(Record::SessionPut(session.clone()));
    gateway.change_session(call, &key, records, move |gateway, w| {
        w.key("entry");
        gateway.write_session_entry(w, &session);
    })
}

/// `sessions.delete`: the session and, unless told otherwise, its transcript.
pub fn delete(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let key = gateway.session_key(params.required_text("key"))?;
    if *key == *gateway.main_session_key() {
        let text = format!("Cannot delete the main session ({key}).");
        return Err(Refusal::invalid(text).into());
    }
    gateway.free_session(&key)?;
    let Some(session) = gateway.session(&key).cloned() else {
        gateway.reply(call, |_, w| {
            write_changed(w, &key, |w| {
                w.field_bool("deleted", false);
                w.field_strs("archived", []);
            });
        });
        return Ok(Outcome::Done);
    };
    let mut records = vec![Record::SessionRemove { key: key.clone() }];
    let mut archived = None;
    if params.bool("deleteTranscript") != Some(false) {
        records.push(archive_all(session.session_id.clone(), now));
        let transcript = gateway.state.transcript(&session.session_id);
        archived = (transcript.message_count() > 0).then(|| gateway.place_of(&session));
    }
    gateway.change_session(call, &key, records, move |_, w| {
        w.field_bool("deleted", true);
        w.field_strs("archived", archived.as_deref());
    })
}

/// `sessions.compact`: keeps the newest messages.
pub fn compact(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let key = gateway.session_key(params.required_text("key"))?;
    if gateway.commits.is_reserved(&session_lock(&key)) {
        return Err(Stop::Busy);
    }
    let Some(session) = gateway.session(&key).cloned() else {
        return gateway.nothing_compacted(call, &key, |w| w.field_str("reason", "no sessionId"));
    };
    let transcript = gateway.state.transcript(&session.session_id);
    let count = transcript.message_count();
    if count == 0 {
        return gateway.nothing_compacted(call, &key, |w| w.field_str("reason", "no transcript"));
    }
    let keep = params.u64("maxLines").unwrap_or(COMPACT_MESSAGES_KEPT);
    if count <= keep {
        return gateway.nothing_compacted(call, &key, |w| w.field_u64("kept", count));
    }
    let mut changed = Session::clone(&session);
    changed.input_tokens = 0;
    changed.output_tokens = 0;
    changed.total_tokens = 0;
    changed.context_tokens = 0;
    changed.compaction_count = changed.compaction_count.saturating_add(1);
    touch(&mut changed, now);
    let records = vec![
        Record::MessagesArchive {
            session_id: session.session_id.clone(),
            up_to_seq: transcript.last_seq - keep,
            summary: None,
            archived_at_ms: now.unix_ms,
        },
        Record::SessionPut(Arc::new(changed)),
    ];
    let archived = gateway.place_of(&session);
    gateway.change_session(call, &key, records, move |_, w| {
        w.field_bool("compacted", true);
        w.field_str("archived", &archived);
        w.field_u64("kept", keep);
    })
}

impl Gateway {
    /// Sees to it that nothing works in the session: its runs are stopped and their clients are
    /// told, since nobody else would ever tell them.
    fn free_session(&mut self, key: &str) -> Result<(), Stop> {
        let lock = session_lock(key);
        if !self.commits.is_reserved(&lock) {
            self.stop_runs(key, None, StopReason::SessionGone);
        }
        // The ends of runs that were stopped are being stored now.
        if self.commits.is_reserved(&lock) {
            return Err(Stop::Busy);
        }
        Ok(())
    }

    /// Stores a change of one session, then answers `{ok, key, …}` with what `more` writes.
    fn change_session(
        &mut self,
        call: Call<'_>,
        key: &Text,
        records: Vec<Record>,
        more: impl FnOnce(&Gateway, &mut Writer<'_>) + Send + 'static,
    ) -> Handled {
        let call: KeptCall = call.keep();
        let lock = session_lock(key);
        let key = key.clone();
        self.commit(vec![lock], records, move |gateway, _, result| {
            if let Err(fault) = result {
                return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
            }
            gateway.touch_health();
            gateway.reply_kept(&call, |gateway, w| {
                write_changed(w, &key, |w| more(gateway, w));
            });
        });
        Ok(Outcome::Later)
    }

    fn nothing_compacted(
        &mut self,
        call: Call<'_>,
        key: &str,
        why: impl FnOnce(&mut Writer<'_>),
    ) -> Handled {
        self.reply(call, |_, w| {
            write_changed(w, key, |w| {
                w.field_bool("compacted", false);
                why(w);
            });
        });
        Ok(Outcome::Done)
    }

    /// Where archived messages of a session are, for people.
    fn place_of(&self, session: &Session) -> String {
        format!("{}#{}", self.database_path(), session.session_id)
    }
}

fn write_changed(w: &mut Writer<'_>, key: &str, more: impl FnOnce(&mut Writer<'_>)) {
    w.object(|w| {
        w.field_bool("ok", true);
        w.field_str("key", key);
        more(w);
    });
}
