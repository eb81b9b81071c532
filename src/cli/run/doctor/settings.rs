//! What the files say: the configuration, the state directory, secrets, certificates.

use super::super::super::setup::variable;
use super::super::config::shared_with_gateway;
use super::super::{security, units};
use super::{Findings, Setup, State};
use crate::config::checks::told_unserved;
use crate::config::{Config, MdnsMode};
use crate::io::tls::certificate::Place;
use crate::io::{clock, config_file, private, store};

pub fn configuration(setup: &Setup, found: &mut Findings) -> Option<std::sync::Arc<Config>> {
    const NAME: &str = "configuration";
    let (config, fault) = match setup.config_as_far() {
        Ok((config, fault)) => (Some(config), fault),
        Err(failure) => (None, Some(failure)),
    };
    if let Some(failure) = fault {
        found.failed(NAME, &failure);
        return config;
    }
    let document = setup.document().ok()?;
    if let Some(missing) = setup.missing_config(&variable).ok().flatten() {
        // One that runs was told to.
        let state = match setup.lock_holder() {
            Some(_) => State::Remark,
            None => State::Fault,
        };
        let mend = "clawdia config set gateway.mode local   # makes it";
        found.add(NAME, state, missing, &[mend, "unset CLAWDIA_CONFIG_PATH"]);
        return config;
    }
    match (document.text(), config_file::check_mode(&document)) {
        (_, Some(remark)) => {
            let mend = format!("chmod 600 {}", document.path());
            found.add(NAME, State::Fault, remark, &[&mend]);
        }
        (None, None) => found.good(NAME, format!("{}: none, so defaults", document.path())),
        (Some(_), None) => found.good(NAME, document.path()),
    }
    let loaded = document.load(&units::gateway_variables(setup));
    for fault in loaded.as_ref().err().into_iter().flatten() {
        let told = format!(
            "{} {} in this shell; the gateway needs it",
            fault.path, fault.what
        );
        found.add(NAME, State::Remark, told, &[]);
    }
    if let Ok(loaded) = loaded {
        for warning in loaded.warnings {
            found.add(
                NAME,
                State::Remark,
                warning.to_string(),
                &["clawdia config validate"],
            );
        }
        for fault in shared_with_gateway(setup, &loaded.config) {
            let told = format!("{} {}", fault.path, fault.what);
            let mend = format!("clawdia config set {} SECRET", fault.path);
            found.add(NAME, State::Fault, told, &[&mend]);
        }
        if let Some(unserved) = told_unserved(&loaded.unserved) {
            found.good(NAME, unserved);
        }
    }
    config
}

pub fn state(setup: &Setup, found: &mut Findings) {
    let dir = &setup.paths.state_dir;
    if !dir.exists() {
        let text = format!("{} is made at the first start", dir.display());
        return found.good("state", text);
    }
    let open = private::faults(dir);
    if open.is_empty() {
        found.good("state", dir.display().to_string());
    }
    for fault in open {
        let state = match fault.is_reachable {
            true => State::Fault,
            false => State::Remark,
        };
        found.add("permissions", state, fault.to_string(), &[&fault.mend()]);
    }
    match store::look(dir) {
        Ok(false) => {}
        Ok(true) => found.good("database", "whole"),
        Err(fault) => {
            let mend = "clawdia gateway stop; clawdia restore FILE   # a backup";
            found.add("database", State::Fault, fault.message, &[mend]);
        }
    }
}

pub fn secret(setup: &Setup, config: &Config, found: &mut Findings) {
    match setup.local_secrets(config) {
        Err(failure) => found.failed("secret", &failure),
        Ok(secrets) if secrets.is_empty() => {
            found.good("secret", "none yet: a token is made at the first start");
        }
        Ok(secrets) => found.good("secret", format!("from {}", secrets.source())),
    }
}

/// What is wrong with its files is told by what the next start would be refused for.
pub fn certificate(setup: &Setup, config: &Config, found: &mut Findings) {
    let tls = &config.gateway.tls;
    let place = Place::of(tls, &setup.paths.state_dir);
    if tls.enabled && matches!(place.load(clock::now()), Ok(Some(_))) {
        for path in place.paths() {
            found.good("certificate", path.display().to_string());
        }
    }
}

/// What the network is told without being asked.
pub fn discovery(config: &Config, found: &mut Findings) {
    const NAME: &str = "discovery";
    let told = match security::told_by_mdns(config) {
        None => "the network is told nothing",
        Some(MdnsMode::Full) => {
            "the network is told the machine's name, the port, the certificate's fingerprint and where SSH is"
        }
        Some(_) => {
            "the network is told the machine's name, the port and the certificate's fingerprint"
        }
    };
    found.good(NAME, told);
}
