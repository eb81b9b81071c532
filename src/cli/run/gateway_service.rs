//! `clawdia gateway install|start|stop|restart|uninstall`
//!
//! Stopping and restarting work without systemd too: the process that holds the state
//! directory's lock is asked by a signal.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::super::commands::{GatewayInstall, GatewayRunArgs};
use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::Setup;
use super::config::connect_own;
use super::serve::{await_end, signal_holder};
use super::units::{self, Installed, Told};
use super::{next_start, troubles};
use crate::io::lock::LockHolder;
use crate::io::process::ProcessId;
use crate::io::state_dir;
use crate::limits::{CONFIG_TAKEN_MS, SERVICE_STOP_S, SERVICE_WATCHDOG_S, TAKE_OVER_POLL_MS};
use crate::service::Unit;
use crate::service::systemd::Manager;

/// Usage faults and what a person must mend: starting again would not help.
const FINAL_CODES: [u8; 2] = [2, state_dir::EXIT_CONFIG];

/// Who may have the unit, in the order in which they are asked.
pub(super) const MANAGERS: [Manager; 2] = [Manager::User, Manager::System];

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
    // What would keep it from starting is told now and not to a log.
    setup.config()?;
    let port = args.port;
    let words = GatewayRunArgs {
        port,
        ..GatewayRunArgs::default()
    };
    if let Some(refused) = next_start::refused_as(words, setup, None, true) {
        return Err(refused.failure("the gateway does not start: "));
    }
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
        None => {
            let former = signal(Signal::TERM, setup)?;
            await_end(setup, &former)?;
            told(&former, "has ended", out)
        }
    }
}

/// The same, to be started again.
pub fn restart(setup: &Setup, out: &mut Out) -> Outcome {
    let unit = installed(setup);
    would_start(setup, unit.is_some())?;
    match unit {
        Some(unit) => unit.ask("restart", out),
        None => {
            let former = signal(Signal::USR1, setup)?;
            await_start(setup, &former)?;
            told(&former, "has started again", out)
        }
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

fn signal(signal: Signal, setup: &Setup) -> Result<LockHolder, Failure> {
    signal_holder(setup, signal)?
        .ok_or_else(|| Failure::failed("no gateway runs here").mend("clawdia gateway run"))
}

/// Refuses, before anything is stopped, what the next start would be refused for.
fn would_start(setup: &Setup, is_unit: bool) -> Outcome {
    if setup.lock_holder().is_none() {
        return Ok(());
    }
    let runs_on = "it would not start again, so it runs on: ";
    let elsewhere =
        "clawdia gateway stop   # then start it where its environment has what it needs";
    if let Some(refused) = next_start::refused(setup, true) {
        return Err(refused.failure(runs_on).mend(elsewhere));
    }
    // systemd starts it with variables of its own, which may be what was mended.
    if is_unit {
        return Ok(());
    }
    // Any other keeps its environment: what it cannot take over of its configuration now would not let it start again
    // either.
    let config = setup.client_config()?;
    let deadline = Instant::now() + Duration::from_millis(CONFIG_TAKEN_MS);
    // One that cannot be asked has a reason to be started again.
    let Ok(mut session) = connect_own(setup, &config, deadline) else {
        return Ok(());
    };
    let shown = session.call("config.get", &json!({})).unwrap_or_default();
    let refused = troubles::of_config(&shown, &session.to).into_iter().next();
    session.client.close();
    match refused {
        None => Ok(()),
        Some(trouble) => Err(
            Failure::configuration(format!("{runs_on}{}", trouble.message))
                .mend(trouble.mend)
                .mend(elsewhere),
        ),
    }
}

/// Waits until the gateway is there again, so that the next command finds it.
fn await_start(setup: &Setup, former: &LockHolder) -> Outcome {
    let process = ProcessId::of(former.pid);
    let deadline = Instant::now() + Duration::from_secs(2 * u64::from(SERVICE_STOP_S));
    loop {
        let now = setup.lock_holder();
        if now.is_some_and(|now| now.since_ms != former.since_ms && now.port.is_some()) {
            return Ok(());
        }
        if !process.is_running() || Instant::now() > deadline {
            let fault = format!("process {} ended, and does not serve again", former.pid);
            return Err(Failure::failed(fault)
                .mend("clawdia gateway run   # says why")
                .mend("clawdia logs"));
        }
        std::thread::sleep(Duration::from_millis(TAKE_OVER_POLL_MS));
    }
}

fn told(former: &LockHolder, what: &str, out: &mut Out) -> Outcome {
    let answer = json!({"ok": true, "process": former.pid});
    units::tell(&format!("process {} {what}", former.pid), &answer, out)
}

/// Our unit, where its systemd can be asked.
pub(super) fn installed(setup: &Setup) -> Option<Installed> {
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
pub(super) fn name(setup: &Setup) -> String {
    match &setup.paths.profile {
        Some(profile) => format!("clawdia-gateway-{profile}.service"),
        None => "clawdia-gateway.service".to_owned(),
    }
}
