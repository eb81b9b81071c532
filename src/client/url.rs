//! Where a gateway is: a parsed `ws://` or `wss://` address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// What a program that uses the gateway's Unix socket names as its `Host`.
const SOCKET_HOST: &str = "gateway.sock";

/// The address of a gateway. It never carries a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUrl {
    /// Whether TLS protects the connection (`wss://`).
    pub secure: bool,
    /// The host, a name in lower case or an IP literal without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Request path, beginning with `/`.
    pub path: String,
    /// The Unix socket by which the same gateway is reached without host and port.
    pub socket: Option<PathBuf>,
    /// The gateway's own port, where this address is the near end of a tunnel of ours. The `Host`
    /// header names it: to the gateway a tunnel is a connection of its own machine.
    pub far_port: Option<u16>,
}

impl GatewayUrl {
    /// The gateway on `port` of this machine.
    pub fn loopback(port: u16) -> Self {
        Self {
            secure: false,
            host: "127.0.0.1".to_owned(),
            port,
            path: "/".to_owned(),
            socket: None,
            far_port: None,
        }
    }

    /// The near end of a tunnel to a gateway that listens on `far_port` of its machine.
    pub fn tunnel(local_port: u16, far_port: u16) -> Self {
        Self {
            far_port: Some(far_port),
            ..Self::loopback(local_port)
        }
    }

    /// Reads `ws://host[:port][/path]`, `wss://…`, and the same with `http` and `https`.
    ///
    /// A user part, a query or a fragment is refused: a URL never authenticates, and one with
    /// a token in it ends up in histories and logs. The error is a sentence for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("`{text}` is no gateway address: write ws://host:port"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            other => {
                return Err(format!(
                    "`{other}://` is not supported: use ws:// or wss://"
                ));
            }
        };
        if rest.contains(['?', '#']) || rest.split('/').next().unwrap_or("").contains('@') {
            return Err("an address carries no credentials: use --token or --token-file".into());
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("an address has no blanks or control characters in it".into());
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        let (host, port) = split_port(authority, if secure { 443 } else { 80 })?;
        Ok(Self {
            secure,
            host: check_host(host)?,
            port,
            path: path.to_owned(),
            socket: None,
            far_port: None,
        })
    }

    /// Scheme, host and port: what a credential is bound to.
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}", self.authority())
    }

    /// `host:port`, IPv6 in brackets.
    pub fn authority(&self) -> String {
        self.with_port(self.port)
    }

    fn with_port(&self, port: u16) -> String {
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }

    /// The `Host` header.
    pub fn host_field(&self) -> String {
        match self.socket {
            Some(_) => SOCKET_HOST.to_owned(),
            None => self.with_port(self.far_port.unwrap_or(self.port)),
        }
    }

    /// Whether the host can only be this machine: `localhost` or a loopback literal. A name
    /// that merely begins like one (`127.evil.com`) is not.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.ip().is_some_and(|ip| match ip {
                IpAddr::V4(v4) => v4.is_loopback(),
                IpAddr::V6(v6) => {
                    v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
                }
            })
    }

    /// The addresses that need no name service: an IP literal, or both of `localhost`, which
    /// is not looked up so that no name service can move it to another machine.
    pub fn literal_addresses(&self) -> Option<Vec<IpAddr>> {
        if self.host == "localhost" {
            return Some(vec![
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ]);
        }
        self.ip().map(|ip| vec![ip])
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())?;
        if self.path != "/" {
            f.write_str(&self.path)?;
        }
        Ok(())
    }
}

fn split_port(authority: &str, default: u16) -> Result<(&str, u16), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| format!("`{authority}`: a `]` is missing"))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(format!("`{host}` is no IPv6 address"));
        }
        (host, after)
    } else {
        match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        }
    };
    if port.is_empty() {
        return Ok((host, default));
    }
    let digits = port.strip_prefix(':').unwrap_or(port);
    match digits.parse::<u16>() {
        Ok(number) if number != 0 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((host, number))
        }
        _ => Err(format!("`{digits}` is no port: 1 to 65535")),
    }
}

fn check_host(host: &str) -> Result<String, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    let fits = !host.is_empty()
        && host.len() <= 253
        && !host.starts_with(['-', '.'])
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if fits {
        Ok(host.to_ascii_lowercase())
    } else {
        Err(format!("`{host}` is no host name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> GatewayUrl {
        GatewayUrl::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_normalised_to_an_origin() {
        assert_eq!(url("ws://127.0.0.1:18789").origin(), "ws://127.0.0.1:18789");
        assert_eq!(url("WS://Example.ORG:1/x").origin(), "ws://example.org:1");
        assert_eq!(url("https://h").origin(), "wss://h:443");
        assert_eq!(url("http://h/").origin(), "ws://h:80");
        assert_eq!(url("ws://[0:0:0:0:0:0:0:1]:5").origin(), "ws://[::1]:5");
        assert_eq!(url("ws://h:1/a/b").path, "/a/b");
    }

    #[test]
    fn a_tunnel_is_dialled_here_and_asks_for_the_gateway_there() {
        let near = GatewayUrl::tunnel(4000, 18789);
        assert_eq!(near.origin(), "ws://127.0.0.1:4000");
        assert_eq!(near.host_field(), "127.0.0.1:18789");
        assert_eq!(url("ws://[::1]:5").host_field(), "[::1]:5");
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "host:1",
            "ftp://h",
            "ws://",
            "ws://:1",
            "ws://h:0",
            "ws://h:65536",
            "ws://h:+1",
            "ws://h:x",
            "ws://[::1",
            "ws://[x]:1",
            "ws://a b",
            "ws://-oProxyCommand:1",
            "ws://h:1/\r\nX: y",
        ] {
            assert!(GatewayUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_never_carries_a_credential() {
        for text in ["ws://user:pw@h:1", "ws://h:1/?token=x", "ws://h:1/#token=x"] {
            let message = GatewayUrl::parse(text).unwrap_err();
            assert!(message.contains("--token"), "{message}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for text in [
            "ws://localhost:1",
            "ws://LOCALHOST:1",
            "ws://127.0.0.1:1",
            "ws://127.9.9.9:1",
            "ws://[::1]:1",
            "ws://[::ffff:127.0.0.1]:1",
        ] {
            assert!(url(text).is_loopback(), "{text}");
        }
        for text in [
            "ws://127.evil.com:1",
            "ws://127.0.0.1.evil.com:1",
            "ws://localhost.evil.com:1",
            "ws://localhost.:1",
            "ws://0.0.0.0:1",
            "ws://[::]:1",
            "ws://10.0.0.1:1",
            "ws://127.1:1",
            "ws://0x7f000001:1",
            "ws://2130706433:1",
            "ws://[::ffff:10.0.0.1]:1",
        ] {
            assert!(!url(text).is_loopback(), "{text}");
        }
    }
}
