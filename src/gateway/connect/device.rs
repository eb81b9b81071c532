//! What a `connect` reads and changes of its device's row.

use super::Connect;
use crate::gateway::Gateway;
use crate::gateway::auth::pairing::Standing;
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::auth::secret::equal;
use crate::gateway::commit::Key;
use crate::gateway::nodes::policy::Platform;
use crate::gateway::nodes::sorted;
use crate::gateway::peer::{Challenged, SecretUsed};
use crate::ids::ConnId;
use crate::limits::DEVICE_SEEN_INTERVAL_MS;
use crate::state::{
    ClientFacts, Device, DeviceToken, PendingPairing, Record, Role, Texts, no_texts,
};
use std::sync::Arc;

impl Gateway {
    /// The row of a paired device.
    pub(super) fn device(&self, device_id: &str) -> Option<&Device> {
        self.state.devices().get(device_id).map(|row| &**row)
    }

    /// How the device stands with what it asks for now.
    pub(super) fn standing(&self, device_id: &str, connect: &Connect<'_, '_>) -> Standing {
        let row = self.device(device_id);
        let standing = Standing::of(row, connect.role);
        let (Some(row), Standing::Paired(_), Role::Node) = (row, standing, connect.role) else {
            return standing;
        };
        let is_approved = |command: &str| row.commands.iter().any(|it| **it == *command);
        let client = connect.client;
        let platform = Platform::of(client.text("platform"), client.text("deviceFamily"));
        if platform == Platform::of_client(&row.client)
            && connect
                .params
                .texts("commands")
                .map(str::trim)
                .all(is_approved)
        {
            standing
        } else {
            Standing::Changed
        }
    }

    /// The scopes of a device token, if it is this device's for this role and not revoked.
    pub(super) fn device_token_scopes(
        &self,
        device_id: &str,
        role: Role,
        shown: &str,
    ) -> Option<ScopeSet> {
        let token = self.device(device_id)?.grant(role)?.token.as_ref()?;
        let good = equal(token.token.as_bytes(), shown.as_bytes()) && is_good(token);
        good.then(|| ScopeSet::of_texts(&token.scopes))
    }

    /// Whether this was the device's token until it was revoked.
    pub(super) fn was_token_of(&self, device_id: &str, role: Role, shown: &str) -> bool {
        let grant = self.device(device_id).and_then(|row| row.grant(role));
        grant
            .and_then(|grant| grant.token.as_ref())
            .is_some_and(|token| !is_good(token) && equal(token.token.as_bytes(), shown.as_bytes()))
    }

    /// The row of a device that is approved here and now. A token that it has stays and now
    /// also carries what was asked for, which the shared secret was shown for; it does not
    /// get back what somebody took from it.
    pub(super) fn paired_silently(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: &str,
        granted: ScopeSet,
        approved: ScopeSet,
        challenged: &Challenged,
    ) -> Device {
        let public_key = connect
            .device
            .map_or("", |device| device.required_text("publicKey"));
        let facts = connect.facts(challenged.client.ip);
        let mut row = self.device_row(device_id, public_key, facts, &[connect.role]);
        if connect.role == Role::Node {
            row.caps = sorted(connect.params.texts("caps"));
            row.commands = sorted(connect.params.texts("commands"));
        }
        let grant = row.grant_mut(connect.role);
        grant.scopes = approved.to_texts();
        if let Some(token) = grant.token.as_mut().filter(|token| is_good(token)) {
            let held = ScopeSet::of_texts(&token.scopes);
            token.scopes = held.union(granted).to_texts();
        }
        row
    }

    /// What a person is asked to approve.
    pub(super) fn pairing_of(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: &str,
        standing: Standing,
        challenged: &Challenged,
    ) -> PendingPairing {
        let texts = |name: &str| sorted(connect.params.texts(name));
        PendingPairing {
            request_id: self.uuid().into(),
            device_id: device_id.into(),
            public_key: connect
                .device
                .map_or("", |device| device.required_text("publicKey"))
                .into(),
            client: connect.facts(challenged.client.ip),
            roles: vec![connect.role],
            scopes: connect.scopes.to_texts(),
            caps: texts("caps"),
            commands: texts("commands"),
            silent: false,
            is_repair: standing != Standing::Unknown,
            ts: self.now.unix_ms,
        }
    }

    /// A device's row as it is, or a new one, to be approved for `roles`. What a node may be
    /// asked follows its platform, so only an approval of the node itself changes that.
    pub(in crate::gateway) fn device_row(
        &self,
        device_id: &str,
        public_key: &str,
        mut client: ClientFacts,
        roles: &[Role],
    ) -> Device {
        let row = self.state.devices().get(device_id);
        if let Some(row) = row
            && row.grant(Role::Node).is_some()
            && !roles.contains(&Role::Node)
        {
            client.platform.clone_from(&row.client.platform);
            client.device_family.clone_from(&row.client.device_family);
        }
        match row {
            Some(row) => Device {
                client,
                approved_at_ms: self.now.unix_ms,
                ..Device::clone(row)
            },
            None => Device {
                device_id: device_id.into(),
                public_key: public_key.into(),
                client,
                name: None,
                grants: Vec::new(),
                caps: no_texts(),
                commands: no_texts(),
                created_at_ms: self.now.unix_ms,
                approved_at_ms: self.now.unix_ms,
                last_seen_ms: self.now.unix_ms,
            },
        }
    }

    /// A fresh token for a grant.
    pub(in crate::gateway) fn new_token(&mut self, scopes: Texts) -> Box<DeviceToken> {
        Box::new(DeviceToken {
            token: self.random_hex().into(),
            scopes,
            created_at_ms: self.now.unix_ms,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        })
    }

    /// Notes that a device was here, once its hello is out. Once a day is enough, so that
    /// connecting writes nothing as a rule.
    pub(super) fn note_seen(&mut self, conn: ConnId) {
        let now_ms = self.now.unix_ms;
        let Some(live) = self.peers.get(conn).and_then(|peer| peer.live()) else {
            return;
        };
        let Some(row) = live.device_id.as_deref().and_then(|id| self.device(id)) else {
            return;
        };
        let key = Key::Device(row.device_id.as_ref().into());
        if now_ms < row.last_seen_ms + DEVICE_SEEN_INTERVAL_MS || self.commits.is_reserved(&key) {
            return;
        }
        let mut row = row.clone();
        row.last_seen_ms = now_ms;
        row.client.remote_ip = Some(live.client.ip.to_string().into());
        let grant = row.grants.iter_mut().find(|grant| grant.role == live.role);
        if live.secret == SecretUsed::Device
            && let Some(token) = grant.and_then(|grant| grant.token.as_mut())
        {
            token.last_used_at_ms = Some(now_ms);
        }
        // A failure is no loss: the next visit is noted.
        self.commit(
            vec![key],
            vec![Record::DevicePut(Arc::new(row))],
            |_, _, _| {},
        );
    }
}

/// Whether a token still lets its device in.
pub(super) fn is_good(token: &DeviceToken) -> bool {
    token.revoked_at_ms.is_none()
}
