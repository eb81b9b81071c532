//! Who may approve, rotate and revoke what, and when a pending request becomes another.

use std::collections::BTreeSet;
use std::fmt;

use super::scope::{Denied, Scope, ScopeSet};
use crate::state::{PendingPairing, Role, Text};

/// The operator connection that manages devices.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// The connection's granted scopes.
    pub scopes: ScopeSet,
    /// Its device; None for the shared secret alone.
    pub device: Option<&'a str>,
}

/// What a device holds or would hold.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The device.
    pub device: &'a str,
    /// The scopes of an operator; a node has none.
    pub scopes: ScopeSet,
    /// The commands that a node declares.
    pub commands: &'a [Text],
}

/// Why an actor may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The actor lacks this scope.
    Missing(Scope),
    /// To this actor the device does not exist: answer as for an unknown id.
    Invisible,
    /// The device was never approved for this scope.
    NotApproved(Scope),
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(scope) => Denied::Scope(*scope).fmt(f),
            Self::Invisible => f.write_str("unknown deviceId"),
            Self::NotApproved(scope) => write!(f, "device not approved for scope: {scope}"),
        }
    }
}

impl Actor<'_> {
    /// Whether lists show `device` to the actor. A device without admin sees only itself.
    pub fn sees(&self, device: &str) -> bool {
        let other = self.device.is_some_and(|own| own != device);
        self.scopes.allows(Scope::Pairing) && (!other || self.scopes.allows(Scope::Admin))
    }

    /// Whether the actor may be told the token of `device`: only that device itself.
    pub fn may_hold_token_of(&self, device: &str) -> bool {
        self.device == Some(device)
    }

    /// Whether the actor may approve a pairing or revoke a token. It must itself hold all
    /// that is given or taken, so nobody raises another above himself.
    pub fn may_manage(&self, grant: &Grant) -> Result<(), Forbidden> {
        let mut needed = grant.scopes.with(Scope::Pairing);
        if grant.commands.iter().any(|command| runs_programs(command)) {
            needed = needed.with(Scope::Admin);
        }
        if let Some(scope) = self.scopes.first_missing(needed) {
            return Err(Forbidden::Missing(scope));
        }
        if self.sees(grant.device) {
            Ok(())
        } else {
            Err(Forbidden::Invisible)
        }
    }

    /// Whether the actor may approve a request that adds up to `grant`. A device without
    /// admin gives itself no role that it has not: it would approve what it does not hold.
    pub fn may_approve(&self, grant: &Grant, is_new_role: bool) -> Result<(), Forbidden> {
        if is_new_role && self.device.is_some() && !self.scopes.allows(Scope::Admin) {
            return Err(Forbidden::Missing(Scope::Admin));
        }
        self.may_manage(grant)
    }

    /// Whether the actor may give the token of `current` the scopes `wanted`: what it may
    /// take and give, within what the device was approved for.
    pub fn may_rotate(
        &self,
        current: &Grant,
        wanted: ScopeSet,
        approved: ScopeSet,
    ) -> Result<(), Forbidden> {
        self.may_manage(&Grant {
            scopes: current.scopes.union(wanted),
            ..*current
        })?;
        match approved.first_missing(wanted) {
            Some(scope) => Err(Forbidden::NotApproved(scope)),
            None => Ok(()),
        }
    }
}

/// Commands by which whoever calls the node runs programs on it, or may change which run.
fn runs_programs(command: &str) -> bool {
    let under = |prefix: &str| {
        let rest = command.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    under("system.run") || under("system.execApprovals")
}

/// What an operator reads before approving.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// The device's key.
    pub public_key: &'a str,
    /// The roles asked for, in order.
    pub roles: &'a [Role],
    /// The scopes asked for.
    pub scopes: ScopeSet,
    /// The platform, which decides what a node may be asked to do.
    pub platform: &'a str,
    /// What a node declares that it has, in any order.
    pub caps: &'a [Text],
    /// The commands that a node declares, in any order.
    pub commands: &'a [Text],
}

impl<'a> From<&'a PendingPairing> for Sought<'a> {
    fn from(pending: &'a PendingPairing) -> Self {
        Self {
            public_key: &pending.public_key,
            roles: &pending.roles,
            scopes: ScopeSet::of_texts(&pending.scopes),
            platform: pending.client.platform.as_deref().unwrap_or_default(),
            caps: &pending.caps,
            commands: &pending.commands,
        }
    }
}

impl Sought<'_> {
    /// Whether an approval of `pending` would also be one of `self`. If not, the request
    /// gets a new id, so that no approval covers what nobody saw.
    pub fn is_covered_by(&self, pending: &Sought) -> bool {
        self.public_key == pending.public_key
            && self.roles == pending.roles
            && self.scopes == pending.scopes
            && self.platform == pending.platform
            && is_same_set(self.caps, pending.caps)
            && is_same_set(self.commands, pending.commands)
    }
}

fn is_same_set(one: &[Text], other: &[Text]) -> bool {
    let sorted = |texts: &[Text]| texts.iter().cloned().collect::<BTreeSet<_>>();
    sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRING: ScopeSet = ScopeSet::EMPTY.with(Scope::Pairing);
    const ADMIN: ScopeSet = ScopeSet::EMPTY.with(Scope::Admin);

    fn subsets() -> impl Iterator<Item = ScopeSet> {
        (0..1u8 << 5).map(|bits| {
            let chosen = Scope::ALL.into_iter().enumerate();
            chosen
                .filter(|(at, _)| bits & (1 << at) != 0)
                .map(|(_, scope)| scope)
                .collect()
        })
    }

    fn actor(scopes: ScopeSet, device: Option<&str>) -> Actor<'_> {
        Actor { scopes, device }
    }

    fn grant(scopes: ScopeSet, commands: &[Text]) -> Grant<'_> {
        Grant {
            device: "phone",
            scopes,
            commands,
        }
    }

    fn named(commands: &[&str]) -> Vec<Text> {
        commands
            .iter()
            .map(|command| Text::from(*command))
            .collect()
    }

    #[test]
    fn nobody_approves_more_than_he_holds() {
        for held in subsets() {
            for scopes in subsets() {
                let decided = actor(held, None).may_manage(&grant(scopes, &[]));
                let holds = |scope| held.has(scope) || held.has(Scope::Admin);
                let good = holds(Scope::Pairing)
                    && scopes.iter().all(|scope| {
                        holds(scope) || scope == Scope::Read && held.has(Scope::Write)
                    });
                assert_eq!(decided.is_ok(), good, "{held:?} approves {scopes:?}");
            }
        }
    }

    #[test]
    fn holding_nothing_is_no_wildcard() {
        for scopes in subsets() {
            let nobody = actor(ScopeSet::EMPTY, None);
            let refused = nobody.may_manage(&grant(scopes, &[]));
            assert!(matches!(refused, Err(Forbidden::Missing(_))));
        }
        let refused = actor(PAIRING, None).may_manage(&grant(ADMIN, &[]));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "missing scope: operator.admin"
        );
    }

    #[test]
    fn a_node_that_runs_programs_needs_an_admin() {
        let harmless = named(&[
            "camera.snap",
            "system.which",
            "system.runner",
            "system.notify",
        ]);
        let node = grant(ScopeSet::EMPTY, &harmless);
        assert_eq!(actor(PAIRING, None).may_manage(&node), Ok(()));
        for command in [
            "system.run",
            "system.run.prepare",
            "system.execApprovals.set",
        ] {
            let commands = named(&["camera.snap", command]);
            let node = grant(ScopeSet::EMPTY, &commands);
            for held in subsets() {
                let decided = actor(held, None).may_manage(&node);
                assert_eq!(
                    decided.is_ok(),
                    held.has(Scope::Admin),
                    "{command} {held:?}"
                );
            }
        }
    }

    #[test]
    fn a_device_without_admin_sees_and_manages_itself_alone() {
        let all_but_admin: ScopeSet = ScopeSet::ALL
            .iter()
            .filter(|scope| *scope != Scope::Admin)
            .collect();
        let foreign = actor(all_but_admin, Some("laptop"));
        assert!(!foreign.sees("phone"));
        let read = ScopeSet::EMPTY.with(Scope::Read);
        let request = grant(read, &[]);
        assert_eq!(foreign.may_manage(&request), Err(Forbidden::Invisible));
        assert_eq!(
            foreign.may_rotate(&request, read, read),
            Err(Forbidden::Invisible)
        );
        let itself = actor(all_but_admin, Some("phone"));
        assert!(itself.sees("phone"));
        assert_eq!(itself.may_manage(&request), Ok(()));
        assert_eq!(actor(ADMIN, Some("laptop")).may_manage(&request), Ok(()));
        assert!(actor(ADMIN, Some("laptop")).sees("phone"));
        assert!(!actor(read, Some("phone")).sees("phone"));
    }

    #[test]
    fn a_token_is_told_to_its_own_device_alone() {
        assert!(actor(PAIRING, Some("phone")).may_hold_token_of("phone"));
        assert!(!actor(ScopeSet::ALL, Some("laptop")).may_hold_token_of("phone"));
        assert!(!actor(ScopeSet::ALL, None).may_hold_token_of("phone"));
    }

    #[test]
    fn a_device_gives_itself_no_new_role_without_admin() {
        let node = grant(ScopeSet::EMPTY, &[]);
        for held in subsets() {
            let decided = actor(held, Some("phone")).may_approve(&node, true);
            assert_eq!(decided.is_ok(), held.has(Scope::Admin), "{held:?}");
        }
        assert_eq!(
            actor(PAIRING, Some("phone")).may_approve(&node, false),
            Ok(())
        );
        assert_eq!(actor(PAIRING, None).may_approve(&node, true), Ok(()));
    }

    #[test]
    fn rotation_stays_within_actor_and_approval() {
        for held in subsets() {
            for wanted in subsets() {
                for approved in [ScopeSet::EMPTY, PAIRING, ADMIN, ScopeSet::ALL] {
                    let current = grant(PAIRING, &[]);
                    let decided = actor(held, None).may_rotate(&current, wanted, approved);
                    let good =
                        held.contains_all(wanted.union(PAIRING)) && approved.contains_all(wanted);
                    assert_eq!(decided.is_ok(), good);
                }
            }
        }
        // Nor may a token that holds more than the actor be taken away.
        let current = grant(ADMIN, &[]);
        let narrowed = actor(PAIRING, None).may_rotate(&current, PAIRING, ADMIN);
        assert_eq!(narrowed, Err(Forbidden::Missing(Scope::Admin)));
    }

    #[test]
    fn another_content_is_another_request() {
        let commands = named(&["camera.snap", "canvas.show"]);
        let caps = named(&["camera", "canvas"]);
        let swapped_caps = named(&["canvas", "camera"]);
        let swapped = named(&["canvas.show", "camera.snap"]);
        let (more, fewer) = (
            named(&["camera.snap", "canvas.show", "x"]),
            named(&["camera.snap"]),
        );
        let seen = Sought {
            public_key: "key",
            roles: &[Role::Node],
            scopes: PAIRING,
            platform: "ios",
            caps: &caps,
            commands: &commands,
        };
        assert!(seen.is_covered_by(&seen));
        assert!(
            Sought {
                commands: &swapped,
                ..seen
            }
            .is_covered_by(&seen)
        );
        assert!(
            Sought {
                caps: &swapped_caps,
                ..seen
            }
            .is_covered_by(&seen)
        );
        for other in [
            Sought {
                public_key: "other",
                ..seen
            },
            Sought {
                roles: &[Role::Operator, Role::Node],
                ..seen
            },
            Sought {
                scopes: ScopeSet::EMPTY,
                ..seen
            },
            Sought {
                scopes: ADMIN,
                ..seen
            },
            Sought {
                platform: "linux",
                ..seen
            },
            Sought {
                commands: &more,
                ..seen
            },
            Sought {
                caps: &caps[..1],
                ..seen
            },
            Sought {
                caps: &more,
                ..seen
            },
            Sought {
                commands: &fewer,
                ..seen
            },
        ] {
            assert!(!other.is_covered_by(&seen), "{other:?}");
            assert!(!seen.is_covered_by(&other), "{other:?}");
        }
    }
}
