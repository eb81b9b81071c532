use super::*;

const PLENTY: usize = 1_000;

fn id(slot: u32) -> ConnId {
    ConnId::new(slot, 0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn waiting(per_ip_max: usize, total_max: usize) -> Waiting {
    Waiting::new(Budget {
        per_ip_max,
        total_max,
    })
}

fn fill(waiting: &mut Waiting, list: &[(u32, &str, u64)]) {
    for (slot, address, mono_ms) in list {
        let admission = waiting.admit(id(*slot), ip(address), *mono_ms, PLENTY);
        assert_eq!(admission, Admission::Admit);
    }
}

#[test]
fn an_address_has_a_share() {
    let mut waiting = waiting(2, 100);
    fill(&mut waiting, &[(0, "1.2.3.4", 0), (1, "::ffff:1.2.3.4", 0)]);
    assert_eq!(
        waiting.admit(id(2), ip("1.2.3.4"), 0, PLENTY),
        Admission::Refuse
    );
    fill(
        &mut waiting,
        &[
            (3, "1.2.3.5", 0),
            (4, "2001:db8::1", 0),
            (5, "2001:db8::2", 0),
        ],
    );
    assert_eq!(
        waiting.admit(id(6), ip("2001:db8::3"), 0, PLENTY),
        Admission::Refuse
    );
    assert!(waiting.done(id(0)));
    fill(&mut waiting, &[(7, "1.2.3.4", 0)]);
}

#[test]
fn loopback_has_no_share_to_use_up() {
    let mut waiting = waiting(2, 100);
    for slot in 0..99 {
        let address = ["127.0.0.1", "::1", "::ffff:127.0.0.1"][slot as usize % 3];
        fill(&mut waiting, &[(slot, address, 0)]);
    }
    assert!(waiting.per_ip.is_empty());
    let mut local_only = self::waiting(0, 100);
    fill(&mut local_only, &[(0, "127.0.0.1", 0)]);
    let far = local_only.admit(id(1), ip("1.2.3.4"), 0, PLENTY);
    assert_eq!(far, Admission::Refuse);
}

#[test]
fn the_longest_silent_of_the_most_loaded_network_makes_room() {
    let mut waiting = waiting(32, 5);
    fill(
        &mut waiting,
        &[(0, "9.9.9.9", 0), (1, "1.2.3.4", 1), (2, "1.2.3.5", 2)],
    );
    fill(&mut waiting, &[(3, "1.2.3.6", 3), (4, "2001:db8::1", 4)]);
    waiting.heard(id(1), 5);
    let newcomer = |waiting: &mut Waiting, slot| waiting.admit(id(slot), ip("8.8.8.8"), 9, PLENTY);
    assert_eq!(newcomer(&mut waiting, 10), Admission::Evict(id(2)));
    assert_eq!(waiting.len(), 5);
    // 1.2.3.0/24 and 8.8.8.0/24 hold two each then; the former is longer silent.
    waiting.done(id(4));
    assert_eq!(newcomer(&mut waiting, 11), Admission::Admit);
    assert_eq!(newcomer(&mut waiting, 12), Admission::Evict(id(3)));
}

#[test]
fn a_newcomer_is_never_the_one_that_goes() {
    let mut waiting = waiting(1_000, 4);
    for slot in 0..100 {
        // The clock stands still, so all are equally silent.
        let admission = waiting.admit(id(slot), ip("1.2.3.4"), 0, PLENTY);
        assert_ne!(admission, Admission::Evict(id(slot)));
        assert_ne!(admission, Admission::Refuse);
        assert!(waiting.conns.contains_key(&id(slot)));
    }
    assert_eq!(waiting.len(), 4);
}

#[test]
fn without_descriptors_somebody_makes_room_too() {
    let mut waiting = waiting(32, 100);
    assert_eq!(waiting.admit(id(0), ip("1.2.3.4"), 0, 0), Admission::Refuse);
    fill(&mut waiting, &[(1, "1.2.3.4", 0)]);
    assert_eq!(
        waiting.admit(id(2), ip("1.2.3.5"), 0, 0),
        Admission::Evict(id(1))
    );
    assert_eq!(waiting.len(), 1);
}

#[test]
fn every_way_out_counts_once() {
    let mut waiting = waiting(1, 1);
    fill(&mut waiting, &[(0, "1.2.3.4", 0)]);
    assert_eq!(
        waiting.admit(id(1), ip("5.6.7.8"), 0, PLENTY),
        Admission::Evict(id(0))
    );
    assert!(!waiting.done(id(0)), "the evicted one was let go already");
    waiting.heard(id(0), 1);
    assert_eq!(waiting.len(), 1);
    assert!(waiting.done(id(1)));
    assert!(!waiting.done(id(1)));
    assert!(
        !waiting.done(ConnId::new(1, 7)),
        "another generation of the slot"
    );
    assert!(waiting.is_empty() && waiting.per_ip.is_empty() && waiting.by_load.is_empty());
}

#[test]
fn an_id_admitted_twice_is_counted_once() {
    let mut waiting = waiting(32, 100);
    fill(&mut waiting, &[(0, "1.2.3.4", 0), (0, "1.2.3.5", 1)]);
    assert_eq!(waiting.len(), 1);
    assert!(waiting.done(id(0)));
    assert!(waiting.per_ip.is_empty() && waiting.networks.is_empty());
}

/// Whom to evict, found by looking at everything; ties between equally silent
/// connections of equally loaded networks are anybody's.
fn expected(waiting: &Waiting) -> Vec<ConnId> {
    let load = |conn: &Conn| {
        let network = conn.subscriber.network();
        waiting
            .conns
            .values()
            .filter(|c| c.subscriber.network() == network)
            .count()
    };
    let rank = |conn: &Conn| (load(conn), Reverse(conn.heard_ms));
    let top = waiting.conns.values().map(rank).max();
    let at_top = waiting
        .conns
        .iter()
        .filter(|(_, conn)| Some(rank(conn)) == top);
    at_top.map(|(id, _)| *id).collect()
}

#[test]
fn random_operations_keep_the_counters_and_end_at_zero() {
    for seed in 1..40u64 {
        let mut state = seed;
        let mut below = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut waiting = waiting(4, 24);
        let mut issued = Vec::new();
        for step in 0..400u64 {
            let mono_ms = step / 3;
            match below(4) {
                0 | 1 => {
                    let conn = id(issued.len() as u32);
                    let octets = [10, below(2) as u8, below(3) as u8, below(4) as u8];
                    let address = if below(8) == 0 {
                        ip("127.0.0.1")
                    } else {
                        octets.into()
                    };
                    let candidates = expected(&waiting);
                    let before = waiting.len();
                    match waiting.admit(conn, address, mono_ms, below(20) as usize) {
                        Admission::Admit => assert_eq!(waiting.len(), before + 1),
                        Admission::Refuse => assert_eq!(waiting.len(), before),
                        Admission::Evict(victim) => {
                            assert_eq!(waiting.len(), before);
                            assert!(candidates.contains(&victim));
                        }
                    }
                    issued.push(conn);
                }
                2 => waiting.heard(id(below(issued.len() as u64 + 1) as u32), mono_ms),
                _ => drop(waiting.done(id(below(issued.len() as u64 + 1) as u32))),
            }
            check(&waiting);
        }
        for conn in issued {
            waiting.done(conn);
        }
        assert!(waiting.is_empty() && waiting.per_ip.is_empty());
        assert!(waiting.networks.is_empty() && waiting.by_load.is_empty());
    }
}

fn check(waiting: &Waiting) {
    assert!(waiting.len() <= waiting.budget.total_max);
    assert!(
        waiting
            .per_ip
            .values()
            .all(|share| (1..=waiting.budget.per_ip_max).contains(share))
    );
    let shares = waiting.conns.values().filter(|conn| conn.in_share).count();
    assert_eq!(waiting.per_ip.values().sum::<usize>(), shares);
    assert_eq!(
        waiting.networks.values().map(BTreeSet::len).sum::<usize>(),
        waiting.len()
    );
    assert_eq!(waiting.by_load.len(), waiting.networks.len());
}

#[test]
fn a_trusted_proxys_connections_are_in_the_share_of_their_clients() {
    let mut waiting = Waiting::new(Budget {
        per_ip_max: 2,
        total_max: 100,
    });
    let (proxy, client): (IpAddr, IpAddr) =
        ("10.0.0.1".parse().unwrap(), "203.0.113.7".parse().unwrap());
    for slot in 0..10 {
        let conn = ConnId::new(slot, 0);
        assert_eq!(waiting.admit_proxy(conn, proxy, 0, 10), Admission::Admit);
        assert_eq!(waiting.relayed(conn, client), slot < 2, "{slot}");
        if slot >= 2 {
            assert!(waiting.done(conn));
        }
    }
    // Another client of the same proxy has its own, and leaving gives the place back.
    let conn = ConnId::new(20, 0);
    waiting.admit_proxy(conn, proxy, 0, 10);
    assert!(waiting.relayed(conn, "203.0.113.8".parse().unwrap()));
    waiting.done(ConnId::new(0, 0));
    let conn = ConnId::new(21, 0);
    assert_eq!(waiting.admit(conn, client, 0, 10), Admission::Admit);
    for slot in [1, 20, 21] {
        waiting.done(ConnId::new(slot, 0));
    }
    assert!(waiting.is_empty());
}
