//! Who is said to be at the other end, by the headers of a request.

use crate::config::Cidr;
use crate::gateway::auth::locality::{Arrival, Client, Listener, resolve};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the connection comes from, by the first byte: a stranger, a proxy that is trusted, this
/// machine in both families, a relay, the Unix socket.
const ARRIVALS: [Arrival; 6] = [
    Arrival::Tcp(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
    Arrival::Tcp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
    Arrival::Tcp(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    Arrival::Tcp(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    Arrival::Relayed(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    Arrival::Socket { uid: 1_000 },
];

/// Names by which a proxy shows itself, as in SECURITY.md.
const SIGNS: [&str; 6] = [
    "forwarded",
    "x-forwarded-",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
    "true-client-ip",
];

/// The first byte chooses the arrival and the listener; each line behind it is a header.
///
/// # Panics
///
/// When an address is believed that nobody trusted said, or a forwarded request is local.
pub fn forwarded(bytes: &[u8]) {
    let Some((how, lines)) = bytes.split_first() else {
        return;
    };
    let headers: Vec<(&str, &[u8])> = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]))
        })
        .collect();
    let trusted = [Cidr::parse("10.0.0.0/8").expect("a range")];
    let listener = Listener {
        port: 18_789,
        tls: how & 0x80 != 0,
        trusted: &trusted,
        behind_tailscale: how & 0x40 != 0,
    };
    let arrival = ARRIVALS[usize::from(how & 0x3f) % ARRIVALS.len()];
    let Ok(client) = resolve(arrival, headers.iter().copied(), &listener) else {
        return;
    };
    let named = |name: &str| {
        let name = name.to_ascii_lowercase();
        SIGNS.iter().any(|sign| match sign.ends_with('-') {
            true => name.starts_with(sign),
            false => name == *sign,
        })
    };
    let is_forwarded = headers.iter().any(|(name, _)| named(name));
    if is_forwarded || matches!(arrival, Arrival::Relayed(_)) {
        assert!(client.via_proxy && !client.local && !client.owner);
    }
    if client.local || client.owner {
        assert!(arrival.ip().is_loopback());
    }
    if client.owner {
        assert!(matches!(arrival, Arrival::Socket { .. }));
    }
    let is_believed = trusted[0].contains(arrival.ip())
        || listener.behind_tailscale
            && arrival.ip().is_loopback()
            && !matches!(arrival, Arrival::Relayed(_));
    if client.ip != arrival.ip() {
        assert!(is_forwarded && is_believed, "{client:?} is hearsay");
        assert!(is_vouched_for(&client, &headers, &trusted[0]), "{client:?}");
    }
}

/// Whether some field names the address with none but trusted proxies to its right.
fn is_vouched_for(client: &Client, headers: &[(&str, &[u8])], trusted: &Cidr) -> bool {
    let address = |text: &str| -> Option<IpAddr> {
        let with_port = || text.parse::<SocketAddr>().ok().map(|addr| addr.ip());
        let ip: Option<IpAddr> = text.parse().ok().or_else(with_port);
        ip.map(|ip| ip.to_canonical())
    };
    headers.iter().any(|(name, value)| {
        let is_list = name.eq_ignore_ascii_case("x-forwarded-for");
        if !is_list && !name.eq_ignore_ascii_case("x-real-ip") {
            return false;
        }
        let value = String::from_utf8_lossy(value);
        let mut hops: Vec<Option<IpAddr>> =
            value.split(',').map(|hop| address(hop.trim())).collect();
        while let Some(hop) = hops.pop() {
            match hop {
                Some(ip) if ip == client.ip => return true,
                Some(ip) if is_list && trusted.contains(ip) => {}
                _ => return false,
            }
        }
        false
    })
}
