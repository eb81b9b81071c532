//! `chat.history`: a session's transcript as people see it, the newest that an answer holds.

use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome};
use crate::gateway::params::Params;
use crate::gateway::transcript::{fit, is_summary, summary_before_all};
use crate::gateway::{Gateway, Refusal};
use crate::limits::{HISTORY_BYTES, HISTORY_ENVELOPE_BYTES_MAX, HISTORY_MESSAGES};
use crate::now::Now;
use crate::state::{Page, Session, StoreFault, picture_bytes, without_pictures};
use crate::wire::json::Writer;
use std::borrow::Cow;
use std::sync::Arc;

/// `chat.history`: the newest messages, as many as the answer may hold.
pub fn history(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let shown_key = params.required_text("sessionKey").trim();
    let key = gateway.session_key(shown_key)?;
    let (default, most) = HISTORY_MESSAGES;
    let limit = params.u64("limit").map_or(default, |limit| {
        usize::try_from(limit).map_or(most, |limit| limit.min(most))
    });
    let Some(session) = gateway.session(&key).cloned() else {
        let fresh = Session {
            agent_id: gateway.agent_of_session(&key).into(),
            ..Session::default()
        };
        gateway.reply(call, |gateway, w| {
            gateway.write_history(w, shown_key, &fresh, &Page::default(), 0);
        });
        return Ok(Outcome::Done);
    };
    let (least, most) = HISTORY_BYTES;
    let policy = gateway.config().gateway.limits.max_payload_bytes;
    let bytes_max = policy.clamp(least, most) - HISTORY_ENVELOPE_BYTES_MAX;
    let id = session.session_id.clone();
    let shown_key: Box<str> = shown_key.into();
    let call = call.keep();
    gateway.read_messages(
        id,
        None,
        limit,
        (bytes_max, bytes_max),
        move |gateway, _, page| {
            let asked = Asked {
                call,
                shown_key,
                session,
                bytes_max,
            };
            gateway.answer_history(asked, limit, page);
        },
    );
    Ok(Outcome::Later)
}

/// A call of `chat.history` whose page is being read.
struct Asked {
    call: KeptCall,
    shown_key: Box<str>,
    session: Arc<Session>,
    bytes_max: usize,
}

impl Gateway {
    /// People are shown what a summary stands for: that is for the model alone, unless what was before
    /// it is gone.
    fn answer_history(&mut self, asked: Asked, limit: usize, page: Result<Page, StoreFault>) {
        let page = match page {
            Ok(page) => page,
            Err(fault) => return self.refuse_kept(&asked.call, &Refusal::unread(&fault)),
        };
        let Some(seq) = summary_before_all(&page) else {
            return self.reply_history(&asked, &page);
        };
        let used: usize = page.messages.iter().map(|row| row.message.body.len()).sum();
        let left = asked.bytes_max.saturating_sub(used);
        let room = (limit + 1).saturating_sub(page.messages.len());
        let id = asked.session.session_id.clone();
        let then = move |gateway: &mut Self, _: Now, older: Result<Page, StoreFault>| {
            let mut older = older.map_or_else(|_| Vec::new(), |older| older.messages);
            older.retain(|row| !is_summary(&row.message) && row.message.body.len() <= left);
            let mut page = page;
            if !older.is_empty() {
                older.extend(page.messages.drain(1..));
                page.messages = older;
            }
            gateway.reply_history(&asked, &page);
        };
        self.read_rows(id, true, Some(seq + 1), room, (left, left), then);
    }

    fn reply_history(&mut self, asked: &Asked, page: &Page) {
        self.reply_kept(&asked.call, |gateway, w| {
            gateway.write_history(w, &asked.shown_key, &asked.session, page, asked.bytes_max);
        });
    }

    /// Writes the answer of `chat.history`; a session without an id is one that is not there.
    fn write_history(
        &self,
        w: &mut Writer<'_>,
        shown_key: &str,
        session: &Session,
        page: &Page,
        bytes_max: usize,
    ) {
        w.object(|w| {
            w.field_str("sessionKey", shown_key);
            if !session.session_id.is_empty() {
                w.field_str("sessionId", &session.session_id);
            }
            w.key("messages");
            w.array(|w| {
                for body in shown(page, bytes_max) {
                    w.raw(body.as_bytes());
                }
            });
            w.field_str("thinkingLevel", self.thinking_of(session).as_str());
        });
    }
}

/// The rows within the bound: pictures have what their texts leave, the newest first.
fn shown(page: &Page, bytes_max: usize) -> Vec<Cow<'_, str>> {
    let texts = page.messages.iter().map(|row| {
        let body = &row.message.body;
        body.len() - picture_bytes(body)
    });
    let mut left = bytes_max.saturating_sub(texts.sum());
    let newest_first = page.messages.iter().rev().filter_map(|row| {
        let body = &*row.message.body;
        let pictures = picture_bytes(body);
        if pictures == 0 {
            return fit(body, bytes_max);
        }
        if pictures <= left {
            left -= pictures;
            return Some(Cow::Borrowed(body));
        }
        match without_pictures(body) {
            Cow::Borrowed(body) => fit(body, bytes_max),
            Cow::Owned(body) => fit(&body, bytes_max).map(|it| Cow::Owned(it.into_owned())),
        }
    });
    let mut rows: Vec<Cow<'_, str>> = newest_first.collect();
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use crate::driver::device::Device;
    use crate::driver::{Driver, Options, operator_params};
    use crate::gateway::Input;
    use crate::gateway::sessions::injected_message;
    use crate::limits::{HISTORY_BYTES, MESSAGE_BYTES_MAX};
    use crate::state::{Message, Record, Session, StoreAnswer, StoreFault, StoreFaultKind};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn text(row: &Value) -> &str {
        row["content"][0]["text"].as_str().unwrap_or("")
    }

    #[test]
    fn the_main_session_is_found_by_both_its_names() {
        let (mut driver, operator) = Driver::in_main_session();
        let send = json!({"sessionKey": "main", "message": "hello", "idempotencyKey": "k"});
        driver.ok(operator, "chat.send", send);
        let short = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
        let full = json!({"sessionKey": "agent:main:main"});
        let full = driver.ok(operator, "chat.history", full);
        assert_eq!(short["sessionKey"], "main");
        assert_eq!(full["sessionKey"], "agent:main:main");
        assert_eq!(short["sessionId"], full["sessionId"]);
        assert_eq!(short["messages"], full["messages"]);
        let rows = full["messages"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (&rows[0]["role"], text(&rows[0])),
            (&json!("user"), "hello")
        );
        let answer = &rows[1];
        for name in ["api", "provider", "model", "stopReason"] {
            assert!(answer[name].is_string(), "{name}: {answer}");
        }
        assert!(answer["usage"]["totalTokens"].is_u64());
        assert!(answer["usage"]["cost"]["total"].is_number());
        assert!(answer["timestamp"].is_u64());
    }

    #[test]
    fn a_session_that_is_not_there_has_an_empty_history() {
        let (mut driver, operator) = Driver::in_main_session();
        let history = driver.ok(operator, "chat.history", json!({"sessionKey": "nope"}));
        assert_eq!(
            history,
            json!({"sessionKey": "nope", "messages": [], "thinkingLevel": "off"})
        );
    }

    #[test]
    fn the_newest_messages_are_kept() {
        let (mut driver, operator) = Driver::in_main_session();
        for n in 0..5 {
            let params = json!({"sessionKey": "main", "message": n.to_string()});
            driver.ok(operator, "chat.inject", params);
        }
        let two = json!({"sessionKey": "main", "limit": 2});
        let history = driver.ok(operator, "chat.history", two);
        let rows = history["messages"].as_array().unwrap();
        assert_eq!(rows.iter().map(text).collect::<Vec<_>>(), ["3", "4"]);
        for (limit, fault) in [(0, "must be >= 1"), (1001, "must be <= 1000")] {
            let params = json!({"sessionKey": "main", "limit": limit});
            let error = driver.err(operator, "chat.history", params);
            let text = format!("invalid chat.history params: at /limit: {fault}");
            assert_eq!(error["message"], text);
        }
    }

    #[test]
    fn a_long_transcript_is_answered_within_the_longest_message() {
        let mut driver = Driver::default();
        let session = Session {
            key: "agent:main:main".into(),
            session_id: "id".into(),
            agent_id: "main".into(),
            ..Session::default()
        };
        driver.store.write(&[Record::SessionPut(Arc::new(session))]);
        // 6 MiB in all, with characters that JSON writes as six bytes.
        let long = "\u{1}x".repeat(8 * 1024);
        for n in 0..110 {
            append(&mut driver, injected_message(&format!("{n}{long}"), n));
        }
        let mut driver = driver.crash(0);
        let operator = driver.operator();
        let params = json!({"sessionKey": "main", "limit": 1000});
        let answer = driver.call(operator, "chat.history", params);
        assert!(answer.to_string().len() <= MESSAGE_BYTES_MAX);
        let rows = answer["payload"]["messages"].as_array().unwrap();
        assert!(rows.len() > 5, "{}", rows.len());
        assert!(text(&rows[rows.len() - 1]).starts_with("109"));
    }

    #[test]
    fn one_message_that_is_too_long_is_cut_and_what_is_no_row_is_left_out() {
        let (mut driver, operator) = Driver::in_main_session();
        let list = driver.ok(operator, "sessions.list", json!({}));
        let id = list["sessions"][0]["sessionId"].as_str().unwrap();
        assert!(!id.is_empty());
        for body in ["null", "[]"] {
            let message = Message {
                ts: 1,
                role: "user".into(),
                body: body.into(),
            };
            append_to(&mut driver, id, message);
        }
        let history = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
        assert_eq!(history["messages"], json!([]));
        let long = injected_message(&"y".repeat(2 * MESSAGE_BYTES_MAX), 2);
        append_to(&mut driver, id, long);
        let answer = driver.call(operator, "chat.history", json!({"sessionKey": "main"}));
        assert!(answer.to_string().len() <= MESSAGE_BYTES_MAX);
        assert!(text(&answer["payload"]["messages"][0]).starts_with("yyy"));
    }

    #[test]
    fn a_history_is_neither_useless_nor_endless_where_the_longest_message_is_unusual() {
        for (policy, least, most) in [
            (1_024, 30_000, HISTORY_BYTES.0),
            (25 * 1024 * 1024, HISTORY_BYTES.1 / 2, HISTORY_BYTES.1),
        ] {
            let mut driver = Driver::new(Options {
                config: format!("{{gateway: {{limits: {{maxPayload: {policy}}}}}}}"),
                ..Options::default()
            });
            let operator = driver.operator();
            driver.ok(operator, "sessions.patch", json!({"key": "main"}));
            let list = driver.ok(operator, "sessions.list", json!({}));
            let id = list["sessions"][0]["sessionId"].as_str().unwrap();
            let half = "x".repeat(least / 2);
            for n in 0..8 {
                append_to(&mut driver, id, injected_message(&half, n));
            }
            let params = json!({"sessionKey": "main"});
            let len = driver
                .call(operator, "chat.history", params)
                .to_string()
                .len();
            assert!((least..=most).contains(&len), "{policy}: {len}");
        }
    }

    fn append(driver: &mut Driver, message: Message) {
        append_to(driver, "id", message);
    }

    fn append_to(driver: &mut Driver, id: &str, message: Message) {
        driver.store.write(&[Record::MessageAppend {
            session_id: id.into(),
            message: Arc::new(message),
        }]);
    }

    #[test]
    fn reading_needs_the_scope_to_read_and_changing_that_of_an_administrator() {
        let (mut driver, _) = Driver::in_main_session();
        let mut params = operator_params();
        params["scopes"] = json!(["operator.read"]);
        let reader = driver.join(&Device::new(2), params);
        driver.ok(reader, "chat.history", json!({"sessionKey": "main"}));
        driver.ok(reader, "sessions.list", json!({}));
        driver.ok(reader, "sessions.preview", json!({"keys": ["main"]}));
        for method in [
            "chat.inject",
            "sessions.patch",
            "sessions.reset",
            "sessions.delete",
            "sessions.compact",
            "sessions.resolve",
        ] {
            let error = driver.err(reader, method, json!({}));
            assert_eq!(
                error["message"], "missing scope: operator.admin",
                "{method}"
            );
        }
    }

    #[test]
    fn a_transcript_that_cannot_be_read_is_told_and_may_be_asked_for_again() {
        let (mut driver, operator) = Driver::in_main_session();
        driver.store.held = true;
        let id = driver.request(operator, "chat.history", json!({"sessionKey": "main"}));
        driver.settle();
        // Whichever ticket it got.
        for ticket in 1..10 {
            let fault = StoreFault {
                kind: StoreFaultKind::Io,
                message: "bad sector".into(),
            };
            driver.handle(Input::Store(StoreAnswer::Messages {
                ticket,
                result: Err(fault),
            }));
        }
        driver.settle();
        let response = driver.response(operator, &id).expect("an answer");
        assert_eq!(response["error"]["code"], "UNAVAILABLE");
        assert_eq!(response["error"]["retryable"], true);
        driver.store.held = false;
        driver.settle();
        driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
    }
}
