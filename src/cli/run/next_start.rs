//! What the gateway's next start would be refused for: of the one that runs here with its own words and variables, else
//! of `gateway run` alone.

use super::super::commands::{Command, GatewayCommand, GatewayRunArgs};
use super::super::exit::Failure;
use super::super::reread;
use super::super::setup::Setup;
use super::{gateway_service, serve, units};
use crate::config::AuthMode;
use crate::io::process::Started;
use crate::io::server::trial::{About, attempt};
use crate::io::tls::certificate::OWN_FILE;

/// Ports below need rights that a unit may give, and the system itself.
const PORTS_FREE_TO_ALL: u16 = 1_024;

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
            About::Log => "log",
            About::Certificate => "tls",
        }
    }

    /// As the end of a command; `before` says whose start is meant.
    pub fn failure(self, before: &str) -> Failure {
        Failure::configuration(format!("{before}{}", self.text)).mend(self.mend)
    }
}

/// Of the next start by whatever starts it: a gateway that runs here starts again with what it was told.
pub fn refused(setup: &Setup) -> Option<Refused> {
    let started = setup.lock_holder().and_then(|it| Started::of(it.pid));
    let told = started.as_ref().and_then(|started| words(started, setup));
    let (args, told) = told.unwrap_or_else(|| (GatewayRunArgs::default(), setup.clone()));
    refused_as(args, &told, started)
}

/// Of a start with these words; `started` is what the gateway that makes room for it was started with.
pub fn refused_as(
    args: GatewayRunArgs,
    setup: &Setup,
    started: Option<Started>,
) -> Option<Refused> {
    let options = match serve::options(args, setup) {
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
    let has_unit = units::find(&gateway_service::MANAGERS, &gateway_service::name(setup)).is_some();
    let is_its_own = started.is_some() && !has_unit;
    let variable = move |name: &str| started.as_ref().and_then(|it| it.variable(name));
    // Who is handed sockets binds none, and of a unit that does not run nobody knows here.
    let binds = match &holder {
        Some(holder) => holder.port.is_some() && variable("LISTEN_FDS").is_none(),
        None => !has_unit,
    };
    let own_port = holder.and_then(|holder| holder.port);
    let may_try = |port| binds && own_port != Some(port) && !(has_unit && port < PORTS_FREE_TO_ALL);
    let of_unit = units::gateway_variables(setup);
    let attempted = match is_its_own {
        true => attempt(options, Box::new(variable), may_try),
        false => attempt(options, Box::new(of_unit), may_try),
    };
    let (about, fault) = attempted.err()?;
    Some(Refused {
        about,
        text: fault.message,
        mend: mend(about, setup),
    })
}

fn validate() -> String {
    "clawdia config validate   # again, after mending".to_owned()
}

fn mend(about: About, setup: &Setup) -> String {
    let gateway = setup.config().unwrap_or_default().gateway.clone();
    let text = match about {
        About::Settings => return validate(),
        About::Secret if gateway.auth.effective_mode() == AuthMode::Password => {
            "clawdia config set gateway.auth.password \"$(openssl rand -hex 32)\""
        }
        About::Secret => "clawdia config set gateway.auth.token \"$(openssl rand -hex 32)\"",
        About::Log => "clawdia config unset logging.file",
        About::Address => "clawdia config set gateway.bind loopback",
        About::Port => "clawdia config set gateway.port PORT   # one that is free",
        // Both paths go at once: one alone is a fault.
        About::Certificate if gateway.tls.cert_path.is_some() => {
            "clawdia config set gateway.tls '{ enabled: true }'   # with a certificate of its own"
        }
        About::Certificate => {
            let file = setup.paths.state_dir.join(OWN_FILE);
            return format!(
                "mv {0} {0}.damaged   # and a new one is made",
                file.display()
            );
        }
    };
    text.to_owned()
}

/// What the words of a process mean; a file that they name is looked for where that process is.
fn words(started: &Started, setup: &Setup) -> Option<(GatewayRunArgs, Setup)> {
    let (mut globals, cli) = reread(&started.words)?;
    let Command::Gateway(gateway) = cli.command else {
        return None;
    };
    let GatewayCommand::Run(args) = gateway.command else {
        return None;
    };
    let here = |path: String| started.folder.join(path).to_string_lossy().into_owned();
    globals.token_file = globals.token_file.map(here);
    let paths = setup.paths.clone();
    Some((args, Setup { globals, paths }))
}
