//! `chat.history` and `chat.inject`: a session's transcript, read and added to.

use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::sessions::{injected_message, session_lock, touch};
use crate::gateway::transcript::fit;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{CHAT_TEXT_BYTES_MAX, HISTORY_ENVELOPE_BYTES_MAX, HISTORY_MESSAGES};
use crate::now::Now;
use crate::state::{Page, Record, Session};
use crate::wire::json::Writer;
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
    let answer_max = gateway.config().gateway.limits.max_payload_bytes;
    let bytes_max = answer_max.saturating_sub(HISTORY_ENVELOPE_BYTES_MAX);
    let id = session.session_id.clone();
    let shown_key: Box<str> = shown_key.into();
    let call = call.keep();
    gateway.read_messages(
        id,
        None,
        limit,
        bytes_max,
        move |gateway, _, page| match page {
            Ok(page) => gateway.reply_kept(&call, |gateway, w| {
                gateway.write_history(w, &shown_key, &session, &page, bytes_max);
            }),
            Err(fault) => gateway.refuse_kept(&call, &Refusal::unread(&fault)),
        },
    );
    Ok(Outcome::Later)
}

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
            gateway.send_injected(&format!("inject-{id}"), &key, 0, &message);
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

impl Gateway {
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
                for row in &page.messages {
                    if let Some(body) = fit(&row.message.body, bytes_max) {
                        w.raw(body.as_bytes());
                    }
                }
            });
            w.field_str("thinkingLevel", self.thinking_of(session).as_str());
        });
    }
}
