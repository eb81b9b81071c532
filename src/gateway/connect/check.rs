//! The checks of a `connect`: proof, secret, pairing.

use super::{Connect, Halt};
use crate::gateway::auth::limiter::{Guesser, Locked, SecretKind};
use crate::gateway::auth::pairing::{Proven, Standing};
use crate::gateway::auth::proof::{self, Claim, Expected, Proof, ProofError, Signed};
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::auth::secret::{SecretFault, equal};
use crate::gateway::params::Params;
use crate::gateway::peer::Challenged;
use crate::gateway::{Code, Gateway, Refusal};
use crate::state::{ClientFacts, Device, DeviceToken, PendingPairing, Role, Text, no_texts};
use std::sync::Arc;

impl Gateway {
    pub(super) fn verify_proof(
        &self,
        connect: &Connect<'_, '_>,
        device: Params<'_, '_>,
        challenged: &Challenged,
    ) -> Result<Proof, Halt> {
        let claim = Claim {
            id: device.required_text("id"),
            public_key: device.required_text("publicKey"),
            signature: device.required_text("signature"),
            signed_at_ms: device.u64("signedAt").unwrap_or(0),
            nonce: device.text("nonce"),
        };
        let signed = Signed {
            client_id: connect.client.required_text("id"),
            client_mode: connect.client.required_text("mode"),
            role: connect.role.as_str(),
            scopes: &connect.scope_names,
            token: connect.token().unwrap_or(""),
            platform: connect.client.text("platform").unwrap_or(""),
            device_family: connect.client.text("deviceFamily").unwrap_or(""),
        };
        let expected = Expected {
            nonce: &challenged.nonce,
            local: challenged.client.local,
            unix_ms: self.now.unix_ms,
        };
        proof::verify(&claim, &signed, &expected).map_err(refused_proof)
    }

    /// The device's own token, or the gateway's secret. Guesses at the latter are counted;
    /// a valid device token passes even while they are locked.
    pub(super) fn check_secret(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: Option<&str>,
        challenged: &Challenged,
    ) -> Result<Proven, Halt> {
        let shown = [connect.auth.text("token"), connect.auth.text("deviceToken")];
        if let Some(scopes) = device_id.and_then(|device| {
            shown
                .iter()
                .flatten()
                .find_map(|token| self.device_token_scopes(device, connect.role, token))
        }) {
            return Ok(Proven::DeviceToken(scopes));
        }
        let origin = challenged.provenance.origin();
        let guesser = Guesser::new(&challenged.client, origin, SecretKind::Shared);
        if let Some(guesser) = guesser {
            self.limiter
                .check(guesser, self.now.mono_ms)
                .map_err(|locked| Refusal {
                    retryable: true,
                    retry_after_ms: Some(locked.retry_after_ms),
                    ..Refusal::invalid(Locked::TEXT)
                })?;
        }
        match self
            .loaded
            .secret
            .check(connect.token(), connect.auth.text("password"))
        {
            Ok(()) => Ok(Proven::Shared),
            Err(SecretFault::Missing(_)) if nothing_shown(connect) && device_id.is_none() => {
                Err(Refusal::new(Code::NotPaired, "device identity required").into())
            }
            Err(fault) => {
                if let (true, Some(guesser)) = (fault.is_guess(), guesser) {
                    self.limiter.failed(guesser, self.now.mono_ms);
                }
                Err(Refusal::invalid(fault.text()).into())
            }
        }
    }

    /// The scopes of a device token, if it is this device's for this role and not revoked.
    fn device_token_scopes(&self, device: &str, role: Role, shown: &str) -> Option<ScopeSet> {
        let token = self
            .state
            .devices()
            .get(device)?
            .grant(role)?
            .token
            .as_ref()?;
        let good = token.revoked_at_ms.is_none() && equal(token.token.as_bytes(), shown.as_bytes());
        good.then(|| ScopeSet::parse(token.scopes.iter().map(|scope| &**scope)))
    }

    pub(super) fn standing(&self, device: &str, role: Role) -> Standing {
        match self.state.devices().get(device) {
            None => Standing::Unknown,
            Some(device) => match device.grant(role) {
                None => Standing::OtherRole,
                Some(grant) => {
                    Standing::Paired(ScopeSet::parse(grant.scopes.iter().map(|scope| &**scope)))
                }
            },
        }
    }

    /// The row of a device that is approved here and now.
    pub(super) fn paired_silently(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: &str,
        approved: ScopeSet,
        challenged: &Challenged,
    ) -> Device {
        let public_key = connect
            .device
            .map_or("", |device| device.required_text("publicKey"));
        let mut row = self.device_row(device_id, public_key, connect.facts(challenged.client.ip));
        let scopes: Arc<[Text]> = approved.names().map(Text::from).collect();
        if connect.role == Role::Node {
            row.caps = connect.params.texts("caps").map(Text::from).collect();
            row.commands = connect.params.texts("commands").map(Text::from).collect();
        }
        let grant = row.grant_mut(connect.role);
        grant.scopes = scopes.clone();
        if let Some(token) = &mut grant.token {
            token.scopes = scopes;
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
        let texts = |name: &str| connect.params.texts(name).map(Text::from).collect();
        PendingPairing {
            request_id: self.uuid().into(),
            device_id: device_id.into(),
            public_key: connect
                .device
                .map_or("", |device| device.required_text("publicKey"))
                .into(),
            client: connect.facts(challenged.client.ip),
            roles: vec![connect.role],
            scopes: connect.scopes.names().map(Text::from).collect(),
            caps: texts("caps"),
            commands: texts("commands"),
            silent: false,
            is_repair: standing != Standing::Unknown,
            ts: self.now.unix_ms,
        }
    }

    /// A device's row as it is, or a new one.
    pub(in crate::gateway) fn device_row(
        &self,
        device_id: &str,
        public_key: &str,
        client: ClientFacts,
    ) -> Device {
        match self.state.devices().get(device_id) {
            Some(row) => Device {
                client,
                approved_at_ms: self.now.unix_ms,
                ..Device::clone(row)
            },
            None => Device {
                device_id: device_id.into(),
                public_key: public_key.into(),
                client,
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
    pub(in crate::gateway) fn new_token(&mut self, scopes: Arc<[Text]>) -> Box<DeviceToken> {
        Box::new(DeviceToken {
            token: self.random_hex().into(),
            scopes,
            created_at_ms: self.now.unix_ms,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        })
    }
}

pub(super) fn refused_proof(fault: ProofError) -> Halt {
    Refusal::invalid(fault.text()).into()
}

fn nothing_shown(connect: &Connect<'_, '_>) -> bool {
    let shown = |name: &str| connect.auth.text(name).is_some_and(|text| !text.is_empty());
    !shown("token") && !shown("password") && !shown("deviceToken")
}
