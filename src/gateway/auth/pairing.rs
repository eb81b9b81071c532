//! The last step of a `connect`: may this party in, as what, and does it need pairing first.
//!
//! To be asked once the proof has verified and the secret has matched: there is no way to
//! say "unproven" here.

use super::origin::Provenance;
use super::scope::{Role, ScopeSet};
use crate::state::Device;

/// What matched when the secret was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The gateway's shared token or password.
    Shared,
    /// A program of the gateway's own user, by the kernel's word; it could read the secret.
    Owner,
    /// A device token of this device for this role, with its scopes.
    DeviceToken(ScopeSet),
    /// An identity that somebody else vouched for, such as a tailnet login.
    Identity,
    /// A code, now used up, that an operator made for this role and these scopes.
    Code(ScopeSet),
}

impl Proven {
    /// Whether it counts as knowing the shared secret.
    pub const fn knows_secret(self) -> bool {
        matches!(self, Self::Shared | Self::Owner)
    }
}

/// How the device that proved itself stands with the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Never paired, or removed.
    Unknown,
    /// Paired, but not for the role asked for.
    OtherRole,
    /// A node that declares commands, or a platform, that nobody approved.
    Changed,
    /// Paired for the role asked for, with these scopes approved.
    Paired(ScopeSet),
}

impl Standing {
    /// How the device with this row stands when it asks for `role`.
    pub fn of(device: Option<&Device>, role: Role) -> Self {
        let Some(device) = device else {
            return Self::Unknown;
        };
        match device.grant(role) {
            Some(grant) => Self::Paired(ScopeSet::of_texts(&grant.scopes)),
            None => Self::OtherRole,
        }
    }
}

/// A `connect` that proved who it is.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The role asked for.
    pub role: Role,
    /// The known scopes among those asked for.
    pub scopes: ScopeSet,
    /// What matched.
    pub proven: Proven,
    /// The device of the verified proof; None where no proof was sent.
    pub device: Option<Standing>,
    /// Whether the connection is local.
    pub local: bool,
    /// Where the upgrade came from.
    pub origin: &'a Provenance,
    /// `gateway.controlUi.allowInsecureAuth`.
    pub allow_insecure_auth: bool,
}

/// What becomes of a `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it in.
    Admit {
        /// The connection's scopes.
        granted: ScopeSet,
    },
    /// Pair the device without asking, then let it in.
    AdmitAndPair {
        /// The connection's scopes.
        granted: ScopeSet,
        /// The scopes that the device is approved for from now on.
        approved: ScopeSet,
    },
    /// Make a pairing request and refuse with `pairing required`.
    NeedPairing(Standing),
    /// Refuse for good.
    Refuse(Refusal),
}

/// Why a party cannot come in even by pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Only a device can have what was asked for. The error code is `NOT_PAIRED`.
    DeviceRequired,
    /// A page that cannot keep a device key. The error code is `INVALID_REQUEST`.
    InsecureContext,
}

/// The message that goes with `NeedPairing`.
pub const PAIRING_REQUIRED: &str = "pairing required";

impl Refusal {
    /// What the peer is told.
    pub const fn text(self) -> &'static str {
        match self {
            Self::DeviceRequired => "device identity required",
            Self::InsecureContext => "control ui requires HTTPS or localhost (secure context)",
        }
    }
}

/// Decides about a `connect`.
pub fn decide(ask: &Ask) -> Decision {
    // Scopes are an operator's; a node's calls are bound by its role.
    let requested = match ask.role {
        Role::Operator => ask.scopes,
        Role::Node => ScopeSet::EMPTY,
    };
    match ask.device {
        None => without_device(ask, requested),
        Some(standing) => with_device(ask, standing, requested),
    }
}

fn without_device(ask: &Ask, requested: ScopeSet) -> Decision {
    if ask.role == Role::Node || !ask.proven.knows_secret() {
        return Decision::Refuse(Refusal::DeviceRequired);
    }
    if ask.origin.origin().is_some() && !ask.allow_insecure_auth {
        return Decision::Refuse(Refusal::InsecureContext);
    }
    Decision::Admit {
        granted: ScopeSet::ALL.cut(requested),
    }
}

fn with_device(ask: &Ask, standing: Standing, requested: ScopeSet) -> Decision {
    if let Proven::Code(scopes) = ask.proven {
        return Decision::AdmitAndPair {
            granted: scopes.cut(requested),
            approved: match standing {
                Standing::Paired(approved) => approved.union(scopes),
                _ => scopes,
            },
        };
    }
    match standing {
        Standing::Paired(approved) if approved.contains_all(requested) => {
            let held = match ask.proven {
                Proven::DeviceToken(scopes) => scopes,
                Proven::Shared | Proven::Owner | Proven::Identity | Proven::Code(_) => approved,
            };
            Decision::Admit {
                granted: held.cut(approved.cut(requested)),
            }
        }
        _ if may_pair_silently(ask) => Decision::AdmitAndPair {
            granted: requested,
            approved: match (ask.role, standing) {
                (Role::Node, _) => ScopeSet::EMPTY,
                (Role::Operator, Standing::Paired(approved)) => approved.union(requested),
                // All at once, or a first connection that only reads could approve nobody.
                (Role::Operator, _) => ScopeSet::ALL,
            },
        },
        _ => Decision::NeedPairing(standing),
    }
}

/// The shared secret on this very machine gives all that silent pairing gives, unless it
/// was another site's page that spoke.
fn may_pair_silently(ask: &Ask) -> bool {
    ask.local && ask.proven.knows_secret() && ask.origin.may_pair_silently()
}

#[cfg(test)]
mod tests;
