use super::*;
use crate::gateway::auth::origin::Origin;
use crate::gateway::auth::scope::Scope;
use crate::state::{ClientFacts, no_texts};

const READ: ScopeSet = ScopeSet::EMPTY.with(Scope::Read);
const ADMIN: ScopeSet = ScopeSet::EMPTY.with(Scope::Admin);
const PROVEN: [Proven; 3] = [
    Proven::Shared,
    Proven::DeviceToken(ScopeSet::ALL),
    Proven::Identity,
];

fn own() -> Provenance {
    Provenance::Own(Origin::parse("http://127.0.0.1:18789").unwrap())
}

fn listed() -> Provenance {
    Provenance::Listed(Origin::parse("https://ui.example").unwrap())
}

/// A local command line that asks to read with the shared secret.
fn ask(device: Option<Standing>) -> Ask<'static> {
    Ask {
        role: Role::Operator,
        scopes: READ,
        proven: Proven::Shared,
        device,
        local: true,
        origin: &Provenance::Absent,
        allow_insecure_auth: false,
    }
}

#[test]
fn a_row_tells_how_its_device_stands() {
    let mut device = Device {
        device_id: "id".into(),
        public_key: "key".into(),
        client: ClientFacts::default(),
        name: None,
        grants: Vec::new(),
        caps: no_texts(),
        commands: no_texts(),
        created_at_ms: 0,
        approved_at_ms: 0,
        last_seen_ms: 0,
    };
    assert_eq!(Standing::of(None, Role::Operator), Standing::Unknown);
    device.grant_mut(Role::Operator).scopes = READ.to_texts();
    assert_eq!(
        Standing::of(Some(&device), Role::Operator),
        Standing::Paired(READ)
    );
    assert_eq!(Standing::of(Some(&device), Role::Node), Standing::OtherRole);
}

fn subsets() -> impl Iterator<Item = ScopeSet> + Clone {
    (0..1u8 << 5).map(|bits| {
        let chosen = Scope::ALL.into_iter().enumerate();
        chosen
            .filter(|(at, _)| bits & (1 << at) != 0)
            .map(|(_, scope)| scope)
            .collect()
    })
}

fn granted(decision: Decision) -> Option<ScopeSet> {
    match decision {
        Decision::Admit { granted } | Decision::AdmitAndPair { granted, .. } => Some(granted),
        _ => None,
    }
}

#[test]
fn without_a_device_only_the_shared_secret_lets_in() {
    for proven in PROVEN {
        let decision = decide(&Ask {
            proven,
            ..ask(None)
        });
        if proven == Proven::Shared {
            assert_eq!(decision, Decision::Admit { granted: READ });
        } else {
            assert_eq!(decision, Decision::Refuse(Refusal::DeviceRequired));
        }
    }
    let remote = decide(&Ask {
        local: false,
        ..ask(None)
    });
    assert_eq!(remote, Decision::Admit { granted: READ });
}

#[test]
fn a_node_always_needs_a_device() {
    for proven in PROVEN {
        let decision = decide(&Ask {
            role: Role::Node,
            proven,
            ..ask(None)
        });
        assert_eq!(decision, Decision::Refuse(Refusal::DeviceRequired));
    }
    assert_eq!(Refusal::DeviceRequired.text(), "device identity required");
}

#[test]
fn a_page_without_device_is_refused_unless_the_configuration_allows_it() {
    for origin in [&own(), &listed()] {
        let page = Ask {
            origin,
            ..ask(None)
        };
        assert_eq!(decide(&page), Decision::Refuse(Refusal::InsecureContext));
        let allowed = Ask {
            allow_insecure_auth: true,
            ..page
        };
        assert_eq!(decide(&allowed), Decision::Admit { granted: READ });
        let unproven = Ask {
            proven: Proven::Identity,
            ..allowed
        };
        assert_eq!(decide(&unproven), Decision::Refuse(Refusal::DeviceRequired));
    }
}

#[test]
fn asking_for_nothing_gives_nothing() {
    let standings = [
        Standing::Unknown,
        Standing::OtherRole,
        Standing::Paired(ScopeSet::ALL),
    ];
    for device in standings.map(Some).into_iter().chain([None]) {
        for proven in PROVEN {
            let decision = decide(&Ask {
                scopes: ScopeSet::EMPTY,
                proven,
                ..ask(device)
            });
            assert!(
                granted(decision).is_none_or(ScopeSet::is_empty),
                "{decision:?}"
            );
        }
    }
}

#[test]
fn an_unknown_or_upgraded_device_needs_pairing() {
    for device in [
        Standing::Unknown,
        Standing::OtherRole,
        Standing::Paired(READ),
    ] {
        for proven in PROVEN {
            let remote = Ask {
                local: false,
                scopes: ADMIN,
                proven,
                ..ask(Some(device))
            };
            assert_eq!(decide(&remote), Decision::NeedPairing(device));
        }
    }
}

#[test]
fn more_than_the_device_token_was_paired_for_is_a_pairing_matter() {
    let device = Standing::Paired(READ);
    let proven = Proven::DeviceToken(READ);
    let more = Ask {
        scopes: ADMIN,
        proven,
        ..ask(Some(device))
    };
    assert_eq!(decide(&more), Decision::NeedPairing(device));
}

#[test]
fn a_narrower_token_cuts_what_is_granted() {
    let proven = Proven::DeviceToken(READ);
    let device = Some(Standing::Paired(ScopeSet::ALL));
    let wide = Ask {
        scopes: READ.with(Scope::Write),
        proven,
        ..ask(device)
    };
    assert_eq!(decide(&wide), Decision::Admit { granted: READ });
}

#[test]
fn a_local_device_with_the_shared_secret_is_paired_silently() {
    for origin in [&Provenance::Absent, &own()] {
        for device in [Standing::Unknown, Standing::OtherRole] {
            let first = decide(&Ask {
                origin,
                ..ask(Some(device))
            });
            let approved = ScopeSet::ALL;
            assert_eq!(
                first,
                Decision::AdmitAndPair {
                    granted: READ,
                    approved
                }
            );
        }
        let more = Ask {
            scopes: ADMIN,
            origin,
            ..ask(Some(Standing::Paired(READ)))
        };
        let approved = READ.union(ADMIN);
        assert_eq!(
            decide(&more),
            Decision::AdmitAndPair {
                granted: ADMIN,
                approved
            }
        );
    }
}

#[test]
fn each_condition_of_silent_pairing_is_needed() {
    for device in [
        Standing::Unknown,
        Standing::OtherRole,
        Standing::Paired(ScopeSet::EMPTY),
    ] {
        let good = ask(Some(device));
        assert!(matches!(decide(&good), Decision::AdmitAndPair { .. }));
        let refused = Decision::NeedPairing(device);
        assert_eq!(
            decide(&Ask {
                local: false,
                ..good
            }),
            refused
        );
        assert_eq!(
            decide(&Ask {
                origin: &listed(),
                ..good
            }),
            refused
        );
        assert_eq!(
            decide(&Ask {
                proven: Proven::Identity,
                ..good
            }),
            refused
        );
        let token = Proven::DeviceToken(ScopeSet::ALL);
        assert_eq!(
            decide(&Ask {
                proven: token,
                ..good
            }),
            refused
        );
    }
}

#[test]
fn a_node_gets_no_scopes_whatever_it_asks() {
    let node = Ask {
        role: Role::Node,
        scopes: ScopeSet::ALL,
        ..ask(Some(Standing::Unknown))
    };
    let nothing = ScopeSet::EMPTY;
    let paired = Decision::AdmitAndPair {
        granted: nothing,
        approved: nothing,
    };
    assert_eq!(decide(&node), paired);
    let again = Ask {
        device: Some(Standing::Paired(nothing)),
        local: false,
        ..node
    };
    assert_eq!(decide(&again), Decision::Admit { granted: nothing });
}

#[test]
fn no_connection_gets_more_than_asked_for_or_approved() {
    for approved in subsets() {
        for scopes in subsets() {
            for proven in PROVEN {
                let standing = Standing::Paired(approved);
                let remote = Ask {
                    local: false,
                    scopes,
                    proven,
                    ..ask(Some(standing))
                };
                let expected = if approved.contains_all(scopes) {
                    Decision::Admit { granted: scopes }
                } else {
                    Decision::NeedPairing(standing)
                };
                assert_eq!(decide(&remote), expected);
            }
            let token = Proven::DeviceToken(approved);
            let device = Some(Standing::Paired(ScopeSet::ALL));
            let narrow = Ask {
                scopes,
                proven: token,
                ..ask(device)
            };
            assert_eq!(
                decide(&narrow),
                Decision::Admit {
                    granted: approved.cut(scopes)
                }
            );
        }
    }
}
