//! Which addresses are a tailnet's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of the ranges that Tailscale gives out.
pub fn is_in_tailnet(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        // RFC 6598: 100.64.0.0/10.
        IpAddr::V4(ip) => u32::from(ip) & 0xffc0_0000 == u32::from(Ipv4Addr::new(100, 64, 0, 0)),
        IpAddr::V6(ip) => is_of_tailscale(ip),
    }
}

/// Tailscale's own part of the local addresses: fd7a:115c:a1e0::/48.
pub fn is_of_tailscale(ip: Ipv6Addr) -> bool {
    ip.segments()[..3] == [0xfd7a, 0x115c, 0xa1e0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tailnet_ranges_end_where_they_end() {
        for ip in [
            "100.64.0.0",
            "100.127.255.255",
            "::ffff:100.64.0.1",
            "fd7a:115c:a1e0::1",
        ] {
            assert!(is_in_tailnet(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "100.63.255.255",
            "100.128.0.0",
            "10.0.0.1",
            "fd7a:115c:a1e1::1",
            "::1",
        ] {
            assert!(!is_in_tailnet(ip.parse().unwrap()), "{ip}");
        }
    }
}
