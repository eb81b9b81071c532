//! The gateway that runs here as it is, which may not be what its file says by now.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::setup::Setup;
use super::config::connect_own;
use super::{security, text};
use crate::config::{BindMode, Config};
use crate::limits::CONFIG_TAKEN_MS;

/// The process that serves this state directory, and how it listens.
pub struct Running {
    pid: u32,
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
    Some(ask().map(|listen| Running { pid, listen }))
}

/// What other machines reach until it starts again, though the file says otherwise or was not taken over.
pub fn left_open(setup: &Setup, is_taken: bool) -> Option<String> {
    let config = setup.client_config().ok()?;
    let running = look(setup, &config)?.ok()?;
    let is_meant = is_taken && security::is_open(&config);
    (running.is_open() && !is_meant)
        .then(|| format!("{running}: other machines reach it until clawdia gateway restart"))
}

impl Running {
    fn address(&self) -> Option<IpAddr> {
        text(&self.listen, "address").parse().ok()
    }

    fn is_open(&self) -> bool {
        self.address().is_some_and(|ip| !ip.is_loopback())
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
