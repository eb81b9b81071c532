//! Requests for pairing: made by `connect`, shown to operators, forgotten in time.

use super::auth::approval::Sought;
use super::broadcast::Weight;
use super::commit::Key;
use super::connect::Halt;
use super::{Code, Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::{PAIRING_TTL_MS, PAIRINGS_PENDING_MAX};
use crate::state::{PendingPairing, Record, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

impl Gateway {
    /// Whether records of this device, or of pending pairings, are being written.
    pub(super) fn is_being_paired(&self, device_id: &str) -> bool {
        self.commits.is_reserved(&Key::Pairings)
            || self.commits.is_reserved(&Key::Device(device_id.into()))
    }

    /// The pending request of a device, if it has not expired.
    pub(super) fn pending_of(&self, device_id: &str) -> Option<&Arc<PendingPairing>> {
        self.state
            .pairings()
            .values()
            .find(|pending| *pending.device_id == *device_id)
            .filter(|pending| !self.has_expired(pending))
    }

    /// Whether nobody decided in time.
    pub(super) fn has_expired(&self, pending: &PendingPairing) -> bool {
        self.now.unix_ms >= pending.ts + PAIRING_TTL_MS
    }

    /// Refuses a `connect` with the id of a pairing request, made where there is none that
    /// covers exactly what was asked for: an approval never gives what nobody saw.
    pub(super) fn request_pairing(
        &mut self,
        conn: ConnId,
        id: &str,
        sought: PendingPairing,
    ) -> Result<(), Halt> {
        let old = self.pending_of(&sought.device_id);
        if let Some(old) = old
            && Sought::from(&sought).is_covered_by(&Sought::from(&**old))
        {
            return Err(pairing_required(&old.request_id).into());
        }
        let mut records: Vec<Record> = Vec::new();
        for pending in self.state.pairings().values() {
            if self.has_expired(pending) || pending.device_id == sought.device_id {
                records.push(Record::PairingRemove {
                    request_id: pending.request_id.clone(),
                });
            }
        }
        if self.state.pairings().len() - records.len() >= PAIRINGS_PENDING_MAX {
            let text = "too many pairing requests wait for approval \
                        (run: clawdia devices list, then approve or reject)";
            return Err(Refusal::unavailable(text).into());
        }
        let sought = Arc::new(sought);
        records.push(Record::PairingPut(sought.clone()));
        self.start_joining(conn);
        let id: Box<str> = id.into();
        self.commit(vec![Key::Pairings], records, move |gateway, _, result| {
            let refusal = match result {
                Ok(()) => {
                    gateway.broadcast("device.pair.requested", Weight::Must, None, |_, w| {
                        write_pending(w, &sought);
                    });
                    pairing_required(&sought.request_id)
                }
                Err(fault) => Refusal::not_stored(&fault),
            };
            gateway.refuse_connect(conn, &id, &refusal, 1008);
        });
        Ok(())
    }

    /// Tells those who watch how a request was decided.
    pub(super) fn tell_resolved(&mut self, pending: &PendingPairing, decision: &str) {
        self.broadcast("device.pair.resolved", Weight::Must, None, |gateway, w| {
            w.object(|w| {
                w.field_str("requestId", &pending.request_id);
                w.field_str("deviceId", &pending.device_id);
                w.field_str("decision", decision);
                w.field_u64("ts", gateway.now.unix_ms);
            });
        });
    }

    /// Drops requests that nobody decided in time.
    pub(super) fn forget_pairings(&mut self) {
        if self.commits.is_reserved(&Key::Pairings) {
            return;
        }
        let expired: Vec<Text> = self
            .state
            .pairings()
            .values()
            .filter(|pending| self.has_expired(pending))
            .map(|pending| pending.request_id.clone())
            .collect();
        if expired.is_empty() {
            return;
        }
        let records = expired
            .into_iter()
            .map(|request_id| Record::PairingRemove { request_id })
            .collect();
        // A failure is no loss: expired requests count for nothing and are tried again.
        self.commit(vec![Key::Pairings], records, |_, _, _| {});
    }
}

fn pairing_required(request_id: &str) -> Refusal {
    Refusal::new(Code::NotPaired, super::auth::pairing::PAIRING_REQUIRED).with_details(|w| {
        w.object(|w| w.field_str("requestId", request_id));
    })
}

/// Writes a pending request as the event and `device.pair.list` show it.
pub(super) fn write_pending(w: &mut Writer<'_>, pending: &PendingPairing) {
    w.object(|w| {
        w.field_str("requestId", &pending.request_id);
        w.field_str("deviceId", &pending.device_id);
        w.field_str("publicKey", &pending.public_key);
        write_client(w, &pending.client);
        if let Some(role) = pending.roles.first() {
            w.field_str("role", role.as_str());
        }
        w.field_strs("roles", pending.roles.iter().map(|role| role.as_str()));
        w.field_strs("scopes", pending.scopes.iter().map(|scope| &**scope));
        for (name, list) in [("caps", &pending.caps), ("commands", &pending.commands)] {
            if !list.is_empty() {
                w.field_strs(name, list.iter().map(|text| &**text));
            }
        }
        w.field_bool("silent", pending.silent);
        w.field_bool("isRepair", pending.is_repair);
        w.field_u64("ts", pending.ts);
    });
}

/// Writes what a client said of itself, as members of the object that is open.
pub(super) fn write_client(w: &mut Writer<'_>, client: &crate::state::ClientFacts) {
    for (name, value) in [
        ("displayName", &client.display_name),
        ("platform", &client.platform),
        ("clientId", &client.client_id),
        ("clientMode", &client.client_mode),
        ("remoteIp", &client.remote_ip),
    ] {
        w.field_opt_str(name, value.as_deref());
    }
}
