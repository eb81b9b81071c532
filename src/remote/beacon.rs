//! What a gateway says of itself to its network, and what is made of what others say.
//!
//! Nobody vouches for any of it: a record may come from anybody on the network. So it is a hint for
//! people, and nothing in it becomes a pin, a secret's destination or a setting.

use crate::limits::{BEACON_ADDRESSES_MAX, BEACON_TEXT_CHARS_MAX};
use crate::order;
use std::net::IpAddr;

/// The types that the ecosystem's clients look for (DNS-SD, RFC 6763 7).
pub const TYPES: [&str; 2] = ["_clawdbot-gw._tcp.local.", "_openclaw-gw._tcp.local."];

/// What a gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// The machine's name.
    pub machine: String,
    pub port: u16,
    /// SHA-256 of the certificate, hex, where the port speaks TLS.
    pub fingerprint: Option<String>,
    /// Says also where SSH is, and the name in the tailnet.
    pub full: bool,
}

impl Beacon {
    /// The first label of the machine's name: an instance is one label.
    fn label(&self) -> &str {
        let label = self.machine.split('.').next().unwrap_or("");
        if label.is_empty() { "clawdia" } else { label }
    }

    /// The name that people see.
    pub fn instance(&self) -> String {
        format!("{} (Clawdia)", self.label())
    }

    /// The machine's name on its network.
    pub fn host(&self) -> String {
        format!("{}.local.", self.label())
    }

    /// The keys that the ecosystem's clients read.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("role", "gateway".to_owned()),
            ("transport", "gateway".to_owned()),
            ("gatewayPort", self.port.to_string()),
            ("displayName", self.label().to_owned()),
        ];
        if let Some(fingerprint) = &self.fingerprint {
            all.push(("gatewayTls", "1".to_owned()));
            all.push(("gatewayTlsSha256", fingerprint.clone()));
        }
        if self.full {
            all.push(("lanHost", format!("{}.local", self.label())));
            all.push(("sshPort", "22".to_owned()));
        }
        all
    }
}

/// A gateway that some network told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    /// As DNS resolved it; the text records say nothing about where.
    pub host: String,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
    /// It says that it speaks TLS.
    pub tls: bool,
    /// It says that its certificate has this SHA-256.
    pub fingerprint: Option<String>,
}

impl Found {
    /// Reads one answer; `text` looks up its text records.
    pub fn read<'a>(
        full_name: &str,
        host: &str,
        port: u16,
        addresses: impl IntoIterator<Item = IpAddr>,
        text: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let instance = full_name.split("._").next().unwrap_or(full_name);
        let name = text("displayName").filter(|name| !name.trim().is_empty());
        let mut addresses: Vec<IpAddr> = addresses.into_iter().filter(is_reachable).collect();
        order::sort_by_key(&mut addresses, |ip| (ip.is_ipv6(), *ip));
        addresses.truncate(BEACON_ADDRESSES_MAX);
        let is_hash = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let fingerprint = text("gatewayTlsSha256").map(|text| text.replace(':', ""));
        Self {
            name: plain(name.unwrap_or(instance)),
            host: plain(host.trim_end_matches('.')),
            port,
            addresses,
            tls: matches!(text("gatewayTls"), Some("1" | "true" | "yes")),
            fingerprint: fingerprint
                .as_deref()
                .filter(is_hash)
                .map(str::to_ascii_lowercase),
        }
    }

    /// Where it would be reached, by its address: a name of the network is anybody's.
    pub fn url(&self) -> Option<String> {
        let scheme = if self.tls { "wss" } else { "ws" };
        let ip = self.addresses.first()?;
        Some(format!(
            "{scheme}://{}",
            std::net::SocketAddr::new(*ip, self.port)
        ))
    }
}

/// An address that can stand in a URL: those of a link need an interface beside them.
fn is_reachable(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback(),
        IpAddr::V6(ip) => {
            let is_of_link = ip.segments()[0] & 0xffc0 == 0xfe80;
            !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback() && !is_of_link
        }
    }
}

/// A text of somebody's for a terminal: one short line without what terminals act on.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .filter(is_plain)
        .take(BEACON_TEXT_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(addresses: &[&str], text: &[(&str, &'static str)]) -> Found {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap());
        Found::read(
            "home (Clawdia)._clawdbot-gw._tcp.local.",
            "home.local.",
            18_789,
            addresses,
            |key| {
                text.iter()
                    .find(|(name, _)| *name == key)
                    .map(|(_, value)| *value)
            },
        )
    }

    #[test]
    fn what_is_said_is_little_unless_more_is_wished_for() {
        let mut beacon = Beacon {
            machine: "home.example.org".into(),
            port: 18_789,
            fingerprint: None,
            full: false,
        };
        assert_eq!(
            (beacon.instance().as_str(), beacon.host().as_str()),
            ("home (Clawdia)", "home.local.")
        );
        let keys = |beacon: &Beacon| {
            let keys: Vec<&str> = beacon.properties().iter().map(|(key, _)| *key).collect();
            keys.join(" ")
        };
        assert_eq!(keys(&beacon), "role transport gatewayPort displayName");
        beacon.fingerprint = Some("ab".repeat(32));
        beacon.full = true;
        assert_eq!(
            keys(&beacon),
            "role transport gatewayPort displayName gatewayTls gatewayTlsSha256 lanHost sshPort"
        );
    }

    #[test]
    fn where_a_gateway_is_comes_from_the_resolved_record_alone() {
        let lies = [
            ("gatewayPort", "22"),
            ("lanHost", "bank.example"),
            ("tailnetDns", "bank.example"),
        ];
        let it = found(&["fe80::1", "fd00::2", "192.0.2.2", "127.0.0.1"], &lies);
        assert_eq!((it.host.as_str(), it.port), ("home.local", 18_789));
        assert_eq!(it.url().as_deref(), Some("ws://192.0.2.2:18789"));
        assert_eq!(
            found(&["fd00::2"], &[]).url().as_deref(),
            Some("ws://[fd00::2]:18789")
        );
        assert_eq!(
            found(&["fe80::1", "::1", "0.0.0.0", "224.0.0.251"], &[]).url(),
            None
        );
    }

    #[test]
    fn hints_are_read_with_care() {
        let it = found(
            &["192.0.2.2"],
            &[
                ("gatewayTls", "1"),
                ("displayName", "my\u{1b}[2J \u{202e}host\n"),
            ],
        );
        assert_eq!(
            (it.name.as_str(), it.tls, it.fingerprint),
            ("my[2J host", true, None)
        );
        assert_eq!(found(&[], &[("displayName", " ")]).name, "home (Clawdia)");
        const HASH: &str = "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB";
        let it = found(
            &["192.0.2.2"],
            &[("gatewayTls", "yes"), ("gatewayTlsSha256", HASH)],
        );
        assert_eq!(it.fingerprint.unwrap(), HASH.to_lowercase());
        for bad in ["", "spki:abc", "xyz", "--insecure"] {
            assert_eq!(
                found(&[], &[("gatewayTlsSha256", bad)]).fingerprint,
                None,
                "{bad}"
            );
        }
    }
}
