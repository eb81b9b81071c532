//! `device.pair.code`: a code by which one device is let in without anybody looking.

use super::refused;
use crate::gateway::auth::approval::Grant;
use crate::gateway::auth::code::{CodeGrant, write_code};
use crate::gateway::auth::scope::{Scope, ScopeSet};
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::SETUP_CODE_TTL_MS;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Role, Text};

/// What an operator gets whose code names no scopes.
const SCOPES: ScopeSet = ScopeSet::EMPTY.with(Scope::Read).with(Scope::Write);

/// Makes a code for a role, with scopes that its maker holds. A node may run programs, so its code
/// takes an admin; so does any that a paired device makes, since it lets in another one.
pub fn make(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let role = Role::parse(params.text("role").unwrap_or("node"))
        .ok_or_else(|| Refusal::invalid("invalid role"))?;
    let scopes = match role {
        Role::Node => ScopeSet::EMPTY,
        Role::Operator => super::tokens::wanted_scopes(params)?.unwrap_or(SCOPES),
    };
    let actor = gateway.actor(call.conn);
    let commands: &[Text] = match role {
        Role::Node => &["system.run".into()],
        Role::Operator => &[],
    };
    let given = Grant {
        device: actor.device.as_deref().unwrap_or_default(),
        scopes,
        commands,
    };
    actor
        .view()
        .may_approve(&given, true)
        .map_err(|forbidden| refused(forbidden, "unknown deviceId"))?;
    let ttl_ms = params.u64("ttlMs").unwrap_or(SETUP_CODE_TTL_MS);
    let mut bits = [0; 10];
    gateway.entropy.fill(&mut bits);
    let code = write_code(bits);
    let grant = CodeGrant {
        role,
        scopes,
        made_by: actor.device,
        expires_at_ms: now.mono_ms + ttl_ms,
    };
    if !gateway.codes.add(&code, grant, now.mono_ms) {
        let text = "too many codes wait to be used; they end by themselves within five minutes";
        return Err(Refusal::unavailable(text).into());
    }
    let line = LogLine::new(now.unix_ms, Level::Info, "gateway/devices", "code made");
    gateway.log_with(line.with("role", role.as_str()));
    gateway.reply(call, |_, w| {
        w.object(|w| {
            w.field_str("code", &code);
            w.field_str("role", role.as_str());
            w.field_strs("scopes", scopes.names());
            w.field_u64("expiresAtMs", now.unix_ms + ttl_ms);
        });
    });
    Ok(Outcome::Done)
}
