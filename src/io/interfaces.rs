//! The addresses of this machine's network interfaces.

use crate::tailnet::address;
use std::io;
use std::net::{IpAddr, UdpSocket};

/// An address and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub interface: String,
    pub ip: IpAddr,
}

/// All addresses of interfaces that are up, in the system's order.
///
/// # Errors
///
/// When the system does not tell.
pub fn addresses() -> io::Result<Vec<Address>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    Ok(found
        .map(|interface| Address {
            ip: interface.ip(),
            interface: interface.name,
        })
        .collect())
}

/// The address that this machine has in a tailnet, if it is in one.
///
/// # Errors
///
/// When the system does not tell its addresses.
pub fn tailnet_address() -> io::Result<Option<IpAddr>> {
    Ok(choose_tailnet(&addresses()?, outward_address()))
}

/// The address that this machine would speak from. Nothing is sent: connecting a datagram socket
/// only asks the routing table.
pub fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address of RFC 5737's, so that no real host is meant.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// The IPv4 address before the IPv6 one. Carriers give out 100.64.0.0/10 as well, so there the
/// interface has to be Tailscale's, by its name or its other address, or at least not the one
/// that leads to the carrier.
fn choose_tailnet(addresses: &[Address], outward: Option<IpAddr>) -> Option<IpAddr> {
    let is_tailscales = |name: &str| {
        name.starts_with("tailscale")
            || addresses.iter().any(|other| {
                other.interface == name
                    && matches!(other.ip, IpAddr::V6(ip) if address::is_of_tailscale(ip))
            })
    };
    let of_tailnet = |address: &&Address| address::is_in_tailnet(address.ip);
    let candidates = || addresses.iter().filter(of_tailnet);
    candidates()
        .find(|address| address.ip.is_ipv4() && is_tailscales(&address.interface))
        .or_else(|| candidates().find(|address| address.ip.is_ipv6()))
        .or_else(|| candidates().find(|address| Some(address.ip) != outward))
        .map(|address| address.ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(addresses: &[(&str, &str)], outward: Option<&str>) -> Option<String> {
        let addresses: Vec<Address> = addresses
            .iter()
            .map(|(interface, ip)| Address {
                interface: (*interface).to_owned(),
                ip: ip.parse().unwrap(),
            })
            .collect();
        let outward = outward.map(|ip| ip.parse().unwrap());
        choose_tailnet(&addresses, outward).map(|ip| ip.to_string())
    }

    #[test]
    fn the_tailnet_address_is_found_among_others() {
        let lo = ("lo", "127.0.0.1");
        let eth = ("eth0", "192.0.2.2");
        assert_eq!(chosen(&[lo, eth], Some("192.0.2.2")), None);
        let found = chosen(&[lo, eth, ("tailscale0", "100.101.102.103")], None);
        assert_eq!(found.as_deref(), Some("100.101.102.103"));
        let mac = [lo, ("utun3", "fd7a:115c:a1e0::7"), ("utun3", "100.70.0.1")];
        assert_eq!(chosen(&mac, None).as_deref(), Some("100.70.0.1"));
        assert_eq!(
            chosen(&mac[..2], None).as_deref(),
            Some("fd7a:115c:a1e0::7")
        );
    }

    #[test]
    fn a_carriers_address_of_the_same_range_is_no_tailnet() {
        let wan = ("wwan0", "100.72.0.9");
        assert_eq!(chosen(&[wan], Some("100.72.0.9")), None);
        let both = [wan, ("tailscale0", "100.101.102.103")];
        for outward in ["100.72.0.9", "100.101.102.103"] {
            assert_eq!(
                chosen(&both, Some(outward)).as_deref(),
                Some("100.101.102.103")
            );
        }
    }
}
