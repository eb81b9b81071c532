//! Where the gateway listens. What was asked for is bound, or nothing is.
//!
//! Only the mode `auto` tries more than one place, in this order: loopback, tailnet, all
//! interfaces; the last two only with a secret that somebody chose.

use super::source::variable;
use crate::config::{BindMode, Config};
use crate::io::interfaces;
use crate::io::process::{self, Taken};
use crate::io::socket::{Listener, PeerAddr};
use crate::io::state_dir::StartFault;
use crate::io::supervisor;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const EVERYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Where a mode may listen.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    mode: BindMode,
    /// To be tried in this order; all but `auto` have one.
    addresses: Vec<IpAddr>,
}

/// Where the gateway really listens.
pub struct Bound {
    /// The mode that was asked for.
    pub mode: BindMode,
    /// The address for people.
    pub address: String,
    /// The real port, also where 0 was asked for.
    pub port: u16,
}

impl Plan {
    /// What flag and configuration ask for. `secret_chosen` says whether there is a token or
    /// password that is not just generated.
    ///
    /// # Errors
    ///
    /// An address that is not to be had in this mode: exit 78.
    pub fn new(
        config: &Config,
        flag: Option<&str>,
        secret_chosen: bool,
    ) -> Result<Self, StartFault> {
        let mode = mode(config, flag)?;
        let addresses = match mode {
            BindMode::Loopback => vec![LOOPBACK],
            BindMode::Lan => vec![EVERYWHERE],
            BindMode::Custom => vec![custom(config)?],
            BindMode::Tailnet => vec![tailnet()?],
            BindMode::Auto if !secret_chosen => vec![LOOPBACK],
            BindMode::Auto => {
                let tailnet = tailnet().ok();
                [Some(LOOPBACK), tailnet, Some(EVERYWHERE)]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        };
        Ok(Self { mode, addresses })
    }

    /// An address by which other machines come in, if there is one.
    pub fn open_address(&self) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|ip| !ip.is_loopback())
    }

    /// That no other machine comes in, for who has no secret that somebody chose.
    ///
    /// # Errors
    ///
    /// Where one does: exit 78.
    pub fn is_closed(&self) -> Result<(), StartFault> {
        let Some(ip) = self.open_address() else {
            return Ok(());
        };
        Err(StartFault::refused(format!(
            "listening on {ip} lets other machines in, and there is neither token nor password \
             (set one: clawdia config set gateway.auth.token SECRET, CLAWDIA_GATEWAY_TOKEN or \
             --token-file FILE; or stay on this machine: --bind loopback)"
        )))
    }

    /// Whether any of the addresses can be bound once the process `former` listens no more.
    ///
    /// # Errors
    ///
    /// As [`Plan::open`].
    pub fn is_free(&self, port: u16, former: Option<u32>) -> Result<(), StartFault> {
        let mut faults = Vec::new();
        for ip in &self.addresses {
            let beside = self.listens_beside(*ip).then_some(LOOPBACK);
            let mut ips = std::iter::once(*ip).chain(beside);
            match ips.try_for_each(|ip| is_free(ip, port, former)) {
                Ok(()) => return Ok(()),
                Err(fault) => faults.push(fault),
            }
        }
        Err(StartFault::refused(faults.join("\n")))
    }

    /// Whether 127.0.0.1 is bound besides this address.
    fn listens_beside(&self, ip: IpAddr) -> bool {
        self.mode != BindMode::Auto && ip.to_canonical() != LOOPBACK && !ip.is_unspecified()
    }

    /// Takes the sockets that a supervisor has bound, or binds what was asked for.
    ///
    /// # Errors
    ///
    /// What cannot be had, or is wider than what was asked for: exit 78.
    pub fn open(&self, port: u16) -> Result<(Vec<Listener>, Bound), StartFault> {
        let handed = supervisor::handed_over(&variable)
            .map_err(|fault| StartFault::refused(format!("LISTEN_FDS: {fault}")))?;
        match handed.is_empty() {
            true => self.listen(port),
            false => self.adopt(handed),
        }
    }

    /// Takes the sockets that a supervisor has bound, where they are no wider than what was asked
    /// for: who wrote the socket unit may not have read this configuration.
    ///
    /// # Errors
    ///
    /// A socket that lets in more than the mode does: exit 78.
    fn adopt(&self, listeners: Vec<Listener>) -> Result<(Vec<Listener>, Bound), StartFault> {
        let mut first = None;
        for listener in &listeners {
            let Ok(PeerAddr::Tcp(addr)) = listener.local_addr() else {
                continue;
            };
            let ip = addr.ip().to_canonical();
            let fits = ip.is_loopback()
                || self
                    .addresses
                    .iter()
                    .any(|it| *it == ip || it.is_unspecified());
            if !fits {
                return Err(StartFault::refused(format!(
                    "the socket that was handed over listens on {ip}, and gateway.bind is \"{}\" \
                     (run: clawdia config set gateway.bind lan, or change ListenStream= of the socket unit)",
                    self.mode.as_str()
                )));
            }
            first.get_or_insert((ip, addr.port()));
        }
        let Some((ip, port)) = first else {
            return Err(StartFault::refused(
                "none of the sockets that were handed over is a TCP socket",
            ));
        };
        let bound = Bound {
            mode: self.mode,
            address: ip.to_string(),
            port,
        };
        Ok((listeners, bound))
    }

    /// Binds the first address that can be bound.
    ///
    /// # Errors
    ///
    /// When none can: exit 78, with the fault of each.
    pub fn listen(&self, port: u16) -> Result<(Vec<Listener>, Bound), StartFault> {
        let mut faults = Vec::new();
        for ip in &self.addresses {
            match listen_on(*ip, port, self.listens_beside(*ip)) {
                Ok((listeners, port)) => {
                    let bound = Bound {
                        mode: self.mode,
                        address: ip.to_string(),
                        port,
                    };
                    return Ok((listeners, bound));
                }
                Err(fault) => faults.push(fault),
            }
        }
        Err(StartFault::refused(faults.join("\n")))
    }
}

/// `beside` also listens on 127.0.0.1, for programs of this machine: they trust that our port
/// there is us.
fn listen_on(ip: IpAddr, port: u16, beside: bool) -> Result<(Vec<Listener>, u16), String> {
    let first = bind(ip, port)?;
    let port = match first.local_addr() {
        Ok(PeerAddr::Tcp(addr)) => addr.port(),
        _ => port,
    };
    let mut listeners = vec![first];
    if beside {
        listeners.push(bind(LOOPBACK, port)?);
    }
    Ok((listeners, port))
}

fn bind(ip: IpAddr, port: u16) -> Result<Listener, String> {
    let bound = Listener::bind_tcp(SocketAddr::new(ip, port));
    bound.map_err(|fault| cannot_bind(ip, port, None, &fault))
}

fn is_free(ip: IpAddr, port: u16, former: Option<u32>) -> Result<(), String> {
    match Listener::bind_tcp(SocketAddr::new(ip, port)) {
        Err(fault)
            if fault.kind() != io::ErrorKind::AddrInUse
                || former.is_none_or(|former| process::is_taken(ip, port, former)) =>
        {
            Err(cannot_bind(ip, port, former, &fault))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn mode(config: &Config, flag: Option<&str>) -> Result<BindMode, StartFault> {
    let Some(word) = flag else {
        return Ok(config.gateway.bind);
    };
    serde_json::from_value(word.into()).map_err(|_| {
        StartFault::refused(format!(
            "--bind {word}: it is loopback, lan, tailnet, auto or custom"
        ))
    })
}

fn custom(config: &Config) -> Result<IpAddr, StartFault> {
    config.gateway.custom_bind_host.ok_or_else(|| {
        StartFault::refused(
            "gateway.bind is \"custom\" and gateway.customBindHost is not set \
             (run: clawdia config set gateway.customBindHost ADDRESS)",
        )
    })
}

fn tailnet() -> Result<IpAddr, StartFault> {
    match interfaces::tailnet_address() {
        Ok(Some(ip)) => Ok(ip),
        Ok(None) => Err(StartFault::refused(
            "gateway.bind is \"tailnet\" and no interface has a tailnet address \
             (100.64.0.0/10 or fd7a:115c:a1e0::/48): start Tailscale (run: tailscale up), \
             or stay on this machine (run: clawdia config set gateway.bind loopback)",
        )),
        Err(fault) => Err(StartFault::refused(format!(
            "gateway.bind is \"tailnet\" and the addresses of this machine cannot be read: {fault}"
        ))),
    }
}

fn cannot_bind(ip: IpAddr, port: u16, former: Option<u32>, fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::AddrInUse => {
            let (who, what, command) = taken_by(ip, port, former);
            format!(
                "port {port} on {ip} is in use by {who} \
                 ({what}: {command}; or use another port: --port PORT)"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} on {ip} needs privileges; use one above 1023: --port PORT")
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "{ip} is no address of this machine (its own: ip address; \
             or stay on this machine: --bind loopback)"
        ),
        _ => format!("cannot listen on {ip}:{port}: {fault}"),
    }
}

/// Who but `former` has a port of an address, what is to be done about that, and the command that does it.
pub fn taken_by(ip: IpAddr, port: u16, former: Option<u32>) -> (String, &'static str, String) {
    let find = format!("sudo ss -ltnp 'sport = :{port}'");
    match process::who_has(ip, port, former) {
        Taken::By(it) if it.name == env!("CARGO_PKG_NAME") => (
            format!("another gateway, process {}", it.pid),
            "see which",
            "clawdia gateway list".to_owned(),
        ),
        Taken::By(it) => (
            format!("process {} ({})", it.pid, it.name),
            "end it",
            format!("kill {}", it.pid),
        ),
        Taken::ByUser(uid) => (
            format!("a program of another user (uid {uid})"),
            "find it",
            find,
        ),
        Taken::Unknown => ("another program".to_owned(), "find it", find),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn plan(bind: &str, extra: &str, secret_chosen: bool) -> Result<Plan, StartFault> {
        let text = format!("{{ gateway: {{ bind: '{bind}' {extra} }} }}");
        let document = crate::config::document::Document::new("clawdia.json", text);
        let config = document.load(&|_| None).unwrap().config;
        Plan::new(&config, None, secret_chosen)
    }

    #[test]
    fn only_auto_has_more_than_one_address_and_only_with_a_secret() {
        for chosen in [false, true] {
            assert_eq!(plan("loopback", "", chosen).unwrap().addresses, [LOOPBACK]);
            assert_eq!(plan("lan", "", chosen).unwrap().addresses, [EVERYWHERE]);
            let custom = plan("custom", ", customBindHost: '192.0.2.1'", chosen).unwrap();
            assert_eq!(custom.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        }
        let narrow = plan("auto", "", false).unwrap();
        assert_eq!(
            (narrow.addresses.as_slice(), narrow.open_address()),
            (&[LOOPBACK][..], None)
        );
        let wide = plan("auto", "", true).unwrap();
        assert_eq!(wide.addresses.first(), Some(&LOOPBACK));
        assert_eq!(wide.addresses.last(), Some(&EVERYWHERE));
    }

    #[test]
    fn an_address_that_cannot_be_bound_is_told_and_nothing_else_is_bound() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        for plan in [
            plan("loopback", "", true).unwrap(),
            plan("lan", "", true).unwrap(),
            plan("auto", "", false).unwrap(),
            // 192.0.2.0/24 is nobody's (RFC 5737).
            plan("custom", ", customBindHost: '192.0.2.1'", true).unwrap(),
        ] {
            let fault = plan.listen(port).err().unwrap();
            assert_eq!(
                fault.exit_code,
                crate::io::state_dir::EXIT_CONFIG,
                "{plan:?}"
            );
        }
    }

    #[test]
    fn auto_tries_on_where_loopback_is_taken() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = Plan {
            mode: BindMode::Auto,
            addresses: vec![LOOPBACK, "127.0.0.2".parse().unwrap()],
        };
        let (listeners, bound) = plan.listen(port).unwrap();
        assert_eq!((listeners.len(), bound.address.as_str()), (1, "127.0.0.2"));
    }
}
