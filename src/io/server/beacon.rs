//! Whether the network is told of the gateway, and what.

use super::bind::Bound;
use super::tls::Tls;
use crate::config::{BindMode, Config, MdnsMode};
use crate::io::clock;
use crate::io::discovery::Advertiser;
use crate::io::log::Log;
use crate::log::{Level, LogLine};
use crate::remote::beacon::Beacon;
use std::net::IpAddr;

/// Tells it, if that is wished for. A machine that cannot serves without.
pub fn advertise(
    config: &Config,
    bound: &Bound,
    tls: Option<&Tls>,
    log: &Log,
) -> Option<Advertiser> {
    let mode = mode(config, bound)?;
    let beacon = Beacon {
        machine: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        port: bound.port,
        fingerprint: tls.and_then(Tls::fingerprint),
        full: mode == MdnsMode::Full,
    };
    // Of a port on loopback the network learns where the machine is, for SSH.
    let address = bound.address.parse().ok();
    let address = address.filter(|ip: &IpAddr| !ip.is_unspecified() && !ip.is_loopback());
    match Advertiser::start(&beacon, address) {
        Ok(advertiser) => Some(advertiser),
        Err(fault) => {
            let text = "the network is not told of the gateway";
            let line = LogLine::new(clock::now().unix_ms, Level::Warn, "discovery", text);
            log.write(line.with("fault", fault));
            None
        }
    }
}

/// Unless it is said otherwise, the network is told of what it can reach.
fn mode(config: &Config, bound: &Bound) -> Option<MdnsMode> {
    let on_loopback = bound
        .address
        .parse()
        .is_ok_and(|ip: IpAddr| ip.is_loopback());
    let of_network = !on_loopback && bound.mode != BindMode::Tailnet;
    match config.discovery.mdns.mode {
        Some(MdnsMode::Off) => None,
        Some(mode) => Some(mode),
        None => of_network.then_some(MdnsMode::Minimal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_told_of_what_it_can_reach_and_of_more_only_on_request() {
        let told = |bind: BindMode, address: &str, wished: Option<MdnsMode>| {
            let mut config = Config::default();
            config.discovery.mdns.mode = wished;
            let bound = Bound {
                mode: bind,
                address: address.into(),
                port: 1,
            };
            mode(&config, &bound)
        };
        let minimal = Some(MdnsMode::Minimal);
        for (bind, address, unsaid) in [
            (BindMode::Loopback, "127.0.0.1", None),
            (BindMode::Auto, "127.0.0.1", None),
            (BindMode::Tailnet, "100.64.0.1", None),
            (BindMode::Custom, "127.0.0.2", None),
            (BindMode::Custom, "192.0.2.2", minimal),
            (BindMode::Lan, "0.0.0.0", minimal),
            (BindMode::Auto, "0.0.0.0", minimal),
        ] {
            assert_eq!(told(bind, address, None), unsaid, "{bind:?} {address}");
            assert_eq!(told(bind, address, minimal), minimal);
            assert_eq!(told(bind, address, Some(MdnsMode::Off)), None);
        }
    }
}
