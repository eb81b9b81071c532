//! `clawdia gateway run`

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::commands::GatewayRunArgs;
use super::super::exit::{Failure, Outcome};
use super::super::setup::Setup;
use crate::config::Secret;
use crate::io::server::{self, Options};
use crate::limits::{SHUTDOWN_DRAIN_MS, TAKE_OVER_POLL_MS};

/// Serves until a signal ends it.
pub fn run(args: GatewayRunArgs, setup: &Setup) -> Outcome {
    if setup.globals.url.is_some() {
        let fault = "--url says where a gateway is; `run` takes --bind and --port";
        return Err(Failure::usage(fault));
    }
    let modes = ["loopback", "lan", "tailnet", "auto", "custom"];
    one_of("--bind", &args.bind, &modes)?;
    one_of("--auth", &args.auth, &["token", "password"])?;
    let secrets = setup.flag_secrets()?;
    if args.force {
        stop_former(setup)?;
    }
    server::run(Options {
        paths: setup.paths.clone(),
        port: args.port,
        bind: args.bind,
        auth: args.auth,
        token: secrets.token.map(|secret| Secret::new(secret.value)),
        password: secrets.password.map(|secret| Secret::new(secret.value)),
        verbose: args.verbose,
    })?;
    Ok(())
}

fn one_of(name: &str, value: &Option<String>, allowed: &[&str]) -> Outcome {
    match value {
        Some(value) if !allowed.contains(&value.as_str()) => Err(Failure::usage(format!(
            "{name} {value}: it is one of {}",
            allowed.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// Asks the gateway that holds this state directory to end, and waits until it has. It is known
/// by the lock that it holds, so no other process is ever signalled.
fn stop_former(setup: &Setup) -> Outcome {
    let Some(holder) = setup.lock_holder() else {
        return Ok(());
    };
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|_| holder.is_running()) else {
        return Err(Failure::failed(
            "the gateway that runs cannot be identified",
        ));
    };
    kill_process(pid, Signal::TERM)
        .map_err(|fault| Failure::failed(format!("cannot stop process {}: {fault}", holder.pid)))?;
    let deadline = Instant::now() + Duration::from_millis(2 * SHUTDOWN_DRAIN_MS);
    while setup.lock_holder().is_some_and(|now| now.pid == holder.pid) {
        if Instant::now() > deadline {
            let fault = format!("process {} does not end", holder.pid);
            return Err(Failure::failed(fault).mend(format!("kill -9 {}", holder.pid)));
        }
        std::thread::sleep(Duration::from_millis(TAKE_OVER_POLL_MS));
    }
    Ok(())
}
