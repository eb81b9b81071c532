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
        self.admit_as(
            conn,
            ip,
            !ip.to_canonical().is_loopback(),
            mono_ms,
            descriptors_left,
        )
    }

    /// The same for the connection of a trusted proxy, which is in no address's share until it
    /// is known whose it is.
    pub fn admit_proxy(
        &mut self,
        conn: ConnId,
        ip: IpAddr,
        mono_ms: u64,
        descriptors_left: usize,
    ) -> Admission {
        self.admit_as(conn, ip, false, mono_ms, descriptors_left)
    }

    /// A proxy said that `conn` is of `ip`: it is in that address's share from now on. False
    /// where that is used up.
    pub fn relayed(&mut self, conn: ConnId, ip: IpAddr) -> bool {
        let Some(known) = self.remove(conn) else {
            return true;
        };
        let subscriber = Subscriber::of(ip);
        let share = self.per_ip.get(&subscriber).copied().unwrap_or(0);
        self.insert(
            conn,
            Conn {
                heard_ms: known.heard_ms,
                subscriber,
                in_share: true,
            },
        );
        share < self.budget.per_ip_max
    }

    fn admit_as(
        &mut self,
        conn: ConnId,
        ip: IpAddr,
        in_share: bool,
        mono_ms: u64,
        descriptors_left: usize,
    ) -> Admission {
        let subscriber = Subscriber::of(ip);
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
mod tests;
