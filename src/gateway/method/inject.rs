//! `chat.inject`: a message that somebody puts into a transcript in the agent's name.

use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::sessions::{injected_message, session_lock, touch};
use crate::gateway::{Gateway, Refusal};
use crate::limits::CHAT_TEXT_BYTES_MAX;
use crate::now::Now;
use crate::state::{Record, Session};
use std::sync::Arc;

/// `chat.inject`: puts a message into a transcript in the agent's name.
pub fn inject(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let key = gateway.session_key(params.required_text("sessionKey"))?;
    let message = params.required_text("message");
    if message.len() > CHAT_TEXT_BYTES_MAX {
        let text = format!("message is longer than {CHAT_TEXT_BYTES_MAX} bytes");
        return Err(Refusal::invalid(text).into());
    }
    if gateway.commits.is_reserved(&session_lock(&key)) {
        return Err(Stop::Busy);
    }
    let Some(session) = gateway.session(&key) else {
        return Err(Refusal::invalid("session not found").into());
    };
    let mut session = Session::clone(session);
    touch(&mut session, now);
    let label = params
        .text("label")
        .map(str::trim)
        .filter(|it| !it.is_empty());
    let message = Arc::new(match label {
        Some(label) => injected_message(&format!("[{label}]\n\n{message}"), now.unix_ms),
        None => injected_message(message, now.unix_ms),
    });
    let records = vec![
        Record::MessageAppend {
            session_id: session.session_id.clone(),
            message: message.clone(),
        },
        Record::SessionPut(Arc::new(session)),
    ];
    let id: String = gateway.random_hex().chars().take(8).collect();
    let call = call.keep();
    gateway.commit(
        vec![session_lock(&key)],
        records,
        move |gateway, _, result| {
            if let Err(fault) = result {
                return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
            }
            gateway.touch_health();
            // Everybody with the session open shows the message at once.
            gateway.send_injected(&format!("inject-{id}"), (&key, &key), 0, &message);
            gateway.reply_kept(&call, |_, w| {
                w.object(|w| {
                    w.field_bool("ok", true);
                    w.field_str("messageId", &id);
                });
            });
        },
    );
    Ok(Outcome::Later)
}

#[cfg(test)]
mod tests {
    use crate::driver::{Driver, Options};
    use crate::limits::CHAT_TEXT_BYTES_MAX;
    use serde_json::{Value, json};

    fn text(row: &Value) -> &str {
        row["content"][0]["text"].as_str().unwrap_or("")
    }

    #[test]
    fn an_injected_message_is_shown_to_everybody_before_the_answer() {
        let (mut driver, operator) = Driver::in_main_session();
        driver.messages(operator);
        for (params, shown) in [
            (json!({"sessionKey": "main", "message": "hi"}), "hi"),
            (
                json!({"sessionKey": "main", "message": "hi", "label": "note"}),
                "[note]\n\nhi",
            ),
        ] {
            driver.request(operator, "chat.inject", params);
            driver.settle();
            let messages = driver.messages(operator);
            let position = |name: &str, value: &str| {
                messages.iter().position(|message| message[name] == value)
            };
            let (event, answer) = (position("event", "chat"), position("type", "res"));
            assert!(event < answer && event.is_some());
            let id = messages[answer.unwrap()]["payload"]["messageId"].as_str();
            let id = id.unwrap();
            assert_eq!(id.len(), 8);
            let payload = &messages[event.unwrap()]["payload"];
            assert_eq!(payload["runId"], format!("inject-{id}"));
            assert_eq!(payload["sessionKey"], "agent:main:main");
            assert_eq!(payload["seq"], 0);
            assert_eq!(payload["state"], "final");
            assert_eq!(text(&payload["message"]), shown);
            let history = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
            let rows = history["messages"].as_array().unwrap();
            assert_eq!(rows.last(), Some(&payload["message"]));
        }
    }

    #[test]
    fn an_injection_is_refused_in_the_words_that_clients_know() {
        let (mut driver, operator) = Driver::in_main_session();
        for (params, text) in [
            (
                json!({"sessionKey": "agent:main:none", "message": "x"}),
                "session not found",
            ),
            (
                json!({"sessionKey": "main", "message": "x", "label": "y".repeat(101)}),
                "invalid chat.inject params: at /label: must NOT have more than 100 characters",
            ),
            (
                json!({}),
                "invalid chat.inject params: must have required property 'sessionKey'; \
                 must have required property 'message'",
            ),
            (
                json!({"sessionKey": "../x", "message": "x"}),
                "invalid session key: use letters, digits and - _ . : + @ # = ~ ! $ (no ..)",
            ),
        ] {
            let error = driver.err(operator, "chat.inject", params);
            assert_eq!(error["message"], text);
        }
    }

    #[test]
    fn a_message_is_bounded_even_where_frames_may_be_longer() {
        let mut driver = Driver::new(Options {
            config: "{gateway: {limits: {maxPayload: 4194304}}}".into(),
            ..Options::default()
        });
        let operator = driver.operator();
        driver.ok(operator, "sessions.patch", json!({"key": "main"}));
        let inject = |len| json!({"sessionKey": "main", "message": "x".repeat(len)});
        driver.ok(operator, "chat.inject", inject(CHAT_TEXT_BYTES_MAX));
        let error = driver.err(operator, "chat.inject", inject(CHAT_TEXT_BYTES_MAX + 1));
        assert_eq!(error["code"], "INVALID_REQUEST");
    }
}
