//! `device.token.rotate/revoke` and `device.pair.remove`: what a device comes in with changes or goes, and whoever
//! came in with it has to go.

use super::{managed, refused};
use crate::gateway::auth::scope::{Scope, ScopeSet};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Device, DeviceToken, Record, Role, no_texts};
use crate::wire::json::Writer;
use std::sync::Arc;

const UNKNOWN_DEVICE: &str = "unknown deviceId/role";
const UNKNOWN_ID: &str = "unknown deviceId";

/// `device.token.rotate`: a new token, within what the device was approved for. The old one
/// is worth nothing from then on, and whoever came in as this device has to come in again.
pub fn rotate(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let (device, role) = gateway.device_to_manage(call, params)?;
    let Some(grant) = device.grant(role) else {
        return Err(Refusal::invalid(UNKNOWN_DEVICE).into());
    };
    let approved = ScopeSet::of_texts(&grant.scopes);
    let held = match &grant.token {
        Some(token) => ScopeSet::of_texts(&token.scopes),
        None => approved,
    };
    let wanted = wanted_scopes(params)?.unwrap_or(held);
    let actor = gateway.actor(call.conn);
    let actor = actor.view();
    actor
        .may_rotate(&managed(&device, role, held), wanted, approved)
        .map_err(|forbidden| refused(forbidden, UNKNOWN_DEVICE))?;
    let tells = actor.may_hold_token_of(&device.device_id);
    let fresh = gateway.new_token(wanted.to_texts());
    let token = DeviceToken {
        created_at_ms: grant
            .token
            .as_ref()
            .map_or(now.unix_ms, |token| token.created_at_ms),
        rotated_at_ms: Some(now.unix_ms),
        ..*fresh
    };
    let bearer = tells.then(|| token.token.clone());
    gateway.store_token(
        call,
        &device,
        role,
        token,
        "token rotated",
        move |token, w| {
            w.field_opt_str("token", bearer.as_deref());
            w.field_strs("scopes", token.scopes.iter().map(|scope| &**scope));
            w.field_opt_u64("rotatedAtMs", token.rotated_at_ms);
        },
    )
}

/// `device.token.revoke`: the token is worth nothing from then on. Said again, it is as it was.
pub fn revoke(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let (device, role) = gateway.device_to_manage(call, params)?;
    let Some(token) = device.grant(role).and_then(|grant| grant.token.as_deref()) else {
        return Err(Refusal::invalid(UNKNOWN_DEVICE).into());
    };
    let actor = gateway.actor(call.conn);
    actor
        .view()
        .may_manage(&managed(&device, role, ScopeSet::of_texts(&token.scopes)))
        .map_err(|forbidden| refused(forbidden, UNKNOWN_DEVICE))?;
    let token = DeviceToken {
        revoked_at_ms: token.revoked_at_ms.or(Some(now.unix_ms)),
        ..token.clone()
    };
    gateway.store_token(call, &device, role, token, "token revoked", |token, w| {
        w.field_opt_u64("revokedAtMs", token.revoked_at_ms);
    })
}

/// `device.pair.remove`: the device is as one that was never here.
pub fn remove(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let device = gateway.device_named(call, params)?;
    let actor = gateway.actor(call.conn);
    for grant in &device.grants {
        let held = grant
            .token
            .as_ref()
            .map_or(no_texts(), |it| it.scopes.clone());
        let scopes = ScopeSet::of_texts(&grant.scopes).union(ScopeSet::of_texts(&held));
        actor
            .view()
            .may_manage(&managed(&device, grant.role, scopes))
            .map_err(|forbidden| refused(forbidden, UNKNOWN_ID))?;
    }
    let id = device.device_id.clone();
    let record = Record::DeviceRemove {
        device_id: id.clone(),
    };
    let call = call.keep();
    let keys = vec![Key::Device(id.as_ref().into())];
    gateway.commit(keys, vec![record], move |gateway, now, result| {
        if let Err(fault) = result {
            return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
        }
        let line = LogLine::new(now.unix_ms, Level::Info, "gateway/devices", "removed");
        gateway.log_with(line.with("device", &*id));
        gateway.reply_kept(&call, |_, w| w.object(|w| w.field_str("deviceId", &id)));
        for role in [Role::Operator, Role::Node] {
            gateway.close_device_peers(&id, role, "device removed");
        }
    });
    Ok(Outcome::Later)
}

/// The scopes that a rotation asks for; None where it asks for the same again.
pub(super) fn wanted_scopes(params: Params<'_, '_>) -> Result<Option<ScopeSet>, Refusal> {
    if params.get("scopes").is_none() {
        return Ok(None);
    }
    match params
        .texts("scopes")
        .find(|name| Scope::parse(name).is_none())
    {
        Some(name) => {
            let name: String = name.chars().take(64).collect();
            Err(Refusal::invalid(format!("unknown scope: {name}")))
        }
        None => Ok(Some(ScopeSet::parse(params.texts("scopes")))),
    }
}

impl Gateway {
    /// The device and role that the caller names, as far as it may know of them.
    fn device_to_manage(
        &self,
        call: Call<'_>,
        params: Params<'_, '_>,
    ) -> Result<(Arc<Device>, Role), Stop> {
        let device = self.device_named(call, params);
        match (device, Role::parse(params.required_text("role"))) {
            (Ok(device), Some(role)) => Ok((device, role)),
            (Err(Stop::Busy), _) => Err(Stop::Busy),
            _ => Err(Refusal::invalid(UNKNOWN_DEVICE).into()),
        }
    }

    /// The device that the caller names, as far as it may know of it.
    fn device_named(&self, call: Call<'_>, params: Params<'_, '_>) -> Result<Arc<Device>, Stop> {
        let id = params.required_text("deviceId");
        if self.commits.is_reserved(&Key::Device(id.into())) {
            return Err(Stop::Busy);
        }
        let actor = self.actor(call.conn);
        let device = self.state.devices().get(id);
        let device = device.filter(|device| actor.view().sees(&device.device_id));
        device
            .cloned()
            .ok_or_else(|| Refusal::invalid(UNKNOWN_ID).into())
    }

    /// Stores a role's token, answers, and closes whoever came in with what was before.
    fn store_token(
        &mut self,
        call: Call<'_>,
        device: &Device,
        role: Role,
        token: DeviceToken,
        what: &'static str,
        reply: impl FnOnce(&DeviceToken, &mut Writer<'_>) + Send + 'static,
    ) -> Handled {
        let id = device.device_id.clone();
        let mut row = device.clone();
        row.grant_mut(role).token = Some(Box::new(token.clone()));
        let call = call.keep();
        self.commit(
            vec![Key::Device(id.as_ref().into())],
            vec![Record::DevicePut(Arc::new(row))],
            move |gateway, now, result| {
                if let Err(fault) = result {
                    return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
                }
                let line = LogLine::new(now.unix_ms, Level::Info, "gateway/devices", what);
                gateway.log_with(line.with("device", &*id).with("role", role.as_str()));
                gateway.reply_kept(&call, |_, w| {
                    w.object(|w| {
                        w.field_str("deviceId", &id);
                        w.field_str("role", role.as_str());
                        reply(&token, w);
                    });
                });
                gateway.close_device_peers(&id, role, "device token changed");
            },
        );
        Ok(Outcome::Later)
    }

    /// Closes every connection of a device in a role; what it still waits for is dropped.
    fn close_device_peers(&mut self, device: &str, role: Role, why: &str) {
        self.codes.forget_made_by(device);
        let all = match role {
            Role::Operator => &self.operators,
            Role::Node => &self.nodes,
        };
        let is_its = |conn: &&ConnId| {
            let live = self.peers.get(**conn).and_then(|peer| peer.live());
            live.is_some_and(|live| live.device_id.as_deref() == Some(device))
        };
        let conns: Vec<ConnId> = all.iter().filter(is_its).copied().collect();
        for conn in conns {
            self.close(conn, 1008, why);
        }
    }
}
