//! Where other machines reach the gateway of this one.

use std::net::IpAddr;

use serde_json::Value;

use super::text;
use crate::client::GatewayUrl;
use crate::config::{BindMode, Config};
use crate::io::interfaces;

/// How to let other machines in, where none is.
pub const OPEN: &str =
    "clawdia config set gateway.bind tailnet   # or lan; with a secret of your own";

/// Where the configuration lets others in; None where that is this machine alone.
pub fn configured(config: &Config) -> Option<IpAddr> {
    let ip = match config.gateway.bind {
        BindMode::Loopback | BindMode::Auto => None,
        BindMode::Lan => Some(IpAddr::from([0, 0, 0, 0])),
        BindMode::Custom => config.gateway.custom_bind_host,
        BindMode::Tailnet => interfaces::tailnet_address().ok().flatten(),
    };
    named(ip?)
}

/// Where a gateway that runs lets others in, by its `status`: the name in its tailnet, or the address
/// that it listens on; `ip` is its machine's where that means all of them.
pub fn running(status: &Value, ip: &str) -> Option<GatewayUrl> {
    let tailnet = text(&status["tailscale"], "url").replacen("https://", "wss://", 1);
    if let Ok(url) = GatewayUrl::parse(tailnet.trim_end_matches('/')) {
        return Some(url);
    }
    let listen = &status["listen"];
    let at: IpAddr = text(listen, "address").parse().ok()?;
    let at = match at.is_unspecified() {
        true => ip.parse().ok()?,
        false => at,
    };
    let port = u16::try_from(listen["port"].as_u64()?).ok()?;
    (!at.is_loopback()).then(|| GatewayUrl {
        host: at.to_string(),
        secure: listen["tls"] == true,
        ..GatewayUrl::loopback(port)
    })
}

/// An address that others can use: of one that means all addresses, that by which this machine
/// speaks to the world.
fn named(ip: IpAddr) -> Option<IpAddr> {
    match ip.is_unspecified() {
        true => interfaces::outward_address(),
        false => Some(ip).filter(|ip| !ip.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn others_get_the_tailnets_name_or_the_address_that_is_listened_on() {
        let of = |status: Value| running(&status, "192.0.2.9").map(|url| url.origin());
        let listen = |address: &str, tls: bool| json!({"listen": {"address": address, "port": 7, "tls": tls}});
        assert_eq!(of(listen("127.0.0.1", true)), None);
        assert_eq!(of(json!({})), None);
        for (address, tls, told) in [
            ("192.0.2.7", true, "wss://192.0.2.7:7"),
            ("192.0.2.7", false, "ws://192.0.2.7:7"),
            ("0.0.0.0", true, "wss://192.0.2.9:7"),
        ] {
            assert_eq!(of(listen(address, tls)).as_deref(), Some(told));
        }
        let mut serves = listen("127.0.0.1", false);
        serves["tailscale"] = json!({"url": "https://box.tail.ts.net/"});
        assert!(of(serves).unwrap().starts_with("wss://box.tail.ts.net"));
    }
}
