//! This machine in its tailnet: what `tailscale status --json` says.

use crate::limits::HOST_NAME_BYTES_MAX;
use serde_json::Value;

/// Reads this machine's MagicDNS name (ipnstate.Status: `BackendState`, `Self.DNSName`).
///
/// # Errors
///
/// Why there is none, with the command that mends it.
pub fn name(status: &str) -> Result<String, String> {
    let status: Value = serde_json::from_str(status)
        .map_err(|_| "`tailscale status --json` printed no JSON".to_owned())?;
    match status["BackendState"].as_str() {
        Some("Running") => {}
        Some(state) if state.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            return Err(format!("Tailscale is {state} (run: tailscale up)"));
        }
        _ => return Err("Tailscale does not say whether it runs (run: tailscale up)".into()),
    }
    let name = status["Self"]["DNSName"].as_str().unwrap_or("");
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    match is_host_name(&name) {
        true => Ok(name),
        false => Err("this machine has no MagicDNS name (turn MagicDNS on for the tailnet)".into()),
    }
}

/// A name goes into rules about who may come in, so nothing but a plain one is taken.
fn is_host_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    name.len() <= HOST_NAME_BYTES_MAX
        && name.contains('.')
        && name.bytes().all(is_plain)
        && name.split('.').all(|label| !label.is_empty())
        && name.parse::<std::net::IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: &str, name: &str) -> Result<String, String> {
        self::name(&format!(
            r#"{{"Version":"1.90.0","BackendState":"{state}","TailscaleIPs":["100.64.0.1"],
                "Self":{{"DNSName":"{name}","HostName":"home"}},"Peer":null}}"#
        ))
    }

    #[test]
    fn the_name_is_that_of_the_machine_without_its_dot() {
        let name = told("Running", "Home.tail1234.ts.net.");
        assert_eq!(name.unwrap(), "home.tail1234.ts.net");
    }

    #[test]
    fn a_machine_that_is_not_in_a_tailnet_has_no_name() {
        for state in ["NeedsLogin", "Stopped", "NoState", "Starting"] {
            let fault = told(state, "home.tail1234.ts.net.").unwrap_err();
            assert!(fault.contains(state) && fault.contains("tailscale up"));
        }
        for text in ["", "null", "[]", "{}", "{\"BackendState\": \"a b\"}"] {
            assert!(self::name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_host_name_is_no_name() {
        for name in [
            "",
            ".",
            "home",
            "a..b",
            "*.ts.net",
            "a.b/c",
            "100.64.0.1",
            "a.ts.net:1",
            "é.x",
        ] {
            assert!(told("Running", name).is_err(), "{name}");
        }
        assert!(told("Running", &"a.".repeat(200)).is_err());
    }
}
