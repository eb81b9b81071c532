//! `clawdia gateway install|start|stop|restart|uninstall`
//!
//! Stopping and restarting work without systemd too: the process that holds the state
//! directory's lock is asked by a signal.

use rustix::process::Signal;
use serde_json::json;

use super::super::commands::GatewayInstall;
use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::Setup;
use super::serve::signal_holder;
use super::units::{self, Installed, Told};
use crate::io::state_dir;
use crate::limits::{SERVICE_STOP_S, SERVICE_WATCHDOG_S};
use crate::service::Unit;
use crate::service::systemd::Manager;

/// Usage faults and what a person must mend: starting again would not help.
const FINAL_CODES: [u8; 2] = [2, state_dir::EXIT_CONFIG];

/// Who may have the unit, in the order in which they are asked.
const MANAGERS: [Manager; 2] = [Manager::User, Manager::System];

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
    let told = Told {
        done: "runs, and is kept running",
        hint: (manager == Manager::User).then_some(
            "`loginctl enable-linger` starts it with the machine, before anybody logs in",
        ),
    };
    units::install(manager, &unit(&args, setup)?, &told, out)
}

/// Asks systemd to start the unit.
pub fn start(setup: &Setup, out: &mut Out) -> Outcome {
    match installed(setup) {
        Some(unit) => unit.ask("start", out),
        None => Err(Failure::failed("no unit is installed").mend("clawdia gateway install")),
    }
}

/// Asks whoever keeps the gateway running to end it, or the gateway itself.
pub fn stop(setup: &Setup, out: &mut Out) -> Outcome {
    match installed(setup) {
        Some(unit) => unit.ask("stop", out),
        None => signal(Signal::TERM, "ends", setup, out),
    }
}

/// The same, to be started again.
pub fn restart(setup: &Setup, out: &mut Out) -> Outcome {
    match installed(setup) {
        Some(unit) => unit.ask("restart", out),
        None => signal(Signal::USR1, "starts again", setup, out),
    }
}

/// Stops the unit and removes its file.
pub fn uninstall(setup: &Setup, out: &mut Out) -> Outcome {
    let name = name(setup);
    match units::find(&MANAGERS, &name) {
        Some(unit) => unit.remove("state and configuration stay", out),
        None => Err(Failure::failed(format!("{name} is not installed"))),
    }
}

fn signal(signal: Signal, what: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let Some(pid) = signal_holder(setup, signal)? else {
        return Err(Failure::failed("no gateway runs here").mend("clawdia gateway run"));
    };
    let answer = json!({"ok": true, "process": pid});
    units::tell(&format!("process {pid} {what}"), &answer, out)
}

/// Our unit, where its systemd can be asked.
fn installed(setup: &Setup) -> Option<Installed> {
    units::find(&MANAGERS, &name(setup)).filter(|unit| unit.manager.is_there())
}

fn unit(args: &GatewayInstall, setup: &Setup) -> Result<Unit, Failure> {
    let mut command = units::own_command(setup)?;
    command.extend(["gateway".to_owned(), "run".to_owned()]);
    if let Some(port) = args.port {
        command.extend(["--port".to_owned(), port.to_string()]);
    }
    Ok(Unit {
        name: name(setup).trim_end_matches(".service").to_owned(),
        description: "Clawdia gateway".to_owned(),
        command,
        environment: units::places(),
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
