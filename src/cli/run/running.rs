//! The gateway that runs here as it is, which may not be what its file says by now.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::reading::warn;
use super::super::setup::Setup;
use super::config::connect_own;
use super::{security, text};
use crate::client::{GatewayUrl, transport};
use crate::config::{BindMode, Config};
use crate::io::process::Started;
use crate::limits::CONFIG_TAKEN_MS;

/// The process that serves this state directory, and how it listens.
pub struct Running {
    pid: u32,
    /// It was told where to listen, and will be again.
    is_told: bool,
    listen: Value,
}

/// Asks it; None where there is none.
pub fn look(setup: &Setup, config: &Config) -> Option<Result<Running, Failure>> {
    let holder = setup.lock_holder().filter(|it| it.port.is_some())?;
    let ask = || -> Result<Value, Failure> {
        let deadline = Instant::now() + Duration::from_millis(CONFIG_TAKEN_MS);
        let mut session = connect_own(setup, config, deadline)?;
        let status = session.call("status", &json!({}));
        session.client.close();
        Ok(status?["listen"].take())
    };
    let pid = holder.pid;
    let is_told = Started::of(pid).is_some_and(|started| {
        let mut words = started.words.iter();
        words.any(|word| word.starts_with("--bind"))
    });
    let running = |listen| Running {
        pid,
        is_told,
        listen,
    };
    Some(ask().map(running))
}

/// What other machines reach until it starts again, though the file says otherwise or was not taken over.
pub fn left_open(setup: &Setup, is_taken: bool) -> Option<String> {
    let config = setup.client_config().ok()?;
    let running = look(setup, &config)?.ok()?;
    let is_meant = is_taken && security::is_open(&config);
    let stays = running.is_told || security::is_open(&config);
    let until = match stays {
        true => "it is stopped (clawdia gateway stop)",
        false => "clawdia gateway restart",
    };
    (running.is_open() && !is_meant)
        .then(|| format!("{running}: other machines reach it until {until}"))
}

/// Warns where the gateway that runs here takes another secret than the one that is printed.
pub fn warn_refused(setup: &Setup, secret: &str) {
    let Some(holder) = setup.lock_holder() else {
        return;
    };
    if is_refused(setup, secret).unwrap_or(false) {
        warn(&format!(
            "process {} takes another secret: it was started with one of its own (--token, CLAWDIA_GATEWAY_TOKEN), or has \
             not taken this one over\n  try clawdia config validate, then clawdia gateway restart",
            holder.pid
        ));
    }
}

/// Shows it at a path that wants it; None where nobody answers.
fn is_refused(setup: &Setup, secret: &str) -> Option<bool> {
    // It would not be one line of a head.
    if secret.contains(char::is_control) {
        return None;
    }
    let url = GatewayUrl {
        socket: Some(setup.live_socket()?),
        ..GatewayUrl::loopback(0)
    };
    let deadline = Instant::now() + Duration::from_millis(CONFIG_TAKEN_MS);
    let mut stream = transport::open(&url, None, deadline).ok()?;
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: gateway.sock\r\nAuthorization: Bearer {secret}\r\n\r\n"
    );
    stream.write_all(head.as_bytes(), deadline).ok()?;
    // RFC 9112 4: the status stands behind the version.
    let (mut answer, mut len) = ([0; 12], 0);
    while len < answer.len() {
        match stream.read(&mut answer[len..], deadline) {
            Ok(0) | Err(_) => return None,
            Ok(count) => len += count,
        }
    }
    Some(answer.ends_with(b" 401"))
}

impl Running {
    fn address(&self) -> Option<IpAddr> {
        text(&self.listen, "address").parse().ok()
    }

    fn is_open(&self) -> bool {
        self.address().is_some_and(|ip| !ip.is_loopback())
    }

    /// The command that ends what it lets in and the file does not.
    pub fn end(&self, config: &Config) -> &'static str {
        match self.is_told && self.is_open() && !security::is_open(config) {
            true => "clawdia gateway stop   # its --bind outranks the file",
            false => "clawdia gateway restart   # as the file says by now",
        }
    }

    /// The configuration that would have it listen as it does.
    pub fn as_config(&self, config: &Config) -> Config {
        let mut config = config.clone();
        let gateway = &mut config.gateway;
        gateway.tls.enabled = self.listen["tls"] == true;
        gateway.custom_bind_host = self.address();
        gateway.bind = match text(&self.listen, "mode") {
            _ if !self.is_open() => BindMode::Loopback,
            "tailnet" => BindMode::Tailnet,
            "lan" => BindMode::Lan,
            _ => BindMode::Custom,
        };
        config
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |key| text(&self.listen, key);
        let (pid, port) = (self.pid, &self.listen["port"]);
        let tls = match self.listen["tls"] == true {
            true => "with",
            false => "without",
        };
        let (address, mode) = (of("address"), of("mode"));
        write!(
            f,
            "process {pid} listens on {address} port {port} (bind {mode}) {tls} TLS"
        )?;
        match of("auth") {
            "" => Ok(()),
            auth => write!(f, " and asks for a {auth}"),
        }
    }
}
