//! The checks of a `connect`: proof, then secret.

use super::{Connect, Halt};
use crate::gateway::auth::limiter::{Guesser, Locked, SecretKind};
use crate::gateway::auth::pairing::Proven;
use crate::gateway::auth::proof::{self, Claim, Expected, Proof, ProofError, Signed, Version};
use crate::gateway::auth::secret::SecretFault;
use crate::gateway::params::Params;
use crate::gateway::peer::Challenged;
use crate::gateway::{Code, Gateway, Refusal};

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
            token: connect.signed_secret(),
            platform: connect.client.text("platform").unwrap_or(""),
            device_family: connect.client.text("deviceFamily").unwrap_or(""),
        };
        let expected = Expected {
            nonce: &challenged.nonce,
            local: challenged.client.local,
            unix_ms: self.now.unix_ms,
            first: self.proof_versions[usize::from(connect.protocol > 3)],
        };
        proof::verify(&claim, &signed, &expected).map_err(refused_proof)
    }

    /// Uses a proof up whose sender showed a secret that is right, and keeps in mind what such clients sign.
    pub(super) fn spend_proof(
        &mut self,
        connect: &Connect<'_, '_>,
        proof: Proof,
    ) -> Result<String, Halt> {
        if proof.version() != Version::V1 {
            self.proof_versions[usize::from(connect.protocol > 3)] = proof.version();
        }
        proof
            .spend(&mut self.replays, self.now.unix_ms)
            .map_err(refused_proof)
    }

    /// The gateway's own user needs none. Else the device's own token, the gateway's secret, or a
    /// person that the tailnet's daemon knows. Guesses at the secret are counted; a valid device
    /// token and a known person pass even while they are locked.
    pub(super) fn check_secret(
        &mut self,
        connect: &Connect<'_, '_>,
        device_id: Option<&str>,
        challenged: &Challenged,
    ) -> Result<Proven, Halt> {
        if challenged.client.owner {
            return Ok(Proven::Owner);
        }
        let shown = [connect.auth.text("token"), connect.auth.text("deviceToken")];
        if let Some(scopes) = device_id.and_then(|device| {
            shown
                .iter()
                .flatten()
                .find_map(|token| self.device_token_scopes(device, connect.role, token))
        }) {
            return Ok(Proven::DeviceToken(scopes));
        }
        if let (Some(code), true) = (connect.code(), nothing_shown(connect)) {
            return self.redeem_code(connect, code, device_id, challenged);
        }
        // While guesses are locked nobody learns whether one was right.
        let checked = self.guesser(challenged, SecretKind::Shared).map(|guesser| {
            let password = connect.auth.text("password");
            (guesser, self.loaded.secret.check(connect.token(), password))
        });
        if !matches!(checked, Ok((_, Ok(()))))
            && device_id.is_some()
            && self.is_vouched_for(challenged)?
        {
            return Ok(Proven::Identity);
        }
        let (guesser, checked) = checked?;
        match checked {
            Ok(()) => Ok(Proven::Shared),
            Err(SecretFault::Missing(_)) if nothing_shown(connect) && device_id.is_none() => {
                Err(Refusal::new(Code::NotPaired, "device identity required").into())
            }
            Err(fault) => {
                // Whoever shows what was this device's token guesses nothing.
                let was_its_own = device_id.is_some_and(|device| {
                    let was = |token| self.was_token_of(device, connect.role, token);
                    shown.into_iter().flatten().any(was)
                });
                if fault.is_guess() && !was_its_own {
                    self.limiter.failed(guesser, self.now.mono_ms);
                }
                Err(Refusal::invalid(fault.text()).into())
            }
        }
    }
}

/// The code is wrong, or was right once.
const CODE_REFUSED: &str =
    "unauthorized: pairing code unknown, used or expired (run: clawdia devices pair)";

impl Gateway {
    /// Uses a pairing code up. A wrong one is a guess; a right one for another role is none.
    fn redeem_code(
        &mut self,
        connect: &Connect<'_, '_>,
        code: &str,
        device_id: Option<&str>,
        challenged: &Challenged,
    ) -> Result<Proven, Halt> {
        if device_id.is_none() {
            return Err(Refusal::new(Code::NotPaired, "device identity required").into());
        }
        let guesser = self.guesser(challenged, SecretKind::SetupCode)?;
        let mono_ms = self.now.mono_ms;
        match self.codes.redeem(code, connect.role, mono_ms) {
            Ok(grant) => Ok(Proven::Code(grant.scopes)),
            Err(Some(role)) => {
                let text = format!("unauthorized: pairing code is for role {}", role.as_str());
                Err(Refusal::invalid(text).into())
            }
            Err(None) => {
                self.limiter.failed(guesser, mono_ms);
                Err(Refusal::invalid(CODE_REFUSED).into())
            }
        }
    }

    /// On whom a wrong secret is counted, if it is counted at all.
    ///
    /// # Errors
    ///
    /// Whoever it is has guessed too often.
    fn guesser(
        &self,
        challenged: &Challenged,
        kind: SecretKind,
    ) -> Result<Option<Guesser>, Refusal> {
        let origin = challenged.provenance.origin();
        let admitted = self
            .limiter
            .admit(&challenged.client, origin, kind, self.now.mono_ms);
        admitted.map_err(|locked| Refusal {
            retryable: true,
            retry_after_ms: Some(locked.retry_after_ms),
            ..Refusal::invalid(Locked::TEXT)
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

#[cfg(test)]
mod tests {
    use super::Version;
    use crate::driver::device::{Device, Proof};
    use crate::driver::{Address, Driver, TOKEN, operator_params};

    #[test]
    fn what_clients_of_a_version_signed_last_is_tried_first() {
        let mut driver = Driver::default();
        let mut first = |proof, token: &str| {
            let conn = driver.open(&Address::default());
            let mut params = operator_params();
            params["auth"]["token"] = token.into();
            driver.connect(conn, params, Some((&Device::new(1), proof)));
            driver.gateway.proof_versions[0]
        };
        let wrong = "not the secret of this gateway";
        assert_eq!(first(Proof::V3, wrong), Version::V2, "who shows no secret");
        assert_eq!(first(Proof::V3, TOKEN), Version::V3);
        assert_eq!(first(Proof::V1, TOKEN), Version::V3);
        assert_eq!(first(Proof::V2, TOKEN), Version::V2);
    }
}
