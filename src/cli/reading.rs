//! The configuration as commands read it: strictly where it is judged, as far as it goes where only the gateway is asked.

use std::io::Write;
use std::sync::{Arc, Once};

use super::exit::Failure;
use super::run::{profiles, units};
use super::setup::{Setup, variable};
use super::text::{count, printable_lines};
use crate::config::document::Document;
use crate::config::fault::UNSET_VARIABLE;
use crate::config::paths::Lookup;
use crate::config::suggest::nearest;
use crate::config::{Config, Fault, GatewayMode};
use crate::io::config_file;

/// Where the gateway is and what it has to be shown.
const WAY: [&str; 5] = [
    "gateway.mode",
    "gateway.port",
    "gateway.auth",
    "gateway.tls",
    "gateway.remote",
];

/// Whether a fault may be one of what begins with these keys: what holds them, or a name that is probably meant for one.
fn is_needed(fault: &Fault, keys: &[&str]) -> bool {
    keys.iter().any(|key| {
        fault.path.starts_with(key) || key.starts_with(&*fault.path) || fault.instead.contains(key)
    })
}

impl Setup {
    /// The configuration file as it is.
    pub fn document(&self) -> Result<Document, Failure> {
        config_file::read(&self.paths).map_err(|fault| Failure::configuration(fault.to_string()))
    }

    /// Reads the configuration as the gateway does, be it in this environment or its service's; every fault of it is
    /// told.
    pub fn config(&self) -> Result<Arc<Config>, Failure> {
        let document = self.document()?;
        match document.load(&units::gateway_variables(self)) {
            Ok(loaded) => Ok(loaded.config),
            Err(faults) => {
                let failure = config_faults(document.path(), &faults);
                let is_unset = |fault: &Fault| fault.what.starts_with(UNSET_VARIABLE);
                Err(match faults.iter().any(is_unset) {
                    true => failure.mend(units::how_to_show_variables(self)),
                    false => failure,
                })
            }
        }
    }

    /// The same for a command that needs no more of it than what begins with one of `keys`: other faults are warnings.
    pub fn config_for(&self, keys: &[&str]) -> Result<Arc<Config>, Failure> {
        let document = self.document()?;
        let variables = units::gateway_variables(self);
        let Err(faults) = document.load(&variables) else {
            return self.config();
        };
        match document.without_faults(&variables) {
            Some(config) if !faults.iter().any(|fault| is_needed(fault, keys)) => {
                warn_once(&config_faults(document.path(), &faults).message);
                Ok(Arc::new(config))
            }
            _ => self.config(),
        }
    }

    /// Reads it for a command that talks to the gateway, whose variables this shell may lack. What is wrong with it and
    /// not in the way is a warning.
    pub fn client_config(&self) -> Result<Arc<Config>, Failure> {
        let (config, fault) = self.config_as_far()?;
        let missing = self.missing_config(&variable).ok().flatten();
        let fault = fault.map(|fault| fault.message.clone());
        for told in fault.into_iter().chain(missing) {
            warn_once(&told);
        }
        Ok(config)
    }

    /// The configuration, and what is wrong with it where a command can go on all the same: what it needs can be read,
    /// or a gateway runs here and says itself where.
    pub fn config_as_far(&self) -> Result<(Arc<Config>, Option<Failure>), Failure> {
        let runs_here = || {
            self.lock_holder()
                .is_some_and(|holder| holder.port.is_some())
        };
        let document = match self.document() {
            Ok(document) => document,
            Err(failure) if runs_here() => return Ok((Arc::default(), Some(failure))),
            Err(failure) => return Err(failure),
        };
        let faults = match document.load_for_client(&variable) {
            Ok(loaded) => return Ok((loaded.config, None)),
            Err(faults) => faults,
        };
        let config = document.without_faults(&variable);
        let needed = |fault: &Fault| is_needed(fault, &WAY);
        let is_whole = config.is_some() && !faults.iter().any(needed);
        let config = config.unwrap_or_default();
        let goes_on = is_whole || config.gateway.mode != Some(GatewayMode::Remote) && runs_here();
        let failure = config_faults(document.path(), &faults);
        match goes_on {
            true => Ok((Arc::new(config), Some(failure))),
            false => Err(failure),
        }
    }

    /// Whether the gateway that is meant is elsewhere, as far as the file can be read.
    pub fn is_remote(&self) -> bool {
        let document = self.document().ok();
        let config = document.and_then(|document| document.without_faults(&variable));
        config.is_some_and(|config| config.gateway.mode == Some(GatewayMode::Remote))
    }

    /// What is wrong where `CLAWDIA_CONFIG_PATH` names a file that is not there.
    pub fn missing_config(&self, env: Lookup<'_>) -> Result<Option<String>, Failure> {
        let Some(path) = env("CLAWDIA_CONFIG_PATH").filter(|path| !path.trim().is_empty()) else {
            return Ok(None);
        };
        let is_there = self.document()?.text().is_some();
        Ok(
            (!is_there)
                .then(|| format!("CLAWDIA_CONFIG_PATH is {path}, and there is no such file")),
        )
    }

    /// That the profile or state directory which somebody named does not exist: nothing is looked for in it, and nothing
    /// is made.
    pub fn missing_state(&self) -> Option<Failure> {
        let dir = &self.paths.state_dir;
        let is_named = self.paths.profile.is_some() || variable("CLAWDIA_STATE_DIR").is_some();
        if !is_named || dir.exists() {
            return None;
        }
        let dir = dir.display();
        let known = profiles::names(&self.paths);
        let failure = match &self.paths.profile {
            Some(name) => {
                let failure = Failure::configuration(format!(
                    "there is no profile {name}: {dir} does not exist"
                ));
                match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => failure.fact("meant", format!("perhaps --profile {near}")),
                    None => failure,
                }
            }
            None => Failure::configuration(format!(
                "there is no state directory {dir} (CLAWDIA_STATE_DIR)"
            )),
        };
        let failure = match known.is_empty() {
            true => failure,
            false => failure.fact("profiles", known.join(", ")),
        };
        Some(
            failure
                .mend("clawdia gateway run")
                .mend("clawdia gateway list   # shows which there are"),
        )
    }
}

/// All faults of a configuration as one failure.
pub fn config_faults(path: &str, faults: &[Fault]) -> Failure {
    let count = count(faults.len() as u64, "fault");
    let mut message = format!("the configuration {path} has {count}");
    for fault in faults {
        message.push_str("\n  ");
        message.push_str(&fault.to_string());
    }
    let failure = Failure::configuration(message);
    let failure = match config_file::way_back(path, faults) {
        Some(way) => failure.fact("or", way),
        None => failure,
    };
    failure.mend("clawdia config validate   # again, after mending")
}

/// What is wrong and not in the way of this command, once.
pub fn warn_once(told: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        warn(&format!(
            "{told}\n  this command goes on without (see: clawdia config validate)"
        ));
    });
}

/// Tells on standard error: what is printed may be for a script.
pub fn warn(text: &str) {
    // A command that cannot warn still does what it was asked for.
    let _ = writeln!(std::io::stderr(), "warning: {}", printable_lines(text));
}
