//! `clawdia node run`

use std::io::ErrorKind as ErrorKindOfIo;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::commands::{NodeCommand, NodeRun};
use super::super::exit::{Exit, Failure, Outcome};
use super::super::far;
use super::super::out::Out;
use super::super::refusal::{self, Tried};
use super::super::setup::{Destination, Setup};
use super::node_service;
use crate::client::secret::Target;
use crate::client::tokens::TokenStore;
use crate::client::{ClientError, ErrorKind, GatewayUrl};
use crate::config::{Config, GatewayMode, PORT_DEFAULT};
use crate::io::lock;
use crate::limits::CLIENT_TIMEOUT_MS;
use crate::node::{self, BrowserControl, Ended, GatewayPlace, Options, Said, Settings};

/// Where a node keeps its own things, in the state directory of its profile.
const FOLDER: &str = "node";

/// Does what was asked with the node of this machine.
pub fn run(command: NodeCommand, setup: &Setup, out: &mut Out) -> Outcome {
    match command {
        NodeCommand::Run(args) => serve(args, setup, out),
        NodeCommand::Install(args) => node_service::install(args, setup, out),
        NodeCommand::Start(_) => node_service::ask("start", setup, out),
        NodeCommand::Stop(_) => node_service::ask("stop", setup, out),
        NodeCommand::Restart(_) => node_service::ask("restart", setup, out),
        NodeCommand::Status(_) => node_service::status(setup, out),
        NodeCommand::Uninstall(_) => node_service::uninstall(setup, out),
    }
}

/// The node's own folder.
pub fn folder(setup: &Setup) -> PathBuf {
    setup.paths.state_dir.join(FOLDER)
}

/// What the command line says about the node and its gateway.
#[derive(Default)]
pub struct Given {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub tls: bool,
    pub display_name: Option<String>,
    pub node_id: Option<String>,
}

fn serve(args: NodeRun, setup: &Setup, out: &mut Out) -> Outcome {
    let code = args.code;
    let given = Given {
        host: args.host,
        port: args.port,
        tls: args.tls,
        display_name: args.display_name,
        node_id: args.node_id,
    };
    let settings = given.settings(setup)?;
    let config = setup.client_config()?;
    let browser = browser(&config, setup);
    let place = settings.gateway.clone();
    if code.is_some() && place.is_none() {
        check_somebody_listens(setup)?;
    }
    let target = || target(setup, place.as_ref());
    let mut say = |said: &Said| {
        let written = match out.wants_json() {
            true => out.json_line(&said.to_json()),
            false => out.line(&said.to_line()),
        };
        // A reader that went away is no reason to end.
        let _ = written.and_then(|()| out.flush());
    };
    let ended = node::run(Options {
        dir: folder(setup),
        profile: setup.profile().to_owned(),
        settings,
        code,
        insecure: setup.globals.insecure,
        home: std::env::home_dir(),
        browser,
        target: &target,
        say: &mut say,
    });
    match ended {
        Ok(()) => Ok(()),
        Err(Ended::Start(fault)) => Err(fault.into()),
        Err(Ended::Refused(error)) => Err(refused(error, setup, place.as_ref())),
    }
}

impl Given {
    /// What the node kept, changed by what is given now.
    pub fn settings(self, setup: &Setup) -> Result<Settings, Failure> {
        let mut settings = Settings::load(&folder(setup))?;
        if let Some(place) = self.place(setup)? {
            settings.gateway = Some(place);
        }
        if let Some(name) = text("--display-name", self.display_name)? {
            settings.display_name = Some(name);
        }
        if let Some(id) = text("--node-id", self.node_id)? {
            settings.node_id = id;
        }
        Ok(settings)
    }

    fn place(&self, setup: &Setup) -> Result<Option<GatewayPlace>, Failure> {
        let tls_fingerprint = setup.flag_pins()?;
        let by_parts = self.host.is_some() || self.port.is_some() || self.tls;
        let url = match &setup.globals.url {
            Some(_) if by_parts => {
                let fault = "--url says it all; leave --host, --port and --tls away";
                return Err(Failure::usage(fault));
            }
            Some(url) => url.clone(),
            None if by_parts => self.address(),
            None if tls_fingerprint.is_some() => {
                let fault = "--tls-fingerprint belongs to an address: add --host or --url";
                return Err(Failure::usage(fault));
            }
            None => return Ok(None),
        };
        let url = GatewayUrl::parse(&url).map_err(Failure::usage)?;
        if tls_fingerprint.is_some() && !url.secure {
            let fault = "--tls-fingerprint needs --tls, or an address with wss://";
            return Err(Failure::usage(fault));
        }
        Ok(Some(GatewayPlace {
            url: url.to_string(),
            tls_fingerprint,
        }))
    }

    fn address(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        format!("{scheme}://{host}:{}", self.port.unwrap_or(PORT_DEFAULT))
    }
}

fn text(option: &str, value: Option<String>) -> Result<Option<String>, Failure> {
    const BYTES_MAX: usize = 256;
    let Some(value) = value.map(|value| value.trim().to_owned()) else {
        return Ok(None);
    };
    if value.is_empty() || value.len() > BYTES_MAX || value.contains(char::is_control) {
        let fault = format!("{option} is a text of 1 to {BYTES_MAX} bytes");
        return Err(Failure::usage(fault));
    }
    Ok(Some(value))
}

/// Whom the node serves now: the gateway that it was told, else the configured remote one, else
/// the one of this machine.
pub fn destination(setup: &Setup, place: Option<&GatewayPlace>) -> Result<Destination, Failure> {
    let config = setup.client_config()?;
    if let (None, Some(far)) = (place, setup.far(&config)?) {
        let mut to = setup.through_kept(&far, &config)?;
        if let (true, Some((login, _)), Some(gateway)) =
            (to.secrets.is_empty(), &to.way, &to.gateway)
        {
            let tokens = TokenStore::new(&folder(setup), setup.profile());
            if tokens.get(gateway, "node")?.is_none() {
                // Without an answer the gateway's refusal says what is missing.
                to.secrets = far::fetch(login).unwrap_or_default();
            }
        }
        return Ok(to);
    }
    let url = match (place, setup.remote_url(&config)?) {
        (Some(place), _) => GatewayUrl::parse(&place.url).map_err(Failure::configuration)?,
        (None, Some(url)) if config.gateway.mode == Some(GatewayMode::Remote) => url,
        (None, _) => setup.local_url(&config)?,
    };
    let mut to = setup.destination_of(url, &config)?;
    if let Some(pin) = place.and_then(|place| place.tls_fingerprint.clone()) {
        to.pin = Some(pin);
    }
    Ok(to)
}

fn target(setup: &Setup, place: Option<&GatewayPlace>) -> Result<node::Target, ClientError> {
    let to = destination(setup, place).map_err(|failure| {
        let text = failure.message.clone();
        let kind = match failure.passes {
            true => ErrorKind::Unreachable,
            false => ErrorKind::Configuration,
        };
        let cause = failure.cause.clone();
        cause.unwrap_or_else(|| ClientError::new(kind, text))
    })?;
    let (dir, port) = (setup.paths.state_dir.clone(), to.url.port);
    let is_own = to.target == Target::Own;
    let gateway = to.served();
    // A tunnel of this node alone stands as long as its gateway is served.
    let way = to.way;
    let still_meant = move || match &way {
        Some((_, way)) => way.holds(),
        None => {
            let holder = lock::holder(&dir).ok().flatten().flatten();
            !is_own || holder.and_then(|holder| holder.port) == Some(port)
        }
    };
    Ok(node::Target {
        gateway,
        url: to.url,
        secrets: to.secrets,
        pin: to.pin,
        still_meant: Arc::new(still_meant),
    })
}

/// A code is of a gateway that runs, so where nobody listens it is of another one.
fn check_somebody_listens(setup: &Setup) -> Result<(), Failure> {
    let to = destination(setup, None)?;
    let ip = to.url.host.parse().ok().filter(IpAddr::is_loopback);
    let Some(ip) = ip.filter(|_| to.way.is_none()) else {
        return Ok(());
    };
    let at = SocketAddr::new(ip, to.url.port);
    match TcpStream::connect_timeout(&at, Duration::from_millis(CLIENT_TIMEOUT_MS)) {
        Err(fault) if fault.kind() == ErrorKindOfIo::ConnectionRefused => {
            let text = format!(
                "nothing listens at {}, where the code would be shown",
                to.url
            );
            Err(Failure::failed(text)
                .fact(
                    "a code",
                    "belongs to the gateway that made it, maybe on another machine",
                )
                .fact("ADDRESS", "as `clawdia devices pair` prints it there")
                .mend("clawdia node run --url ADDRESS --code CODE"))
        }
        // Whatever else is wrong is told by the attempt itself.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Why the gateway does not take this node, and what mends it. A supervisor does not try again.
fn refused(error: ClientError, setup: &Setup, place: Option<&GatewayPlace>) -> Failure {
    let Ok(to) = destination(setup, place) else {
        return error.into();
    };
    let wants_code = error.message.starts_with("unauthorized: gateway ");
    let mut failure = refusal::explain(
        error,
        &Tried {
            url: &to.url,
            target: to.target,
            secrets: &to.secrets,
            ssh: to.way.as_ref().map(|(login, _)| login.target.to_string()),
            connecting: true,
            url_given: true,
        },
    );
    if wants_code {
        failure = failure.mend(
            "clawdia node run --code CODE   # a one-time code from `clawdia devices pair` there",
        );
    }
    failure.exit = Exit::Configuration;
    failure
}

/// The browser control server that the configuration names, if a gateway may use it. Without one there is no browser to
/// lend, and none is offered.
fn browser(config: &Config, setup: &Setup) -> Option<BrowserControl> {
    let proxy = &config.node_host.browser_proxy;
    if !proxy.enabled || !config.browser.enabled {
        return None;
    }
    let address = config.browser.control()?;
    let token = config.browser.control_token.as_ref();
    Some(BrowserControl {
        address: Some(address),
        token: token.map(|token| token.expose().to_owned()),
        allow_profiles: proxy.allow_profiles.clone(),
        file_roots: node::file_roots(&setup.paths.state_dir.join("media")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_of_its_parts() {
        let of = |host: &str, port, tls| Given {
            host: Some(host.into()),
            port,
            tls,
            ..Given::default()
        };
        assert_eq!(of("h", Some(1), true).address(), "wss://h:1");
        assert_eq!(of("::1", None, false).address(), "ws://[::1]:18789");
        assert_eq!(Given::default().address(), "ws://127.0.0.1:18789");
    }
}
