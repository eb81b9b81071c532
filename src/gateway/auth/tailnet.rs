//! Persons of a tailnet: what `tailscale serve` says about a visitor, and when that is believed.
//!
//! Headers alone prove nothing: every program on this machine can send them. They are a claim, and
//! the daemon has to say the same of the address that they name.

use super::locality::{Arrival, Headers, OneHeader, one};
use crate::limits::{WHOIS_KEPT_MAX, WHOIS_KEPT_MS};
use crate::tailnet::person::Person;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Who a connection says that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub login: String,
    /// Whom to ask about.
    pub ip: IpAddr,
}

/// What `tailscale serve` always sets (`addProxyForwardedHeaders` of its source).
const FORWARDED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const LOGIN: &str = "tailscale-user-login";
/// Stands on what comes from the internet.
const FUNNEL: &str = "tailscale-funnel-request";

impl Claim {
    /// Reads the head of an upgrade. None where it does not come from the daemon, or a field is
    /// missing, empty or doubled.
    pub fn read<'a>(arrival: Arrival, headers: impl Headers<'a>) -> Option<Self> {
        let from_here = matches!(arrival, Arrival::Tcp(ip) if ip.to_canonical().is_loopback());
        let field = |name| match one(headers.clone(), name) {
            OneHeader::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        let is_complete = FORWARDED.into_iter().all(|name| field(name).is_some());
        let from_internet = one(headers.clone(), FUNNEL) != OneHeader::Absent;
        if !from_here || !is_complete || from_internet {
            return None;
        }
        let last = field(FORWARDED[0])?.rsplit(',').next()?;
        let ip: IpAddr = last.trim().parse().ok()?;
        Some(Self {
            login: field(LOGIN)?.to_owned(),
            ip: ip.to_canonical(),
        })
    }

    /// Whether the daemon says the same.
    pub fn is_of(&self, person: &Person) -> bool {
        self.login == person.login
    }
}

/// Whether somebody vouches for a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Voucher {
    /// Nobody.
    #[default]
    None,
    /// The daemon, once it is asked.
    Claimed(Claim),
    /// The daemon did.
    Confirmed,
}

/// Whose addresses are, for a short while. That one is nobody's is not kept: it would lock out
/// whom a daemon did not know in time.
#[derive(Debug, Default)]
pub struct Known {
    persons: BTreeMap<IpAddr, (Person, u64)>,
}

impl Known {
    /// Whose the address was when it was last asked about.
    pub fn person(&self, ip: IpAddr, mono_ms: u64) -> Option<&Person> {
        let (person, until_ms) = self.persons.get(&ip)?;
        (mono_ms < *until_ms).then_some(person)
    }

    /// Keeps an answer.
    pub fn keep(&mut self, ip: IpAddr, person: Person, mono_ms: u64) {
        self.persons.retain(|_, (_, until_ms)| mono_ms < *until_ms);
        if self.persons.len() < WHOIS_KEPT_MAX {
            self.persons.insert(ip, (person, mono_ms + WHOIS_KEPT_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::locality::pairs;
    use super::*;

    const FOR: (&str, &str) = ("X-Forwarded-For", "100.64.0.7");
    const HOST: (&str, &str) = ("X-Forwarded-Host", "home.tail1234.ts.net");
    const PROTO: (&str, &str) = ("X-Forwarded-Proto", "https");
    const USER: (&str, &str) = ("Tailscale-User-Login", "me@example.com");

    fn claim(arrival: Arrival, fields: &[(&str, &str)]) -> Option<Claim> {
        Claim::read(arrival, pairs(fields))
    }

    fn here() -> Arrival {
        Arrival::Tcp("127.0.0.1".parse().unwrap())
    }

    #[test]
    fn a_claim_is_complete_and_comes_from_this_machine() {
        let all = [FOR, HOST, PROTO, USER];
        let good = claim(here(), &all).unwrap();
        assert_eq!(
            (good.login.as_str(), good.ip.to_string().as_str()),
            ("me@example.com", "100.64.0.7")
        );
        let mapped = Arrival::Tcp("::ffff:127.0.0.1".parse().unwrap());
        assert_eq!(claim(mapped, &all), Some(good));
        for arrival in [
            Arrival::Tcp("100.64.0.7".parse().unwrap()),
            Arrival::Tcp("192.0.2.1".parse().unwrap()),
            Arrival::Relayed("127.0.0.1".parse().unwrap()),
            Arrival::Socket { uid: 0 },
        ] {
            assert_eq!(claim(arrival, &all), None, "{arrival:?}");
        }
        for missing in 0..all.len() {
            let mut fields = all.to_vec();
            fields.remove(missing);
            assert_eq!(claim(here(), &fields), None, "{fields:?}");
            let name = all[missing].0;
            for more in [(name, all[missing].1), (name, "other")] {
                let doubled = [&all[..], &[more]].concat();
                assert_eq!(claim(here(), &doubled), None, "{doubled:?}");
            }
            let mut empty = all;
            empty[missing].1 = " ";
            assert_eq!(claim(here(), &empty), None, "{empty:?}");
        }
    }

    #[test]
    fn the_rightmost_address_is_asked_about() {
        let ip = |hops: &str| {
            let claim = claim(here(), &[("X-Forwarded-For", hops), HOST, PROTO, USER]);
            claim.map(|claim| claim.ip.to_string())
        };
        assert_eq!(ip("100.64.0.1, 100.64.0.9").as_deref(), Some("100.64.0.9"));
        assert_eq!(
            ip("fd7a:115c:a1e0::7").as_deref(),
            Some("fd7a:115c:a1e0::7")
        );
        for hops in [
            "me",
            "100.64.0.9,",
            "100.64.0.9:1",
            "nodekey:abc",
            "100.64.0.9&proto=x",
        ] {
            assert_eq!(ip(hops), None, "{hops}");
        }
    }

    #[test]
    fn what_comes_from_the_internet_is_nobody() {
        let funnel = ("Tailscale-Funnel-Request", "?1");
        assert_eq!(claim(here(), &[FOR, HOST, PROTO, USER, funnel]), None);
    }

    #[test]
    fn a_person_is_known_for_a_while() {
        let mut known = Known::default();
        let ip = |last: u32| IpAddr::from(last.to_be_bytes());
        let me = Person {
            login: "me@example.com".into(),
        };
        known.keep(ip(1), me.clone(), 1_000);
        assert_eq!(known.person(ip(1), 1_000 + WHOIS_KEPT_MS - 1), Some(&me));
        assert_eq!(known.person(ip(1), 1_000 + WHOIS_KEPT_MS), None);
        assert_eq!(known.person(ip(2), 1_000), None);
        for last in 0..10_000 {
            known.keep(ip(last), me.clone(), 2_000);
        }
        assert!(known.persons.len() <= WHOIS_KEPT_MAX);
    }
}
