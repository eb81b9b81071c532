//! What is there to be reached: the process, its ways in, a browser control server, models.

use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{Findings, State};
use crate::cli::setup::{Session, Setup};
use crate::client::GatewayUrl;
use crate::client::secret::Target;
use crate::config::Config;
use crate::host::browser::{self, Guard};
use crate::io::server::bind::taken_by;
use crate::limits::DOCTOR_KNOCK_MS;

/// Whether something listens where models are asked. Nothing is sent there.
pub fn models(config: &Config, found: &mut Findings) {
    const NAME: &str = "model server";
    let deadline = Instant::now() + Duration::from_millis(DOCTOR_KNOCK_MS);
    let asked: Vec<_> = config
        .models
        .providers
        .iter()
        .filter_map(|(name, provider)| {
            let url = GatewayUrl::parse(provider.place(name)?).ok()?;
            let place = (url.host, url.port);
            let (told, heard) = mpsc::channel();
            let knocks = place.clone();
            // A name service has no deadline of its own.
            std::thread::spawn(move || told.send(knock(&knocks, deadline)));
            Some((name, place, heard))
        })
        .collect();
    for (name, (host, port), heard) in asked {
        let left = deadline.saturating_duration_since(Instant::now());
        let answered = heard.recv_timeout(left + Duration::from_millis(100));
        match answered.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(()) => found.good(NAME, format!("{name}: {host}:{port} listens")),
            Err(fault) => {
                let told = format!("{name}: nothing answers at {host}:{port}: {fault}");
                let mend = format!(
                    "clawdia config set models.providers.{name}.baseUrl URL   # or start it there"
                );
                found.add(NAME, State::Fault, told, &[&mend]);
            }
        }
    }
}

fn knock(place: &(String, u16), deadline: Instant) -> Result<(), String> {
    let addresses = (place.0.as_str(), place.1).to_socket_addrs();
    let mut fault = "its name has no address".to_owned();
    for address in addresses.map_err(|error| error.to_string())? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(()),
            Err(error) => fault = error.to_string(),
        }
    }
    Err(fault)
}

/// Says nothing where there is no browser control server.
pub fn browser(config: &Config, found: &mut Findings) {
    const NAME: &str = "browser";
    let Some(address) = config.browser.control() else {
        return;
    };
    let Some(token) = &config.browser.control_token else {
        let text = "browser.controlToken is missing: the control server is not asked without it";
        let mend = "clawdia config set browser.controlToken '${NAME}'";
        return found.add(NAME, State::Fault, text, &[mend]);
    };
    let open = |what: &str| format!("the control server at {address} {what}");
    let (text, mend) = match browser::look(address, token.expose()) {
        Ok(Guard::Kept) => return found.good(NAME, format!("{address} asks for its token")),
        Ok(Guard::OpenToRequests) => (
            open(
                "answers without its token: every user and page of its machine can use that browser",
            ),
            "clawdbot browser serve --token TOKEN   # or how else it is started there",
        ),
        Ok(Guard::OpenToUpgrades) => (
            open(
                "opens sockets without its token: every user and page of its machine can use that browser",
            ),
            "clawdbot browser serve --token TOKEN   # or how else it is started there",
        ),
        Ok(Guard::RefusesUs) => (
            open("does not take browser.controlToken"),
            "clawdia config set browser.controlToken '${NAME}'",
        ),
        Err(fault) => (
            format!("nothing answers at {address}: {}", fault.message()),
            "clawdia config unset browser.controlUrl   # or start it there",
        ),
    };
    found.add(NAME, State::Fault, text, &[mend]);
}

/// Whether a gateway runs here, and if not, whether one could.
pub fn process(setup: &Setup, config: &Config, found: &mut Findings) -> bool {
    const NAME: &str = "gateway";
    if let Some(holder) = setup.lock_holder() {
        let port = holder
            .port
            .map_or_else(String::new, |port| format!(" on port {port}"));
        found.good(NAME, format!("process {} serves{port}", holder.pid));
        return true;
    }
    match setup.local_port(config) {
        Err(failure) => found.failed(NAME, &failure),
        Ok(port) => match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => found.add(
                NAME,
                State::Fault,
                "no gateway runs here",
                &["clawdia gateway run"],
            ),
            Err(error) => {
                let (who, _, command) = taken_by(Ipv4Addr::LOCALHOST.into(), port, None);
                let other = "clawdia config set gateway.port PORT";
                let text = format!("none runs here, and {who} has port {port}: {error}");
                found.add(NAME, State::Fault, text, &[&command, other]);
            }
        },
    }
    false
}

/// The handshake by each way that a command could take: the Unix socket and TCP, or the address
/// of a gateway elsewhere.
pub fn ways_in(
    setup: &Setup,
    config: &Config,
    elsewhere: bool,
    found: &mut Findings,
) -> Option<Session> {
    let mut last = None;
    let first = setup.destination().map(|to| ("handshake", to));
    let by_tcp = setup
        .local_url(config)
        .and_then(|url| setup.destination_of(url, config));
    let second = (!elsewhere).then(|| by_tcp.map(|to| ("over TCP", to)));
    for way in std::iter::once(first).chain(second) {
        let (name, to) = match way {
            Ok(way) => way,
            Err(failure) => {
                found.failed("handshake", &failure);
                continue;
            }
        };
        let shown = match &to.url.socket {
            Some(path) => path.display().to_string(),
            None => to.url.to_string(),
        };
        let used = match to.target {
            _ if to.url.socket.is_some() => "as this user".to_owned(),
            Target::Own | Target::Remote | Target::Other if to.secrets.is_empty() => {
                "with this device's token, if it has one".to_owned()
            }
            _ => format!("with the secret from {}", to.secrets.source()),
        };
        match setup.connect_to(to, "probe") {
            Ok(session) => {
                found.good(name, format!("{shown}, {used}"));
                last.get_or_insert(session);
            }
            Err(failure) => found.failed(name, &failure),
        }
    }
    last
}
