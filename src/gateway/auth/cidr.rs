//! Address ranges of `gateway.trustedProxies`.

use core::net::{IpAddr, Ipv6Addr};

/// A range of addresses. IPv4 and IPv6 never match each other; a mapped range is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    prefix: u32,
}

impl Cidr {
    /// Reads `address` or `address/prefix`. The error says what is wrong with the text:
    /// bits behind the prefix, or a range that would trust everybody.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address
            .parse()
            .map_err(|_| format!("'{text}' is not an address"))?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let digits = |p: &str| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
        let prefix = match prefix {
            None => width,
            Some(prefix) => digits(prefix)
                .then(|| prefix.parse().ok())
                .flatten()
                .filter(|prefix| *prefix <= width)
                .ok_or_else(|| format!("'{text}' has no good prefix length"))?,
        };
        let cidr = Self { base, prefix }.folded();
        if cidr.prefix == 0 {
            return Err(format!("'{text}' would trust every address"));
        }
        if cidr.network_of(cidr.base) != bits(cidr.base) {
            return Err(format!("'{text}' has bits behind its prefix"));
        }
        Ok(cidr)
    }

    /// Whether `ip` is in the range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.base.is_ipv4() && self.network_of(ip) == bits(self.base)
    }

    /// RFC 4291 2.5.5.2: ::ffff:0:0/96 holds the IPv4 addresses.
    fn folded(self) -> Self {
        match self.base.to_canonical() {
            base @ IpAddr::V4(_) if self.base.is_ipv6() && self.prefix >= 96 => Self {
                base,
                prefix: self.prefix - 96,
            },
            _ => self,
        }
    }

    fn network_of(&self, ip: IpAddr) -> u128 {
        // The prefix is 1 to 32 or 128 once parsed; a shift by the whole width gives none.
        let width = if self.base.is_ipv4() { 32 } else { 128 };
        let mask = u128::MAX.checked_shl(width - self.prefix).unwrap_or(0);
        bits(ip) & mask
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => Ipv6Addr::to_bits(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::a00:1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.8"),
            ("128.0.0.0/1", "255.0.0.1", "127.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
        ] {
            let cidr = Cidr::parse(range).unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(
                !cidr.contains(outside.parse().unwrap()),
                "{range} {outside}"
            );
        }
    }

    #[test]
    fn nonsense_and_everybody_are_refused() {
        let texts = "|0.0.0.0/0|::/0|::ffff:0.0.0.0/96|10.0.0.0/33|10.0.0.0/|10.0.0.0/+8|10.0.0.0/8/8\
            |10.0.0.1/8|10.0.0.0/-1|10/8|evil.com|10.0.0.0/0x8|::/129|2001:db8::1/64|fe80::%eth0/64\
            | 10.0.0.0/8|*|10.0.0.0/99999999999|::ffff:0.0.0.0/90";
        for text in texts.split('|') {
            assert!(Cidr::parse(text).is_err(), "{text:?}");
        }
    }
}
