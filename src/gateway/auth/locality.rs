//! Who is at the other end: the client's address, and whether it is on this machine.
//!
//! A forwarded address is a claim. It is believed from a configured proxy alone, and a
//! connection that carries any such claim is never local.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::address::Authority;
use crate::config::Cidr;

/// The fields of a request head, names in any case.
pub trait Headers<'a>: Iterator<Item = (&'a str, &'a [u8])> + Clone {}

impl<'a, I: Iterator<Item = (&'a str, &'a [u8])> + Clone> Headers<'a> for I {}

/// A field that may stand once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneHeader<'a> {
    /// The field is not there.
    Absent,
    /// Its value without surrounding blanks.
    Text(&'a str),
    /// It stands twice, or is not ASCII.
    Bad,
}

/// Looks for the field `name`, given in lower case.
pub fn one<'a>(headers: impl Headers<'a>, name: &str) -> OneHeader<'a> {
    let mut found = headers.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (None, _) => OneHeader::Absent,
        (Some((_, value)), None) if value.is_ascii() => {
            str::from_utf8(value).map_or(OneHeader::Bad, |text| OneHeader::Text(text.trim()))
        }
        _ => OneHeader::Bad,
    }
}

/// How a connection reached the gateway, known before a byte of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Over TCP from this address.
    Tcp(IpAddr),
    /// Over TCP through a trusted proxy, whose PROXY header named this address.
    Relayed(IpAddr),
    /// Through the Unix socket of the state directory, from a process of this user.
    Socket {
        /// As the kernel says.
        uid: u32,
    },
}

impl Arrival {
    /// The address that the connection is counted under.
    pub const fn ip(self) -> IpAddr {
        match self {
            Self::Tcp(ip) | Self::Relayed(ip) => ip,
            Self::Socket { .. } => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// `Host` of a program that means the Unix socket. No page and no proxy says it unless somebody
/// made it to: who opens the socket to others by a proxy of his own lends nobody his rights.
pub const SOCKET_HOST: &str = "gateway.sock";

/// Whether a request came through the Unix socket and asks for it.
pub fn asks_for_socket<'a>(arrival: Arrival, headers: impl Headers<'a>) -> bool {
    matches!(arrival, Arrival::Socket { .. })
        && one(headers, "host") == OneHeader::Text(SOCKET_HOST)
}

/// What the gateway knows about its own side of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a> {
    /// The port that it listens on.
    pub port: u16,
    /// Whether it speaks TLS itself.
    pub tls: bool,
    /// `gateway.trustedProxies`.
    pub trusted: &'a [Cidr],
    /// Whether Tailscale's daemon, which is on this machine, is a proxy of ours too.
    pub behind_tailscale: bool,
}

/// The party behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address, canonical: as forwarded by a trusted proxy, else the peer's.
    pub ip: IpAddr,
    /// It is on this machine, connected directly, and asked for this machine.
    pub local: bool,
    /// It is a program of the gateway's own user, which could read the secret itself.
    pub owner: bool,
    /// Some proxy stands between.
    pub via_proxy: bool,
    /// It speaks TLS, to us or to a trusted proxy.
    pub https: bool,
}

/// A forwarding field that cannot be believed; the request is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedError {
    /// A field stands twice, so which one counts would be a guess.
    Duplicate,
    /// A hop is not an address, or is one that no client can have.
    Hop,
}

impl ForwardedError {
    /// What the peer is told.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate forwarding header",
            Self::Hop => "invalid forwarding header",
        }
    }
}

/// Finds out who sent the request with `headers` from `peer`.
pub fn resolve<'a>(
    arrival: Arrival,
    headers: impl Headers<'a>,
    listener: &Listener,
) -> Result<Client, ForwardedError> {
    let peer = arrival.ip().to_canonical();
    let hops = forwarded(&headers, "x-forwarded-for")?;
    let real = forwarded(&headers, "x-real-ip")?;
    let proto = forwarded(&headers, "x-forwarded-proto")?;
    let has_fields = headers.clone().any(|(name, _)| is_proxy_field(name));
    let via_proxy = has_fields || matches!(arrival, Arrival::Relayed(_));
    let trusted = |ip: IpAddr| listener.trusted.iter().any(|cidr| cidr.contains(ip));
    let is_daemon = listener.behind_tailscale && peer.is_loopback();
    let believed =
        has_fields && (trusted(peer) || is_daemon && !matches!(arrival, Arrival::Relayed(_)));
    let ip = match (hops, real) {
        (Some(hops), _) if believed => client_of(hops, trusted)?,
        (None, Some(real)) if believed => hop(real)?,
        _ => peer,
    };
    let asks_for_socket = asks_for_socket(arrival, headers.clone());
    let has_origin = one(headers.clone(), "origin") != OneHeader::Absent;
    let asks_for_us = asks_for_socket || asks_for_this_machine(headers, listener);
    Ok(Client {
        ip,
        local: peer.is_loopback() && !via_proxy && asks_for_us,
        owner: asks_for_socket && !via_proxy && !has_origin,
        via_proxy,
        https: match proto {
            Some(proto) if believed => proto.eq_ignore_ascii_case("https"),
            _ => listener.tls,
        },
    })
}

/// The fields by which a proxy shows itself.
fn is_proxy_field(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "forwarded",
        "x-real-ip",
        "via",
        "cf-connecting-ip",
        "true-client-ip",
    ];
    const PREFIX: &str = "x-forwarded-";
    let prefixed = name
        .get(..PREFIX.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(PREFIX));
    prefixed || NAMES.iter().any(|field| name.eq_ignore_ascii_case(field))
}

fn forwarded<'a>(
    headers: &impl Headers<'a>,
    name: &str,
) -> Result<Option<&'a str>, ForwardedError> {
    match one(headers.clone(), name) {
        OneHeader::Absent => Ok(None),
        OneHeader::Text(text) => Ok(Some(text)),
        OneHeader::Bad => Err(ForwardedError::Duplicate),
    }
}

/// Each proxy appends the address it saw, so the list is good from its right end up to and
/// with the first address that is no proxy of ours.
fn client_of(hops: &str, trusted: impl Fn(IpAddr) -> bool) -> Result<IpAddr, ForwardedError> {
    let mut client = Err(ForwardedError::Hop);
    for text in hops.rsplit(',') {
        let ip = hop(text.trim())?;
        client = Ok(ip);
        if !trusted(ip) {
            break;
        }
    }
    client
}

fn hop(text: &str) -> Result<IpAddr, ForwardedError> {
    let with_port = || text.parse().map(|addr: SocketAddr| addr.ip());
    let ip = text
        .parse()
        .or_else(|_| with_port())
        .map_err(|_| ForwardedError::Hop)?;
    let ip: IpAddr = ip.to_canonical();
    // No client of a proxy has these, so somebody made them up.
    if ip.is_loopback() || ip.is_unspecified() {
        return Err(ForwardedError::Hop);
    }
    Ok(ip)
}

fn asks_for_this_machine<'a>(headers: impl Headers<'a>, listener: &Listener) -> bool {
    let OneHeader::Text(text) = one(headers, "host") else {
        return false;
    };
    let default = if listener.tls { 443 } else { 80 };
    Authority::parse(text).is_some_and(|asked| {
        asked.host.is_loopback() && asked.port.unwrap_or(default) == listener.port
    })
}

#[cfg(test)]
pub fn pairs<'a>(list: &'a [(&'a str, &'a str)]) -> impl Headers<'a> {
    list.iter().map(|(name, value)| (*name, value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: (&str, &str) = ("Host", "127.0.0.1:18789");

    fn seen(peer: &str, headers: &[(&str, &str)]) -> Result<Client, ForwardedError> {
        let trusted = ["10.0.0.0/8", "::1"].map(|text| Cidr::parse(text).unwrap());
        let listener = Listener {
            port: 18789,
            tls: false,
            trusted: &trusted,
            behind_tailscale: false,
        };
        let arrival = match peer {
            "socket" => Arrival::Socket { uid: 1 },
            peer => match peer.strip_prefix("relayed ") {
                Some(ip) => Arrival::Relayed(ip.parse().unwrap()),
                None => Arrival::Tcp(peer.parse().unwrap()),
            },
        };
        resolve(arrival, pairs(headers), &listener)
    }

    fn ip(peer: &str, hops: &str) -> Result<String, ForwardedError> {
        let client = seen(peer, &[HOST, ("X-Forwarded-For", hops)])?;
        assert!(client.via_proxy && !client.local);
        Ok(client.ip.to_string())
    }

    #[test]
    fn a_direct_loopback_connection_to_this_machine_is_local() {
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"] {
            for host in [
                "127.0.0.1:18789",
                "localhost:18789",
                "[::1]:18789",
                "LOCALHOST:18789",
            ] {
                let client = seen(peer, &[("host", host)]).unwrap();
                assert!(client.local && !client.via_proxy, "{peer} {host}");
            }
        }
    }

    #[test]
    fn only_who_means_the_socket_is_the_owner() {
        let socket = ("Host", SOCKET_HOST);
        let client = seen("socket", &[socket]).unwrap();
        assert!(client.owner && client.local);
        for headers in [
            &[HOST][..],
            &[("Host", "localhost")],
            &[socket, socket],
            &[socket, ("X-Forwarded-For", "192.0.2.1")],
            &[socket, ("Via", "1.1 proxy")],
            &[socket, ("Origin", "http://gateway.sock")],
        ] {
            assert!(!seen("socket", headers).unwrap().owner, "{headers:?}");
        }
        for peer in ["127.0.0.1", "192.0.2.1"] {
            let client = seen(peer, &[socket]).unwrap();
            assert!(!client.owner && !client.local, "{peer}");
        }
    }

    #[test]
    fn each_proxy_header_alone_makes_it_remote() {
        let names = "Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto x-forwarded-anything \
            X-Real-IP Via VIA CF-Connecting-IP True-Client-IP";
        for name in names.split_whitespace() {
            for value in ["127.0.0.1", ""] {
                let client = seen("127.0.0.1", &[HOST, (name, value)]).unwrap();
                assert!(!client.local && client.via_proxy, "{name}");
                assert_eq!(client.ip.to_string(), "127.0.0.1");
            }
        }
    }

    #[test]
    fn who_comes_through_a_proxy_is_never_local() {
        for ip in ["127.0.0.1", "192.0.2.1"] {
            let client = seen(&format!("relayed {ip}"), &[HOST]).unwrap();
            assert!(!client.local && client.via_proxy, "{ip}");
            assert_eq!(client.ip.to_string(), ip);
        }
        // The proxy in front of a trusted one tells further.
        let hops = [HOST, ("X-Forwarded-For", "8.8.8.8")];
        assert_eq!(
            seen("relayed 10.0.0.1", &hops).unwrap().ip.to_string(),
            "8.8.8.8"
        );
        assert_eq!(
            seen("relayed 192.0.2.1", &hops).unwrap().ip.to_string(),
            "192.0.2.1"
        );
    }

    #[test]
    fn another_host_or_port_makes_it_remote() {
        let hosts = "evil.com:18789 127.evil.com:18789 127.0.0.1:18790 127.0.0.1 10.0.0.1:18789 \
            0.0.0.0:18789 gw.ts.net localhost";
        for host in hosts.split_whitespace() {
            assert!(
                !seen("127.0.0.1", &[("Host", host)]).unwrap().local,
                "{host}"
            );
        }
        assert!(!seen("127.0.0.1", &[]).unwrap().local);
        assert!(!seen("127.0.0.1", &[HOST, HOST]).unwrap().local);
    }

    #[test]
    fn another_peer_is_remote_whatever_it_says() {
        for peer in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "fe80::1"] {
            assert!(!seen(peer, &[HOST]).unwrap().local, "{peer}");
        }
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(ip("192.0.2.1", "8.8.8.8").unwrap(), "192.0.2.1");
        assert_eq!(ip("192.0.2.1", "127.0.0.1").unwrap(), "192.0.2.1");
        assert_eq!(ip("127.0.0.1", "8.8.8.8").unwrap(), "127.0.0.1");
        let client = seen(
            "192.0.2.1",
            &[("X-Real-IP", "8.8.8.8"), ("X-Forwarded-Proto", "https")],
        );
        let client = client.unwrap();
        assert_eq!(client.ip.to_string(), "192.0.2.1");
        assert!(!client.https);
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        for (hops, client) in [
            ("8.8.8.8", "8.8.8.8"),
            ("127.0.0.1, 8.8.8.8", "8.8.8.8"),
            ("127.evil, 8.8.8.8", "8.8.8.8"),
            ("1.1.1.1, 8.8.8.8, 10.9.9.9", "8.8.8.8"),
            ("8.8.8.8,10.9.9.9 , 10.1.1.1", "8.8.8.8"),
            ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
            ("8.8.8.8:4711", "8.8.8.8"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:8.8.8.8", "8.8.8.8"),
        ] {
            assert_eq!(ip("10.0.0.1", hops).as_deref(), Ok(client), "{hops}");
            assert_eq!(ip("::ffff:10.0.0.1", hops).as_deref(), Ok(client), "{hops}");
        }
    }

    #[test]
    fn a_hop_that_is_no_client_is_refused() {
        for hops in "127.0.0.1|8.8.8.8, 127.0.0.1|::1|0.0.0.0|::|::ffff:127.0.0.1|127.evil|evil.com\
            |8.8.8.8,|,|unknown|127.1|8.8.8.8 10.1.1.1|127.0.0.1, 10.1.1.1|fe80::1%eth0|"
            .split('|')
        {
            assert_eq!(ip("10.0.0.1", hops), Err(ForwardedError::Hop), "{hops:?}");
            let real = seen("10.0.0.1", &[("X-Real-IP", hops)]);
            assert_eq!(real, Err(ForwardedError::Hop), "{hops:?}");
        }
    }

    #[test]
    fn duplicates_are_refused() {
        for name in ["X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto"] {
            for peer in ["10.0.0.1", "127.0.0.1", "192.0.2.1"] {
                let two = [(name, "8.8.8.8"), (name, "8.8.8.8")];
                assert_eq!(
                    seen(peer, &two),
                    Err(ForwardedError::Duplicate),
                    "{name} {peer}"
                );
            }
        }
    }

    #[test]
    fn a_trusted_proxy_tells_address_and_scheme() {
        let client = seen(
            "::1",
            &[("X-Real-IP", "8.8.8.8"), ("X-Forwarded-Proto", "HTTPS")],
        );
        let client = client.unwrap();
        assert_eq!(client.ip.to_string(), "8.8.8.8");
        assert!(client.https && client.via_proxy && !client.local);
        let both = [("X-Real-IP", "9.9.9.9"), ("X-Forwarded-For", "8.8.8.8")];
        assert_eq!(seen("10.0.0.1", &both).unwrap().ip.to_string(), "8.8.8.8");
    }
}
