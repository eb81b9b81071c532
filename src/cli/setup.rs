//! From the command line, the environment and the files to an open connection.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::exit::Failure;
use super::far::{self, Way};
use super::globals::Globals;
use super::refusal::{self, Tried};
use crate::client::identity::OnFirstUse;
use crate::client::secret::{self, Available, Secret, Secrets, Target};
use crate::client::tokens::{GatewayIdentity, TokenStore};
use crate::client::{Client, ClientError, ConnectOptions, GatewayUrl};
use crate::config::paths::Paths;
use crate::config::pin::Pins;
use crate::config::{AuthMode, Config, GatewayMode};
use crate::io::tls::{certificate, pin};
use crate::io::{clock, lock, secret as token_file, socket_file};
use crate::limits::{CLIENT_TIMEOUT_MS, SECRET_FILE_BYTES_MAX};
use crate::remote::words::Login;

/// What every command begins with.
#[derive(Clone)]
pub struct Setup {
    /// The global options as typed.
    pub globals: Globals,
    /// Where this profile keeps its things.
    pub paths: Paths,
}

/// A gateway to talk to, and what may be said to it.
pub struct Destination {
    pub url: GatewayUrl,
    pub target: Target,
    pub secrets: Secrets,
    /// Pins of the certificates that may be shown.
    pub pin: Option<String>,
    /// Nobody gave a pin, so the host behind `ssh` may say it.
    pub may_ask_pin: bool,
    /// What a stored device token is bound to.
    pub gateway: Option<GatewayIdentity>,
    /// The tunnel that leads there, and the login that it uses.
    pub way: Option<(Login, Way)>,
}

impl Destination {
    /// What the tokens of a node are bound to: unlike a command, which is told an address once, a
    /// node is told whom it serves, so its address is meant for good.
    pub fn served(&self) -> GatewayIdentity {
        let configured = || GatewayIdentity::configured(&self.url, self.pin.as_deref());
        self.gateway.clone().unwrap_or_else(configured)
    }
}

impl Setup {
    /// Finds the profile's paths.
    pub fn new(globals: Globals) -> Result<Self, Failure> {
        let home = std::env::home_dir();
        let profile = globals.profile.as_deref();
        let paths = Paths::resolve(home.as_deref(), &variable, profile, globals.dev)
            .map_err(|fault| Failure::usage(fault.to_string()))?;
        Ok(Self { globals, paths })
    }

    /// The profile's name.
    pub fn profile(&self) -> &str {
        self.paths.profile.as_deref().unwrap_or("default")
    }

    /// Whom the command is for: `--url` or `--ssh`, else the remote gateway in remote mode, else
    /// ours.
    pub fn destination(&self) -> Result<Destination, Failure> {
        let config = self.client_config()?;
        if let Some(far) = self.far(&config)? {
            return self.through(&far, &config);
        }
        let remote = self.remote_url(&config)?;
        let url = match (&self.globals.url, &remote) {
            (Some(text), _) => GatewayUrl::parse(text).map_err(Failure::usage)?,
            (None, Some(url)) if config.gateway.mode == Some(GatewayMode::Remote) => url.clone(),
            (None, _) => {
                let mut url = self.local_url(&config)?;
                if !self.names_secret()? {
                    if let Some(missing) = self.missing_state() {
                        return Err(missing);
                    }
                    url.socket = self.live_socket();
                }
                url
            }
        };
        self.destination_of(url, &config)
    }

    /// The Unix socket of the gateway that runs on this state directory, which lets its own
    /// user in without a secret.
    pub fn live_socket(&self) -> Option<PathBuf> {
        let path = socket_file::path(&self.paths.state_dir)?;
        let meta = std::fs::symlink_metadata(&path).ok()?;
        meta.file_type().is_socket().then_some(path)
    }

    /// Whether the person said which secret to show: then it is shown, and judged.
    fn names_secret(&self) -> Result<bool, Failure> {
        Ok(!self.flag_secrets()?.is_empty() || !environment_secrets().is_empty())
    }

    /// The same for an address that is already known, and its socket where that leads to our gateway.
    pub fn destination_of(
        &self,
        mut url: GatewayUrl,
        config: &Config,
    ) -> Result<Destination, Failure> {
        let remote = self.remote_url(config)?;
        let own = self.own_port().map(|port| local_url(port, config));
        let socket = url.socket.take();
        let target = secret::classify(&url, remote.as_ref(), own.as_ref());
        if target == Target::Own {
            url.socket = socket;
            // `localhost` has a second address, which may be somebody else's.
            url.host = "127.0.0.1".to_owned();
        }
        let pin = match (self.flag_pins()?, target) {
            (Some(pins), _) => Some(pins),
            (None, Target::Remote) => config.gateway.remote.tls_fingerprint.clone(),
            (None, Target::Own) if url.secure => match self.own_pin(config) {
                // Who comes by the Unix socket is shown no certificate.
                Err(_) if url.socket.is_some() => None,
                pin => pin?,
            },
            (None, Target::Own | Target::Tunnel | Target::Other) => None,
        };
        Ok(Destination {
            gateway: match target {
                Target::Own => Some(GatewayIdentity::own()),
                Target::Remote => Some(GatewayIdentity::configured(&url, pin.as_deref())),
                Target::Tunnel | Target::Other => GatewayIdentity::of(&url, pin.as_deref()),
            },
            secrets: self.secrets_for(target, target == Target::Remote, config)?,
            target,
            url,
            pin,
            may_ask_pin: false,
            way: None,
        })
    }

    /// What may be sent to `target`; the secrets of `gateway.remote` only where it is
    /// `configured` there.
    pub fn secrets_for(
        &self,
        target: Target,
        configured: bool,
        config: &Config,
    ) -> Result<Secrets, Failure> {
        let available = Available {
            flags: self.flag_secrets()?,
            environment: environment_secrets(),
            local: match target {
                Target::Own => self.local_secrets(config)?,
                Target::Remote | Target::Tunnel | Target::Other => Secrets::default(),
            },
            remote: match configured {
                true => remote_secrets(config),
                false => Secrets::default(),
            },
        };
        Ok(secret::choose(target, &available))
    }

    /// The address in `gateway.remote.url`.
    pub fn remote_url(&self, config: &Config) -> Result<Option<GatewayUrl>, Failure> {
        let Some(text) = &config.gateway.remote.url else {
            return Ok(None);
        };
        let url = GatewayUrl::parse(text);
        url.map(Some)
            .map_err(|fault| Failure::configuration(format!("gateway.remote.url: {fault}")))
    }

    /// The address of the local gateway.
    pub fn local_url(&self, config: &Config) -> Result<GatewayUrl, Failure> {
        Ok(local_url(self.local_port(config)?, config))
    }

    /// The local gateway's certificate as it lies on this disk.
    fn own_pin(&self, config: &Config) -> Result<Option<String>, Failure> {
        let place = certificate::Place::of(&config.gateway.tls, &self.paths.state_dir);
        let pair = place.load(clock::now());
        let pair = pair.map_err(|fault| Failure::configuration(fault.to_string()))?;
        Ok(pair.map(|pair| pin::Own::of(pair.leaf()).certificate.to_string()))
    }

    /// `--tls-fingerprint`, written in the one way.
    pub fn flag_pins(&self) -> Result<Option<String>, Failure> {
        let Some(text) = &self.globals.tls_fingerprint else {
            return Ok(None);
        };
        let pins = Pins::parse(text);
        pins.map(|pins| Some(pins.to_string()))
            .map_err(|fault| Failure::usage(format!("--tls-fingerprint: {fault}")))
    }

    /// The port of the local gateway: the environment's, the one that our running process
    /// serves, the configured one, the profile's own.
    pub fn local_port(&self, config: &Config) -> Result<u16, Failure> {
        let configured = self.own_port().or(config.gateway.port);
        let port = self.paths.gateway_port(None, &variable, configured);
        port.map_err(|fault| Failure::configuration(fault.to_string()))
    }

    /// The port that the gateway of this state directory serves now.
    fn own_port(&self) -> Option<u16> {
        // A lock that cannot be read is held by nobody whom we would trust with a secret.
        self.lock_holder()?.port
    }

    /// Who holds this state directory.
    pub fn lock_holder(&self) -> Option<lock::LockHolder> {
        lock::holder(&self.paths.state_dir).ok().flatten().flatten()
    }

    /// What the local gateway asks for: `gateway.auth`, else its generated token.
    pub fn local_secrets(&self, config: &Config) -> Result<Secrets, Failure> {
        let auth = &config.gateway.auth;
        let of = |name: &str, secret: &Option<crate::config::Secret>| {
            secret.as_ref().map(|secret| {
                Secret::new(
                    secret.expose(),
                    format!("gateway.auth.{name} in the configuration"),
                )
            })
        };
        let mut secrets = match auth.effective_mode() {
            AuthMode::Password => Secrets {
                token: None,
                password: of("password", &auth.password),
            },
            AuthMode::Token => Secrets {
                token: of("token", &auth.token),
                password: None,
            },
        };
        if secrets.is_empty() {
            let dir = &self.paths.state_dir;
            let token = token_file::load_token(dir)
                .map_err(|fault| Failure::configuration(fault.to_string()))?;
            let path = token_file::token_path(dir);
            secrets.token = token.map(|token| Secret::new(token, path.display().to_string()));
        }
        Ok(secrets)
    }

    /// `--token`, `--token-file`, `--password`.
    pub fn flag_secrets(&self) -> Result<Secrets, Failure> {
        let globals = &self.globals;
        let token = match (&globals.token, &globals.token_file) {
            (Some(_), Some(_)) => {
                return Err(Failure::usage(
                    "--token and --token-file exclude each other",
                ));
            }
            (Some(token), None) => Some(Secret::new(token, "--token")),
            (None, Some(path)) => Some(Secret::new(
                first_line(path)?,
                format!("--token-file {path}"),
            )),
            (None, None) => None,
        };
        let password = globals
            .password
            .as_ref()
            .map(|p| Secret::new(p, "--password"));
        for secret in [&token, &password].into_iter().flatten() {
            if crate::config::secret::is_placeholder(&secret.value) {
                return Err(Failure::usage(format!("{} is empty", secret.source)));
            }
            if secret.value.contains(char::is_control) {
                return Err(Failure::usage(format!("{} is no text", secret.source)));
            }
        }
        Ok(Secrets { token, password })
    }

    /// Connects to where the command line says.
    pub fn connect(&self) -> Result<Session, Failure> {
        self.connect_to(self.destination()?, "cli")
    }

    /// Connects to a known destination; `mode` is `cli` or `probe`.
    pub fn connect_to(&self, to: Destination, mode: &str) -> Result<Session, Failure> {
        self.connect_by(to, mode, self.deadline())
    }

    /// The same with a deadline of its own. Where a gateway behind `ssh` wants a secret which nobody
    /// has here, or has a certificate that nobody knows here, its host is asked.
    pub fn connect_by(
        &self,
        mut to: Destination,
        mode: &str,
        deadline: Instant,
    ) -> Result<Session, Failure> {
        let first = self.try_connect(&to, mode, deadline);
        let mut connected = self.with_told_certificate(&mut to, mode, first);
        // Without an answer of the host the gateway's refusal is what a person has to know.
        if let (Err(error), Some((login, _))) = (&connected, &to.way)
            && to.secrets.is_empty()
            && far::wants_secret(error)
            && let Ok(secrets) = far::fetch(login)
        {
            to.secrets = secrets;
            connected = self.try_connect(&to, mode, self.deadline());
        }
        let url_given = self.globals.url.is_some();
        match connected {
            Ok(client) => Ok(Session {
                client,
                to,
                deadline,
                url_given,
            }),
            Err(error) => Err(explain(error, &to, url_given, true)),
        }
    }

    /// Connects once.
    pub fn try_connect(
        &self,
        to: &Destination,
        mode: &str,
        deadline: Instant,
    ) -> Result<Client, ClientError> {
        // The kernel vouches for who comes by the Unix socket.
        let unneeded = Secrets::default();
        let secrets = match to.url.socket {
            Some(_) => &unneeded,
            None => &to.secrets,
        };
        let tokens = self.tokens();
        let identity = OnFirstUse::new(&self.identity_dir())?;
        let options = ConnectOptions {
            url: &to.url,
            secrets,
            gateway: to.gateway.as_ref(),
            pin: to.pin.as_deref(),
            identity: &identity,
            tokens: &tokens,
            mode,
            insecure: self.globals.insecure,
            still_meant: &|| match &to.way {
                Some((_, way)) => way.holds(),
                None => to.target != Target::Own || self.own_port() == Some(to.url.port),
            },
        };
        crate::client::connect(&options, deadline)
    }

    fn identity_dir(&self) -> PathBuf {
        self.paths.state_dir.join("identity")
    }

    /// The tokens that gateways gave this device.
    pub fn tokens(&self) -> TokenStore {
        TokenStore::new(&self.identity_dir(), self.profile())
    }

    /// When the command gives up.
    pub fn deadline(&self) -> Instant {
        let ms = self.globals.timeout_ms.unwrap_or(CLIENT_TIMEOUT_MS);
        Instant::now() + Duration::from_millis(ms)
    }
}

/// An open connection, whose errors are explained.
pub struct Session {
    pub client: Client,
    pub to: Destination,
    pub deadline: Instant,
    url_given: bool,
}

impl Session {
    /// Calls `method` within the command's deadline.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        let called = self.client.call(method, params, self.deadline);
        called.map_err(|error| self.explain(error))
    }

    /// What an error on this connection means.
    pub fn explain(&self, error: ClientError) -> Failure {
        explain(error, &self.to, self.url_given, false)
    }
}

fn local_url(port: u16, config: &Config) -> GatewayUrl {
    GatewayUrl {
        secure: config.gateway.tls.enabled,
        ..GatewayUrl::loopback(port)
    }
}

fn explain(error: ClientError, to: &Destination, url_given: bool, connecting: bool) -> Failure {
    let tried = Tried {
        url: &to.url,
        target: to.target,
        secrets: &to.secrets,
        ssh: to.way.as_ref().map(|(login, _)| login.target.to_string()),
        connecting,
        url_given,
    };
    refusal::explain(error, &tried)
}

/// One environment variable; one that is not UTF-8 counts as unset.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn environment_secrets() -> Secrets {
    let read = |name: &str| {
        let value = variable(name).filter(|value| !crate::config::secret::is_placeholder(value))?;
        Some(Secret::new(value, format!("{name} (environment)")))
    };
    Secrets {
        token: read("CLAWDIA_GATEWAY_TOKEN"),
        password: read("CLAWDIA_GATEWAY_PASSWORD"),
    }
}

fn remote_secrets(config: &Config) -> Secrets {
    let remote = &config.gateway.remote;
    let of = |name: &str, secret: &Option<crate::config::Secret>| {
        secret.as_ref().map(|secret| {
            Secret::new(
                secret.expose(),
                format!("gateway.remote.{name} in the configuration"),
            )
        })
    };
    Secrets {
        token: of("token", &remote.token),
        password: of("password", &remote.password),
    }
}

/// The first line of a secret's file, without its end.
fn first_line(path: &str) -> Result<String, Failure> {
    let fault = |error: std::io::Error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        if !is_missing {
            return Failure::usage(format!("--token-file {path}: {error}"));
        }
        let what = "there is no such file; its first line is to be the gateway's token";
        Failure::usage(format!("--token-file {path}: {what}")).mend(format!(
            "clawdia token > {path}   # on the gateway's machine"
        ))
    };
    let file = File::open(path).map_err(fault)?;
    let mut line = String::new();
    BufReader::new(file.take(SECRET_FILE_BYTES_MAX))
        .read_line(&mut line)
        .map_err(fault)?;
    Ok(line.trim().to_owned())
}
