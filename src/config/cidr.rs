//! Address ranges of trusted proxies.

use core::net::IpAddr;
use serde::Deserialize;

/// An address range such as `10.0.0.0/8`; a lone address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr {
    addr: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no usable address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrError {
    NotAnAddress,
    BadPrefix,
    /// A prefix of zero trusts every address there is.
    Everything,
    /// Bits are set behind the prefix, so one of the two is a typing error.
    HostBits,
}

impl Cidr {
    /// Reads `ADDRESS` or `ADDRESS/BITS`.
    ///
    /// # Errors
    /// When it is neither, when it covers all addresses, or when bits behind the prefix are set.
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let (addr, prefix) = match text.split_once('/') {
            Some((addr, prefix)) => (addr, Some(prefix)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| CidrError::NotAnAddress)?;
        let width = width_bits(addr);
        let prefix_bits = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| CidrError::BadPrefix)?
            }
            Some(_) => return Err(CidrError::BadPrefix),
        };
        if prefix_bits > width {
            return Err(CidrError::BadPrefix);
        }
        let (addr, prefix_bits) = folded(addr, prefix_bits);
        if prefix_bits == 0 {
            return Err(CidrError::Everything);
        }
        if network(addr, prefix_bits) != bits(addr) {
            return Err(CidrError::HostBits);
        }
        Ok(Self { addr, prefix_bits })
    }

    /// Whether `ip` lies in the range. An IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        width_bits(ip) == width_bits(self.addr) && network(ip, self.prefix_bits) == bits(self.addr)
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|e| e.to_string())
    }
}

impl std::fmt::Display for CidrError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAnAddress => "not an IP address or range",
            Self::BadPrefix => "the number of bits after / is out of range",
            Self::Everything => "covers every address, so anybody could claim to be anyone",
            Self::HostBits => "has bits set behind its prefix",
        })
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix_bits)
    }
}

/// RFC 4291 2.5.5.2: ::ffff:0:0/96 holds the IPv4 addresses, so a range in it is theirs, and
/// a wider one holds no address in the form in which addresses are compared.
fn folded(addr: IpAddr, prefix_bits: u8) -> (IpAddr, u8) {
    match addr.to_canonical() {
        range @ IpAddr::V4(_) if addr.is_ipv6() && prefix_bits >= 96 => (range, prefix_bits - 96),
        _ => (addr, prefix_bits),
    }
}

fn width_bits(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn bits(addr: IpAddr) -> u128 {
    match addr {
        // Left-aligned, so that one mask serves both families.
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn network(addr: IpAddr, prefix_bits: u8) -> u128 {
    let mask = u128::MAX
        .checked_shl(128 - u32::from(prefix_bits))
        .unwrap_or(0);
    bits(addr) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(range: &str, ip: &str) -> bool {
        Cidr::parse(range).unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn ranges_hold_what_lies_in_them() {
        assert!(contains("10.0.0.0/8", "10.255.1.2"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.1.1"));
        assert!(!contains("::1", "0.0.0.1"));
    }

    #[test]
    fn a_range_of_everything_is_refused() {
        assert_eq!(Cidr::parse("0.0.0.0/0"), Err(CidrError::Everything));
        assert_eq!(Cidr::parse("::/0"), Err(CidrError::Everything));
        // The same in IPv6 clothes.
        assert_eq!(Cidr::parse("::ffff:0.0.0.0/96"), Err(CidrError::Everything));
        assert!(Cidr::parse("::ffff:0.0.0.0/90").is_err());
        assert!(!contains("::/64", "192.0.2.7"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/8",
            "host",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/8/8",
        ] {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
        assert_eq!(Cidr::parse("10.0.0.1/8"), Err(CidrError::HostBits));
    }
}
