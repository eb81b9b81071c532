//! `device.pair.list/approve/reject`: who is let in.
//!
//! A device without admin sees and manages itself alone; to it every other device, and every
//! request of another, does not exist.

pub mod code;
mod rows;
pub mod tokens;

use crate::gateway::auth::approval::{Actor, Forbidden, Grant};
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{Device, PendingPairing, Record, Role};
use std::sync::Arc;

const UNKNOWN_REQUEST: &str = "unknown requestId";

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

pub(super) fn refused(forbidden: Forbidden, unknown: &'static str) -> Refusal {
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
    /// Whether lists show this device to the operator of a connection.
    pub(super) fn actor_sees(&self, conn: ConnId, device_id: &str) -> bool {
        self.actor(conn).view().sees(device_id)
    }

    /// Whether the operator of a connection may give or take all this.
    pub(super) fn may_manage(&self, conn: ConnId, grant: &Grant<'_>) -> Result<(), Forbidden> {
        self.actor(conn).view().may_manage(grant)
    }

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
            &pending.roles,
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
                            let seen_ms = gateway.last_connected_ms(device);
                            let is_here = gateway.is_connected(&device.device_id);
                            rows::write_device(w, device, is_here, seen_ms);
                        }
                        _ => w.field_str("deviceId", &pending.device_id),
                    }
                });
            });
        });
        Ok(Outcome::Later)
    }
}
