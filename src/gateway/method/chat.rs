//! `chat.send` and `chat.abort`.

use crate::agent::Thinking;
use crate::gateway::attachments::Attached;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::runs::{Origin, Request, StopReason};
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::state::{Delivery, IdempotencyState, Text};
use crate::wire::json::{Json, Writer};
use ring::digest::{Context, SHA256};

/// Messages that, alone, stop what runs.
const STOP_WORDS: [&str; 7] = ["/stop", "stop", "esc", "abort", "wait", "exit", "interrupt"];

/// `chat.send`: stores the message, answers `started`, then runs the agent.
pub fn send(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let shown_key = params.required_text("sessionKey");
    let session_key = gateway.session_key(shown_key)?;
    let message = params.required_text("message");
    let thinking = thinking_of_call("chat.send", params)?;
    let attached = attached(params)?;
    gateway.check_may_speak(&session_key)?;
    // What comes with something is for the agent.
    let is_bare = attached == Attached::default();
    if is_bare && is_stop_word(message) {
        let stopped = gateway.stop_runs(&session_key, None, StopReason::Word);
        gateway.reply(call, |_, w| write_stopped(w, &stopped));
        return Ok(Outcome::Done);
    }
    let key = params.required_text("idempotencyKey");
    let fingerprint = fingerprint(&[&session_key, message]);
    match gateway.repeated("chat.send", key, &fingerprint)? {
        Repeat::Fresh => {}
        Repeat::InFlight => {
            gateway.reply(call, |_, w| write_status(w, key, "in_flight"));
            return Ok(Outcome::Done);
        }
        Repeat::Done(response) => {
            gateway.answer_repeat(call, &response);
            return Ok(Outcome::Done);
        }
    }
    let request = Request {
        origin: Origin::Chat,
        run_id: key.into(),
        session_key,
        shown_key: shown_key.into(),
        message: format!("{message}{}", attached.text),
        images: attached.images,
        thinking,
        extra_prompt: None,
        timeout_ms: params.u64("timeoutMs"),
        delivery: Delivery {
            deliver: params.bool("deliver").unwrap_or(false),
            ..Delivery::default()
        },
        fingerprint,
        also: Vec::new(),
    };
    let kept = call.keep();
    let run_id = request.run_id.clone();
    if let Some(command) = gateway.slash_command(message).filter(|_| is_bare) {
        gateway.run_slash(now, request, command, kept)?;
        return Ok(Outcome::Later);
    }
    gateway.accept_run(
        request,
        Box::new(move |gateway, _, result| {
            match result {
                Ok(()) => gateway.reply_kept(&kept, |_, w| write_status(w, &run_id, "started")),
                Err(fault) => gateway.refuse_kept(&kept, &Refusal::not_stored(&fault)),
            }
            None
        }),
    )?;
    Ok(Outcome::Later)
}

/// `chat.abort`: stops one run of the session, or all of them.
pub fn abort(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let session_key = gateway.session_key(params.required_text("sessionKey"))?;
    let run_id = params.text("runId");
    if let Some(run) = run_id.and_then(|run_id| gateway.runs.get(run_id))
        && *run.row.session_key != *session_key
    {
        return Err(Refusal::invalid("runId does not match sessionKey").into());
    }
    let stopped = gateway.stop_runs(&session_key, run_id, StopReason::Rpc);
    gateway.reply(call, |_, w| write_stopped(w, &stopped));
    Ok(Outcome::Done)
}

/// What is known of an idempotency key.
pub enum Repeat {
    /// Never seen.
    Fresh,
    /// The first request with it has not ended.
    InFlight,
    /// What the first request was answered in the end.
    Done(Text),
}

impl Gateway {
    /// Looks a key up. The same key for another message is a mistake of the caller.
    pub(in crate::gateway) fn repeated(
        &self,
        method: &'static str,
        key: &str,
        fingerprint: &[u8; 32],
    ) -> Result<Repeat, Stop> {
        let lock = crate::gateway::commit::Key::Idempotency(method, key.into());
        if self.commits.is_reserved(&lock) {
            return Err(Stop::Busy);
        }
        let entry = self.state.idempotency().get(method, key);
        let Some(entry) = entry.filter(|entry| entry.expires_at_ms > self.now.unix_ms) else {
            return Ok(Repeat::Fresh);
        };
        if entry.fingerprint != *fingerprint {
            let text = format!("invalid {method} params: idempotencyKey was used for another call");
            return Err(Refusal::invalid(text).into());
        }
        Ok(match entry.state {
            IdempotencyState::InFlight => Repeat::InFlight,
            IdempotencyState::Done => Repeat::Done(entry.response.clone()),
        })
    }

    /// Answers a repeat with what the first request was answered: a payload, or the error that
    /// its `status` says.
    pub(in crate::gateway) fn answer_repeat(&mut self, call: Call<'_>, response: &str) {
        let value: serde_json::Value = serde_json::from_str(response).unwrap_or_default();
        if value["status"] != "error" {
            return self.reply(call, |_, w| w.raw(response.as_bytes()));
        }
        let summary = value["summary"].as_str().unwrap_or("the run failed");
        let refusal = Refusal::unavailable(summary.to_owned());
        self.send_text(call.conn, |_, w| {
            refusal.write(w, call.id, Some(response.as_bytes()));
        });
    }

    /// Whether messages to the session are let through: there is somebody who answers, and its policy
    /// does not forbid it.
    pub(in crate::gateway) fn check_may_speak(&self, session_key: &str) -> Result<(), Refusal> {
        self.check_agent(self.agent_of_session(session_key))?;
        let session = self.state.sessions().get(session_key);
        let policy = session.and_then(|session| session.settings.get("sendPolicy"));
        match policy {
            Some(policy) if **policy == *"deny" => {
                Err(Refusal::invalid("send blocked by session policy"))
            }
            _ => Ok(()),
        }
    }
}

/// SHA-256 of parts, each with its length before it.
pub fn fingerprint(parts: &[&str]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0u8; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// What the parameter `thinking` of a method says.
pub fn thinking_of_call(method: &str, params: Params<'_, '_>) -> Result<Option<Thinking>, Refusal> {
    Thinking::asked(params.text("thinking").unwrap_or_default())
        .map_err(|fault| Refusal::invalid(format!("invalid {method} params: {fault}")))
}

/// What the parameter `attachments` of `chat.send` and `agent` holds.
pub fn attached(params: Params<'_, '_>) -> Result<Attached, Refusal> {
    let mut attached = Attached::default();
    let list = params.get("attachments").into_iter();
    for (at, item) in list.flat_map(Json::elements).enumerate() {
        let text = |name: &str| item.get(name).and_then(Json::as_str);
        let number = format!("attachment-{}", at + 1);
        let name = ["fileName", "type"].into_iter().find_map(text);
        let name = name.unwrap_or(&number);
        match item.get("content").map(Json::as_str) {
            // What an empty field of a form leaves behind.
            None => continue,
            Some(None) => Err(format!("attachment {name}: content must be base64 string")),
            Some(Some(content)) => attached.add(name, text("mimeType").unwrap_or(""), content),
        }
        .map_err(|fault| Refusal::invalid(format!("Error: {fault}")))?;
    }
    Ok(attached)
}

/// Whether a message is just a word to stop.
pub fn is_stop_word(message: &str) -> bool {
    let word = message.trim();
    STOP_WORDS
        .iter()
        .any(|stop| word.eq_ignore_ascii_case(stop))
}

fn write_stopped(w: &mut Writer<'_>, stopped: &[Text]) {
    w.object(|w| {
        w.field_bool("ok", true);
        w.field_bool("aborted", !stopped.is_empty());
        w.field_strs("runIds", stopped.iter().map(|id| &**id));
    });
}

/// `{runId, status}`.
pub fn write_status(w: &mut Writer<'_>, run_id: &str, status: &str) {
    w.object(|w| {
        w.field_str("runId", run_id);
        w.field_str("status", status);
    });
}
