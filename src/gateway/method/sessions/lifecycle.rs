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

#[cfg(test)]
mod tests {
    use super::super::testing::{fill, refusal, start, texts};
    use crate::driver::{Driver, Options, Steps};
    use serde_json::json;

    #[test]
    fn a_reset_empties_the_transcript_and_keeps_what_was_set() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "main", &["one", "two"]);
        let params =
            json!({"key": "main", "label": "Home", "verboseLevel": "on", "sendPolicy": "allow"});
        let before = driver.ok(operator, "sessions.patch", params);
        let after = driver.ok(operator, "sessions.reset", json!({"key": "main"}));
        assert_eq!(after["key"], "agent:main:main");
        let entry = &after["entry"];
        assert_ne!(entry["sessionId"], before["entry"]["sessionId"]);
        assert_eq!(entry["label"], "Home");
        assert_eq!(entry["verboseLevel"], "on");
        assert_eq!(entry["sendPolicy"], "allow");
        assert_eq!(entry["systemSent"], false);
        assert_eq!(entry["totalTokens"], 0);
        assert!(texts(&mut driver, operator, "main").is_empty());
        let old = before["entry"]["sessionId"].as_str().unwrap();
        assert!(driver.store.messages(old).is_empty());
    }

    #[test]
    fn a_reset_makes_a_session_where_there_is_none_and_takes_no_reason() {
        let (mut driver, operator) = start();
        let made = driver.ok(operator, "sessions.reset", json!({"key": "new"}));
        assert_eq!(made["key"], "agent:main:new");
        let told = refusal(
            &mut driver,
            operator,
            "sessions.reset",
            json!({"key": "x", "reason": "y"}),
        );
        assert_eq!(
            told,
            "invalid sessions.reset params: at root: unexpected property 'reason'"
        );
    }

    #[test]
    fn the_main_session_cannot_be_deleted() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "main", &["one"]);
        for key in ["main", "agent:main:main", "agent:MAIN:main"] {
            let told = refusal(
                &mut driver,
                operator,
                "sessions.delete",
                json!({"key": key}),
            );
            assert_eq!(told, "Cannot delete the main session (agent:main:main).");
        }
        assert_eq!(texts(&mut driver, operator, "main"), ["one"]);
    }

    #[test]
    fn a_deleted_session_is_gone_with_its_transcript_unless_told_otherwise() {
        let (mut driver, operator) = start();
        for (params, left) in [
            (json!({"key": "x"}), 0),
            (json!({"key": "x", "deleteTranscript": true}), 0),
            (json!({"key": "x", "deleteTranscript": false}), 1),
        ] {
            fill(&mut driver, operator, "x", &["one"]);
            let list = driver.ok(operator, "sessions.list", json!({}));
            let id = list["sessions"][0]["sessionId"]
                .as_str()
                .unwrap()
                .to_owned();
            let gone = driver.ok(operator, "sessions.delete", params);
            assert_eq!(gone["key"], "agent:main:x");
            assert_eq!(gone["deleted"], true);
            assert_eq!(gone["archived"].as_array().unwrap().len(), 1 - left);
            assert_eq!(driver.store.messages(&id).len(), left);
            assert!(texts(&mut driver, operator, "x").is_empty());
        }
        let again = driver.ok(operator, "sessions.delete", json!({"key": "x"}));
        let expected = json!({"ok": true, "key": "agent:main:x", "deleted": false, "archived": []});
        assert_eq!(again, expected);
    }

    #[test]
    fn a_run_of_a_session_that_goes_is_stopped_and_its_clients_are_told() {
        for method in ["sessions.delete", "sessions.reset"] {
            let mut driver = Driver::new(Options {
                steps: Steps::Held,
                ..Options::default()
            });
            let operator = driver.operator();
            let send = json!({"sessionKey": "x", "message": "hi", "idempotencyKey": "run"});
            driver.ok(operator, "chat.send", send);
            assert_eq!(driver.steps.len(), 1);
            driver.messages(operator);
            driver.request(operator, method, json!({"key": "x"}));
            driver.settle();
            let messages = driver.messages(operator);
            let told = |message: &serde_json::Value| {
                message["payload"]["state"] == "aborted" && message["payload"]["runId"] == "run"
            };
            let at = messages.iter().position(told).expect("the abort");
            let answer = messages.iter().position(|message| message["type"] == "res");
            assert!(at < answer.expect("the answer"), "{method}");
            assert_eq!(messages[answer.unwrap()]["ok"], true);
            let run = driver.store.state().runs().get("run").unwrap();
            assert!(run.state.is_ended(), "{method}");
            let list = driver.ok(operator, "sessions.list", json!({}));
            let left = usize::from(method == "sessions.reset");
            assert_eq!(list["count"], left, "{method}");
            assert!(texts(&mut driver, operator, "x").is_empty());
        }
    }

    #[test]
    fn compacting_keeps_the_newest_messages() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "x", &["1", "2", "3", "4", "5"]);
        let all = driver.ok(operator, "sessions.compact", json!({"key": "x"}));
        let expected = json!({"ok": true, "key": "agent:main:x", "compacted": false, "kept": 5});
        assert_eq!(all, expected);
        let some = driver.ok(
            operator,
            "sessions.compact",
            json!({"key": "x", "maxLines": 2}),
        );
        assert_eq!(some["compacted"], true);
        assert_eq!(some["kept"], 2);
        assert!(some["archived"].as_str().unwrap().contains('#'));
        assert_eq!(texts(&mut driver, operator, "x"), ["4", "5"]);
        fill(&mut driver, operator, "x", &["6"]);
        assert_eq!(texts(&mut driver, operator, "x"), ["4", "5", "6"]);
    }

    #[test]
    fn where_nothing_can_be_compacted_the_reason_is_told() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "empty", &[]);
        for (key, reason) in [("nope", "no sessionId"), ("empty", "no transcript")] {
            let answer = driver.ok(operator, "sessions.compact", json!({"key": key}));
            assert_eq!(answer["compacted"], false);
            assert_eq!(answer["reason"], reason);
        }
        let params = json!({"key": "x", "maxLines": 0});
        let told = refusal(&mut driver, operator, "sessions.compact", params);
        assert_eq!(
            told,
            "invalid sessions.compact params: at /maxLines: must be >= 1"
        );
    }

    #[test]
    fn changes_of_one_session_wait_for_each_other() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "x", &["one"]);
        driver.store.held = true;
        let calls = [
            ("chat.inject", json!({"sessionKey": "x", "message": "two"})),
            ("sessions.reset", json!({"key": "x"})),
            ("sessions.patch", json!({"key": "x", "label": "Mine"})),
            (
                "chat.inject",
                json!({"sessionKey": "x", "message": "three"}),
            ),
        ];
        let ids = calls.map(|(method, params)| driver.request(operator, method, params));
        driver.settle();
        driver.store.held = false;
        driver.settle();
        for id in ids {
            assert_eq!(driver.response(operator, &id).unwrap()["ok"], true);
        }
        assert_eq!(texts(&mut driver, operator, "x"), ["three"]);
        let list = driver.ok(operator, "sessions.list", json!({}));
        assert_eq!(list["sessions"][0]["label"], "Mine");
    }
}
