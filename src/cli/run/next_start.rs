//! What the gateway's next start would be refused for: of the one that runs here with its own words and variables, else
//! of `gateway run` alone.

use super::super::commands::{Command, GatewayCommand, GatewayRunArgs};
use super::super::exit::Failure;
use super::super::reread;
use super::super::setup::{Setup, variable};
use super::{gateway_service, serve, units};
use crate::approvals::quote;
use crate::config::AuthMode;
use crate::config::paths::Paths;
use crate::io::process::Started;
use crate::io::secret::token_path;
use crate::io::server::trial::{About, attempt};
use crate::io::tls::certificate::OWN_FILE;
use std::path::PathBuf;

/// Ports below need rights that a unit may give, and the system itself.
const PORTS_FREE_TO_ALL: u16 = 1_024;
const PORT: &str = "CLAWDIA_GATEWAY_PORT";

/// A start that would be refused.
pub struct Refused {
    pub about: About,
    /// As that start says it.
    pub text: String,
    /// The command that mends it.
    pub mend: String,
}

impl Refused {
    /// For scripts.
    pub const fn name(&self) -> &'static str {
        match self.about {
            About::Settings => "configuration",
            About::Secret | About::Address => "bind",
            About::Port => "port",
            About::Token => "token",
            About::Log => "log",
            About::Certificate => "tls",
        }
    }

    /// As the end of a command; `before` says whose start is meant.
    pub fn failure(self, before: &str) -> Failure {
        Failure::configuration(format!("{before}{}", self.text)).mend(self.mend)
    }
}

/// Of the next start by whatever starts it: a gateway that runs here starts again with what it was told. Whether its port
/// can be had is tried only where it `binds`.
pub fn refused(setup: &Setup, binds: bool) -> Option<Refused> {
    let started = setup.lock_holder().and_then(|it| Started::of(it.pid));
    let told = started.as_ref().and_then(words);
    let (args, told) = told.unwrap_or_else(|| (GatewayRunArgs::default(), setup.clone()));
    refused_as(args, &told, started, binds)
}

/// Of a start with these words; `started` is what the gateway that makes room for it was started with.
pub fn refused_as(
    args: GatewayRunArgs,
    setup: &Setup,
    started: Option<Started>,
    binds: bool,
) -> Option<Refused> {
    // Where its files are was said to the process, and to nobody else.
    let place = |name: &str| match &started {
        Some(started) => started.variable(name),
        None => variable(name),
    };
    let options = match serve::options(args, setup, &place) {
        Ok(options) => options,
        Err(failure) => {
            return Some(Refused {
                about: About::Settings,
                text: failure.message.clone(),
                mend: failure.mend.first().cloned().unwrap_or_else(validate),
            });
        }
    };
    let holder = setup.lock_holder();
    let has_unit = gateway_service::installed(setup).is_some();
    let is_handed = place("LISTEN_FDS").is_some();
    let is_known = started.is_some();
    let own_port = holder.as_ref().and_then(|holder| holder.port);
    // Who is handed sockets binds none, and of a unit that does not run nobody knows here.
    let binds = binds
        && match &holder {
            Some(_) => own_port.is_some() && !is_handed,
            None => !has_unit,
        };
    let may_try = |port| {
        let is_own = own_port == Some(port) && !is_known;
        binds && !is_own && !(has_unit && port < PORTS_FREE_TO_ALL)
    };
    let of_unit = units::gateway_variables(setup);
    // A unit's service has variables too that only its manager knows.
    let env = move |name: &str| {
        let own = || started.as_ref().and_then(|it| it.variable(name));
        match is_known && !has_unit {
            true => own(),
            false => of_unit(name).or_else(own),
        }
    };
    let former = holder.filter(|_| is_known).map(|holder| holder.pid);
    let outranking = Outranking {
        command: match has_unit || !is_known && options.port.is_some() {
            true => "clawdia gateway install",
            false => "clawdia gateway run --force",
        },
        bind: options.bind.as_ref().map(|_| "--bind"),
        port: match options.port {
            Some(_) => Some("--port"),
            None => env(PORT).filter(|it| !it.is_empty()).map(|_| PORT),
        },
    };
    let (about, fault) = attempt(options, Box::new(env), may_try, former).err()?;
    Some(Refused {
        about,
        text: fault.message,
        mend: mend(about, setup, &outranking),
    })
}

/// What the configuration cannot change, and the command whose words outrank that.
struct Outranking {
    command: &'static str,
    bind: Option<&'static str>,
    port: Option<&'static str>,
}

fn validate() -> String {
    "clawdia config validate   # again, after mending".to_owned()
}

fn mend(about: About, setup: &Setup, outranking: &Outranking) -> String {
    let config = setup.config().unwrap_or_default();
    let gateway = &config.gateway;
    let state_dir = &setup.paths.state_dir;
    let aside = |file: PathBuf| {
        let file = quote(&file.to_string_lossy());
        format!("mv {file} {file}.damaged   # and a new one is made")
    };
    let Outranking { command, .. } = outranking;
    let text = match about {
        About::Settings => return validate(),
        About::Secret if gateway.auth.effective_mode() == AuthMode::Password => {
            "clawdia config set gateway.auth.password \"$(openssl rand -hex 32)\""
        }
        About::Secret => "clawdia config set gateway.auth.token \"$(openssl rand -hex 32)\"",
        About::Token => return aside(token_path(state_dir)),
        About::Log if config.logging.file.is_some() => "clawdia config unset logging.file",
        About::Log => {
            let log = setup.paths.log_file();
            let folder = log.ancestors().skip(1).find(|it| it.exists());
            let folder = quote(&folder.unwrap_or(state_dir).to_string_lossy());
            return format!("ls -la {folder}   # whose it is, and who may write");
        }
        About::Address => match outranking.bind {
            Some(by) => {
                return format!(
                    "clawdia gateway run --force --bind loopback   # {by} outranks gateway.bind"
                );
            }
            None => "clawdia config set gateway.bind loopback",
        },
        About::Port => match outranking.port {
            Some(by) => {
                return format!(
                    "{command} --port PORT   # one that is free; {by} outranks gateway.port"
                );
            }
            None => "clawdia config set gateway.port PORT   # one that is free",
        },
        // Both paths go at once: one alone is a fault.
        About::Certificate if gateway.tls.cert_path.is_some() => {
            "clawdia config set gateway.tls '{ enabled: true }'   # with a certificate of its own"
        }
        About::Certificate => return aside(state_dir.join(OWN_FILE)),
    };
    text.to_owned()
}

/// What the words of a process mean; a file that they or its variables name is looked for where that process is.
fn words(started: &Started) -> Option<(GatewayRunArgs, Setup)> {
    let (mut globals, cli) = reread(&started.words)?;
    let Command::Gateway(gateway) = cli.command else {
        return None;
    };
    let GatewayCommand::Run(args) = gateway.command else {
        return None;
    };
    let here = |path: String| started.folder.join(path).to_string_lossy().into_owned();
    globals.token_file = globals.token_file.map(here);
    let variable = |name: &str| started.variable(name);
    let home = variable("HOME").map_or_else(std::env::home_dir, |home| Some(home.into()));
    let profile = globals.profile.as_deref();
    let mut paths = Paths::resolve(home.as_deref(), &variable, profile, globals.dev).ok()?;
    for path in std::iter::once(&mut paths.state_dir).chain(&mut paths.config_candidates) {
        *path = started.folder.join(&*path);
    }
    Some((args, Setup { globals, paths }))
}
