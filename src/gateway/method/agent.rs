//! `agent` and `agent.wait`: a run for programs, answered twice.

use super::chat::{Repeat, attached, fingerprint, thinking_of_call};
use super::models::agent_of_key;
use crate::gateway::attachments::Attached;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::runs::{Origin, Request, write_ended};
use crate::gateway::{Gateway, Refusal};
use crate::limits::{WAIT_MS_DEFAULT, WAIT_MS_MAX};
use crate::now::Now;
use crate::state::{Delivery, Text};
use crate::wire::json::Writer;

/// `agent`: answers `accepted` once the message is stored, and again when the run has ended.
pub fn run(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    check_channel(gateway, params)?;
    let (session_key, shown_key) = session_of(gateway, params)?;
    gateway.check_may_speak(&session_key)?;
    let message = params.required_text("message");
    let key = params.required_text("idempotencyKey");
    let fingerprint = fingerprint(&[&session_key, message]);
    match gateway.repeated("agent", key, &fingerprint)? {
        Repeat::Fresh => {}
        Repeat::InFlight => {
            let accepted_at = gateway
                .runs
                .get(key)
                .map_or(now.unix_ms, |run| run.row.accepted_at_ms);
            gateway.reply(call, |_, w| write_accepted(w, key, accepted_at));
            return Ok(Outcome::Done);
        }
        Repeat::Done(response) => {
            gateway.answer_repeat(call, &response);
            return Ok(Outcome::Done);
        }
    }
    let thinking = thinking_of_call("agent", params)?;
    let attached = attached(params)?;
    // What comes with something is for the agent.
    let is_bare = attached == Attached::default();
    let text = |name: &str| params.text(name).map(Text::from);
    let request = Request {
        origin: Origin::Agent,
        run_id: key.into(),
        session_key,
        shown_key: shown_key.as_str().into(),
        message: format!("{message}{}", attached.text),
        images: attached.images,
        thinking,
        extra_prompt: text("extraSystemPrompt"),
        timeout_ms: params
            .u64("timeout")
            .map(|seconds| seconds.saturating_mul(1_000)),
        delivery: Delivery {
            deliver: params.bool("deliver").unwrap_or(false),
            channel: text("replyChannel").or_else(|| text("channel")),
            to: text("replyTo").or_else(|| text("to")),
            account_id: text("replyAccountId").or_else(|| text("accountId")),
            thread_id: text("threadId"),
            reply_to: None,
        },
        fingerprint,
        also: Vec::new(),
    };
    let kept = call.keep();
    let accepted_at = now.unix_ms;
    let run_id = request.run_id.clone();
    if let Some(command) = gateway.slash_command(message).filter(|_| is_bare) {
        gateway.run_slash(now, request, command, kept)?;
        return Ok(Outcome::Later);
    }
    gateway.accept_run(
        request,
        Box::new(move |gateway, _, result| match result {
            Ok(()) => {
                gateway.reply_first(&kept, |_, w| write_accepted(w, &run_id, accepted_at));
                Some(kept)
            }
            Err(fault) => {
                gateway.refuse_kept(&kept, &Refusal::not_stored(&fault));
                None
            }
        }),
    )?;
    Ok(Outcome::Later)
}

/// `agent.wait`: answers when the run has ended, or with `timeout`.
pub fn wait(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let run_id = params.required_text("runId");
    let ended = gateway
        .state
        .runs()
        .get(run_id)
        .filter(|run| run.state.is_ended());
    if let Some(row) = ended.cloned() {
        gateway.reply(call, |_, w| write_ended(w, &row));
        return Ok(Outcome::Done);
    }
    let timeout_ms = params.u64("timeoutMs").unwrap_or(WAIT_MS_DEFAULT);
    gateway.wait_for_run(call.keep(), run_id, timeout_ms.min(WAIT_MS_MAX));
    Ok(Outcome::Later)
}

/// A channel that nobody knows would swallow the answer.
fn check_channel(gateway: &Gateway, params: Params<'_, '_>) -> Result<(), Refusal> {
    for name in ["channel", "replyChannel"] {
        if let Some(channel) = params.text(name)
            && !matches!(channel, "" | "last" | "webchat")
            && !gateway.is_known_channel(channel)
        {
            let text = format!("invalid agent params: unknown channel: {channel}");
            return Err(Refusal::invalid(text));
        }
    }
    Ok(())
}

/// The session that the parameters name: stored key and key as sent.
fn session_of(gateway: &Gateway, params: Params<'_, '_>) -> Result<(Text, String), Refusal> {
    let invalid = |text: String| Refusal::invalid(format!("invalid agent params: {text}"));
    let agent = params.text("agentId");
    if let Some(agent) = agent {
        let known = gateway.check_agent(agent);
        known.map_err(|refusal| invalid(refusal.message.into_owned()))?;
    }
    let shown = match (params.text("sessionKey"), params.text("sessionId"), agent) {
        (Some(key), _, _) if !key.trim().is_empty() => key.to_owned(),
        (_, Some(id), _) => gateway
            .state
            .sessions()
            .values()
            .find(|session| *session.session_id == *id)
            .map(|session| session.key.to_string())
            .ok_or_else(|| invalid(format!("unknown session id \"{id}\"")))?,
        (_, None, Some(agent)) => gateway.session_key_of(agent),
        (_, None, None) if params.text("to").is_some() => gateway.main_session_key(),
        (_, None, None) => {
            return Err(Refusal::invalid(
                "invalid agent params: name a session (sessionKey, sessionId, agentId or to)",
            ));
        }
    };
    let key = gateway.session_key(&shown)?;
    match (agent, agent_of_key(&key)) {
        (Some(agent), Some(of_key)) if agent != of_key => Err(invalid(format!(
            "agent \"{agent}\" does not match session key agent \"{of_key}\""
        ))),
        _ => Ok((key, shown)),
    }
}

/// The first answer of `agent`.
pub fn write_accepted(w: &mut Writer<'_>, run_id: &str, accepted_at: u64) {
    w.object(|w| {
        w.field_str("runId", run_id);
        w.field_str("status", "accepted");
        w.field_u64("acceptedAt", accepted_at);
    });
}
