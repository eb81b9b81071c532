//! Which connections may wait for their handshake, and which makes room for another.
//!
//! A connection is counted from `admit` until it is done, evicted or closed. Leaving twice
//! is harmless and leaves the counters right, so every way out may say `done`.

use core::net::IpAddr;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::address::{Network, Subscriber};
use crate::ids::ConnId;
use crate::limits::{HANDSHAKES_MAX, HANDSHAKES_PER_IP_MAX};

/// The bounds; the configuration may change them.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Connections of one address, or of one /64.
    pub per_ip_max: usize,
    /// Connections of all addresses.
    pub total_max: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            per_ip_max: HANDSHAKES_PER_IP_MAX,
            total_max: HANDSHAKES_MAX,
        }
    }
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may do its handshake.
    Admit,
    /// It may, and this other one, counted no more, has to be closed now.
    Evict(ConnId),
    /// Its address has its share, or there is nobody to evict.
    Refuse,
}

/// The connections before their hello-ok.
#[derive(Debug)]
pub struct Waiting {
    budget: Budget,
    conns: BTreeMap<ConnId, Conn>,
    per_ip: BTreeMap<Subscriber, usize>,
    networks: BTreeMap<Network, Silence>,
    /// The networks by load; the last holds most, or the longest silent of equals.
    by_load: BTreeSet<(usize, Reverse<u64>, Network)>,
}

/// The connections of one network, the longest silent in front.
type Silence = BTreeSet<(u64, ConnId)>;

#[derive(Clone, Copy, Debug)]
struct Conn {
    heard_ms: u64,
    subscriber: Subscriber,
    /// Loopback connections are in no address's share: a tunnel's clients all look like it.
    in_share: bool,
}

impl Waiting {
    /// Nobody waits yet.
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            conns: BTreeMap::new(),
            per_ip: BTreeMap::new(),
            networks: BTreeMap::new(),
            by_load: BTreeSet::new(),
        }
    }

    /// Connections that are counted now.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Decides about the accepted `conn` of the peer `ip`; `descriptors_left` is how many
    /// more the process may open without touching its reserve.
    pub fn admit(
        &mut self,
        conn: ConnId,
        ip: IpAddr,
        mono_ms: u64,
        descriptors_left: usize,
    ) -> Admission {
        let subscriber = Subscriber::of(ip);
        let in_share = !ip.to_canonical().is_loopback();
        let share = self.per_ip.get(&subscriber).copied().unwrap_or(0);
        if in_share && share >= self.budget.per_ip_max {
            return Admission::Refuse;
        }
        let full = self.conns.len() >= self.budget.total_max || descriptors_left == 0;
        let evicted = if full { self.longest_silent() } else { None };
        if full && evicted.is_none() {
            return Admission::Refuse;
        }
        if let Some(evicted) = evicted {
            self.done(evicted);
        }
        // An id that is counted already would be counted twice.
        self.done(conn);
        self.insert(
            conn,
            Conn {
                heard_ms: mono_ms,
                subscriber,
                in_share,
            },
        );
        evicted.map_or(Admission::Admit, Admission::Evict)
    }

    /// Bytes came from `conn`.
    pub fn heard(&mut self, conn: ConnId, mono_ms: u64) {
        if let Some(known) = self.remove(conn) {
            self.insert(
                conn,
                Conn {
                    heard_ms: mono_ms,
                    ..known
                },
            );
        }
    }

    /// `conn` got its hello-ok or is gone. Says whether it was counted until now.
    pub fn done(&mut self, conn: ConnId) -> bool {
        self.remove(conn).is_some()
    }

    fn longest_silent(&self) -> Option<ConnId> {
        let (.., network) = self.by_load.last()?;
        let (_, conn) = self.networks.get(network)?.first()?;
        Some(*conn)
    }

    fn insert(&mut self, id: ConnId, conn: Conn) {
        self.conns.insert(id, conn);
        if conn.in_share {
            *self.per_ip.entry(conn.subscriber).or_default() += 1;
        }
        self.change(conn.subscriber.network(), |silence| {
            silence.insert((conn.heard_ms, id));
        });
    }

    fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let conn = self.conns.remove(&id)?;
        if conn.in_share
            && let Some(share) = self.per_ip.get_mut(&conn.subscriber)
        {
            *share -= 1;
            if *share == 0 {
                self.per_ip.remove(&conn.subscriber);
            }
        }
        self.change(conn.subscriber.network(), |silence| {
            silence.remove(&(conn.heard_ms, id));
        });
        Some(conn)
    }

    /// Changes one network's connections and keeps its place by load.
    fn change(&mut self, network: Network, change: impl FnOnce(&mut Silence)) {
        let silence = self.networks.entry(network).or_default();
        if let Some(place) = place(network, silence) {
            self.by_load.remove(&place);
        }
        change(silence);
        match place(network, silence) {
            Some(place) => drop(self.by_load.insert(place)),
            None => drop(self.networks.remove(&network)),
        }
    }
}

fn place(network: Network, silence: &Silence) -> Option<(usize, Reverse<u64>, Network)> {
    let (heard_ms, _) = silence.first()?;
    Some((silence.len(), Reverse(*heard_ms), network))
}

#[cfg(test)]
mod tests {
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
        let newcomer =
            |waiting: &mut Waiting, slot| waiting.admit(id(slot), ip("8.8.8.8"), 9, PLENTY);
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
}
