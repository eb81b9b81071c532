//! `device.pair.list/approve/reject` and `device.token.rotate/revoke`: who is let in, and
//! for how long.
//!
//! A device without admin sees and manages itself alone; to it every other device, and every
//! request of another, does not exist.

mod rows;

use crate::gateway::auth::approval::{Actor, Forbidden, Grant};
use crate::gateway::auth::scope::{Scope, ScopeSet};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Device, DeviceToken, PendingPairing, Record, Role};
use crate::wire::json::Writer;
use std::sync::Arc;

const UNKNOWN_REQUEST: &str = "unknown requestId";
const UNKNOWN_DEVICE: &str = "unknown deviceId/role";

/// `device.pair.list`: what waits and what is paired, newest first.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    let actor = gateway.actor(call.conn);
    gateway.reply(call, |gateway, w| gateway.write_pairings(w, &actor.view()));
    Ok(Outcome::Done)
}

/// `device.pair.approve`: gives a device what its request asked for, and nothing else.
pub fn approve(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let pending = gateway.pending_to_decide(call, params)?;
    let row = gateway
        .approved_row(&pending, &gateway.actor(call.conn).view())
        .map_err(|forbidden| refused(forbidden, UNKNOWN_REQUEST))?;
    let row = gateway.with_tokens(row, &pending);
    gateway.decide(call, pending, Some(row))
}

/// `device.pair.reject`: forgets a request.
pub fn reject(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let pending = gateway.pending_to_decide(call, params)?;
    gateway.decide(call, pending, None)
}

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

/// The scopes that a rotation asks for; None where it asks for the same again.
fn wanted_scopes(params: Params<'_, '_>) -> Result<Option<ScopeSet>, Refusal> {
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

/// What a manager of this role's token has to stand above.
fn managed(device: &Device, role: Role, scopes: ScopeSet) -> Grant<'_> {
    Grant {
        device: &device.device_id,
        scopes,
        commands: match role {
            Role::Node => &device.commands,
            Role::Operator => &[],
        },
    }
}

/// The scopes that a request asks for in a role; a node has none.
fn asked(pending: &PendingPairing, role: Role) -> ScopeSet {
    match role {
        Role::Operator => ScopeSet::of_texts(&pending.scopes),
        Role::Node => ScopeSet::EMPTY,
    }
}

fn refused(forbidden: Forbidden, unknown: &'static str) -> Refusal {
    match forbidden {
        Forbidden::Invisible => Refusal::invalid(unknown),
        told => Refusal::invalid(told.to_string()),
    }
}

/// The operator who manages devices, apart from its connection.
struct OwnActor {
    scopes: ScopeSet,
    device: Option<Box<str>>,
}

impl OwnActor {
    fn view(&self) -> Actor<'_> {
        Actor {
            scopes: self.scopes,
            device: self.device.as_deref(),
        }
    }
}

impl Gateway {
    fn actor(&self, conn: ConnId) -> OwnActor {
        let live = self.peers.get(conn).and_then(|peer| peer.live());
        OwnActor {
            scopes: live.map_or(ScopeSet::EMPTY, |live| live.scopes),
            device: live.and_then(|live| live.device_id.clone()),
        }
    }

    /// The request that the caller decides about; its records and its device's are free.
    fn pending_to_decide(
        &self,
        call: Call<'_>,
        params: Params<'_, '_>,
    ) -> Result<Arc<PendingPairing>, Stop> {
        if self.commits.is_reserved(&Key::Pairings) {
            return Err(Stop::Busy);
        }
        let actor = self.actor(call.conn);
        let pending = self
            .state
            .pairings()
            .get(params.required_text("requestId"))
            .filter(|pending| !self.has_expired(pending))
            .filter(|pending| actor.view().sees(&pending.device_id))
            .ok_or_else(|| Refusal::invalid(UNKNOWN_REQUEST))?;
        if self.is_being_paired(&pending.device_id) {
            return Err(Stop::Busy);
        }
        Ok(pending.clone())
    }

    /// The device's row with what the request asked for.
    ///
    /// # Errors
    ///
    /// The actor may not give all that the device would then hold in these roles.
    fn approved_row(
        &self,
        pending: &PendingPairing,
        actor: &Actor<'_>,
    ) -> Result<Device, Forbidden> {
        let mut row = self.device_row(
            &pending.device_id,
            &pending.public_key,
            pending.client.clone(),
        );
        for role in &pending.roles {
            let is_new_role = row.grant(*role).is_none();
            let grant = row.grant_mut(*role);
            let scopes = ScopeSet::of_texts(&grant.scopes).union(asked(pending, *role));
            grant.scopes = scopes.to_texts();
            if *role == Role::Node {
                row.caps = pending.caps.clone();
                row.commands = pending.commands.clone();
            }
            actor.may_approve(&managed(&row, *role, scopes), is_new_role)?;
        }
        Ok(row)
    }

    /// The row with a good token for each role: the one that the device has, which now also
    /// carries what was asked for, or a fresh one. A revoked token never comes back.
    fn with_tokens(&mut self, mut row: Device, pending: &PendingPairing) -> Device {
        for role in &pending.roles {
            let grant = row.grant_mut(*role);
            let approved = grant.scopes.clone();
            match &mut grant.token {
                Some(token) if token.revoked_at_ms.is_none() => {
                    let held = ScopeSet::of_texts(&token.scopes);
                    token.scopes = held.union(asked(pending, *role)).to_texts();
                }
                token => *token = Some(self.new_token(approved)),
            }
        }
        row
    }

    /// Stores a decision, the device's row where it was approved, then tells those who watch
    /// and answers.
    fn decide(
        &mut self,
        call: Call<'_>,
        pending: Arc<PendingPairing>,
        approved: Option<Device>,
    ) -> Handled {
        let is_approved = approved.is_some();
        let decision = if is_approved { "approved" } else { "rejected" };
        let keys = vec![
            Key::Pairings,
            Key::Device(pending.device_id.as_ref().into()),
        ];
        let mut records = vec![Record::PairingRemove {
            request_id: pending.request_id.clone(),
        }];
        records.extend(approved.map(|row| Record::DevicePut(Arc::new(row))));
        let call = call.keep();
        self.commit(keys, records, move |gateway, now, result| {
            if let Err(fault) = result {
                return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
            }
            let line = LogLine::new(now.unix_ms, Level::Info, "gateway/devices", decision)
                .with("device", &*pending.device_id)
                .with("request", &*pending.request_id);
            gateway.log_with(line);
            gateway.tell_resolved(&pending, decision);
            gateway.reply_kept(&call, |gateway, w| {
                w.object(|w| {
                    w.field_str("requestId", &pending.request_id);
                    match gateway.state.devices().get(&pending.device_id) {
                        Some(device) if is_approved => {
                            w.key("device");
                            rows::write_device(w, device);
                        }
                        _ => w.field_str("deviceId", &pending.device_id),
                    }
                });
            });
        });
        Ok(Outcome::Later)
    }

    /// The device and role that the caller names, as far as it may know of them.
    fn device_to_manage(
        &self,
        call: Call<'_>,
        params: Params<'_, '_>,
    ) -> Result<(Arc<Device>, Role), Stop> {
        let id = params.required_text("deviceId");
        if self.commits.is_reserved(&Key::Device(id.into())) {
            return Err(Stop::Busy);
        }
        let actor = self.actor(call.conn);
        let device = self
            .state
            .devices()
            .get(id)
            .filter(|device| actor.view().sees(&device.device_id));
        match (device, Role::parse(params.required_text("role"))) {
            (Some(device), Some(role)) => Ok((device.clone(), role)),
            _ => Err(Refusal::invalid(UNKNOWN_DEVICE).into()),
        }
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
                gateway.close_device_peers(&id, role);
            },
        );
        Ok(Outcome::Later)
    }

    /// Closes every connection of a device in a role; what it still waits for is dropped.
    fn close_device_peers(&mut self, device: &str, role: Role) {
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
            self.close(conn, 1008, "device token changed");
        }
    }
}
