//! `exec.approval.request/resolve/list`: commands that wait for a person.

use crate::approvals::{Binding, Command, env_hash};
use crate::gateway::approvals::{ApprovalRequest, Asked, Decision};
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{APPROVAL_COMMAND_BYTES_MAX, APPROVAL_TIMEOUT_MS};
use crate::now::Now;
use crate::wire::json::{Json, Writer};

/// `exec.approval.request`: answered when somebody decided, or nobody did in time. With
/// `twoPhase` a first answer says that the request was taken.
pub fn request(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let binding = binding_of(params)?;
    let text = |name: &str| params.text(name).map(Box::from);
    let id = params.text("id").map(str::trim).filter(|id| !id.is_empty());
    let env = params.get("env").into_iter().flat_map(Json::members);
    let request = ApprovalRequest {
        id: id.map(Box::from),
        binding: binding.clone(),
        host: text("host"),
        security: text("security"),
        ask: text("ask"),
        resolved_path: text("resolvedPath"),
        env_keys: env.map(|(name, _)| name.into()).collect(),
        timeout_ms: params.u64("timeoutMs").unwrap_or(APPROVAL_TIMEOUT_MS),
        conn: Some(call.conn),
    };
    let kept = call.keep();
    let asked = gateway.request_approval(request, move |gateway, _, decision, asked| {
        if let Some(allowed @ (Decision::AllowOnce | Decision::AllowAlways)) = decision {
            gateway.grant_approval(kept.conn, binding, allowed);
        }
        gateway.reply_kept(&kept, |_, w| {
            write_asked(w, asked, |w| {
                w.key("decision");
                match decision {
                    Some(decision) => w.str(decision.as_str()),
                    None => w.null(),
                }
            });
        });
    })?;
    if params.bool("twoPhase") == Some(true) {
        gateway.reply_first(&call.keep(), |_, w| {
            write_asked(w, &asked, |w| w.field_str("status", "accepted"));
        });
    }
    Ok(Outcome::Later)
}

/// `exec.approval.resolve`: decides about a request.
pub fn resolve(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let decision = Decision::parse(params.required_text("decision"))
        .ok_or_else(|| Refusal::invalid("invalid decision"))?;
    let live = gateway.peers.get(call.conn).and_then(|peer| peer.live());
    let by = live.map(|live| {
        live.display_name
            .clone()
            .unwrap_or_else(|| live.client_id.clone())
    });
    let id = params.required_text("id");
    if !gateway.decide_approval(id, Some(decision), by.as_deref()) {
        return Err(Refusal::invalid("unknown approval id").into());
    }
    gateway.reply(call, |_, w| w.object(|w| w.field_bool("ok", true)));
    Ok(Outcome::Done)
}

/// `exec.approval.list`: what waits, oldest first, for whoever was not connected when it was told.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.object(|w| {
            w.field_u64("ts", gateway.now.unix_ms);
            w.key("pending");
            gateway.write_pending_approvals(w);
        });
    });
    Ok(Outcome::Done)
}

/// What the decision will hold for.
fn binding_of(params: Params<'_, '_>) -> Result<Binding, Refusal> {
    let text = params.required_text("command");
    if text.len() > APPROVAL_COMMAND_BYTES_MAX {
        let text = format!(
            "command is longer than {APPROVAL_COMMAND_BYTES_MAX} bytes: it could not be shown as a whole"
        );
        return Err(Refusal::invalid(text));
    }
    let argv: Vec<String> = params.texts("commandArgv").map(str::to_owned).collect();
    if !argv.is_empty() {
        let command =
            Command::new(argv.clone(), None).map_err(|fault| Refusal::invalid(fault.text()))?;
        if !command.is_written(text) {
            return Err(Refusal::invalid("command does not match commandArgv"));
        }
    }
    let env = params.get("env").into_iter().flat_map(Json::members);
    let member = |name: &str| params.text(name).map(str::to_owned);
    Ok(Binding {
        argv,
        text: text.to_owned(),
        cwd: member("cwd"),
        env_hash: env_hash(env.map(|(name, value)| (name, value.as_str().unwrap_or_default()))),
        agent_id: member("agentId"),
        session_key: member("sessionKey"),
        node_id: member("nodeId"),
    })
}

/// `{id, …, createdAtMs, expiresAtMs}`.
fn write_asked(w: &mut Writer<'_>, asked: &Asked, f: impl FnOnce(&mut Writer<'_>)) {
    w.object(|w| {
        w.field_str("id", &asked.id);
        f(w);
        w.field_u64("createdAtMs", asked.created_at_ms);
        w.field_u64("expiresAtMs", asked.expires_at_ms);
    });
}
