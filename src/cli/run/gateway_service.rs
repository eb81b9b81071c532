//! `clawdia gateway install|start|stop|restart|uninstall`
//!
//! Stopping and restarting work without systemd too: the process that holds the state
//! directory's lock is asked by a signal.

use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::super::commands::GatewayInstall;
use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::{Setup, variable};
use super::serve::signal_holder;
use crate::io::state_dir;
use crate::limits::{SERVICE_STOP_S, SERVICE_WATCHDOG_S};
use crate::service::Unit;
use crate::service::systemd::{self, Manager};

/// Usage faults and what a person must mend: starting again would not help.
const FINAL_CODES: [u8; 2] = [2, state_dir::EXIT_CONFIG];

/// Writes the unit, and starts it where there is a systemd to ask.
pub fn install(args: GatewayInstall, setup: &Setup, out: &mut Out) -> Outcome {
    let globals = &setup.globals;
    if globals.token.is_some() || globals.token_file.is_some() || globals.password.is_some() {
        let fault = "a unit holds no secret";
        let mend = "clawdia config set gateway.auth.token SECRET   # then install";
        return Err(Failure::usage(fault).mend(mend));
    }
    let manager = match (args.system, &args.user) {
        (true, None) => return Err(Failure::usage("--system needs --user NAME")),
        (false, Some(_)) => return Err(Failure::usage("--user is for --system")),
        (true, Some(_)) => Manager::System,
        (false, None) => Manager::User,
    };
    // Faults of the configuration are told now and not to a log.
    setup.config()?;
    let unit = unit(&args, setup)?;
    if !manager.is_there() {
        let text = unit.to_text().map_err(Failure::failed)?;
        let why = "no systemd can be asked here: start `clawdia gateway run` in another way, \
                   or use this unit elsewhere";
        if out.wants_json() {
            out.json(&json!({"installed": false, "reason": why, "unit": text}))?;
        } else {
            out.line(&format!("# {why}"))?;
            out.part(&text)?;
        }
        return Ok(());
    }
    let path = systemd::write(&unit, &units(manager)?).map_err(|error| failed(&error))?;
    let name = unit.file_name();
    // A unit that runs already takes the new words only when it is started again.
    for words in [
        &["daemon-reload"][..],
        &["enable", &name],
        &["restart", &name],
    ] {
        manager.ask(words).map_err(|error| failed(&error))?;
    }
    let answer = json!({"installed": true, "unit": name, "path": path});
    told(&format!("{name} runs, and is kept running"), &answer, out)?;
    if manager == Manager::User && !out.wants_json() {
        out.line("  `loginctl enable-linger` starts it with the machine, before anybody logs in")?;
    }
    Ok(())
}

/// Asks systemd to start the unit.
pub fn start(setup: &Setup, out: &mut Out) -> Outcome {
    let Some(manager) = installed(setup) else {
        return Err(Failure::failed("no unit is installed").mend("clawdia gateway install"));
    };
    ask(manager, "start", setup, out)
}

/// Asks whoever keeps the gateway running to end it, or the gateway itself.
pub fn stop(setup: &Setup, out: &mut Out) -> Outcome {
    match installed(setup) {
        Some(manager) => ask(manager, "stop", setup, out),
        None => signal(Signal::TERM, "ends", setup, out),
    }
}

/// The same, to be started again.
pub fn restart(setup: &Setup, out: &mut Out) -> Outcome {
    match installed(setup) {
        Some(manager) => ask(manager, "restart", setup, out),
        None => signal(Signal::USR1, "starts again", setup, out),
    }
}

/// Stops the unit and removes its file.
pub fn uninstall(setup: &Setup, out: &mut Out) -> Outcome {
    let name = name(setup);
    let found = [Manager::User, Manager::System]
        .into_iter()
        .find_map(|manager| {
            let path = units(manager).ok()?.join(&name);
            path.exists().then_some((manager, path))
        });
    let Some((manager, path)) = found else {
        return Err(Failure::failed(format!("{name} is not installed")));
    };
    if manager.is_there() {
        manager
            .ask(&["disable", "--now", &name])
            .map_err(|error| failed(&error))?;
    }
    std::fs::remove_file(&path)
        .map_err(|error| Failure::failed(format!("cannot remove {}: {error}", path.display())))?;
    if manager.is_there() {
        manager
            .ask(&["daemon-reload"])
            .map_err(|error| failed(&error))?;
    }
    let answer = json!({"ok": true, "unit": name});
    told(
        &format!("{name} is gone; state and configuration stay"),
        &answer,
        out,
    )
}

fn ask(manager: Manager, what: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let name = name(setup);
    manager
        .ask(&[what, &name])
        .map_err(|error| failed(&error))?;
    told(
        &format!("{name}: {what}"),
        &json!({"ok": true, "unit": name}),
        out,
    )
}

fn signal(signal: Signal, what: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let Some(pid) = signal_holder(setup, signal)? else {
        return Err(Failure::failed("no gateway runs here").mend("clawdia gateway run"));
    };
    told(
        &format!("process {pid} {what}"),
        &json!({"ok": true, "process": pid}),
        out,
    )
}

/// The systemd that has our unit and can be asked.
fn installed(setup: &Setup) -> Option<Manager> {
    let name = name(setup);
    [Manager::User, Manager::System]
        .into_iter()
        .find(|manager| {
            units(*manager).is_ok_and(|dir| dir.join(&name).exists()) && manager.is_there()
        })
}

fn unit(args: &GatewayInstall, setup: &Setup) -> Result<Unit, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("where this program is: {error}")))?;
    let mut command = vec![program.to_string_lossy().into_owned()];
    if let Some(profile) = &setup.paths.profile {
        command.extend(["--profile".to_owned(), profile.clone()]);
    }
    command.extend(["gateway".to_owned(), "run".to_owned()]);
    if let Some(port) = args.port {
        command.extend(["--port".to_owned(), port.to_string()]);
    }
    let places = ["CLAWDIA_STATE_DIR", "CLAWDIA_CONFIG_PATH"];
    let set = |name: &str| Some((name.to_owned(), variable(name)?));
    Ok(Unit {
        name: name(setup).trim_end_matches(".service").to_owned(),
        description: "Clawdia gateway".to_owned(),
        command,
        environment: places.into_iter().filter_map(set).collect(),
        stop_s: SERVICE_STOP_S,
        final_codes: FINAL_CODES.to_vec(),
        watchdog_s: Some(SERVICE_WATCHDOG_S),
        user: args.user.clone(),
    })
}

/// The unit's file name.
fn name(setup: &Setup) -> String {
    match &setup.paths.profile {
        Some(profile) => format!("clawdia-gateway-{profile}.service"),
        None => "clawdia-gateway.service".to_owned(),
    }
}

fn units(manager: Manager) -> Result<PathBuf, Failure> {
    let config_home = variable("XDG_CONFIG_HOME");
    let home = std::env::home_dir();
    manager
        .unit_dir(config_home.as_deref(), home.as_deref())
        .ok_or_else(|| Failure::failed("HOME is not set, so there is no place for units"))
}

fn told(text: &str, answer: &Value, out: &mut Out) -> Outcome {
    match out.wants_json() {
        true => out.json(answer)?,
        false => out.done(text)?,
    }
    Ok(())
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::failed(error.to_string())
}
