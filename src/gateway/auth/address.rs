//! Addresses as keys, and the `host:port` of a request.

use core::net::{IpAddr, Ipv6Addr};

/// Who is counted as one: an IPv4 address, or the /64 that an IPv6 subscriber has.
/// An IPv4 address mapped into IPv6 is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subscriber {
    /// The four bytes of the address.
    V4([u8; 4]),
    /// The first eight bytes of the address.
    V6([u8; 8]),
}

impl Subscriber {
    /// The subscriber behind `ip`.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => Self::V6(first_half(ip)),
        }
    }

    /// The network that one attacker may have whole: a /24, or the /64 itself.
    pub fn network(self) -> Network {
        match self {
            Self::V4([a, b, c, _]) => Network::V4([a, b, c]),
            Self::V6(half) => Network::V6(half),
        }
    }
}

fn first_half(ip: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = ip.octets();
    [a, b, c, d, e, f, g, h]
}

/// A /24 of IPv4 or a /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// The first three bytes of the addresses.
    V4([u8; 3]),
    /// The first eight bytes of the addresses.
    V6([u8; 8]),
}

/// The host of a `Host` header or an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An IP literal, canonical.
    Ip(IpAddr),
    /// A name in lower case.
    Name(String),
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let ip: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Ip(IpAddr::V6(ip).to_canonical()));
        }
        if let Ok(IpAddr::V4(ip)) = text.parse() {
            return Some(Self::Ip(IpAddr::V4(ip)));
        }
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        // RFC 1035 2.3.4: a name fits in 255 octets, 253 of them as text.
        let good = (1..=253).contains(&text.len()) && text.bytes().all(named);
        good.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// A loopback literal or `localhost`; a name that only begins like one is not.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(ip) => ip.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// `host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// What stands before the port.
    pub host: Host,
    /// The port where one was written; 0 never.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads the value of a `Host` header or the part of an origin behind `://`. No user,
    /// path, zone or blank is taken, and no port without digits.
    pub fn parse(text: &str) -> Option<Self> {
        let colon = text.rfind(':').filter(|at| !text[*at..].contains(']'));
        let (host, port) = match colon {
            Some(at) => (&text[..at], Some(port(&text[at + 1..])?)),
            None => (text, None),
        };
        let host = Host::parse(host)?;
        Some(Self { host, port })
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(ip: &str) -> Subscriber {
        Subscriber::of(ip.parse().unwrap())
    }

    #[test]
    fn one_subscriber_has_one_key() {
        assert_eq!(subscriber("1.2.3.4"), subscriber("::ffff:1.2.3.4"));
        assert_ne!(subscriber("1.2.3.4"), subscriber("1.2.3.5"));
        assert_eq!(
            subscriber("2001:db8::1"),
            subscriber("2001:db8::ffff:0:0:2")
        );
        assert_ne!(subscriber("2001:db8::1"), subscriber("2001:db8:0:1::1"));
    }

    #[test]
    fn networks_are_a_24_or_a_64() {
        let network = |ip| subscriber(ip).network();
        assert_eq!(network("1.2.3.4"), network("1.2.3.250"));
        assert_eq!(network("1.2.3.4"), network("::ffff:1.2.3.250"));
        assert_ne!(network("1.2.3.4"), network("1.2.4.4"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

    #[test]
    fn a_host_and_its_port_are_read() {
        let read = |text| Authority::parse(text).map(|a| (a.host.to_string(), a.port));
        for (text, host, port) in [
            ("127.0.0.1:18789", "127.0.0.1", Some(18789)),
            ("LocalHost", "localhost", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("[::ffff:127.0.0.1]", "127.0.0.1", None),
            ("gw.example:65535", "gw.example", Some(65535)),
        ] {
            assert_eq!(read(text), Some((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_host() {
        let texts = "|:80|a:|a:0|a:65536|a:+80|a:8 0|a b|a/b|u@a|::1|[::1|::1]|[1.2.3.4]|[::1%eth0]\
            |[::1]x|a:80:80|a,b|a\u{7f}|é|[]|http://a";
        for text in texts.split('|') {
            assert_eq!(Authority::parse(text), None, "{text:?}");
        }
        assert_eq!(Authority::parse(&"a".repeat(254)), None);
    }

    #[test]
    fn only_literals_and_localhost_are_loopback() {
        let loopback = |text| Authority::parse(text).unwrap().host.is_loopback();
        for text in [
            "127.0.0.1",
            "127.255.0.9",
            "[::1]",
            "localhost",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(loopback(text), "{text}");
        }
        let others = "127.evil.com 127.0.0.1.evil.com localhost.evil.com localhost. 2130706433 127.1 \
            0177.0.0.1 0.0.0.0 [::] 10.0.0.1 a.localhost";
        for text in others.split_whitespace() {
            assert!(!loopback(text), "{text}");
        }
    }
}
