//! Gateways behind `ssh`: which one a command means, and a way to it.

use std::path::PathBuf;

use super::exit::Failure;
use super::setup::{Destination, Setup};
use crate::client::secret::{Secret, Secrets, Target};
use crate::client::tokens::GatewayIdentity;
use crate::client::{Client, ClientError, ErrorKind, GatewayUrl};
use crate::config::paths::expand_home;
use crate::config::{Config, GatewayMode, PORT_DEFAULT};
use crate::io::process::ProcessId;
use crate::remote::ask::{self, Shared};
use crate::remote::fault::{FaultKind, SshFault};
use crate::remote::record::{self, Record, Records};
use crate::remote::target::SshTarget;
use crate::remote::tunnel::{self, Tunnel};
use crate::remote::words::Login;

/// A gateway on a host that `ssh` reaches.
#[derive(Clone, Debug)]
pub struct Far {
    pub login: Login,
    /// The gateway's port there, where it was named.
    pub remote_port: Option<u16>,
    /// It is the one of `gateway.remote`, whose secrets belong to it.
    pub configured: bool,
    /// What its host said of its certificate.
    pub told: Certificate,
}

/// What is known of the certificate of a gateway whose pin nobody gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// The host is asked if the gateway does not answer without TLS.
    #[default]
    Unknown,
    /// The gateway answered without TLS.
    None,
    /// The host named it; it is asked again where another one is shown.
    Pin(String),
}

/// Whether the host has to say what certificate its gateway has: a gateway that speaks TLS cuts
/// whoever does not, and one whose certificate was renewed shows another one.
pub fn wants_certificate(error: &ClientError, pin: Option<&str>) -> bool {
    match error.kind {
        ErrorKind::Security => pin.is_some(),
        ErrorKind::Protocol | ErrorKind::Closed { code: 1006, .. } => pin.is_none(),
        _ => false,
    }
}

/// What leads there while a command runs.
pub enum Way {
    /// A tunnel of this command alone; it ends with it.
    Own(Box<Tunnel>),
    /// One that another process keeps open: its `ssh` and its port here.
    Standing(ProcessId, u16),
}

impl Way {
    /// Whether the port here is still the tunnel's: asked before a secret is sent.
    pub fn holds(&self) -> bool {
        match self {
            Self::Own(tunnel) => tunnel.owns_port(),
            Self::Standing(ssh, port) => ssh.is_running() && tunnel::owns_port(ssh, *port),
        }
    }

    /// The port here.
    pub fn local_port(&self) -> u16 {
        match self {
            Self::Own(tunnel) => tunnel.local_port(),
            Self::Standing(_, port) => *port,
        }
    }
}

impl Far {
    /// Reads what was typed; options that were not typed come from the configuration where that
    /// names the same target.
    pub fn typed(
        text: &str,
        identity: Option<&str>,
        remote_port: Option<u16>,
        config: &Config,
    ) -> Result<Self, Failure> {
        let target = SshTarget::parse(text).map_err(Failure::usage)?;
        let configured = Self::configured(config)?.filter(|far| far.login.target == target);
        let former = configured.as_ref();
        let identity = identity
            .map(file)
            .or_else(|| former.and_then(|far| far.login.identity.clone()));
        Ok(Self {
            login: Login::new(target, identity),
            remote_port: remote_port.or_else(|| former.and_then(|far| far.remote_port)),
            configured: configured.is_some(),
            told: Certificate::default(),
        })
    }

    /// The one of `gateway.remote`, where that is reached by `ssh`.
    pub fn configured(config: &Config) -> Result<Option<Self>, Failure> {
        let remote = &config.gateway.remote;
        let Some(text) = remote.ssh() else {
            return Ok(None);
        };
        let target = SshTarget::parse(text).map_err(|fault| {
            Failure::configuration(format!("gateway.remote.sshTarget: {fault}"))
        })?;
        let identity = remote.ssh_identity.as_deref().map(file);
        Ok(Some(Self {
            login: Login::new(target, identity),
            remote_port: remote.remote_port,
            configured: true,
            told: Certificate::default(),
        }))
    }
}

impl Setup {
    /// The gateway behind `ssh` that the command means, if it means one: `--ssh`, or the
    /// configured one in remote mode.
    pub fn far(&self, config: &Config) -> Result<Option<Far>, Failure> {
        match (&self.globals.ssh, &self.globals.url) {
            (Some(_), Some(_)) => Err(Failure::usage("--ssh and --url exclude each other")),
            (Some(text), None) => Far::typed(text, None, None, config).map(Some),
            (None, None) if config.gateway.mode == Some(GatewayMode::Remote) => {
                Far::configured(config)
            }
            (None, _) => Ok(None),
        }
    }

    /// A way there: a tunnel that stands already, else one for this command.
    pub fn through(&self, far: &Far, config: &Config) -> Result<Destination, Failure> {
        let known = Records::new(&self.paths.state_dir).of(&far.login.target, far.remote_port);
        if let Some(standing) = known.iter().find(|record| record.stands())
            && let Some(ssh) = &standing.ssh
        {
            let way = Way::Standing(ssh.clone(), standing.local_port);
            return self.destination_by(far, way, standing.remote_port, config);
        }
        let remote_port = far
            .remote_port
            .or(known.last().map(|record| record.remote_port));
        let remote_port = remote_port.unwrap_or(PORT_DEFAULT);
        let tunnel = open(&far.login, remote_port).map_err(|fault| failed(fault, &far.login))?;
        self.destination_by(far, Way::Own(Box::new(tunnel)), remote_port, config)
    }

    /// The same for who connects again and again: where another process keeps a tunnel open, it is
    /// waited for.
    pub fn through_kept(&self, far: &Far, config: &Config) -> Result<Destination, Failure> {
        let known = Records::new(&self.paths.state_dir).of(&far.login.target, far.remote_port);
        let broken = |record: &&Record| record.is_watched() && !record.stands();
        match known.iter().find(broken) {
            Some(record) => {
                let fault = format!("the tunnel to {} is {}", record.target, record.phase.word());
                let mut failure = Failure::failed(fault);
                failure.passes = true;
                Err(failure)
            }
            None => self.through(far, config),
        }
    }

    /// Tries again with the certificate that the host names, where nobody gave one and that may be
    /// what is missing.
    pub fn with_told_certificate(
        &self,
        to: &mut Destination,
        mode: &str,
        connected: Result<Client, ClientError>,
    ) -> Result<Client, ClientError> {
        let (Err(error), true, Some((login, _))) = (&connected, to.may_ask_pin, &to.way) else {
            return connected;
        };
        if !wants_certificate(error, to.pin.as_deref()) {
            return connected;
        }
        let Ok(pin) = ask::fingerprint(login) else {
            return connected;
        };
        let was_secure = std::mem::replace(&mut to.url.secure, true);
        let former = to.pin.replace(pin);
        match self.try_connect(to, mode, self.deadline()) {
            // It is no matter of certificates: there is no gateway.
            Err(error) if !was_secure && wants_certificate(&error, None) => {
                to.url.secure = false;
                to.pin = former;
                connected
            }
            by_tls => by_tls,
        }
    }

    /// The gateway at the far end of `way`.
    pub fn destination_by(
        &self,
        far: &Far,
        way: Way,
        remote_port: u16,
        config: &Config,
    ) -> Result<Destination, Failure> {
        // Whose certificate is known speaks TLS at the far end too.
        let given = match self.flag_pins()? {
            None if far.configured => config.gateway.remote.tls_fingerprint.clone(),
            pin => pin,
        };
        let may_ask_pin = given.is_none() && far.told != Certificate::None;
        let pin = match &far.told {
            Certificate::Pin(told) => given.or_else(|| Some(told.clone())),
            Certificate::Unknown | Certificate::None => given,
        };
        let url = GatewayUrl {
            secure: pin.is_some(),
            ..GatewayUrl::tunnel(way.local_port(), remote_port)
        };
        let target = far.login.target.to_string();
        Ok(Destination {
            secrets: self.secrets_for(Target::Tunnel, far.configured, config)?,
            gateway: Some(GatewayIdentity::behind_ssh(&target, remote_port)),
            target: Target::Tunnel,
            pin,
            may_ask_pin,
            way: Some((far.login.clone(), way)),
            url,
        })
    }
}

/// Opens a tunnel on a port that is free. Between looking and opening another process may take
/// it: then another one is looked for.
fn open(login: &Login, remote_port: u16) -> Result<Tunnel, SshFault> {
    const ATTEMPTS: u32 = 3;
    let mut attempt = 1;
    loop {
        let port = record::free_port()
            .map_err(|fault| SshFault::new(FaultKind::Other, fault.to_string()))?;
        match Tunnel::open(login, port, remote_port) {
            Err(fault) if fault.kind == FaultKind::PortTaken && attempt < ATTEMPTS => attempt += 1,
            opened => return opened,
        }
    }
}

/// Asks the host for its gateway's secret: who may log in there as the gateway's user may read it,
/// and it is sent to that gateway alone.
pub fn fetch(login: &Login) -> Result<Secrets, SshFault> {
    let source = format!("`clawdia token` on {}", login.target);
    let mut secrets = Secrets::default();
    match ask::token(login)? {
        Shared::Token(token) => secrets.token = Some(Secret::new(token, source)),
        Shared::Password(password) => secrets.password = Some(Secret::new(password, source)),
    }
    Ok(secrets)
}

/// Whether a gateway wants another secret than it was shown.
pub fn wants_secret(error: &ClientError) -> bool {
    match &error.kind {
        ErrorKind::Gateway(answer) => {
            answer.message.starts_with("unauthorized: ") && answer.retry_after_ms.is_none()
        }
        ErrorKind::Closed { code: 1008, reason } => reason.starts_with("unauthorized"),
        _ => false,
    }
}

/// What a person is told about a tunnel that cannot be had.
pub fn failed(fault: SshFault, login: &Login) -> Failure {
    let (mend, passes) = (fault.mend(&login.target), !fault.is_final(false));
    let mut failure = Failure::failed(fault.message).fact("ssh", login.target.to_string());
    failure.code = "SSH".to_owned();
    failure.passes = passes;
    match mend {
        Some(mend) => failure.mend(mend),
        None => failure,
    }
}

fn file(path: &str) -> PathBuf {
    expand_home(path, std::env::home_dir().as_deref())
}
