//! Where the gateway listens. What was asked for is bound, or nothing is.

use crate::config::{BindMode, Config};
use crate::io::socket::{Listener, PeerAddr};
use crate::io::state_dir::StartFault;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the gateway really listens.
pub struct Bound {
    /// The address for people.
    pub address: String,
    /// The real port, also where 0 was asked for.
    pub port: u16,
}

/// Binds what flags and configuration say.
///
/// # Errors
///
/// An address that is taken, not ours, or not to be had in this mode: exit 78.
pub fn listen(
    config: &Config,
    flag: Option<&str>,
    port: u16,
) -> Result<(Vec<Listener>, Bound), StartFault> {
    let ip = address(config, flag)?;
    let listener = bind(ip, port)?;
    let port = match listener.local_addr() {
        Ok(PeerAddr::Tcp(addr)) => addr.port(),
        _ => port,
    };
    let mut listeners = vec![listener];
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    if ip != loopback && !ip.is_unspecified() {
        // The command line of this machine, which trusts that 127.0.0.1 on our port is us.
        listeners.push(bind(loopback, port)?);
    }
    let bound = Bound {
        address: ip.to_string(),
        port,
    };
    Ok((listeners, bound))
}

fn bind(ip: IpAddr, port: u16) -> Result<Listener, StartFault> {
    Listener::bind_tcp(SocketAddr::new(ip, port))
        .map_err(|fault| StartFault::refused(cannot_bind(ip, port, &fault)))
}

/// The address to listen on, before anything is bound.
///
/// # Errors
///
/// An address that is not to be had in this mode: exit 78.
pub fn address(config: &Config, flag: Option<&str>) -> Result<IpAddr, StartFault> {
    let mode = match flag {
        None => config.gateway.bind,
        Some(word) => serde_json::from_value(word.into()).map_err(|_| {
            StartFault::refused(format!(
                "--bind {word}: it is loopback, lan, tailnet, auto or custom"
            ))
        })?,
    };
    match mode {
        BindMode::Loopback | BindMode::Auto => Ok(Ipv4Addr::LOCALHOST.into()),
        BindMode::Lan => Ok(Ipv4Addr::UNSPECIFIED.into()),
        BindMode::Custom => config.gateway.custom_bind_host.ok_or_else(|| {
            StartFault::refused(
                "gateway.bind is \"custom\" and gateway.customBindHost is not set \
                 (run: clawdia config set gateway.customBindHost ADDRESS)",
            )
        }),
        BindMode::Tailnet => Err(StartFault::refused(
            "gateway.bind is \"tailnet\" and this version knows no tailnet address \
                 (bind the address itself: gateway.bind custom, gateway.customBindHost ADDRESS)",
        )),
    }
}

fn cannot_bind(ip: IpAddr, port: u16, fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on {ip} is in use by another program \
             (find it: ss -ltnp 'sport = :{port}'; or use another port: --port PORT)"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} on {ip} needs privileges; use one above 1023: --port PORT")
        }
        _ => format!("cannot listen on {ip}:{port}: {fault}"),
    }
}
