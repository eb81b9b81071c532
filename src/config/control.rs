//! Where a browser control server may be: on this machine, or in the tailnet, which encrypts.
//!
//! Nothing is looked up, so no name service decides who gets its token.

use crate::tailnet::address::is_in_tailnet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address in `http://HOST[:PORT][/]`.
///
/// # Errors
///
/// What is wrong, as the end of a sentence that begins with the key.
pub fn address(url: &str) -> Result<SocketAddr, &'static str> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err("is no http:// address");
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let address = read(authority).ok_or("is no IP address with a port")?;
    let ip = address.ip().to_canonical();
    match ip.is_loopback() || is_in_tailnet(ip) {
        true => Ok(SocketAddr::new(ip, address.port())),
        false => Err("is neither on this machine nor in a tailnet"),
    }
}

/// As RFC 3986 3.2 has it, IPv6 in brackets; `localhost` is this machine and nothing else.
fn read(authority: &str) -> Option<SocketAddr> {
    let named = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    if let Some(port) = authority.strip_prefix("localhost") {
        return match port.strip_prefix(':') {
            Some(port) => port.parse().ok().map(named),
            None => port.is_empty().then(|| named(80)),
        };
    }
    let bare = authority.trim_start_matches('[').trim_end_matches(']');
    let without_port = || bare.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 80));
    authority.parse().ok().or_else(without_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_a_tailnet_are_taken() {
        for (url, is) in [
            ("http://127.0.0.1:18791", "127.0.0.1:18791"),
            ("http://127.0.0.1:18791/", "127.0.0.1:18791"),
            ("http://localhost:1", "127.0.0.1:1"),
            ("http://localhost", "127.0.0.1:80"),
            ("http://[::1]:18791", "[::1]:18791"),
            ("http://100.101.102.103:18791", "100.101.102.103:18791"),
            ("http://[fd7a:115c:a1e0::7]", "[fd7a:115c:a1e0::7]:80"),
        ] {
            assert_eq!(address(url), Ok(is.parse().unwrap()), "{url}");
        }
        for url in [
            "http://0.0.0.0:18791",
            "http://10.0.0.42:18791",
            "http://192.168.1.2:18791",
            "http://[::]:1",
            "http://203.0.113.5:18791",
            "http://100.128.0.1:1",
            "http://[::ffff:10.0.0.1]:1",
            "http://127.0.0.1.example.com:1",
            "http://localhost.example.com:1",
            "http://localhosts",
            "http://127.1:80",
            "http://user@127.0.0.1:1",
            "http://127.0.0.1:1/path",
            "http://127.0.0.1:1?token=x",
            "http://127.0.0.1:99999",
            "https://127.0.0.1:1",
            "ws://127.0.0.1:1",
            "",
        ] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
