//! `clawdia gateway run`

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::commands::GatewayRunArgs;
use super::super::exit::{Failure, Outcome};
use super::super::setup::{Setup, variable};
use super::next_start;
use crate::config::Secret;
use crate::config::paths::Lookup;
use crate::io::lock::LockHolder;
use crate::io::process::ProcessId;
use crate::io::server::{self, Ended, Options};
use crate::limits::{SERVICE_STOP_S, TAKE_OVER_POLL_MS};

/// Serves until a signal ends it.
pub fn run(args: GatewayRunArgs, setup: &Setup) -> Outcome {
    if setup.globals.url.is_some() {
        let fault = "--url says where a gateway is; `run` takes --bind and --port";
        return Err(Failure::usage(fault));
    }
    let options = options(args.clone(), setup, &variable)?;
    if args.force {
        take_place(args, setup)?;
    }
    match server::run(options)? {
        Ended::Stopped => Ok(()),
        Ended::ToRestart => Err(start_again()),
    }
}

/// What a start is told by these words, where it may be one.
pub(super) fn options(
    args: GatewayRunArgs,
    setup: &Setup,
    env: Lookup<'_>,
) -> Result<Options, Failure> {
    let modes = ["loopback", "lan", "tailnet", "auto", "custom"];
    one_of("--bind", &args.bind, &modes)?;
    one_of("--auth", &args.auth, &["token", "password"])?;
    let secrets = setup.flag_secrets()?;
    let is_unconfigured = args.allow_unconfigured || setup.globals.dev;
    if let Some(missing) = setup.missing_config(env)?.filter(|_| !is_unconfigured) {
        return Err(Failure::configuration(missing)
            .mend("clawdia config set gateway.mode local   # makes it")
            .mend("clawdia gateway run --allow-unconfigured   # starts on defaults"));
    }
    Ok(Options {
        paths: setup.paths.clone(),
        port: args.port,
        bind: args.bind,
        auth: args.auth,
        token: secrets.token.map(|secret| Secret::new(secret.value)),
        password: secrets.password.map(|secret| Secret::new(secret.value)),
        verbose: args.verbose,
    })
}

/// Becomes the same program with the same words, under the same process id, so that a supervisor
/// sees no end. Sockets that were handed over are gone with the loop: then it just ends, and the
/// next connection starts it. Only a failure returns.
fn start_again() -> Failure {
    if variable("LISTEN_FDS").is_some() {
        return Failure::quiet();
    }
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(fault) => return Failure::failed(format!("where this program is: {fault}")),
    };
    // What has taken a former gateway's place already takes nobody's now.
    let words = std::env::args_os().skip(1).filter(|word| word != "--force");
    let fault = std::process::Command::new(&program).args(words).exec();
    Failure::failed(format!("cannot start {} again: {fault}", program.display()))
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

/// Ends the former gateway, unless this start would be refused: one that serves is worth more than none.
fn take_place(args: GatewayRunArgs, setup: &Setup) -> Outcome {
    let has_former = setup.lock_holder().is_some();
    let refused = || next_start::refused_as(args, setup, None, true);
    match has_former.then(refused).flatten() {
        Some(refused) => Err(refused.failure("the gateway that runs goes on: ")),
        None => stop_former(setup),
    }
}

/// Asks the gateway that holds this state directory to end, and waits until it has. It is known
/// by the lock that it holds, so no other process is ever signalled.
fn stop_former(setup: &Setup) -> Outcome {
    match signal_holder(setup, Signal::TERM)? {
        Some(former) => await_end(setup, &former),
        None => Ok(()),
    }
}

/// Waits until a gateway that was asked to end has ended. One that was about to start again may
/// have missed that, so it is asked once more when it has.
pub(super) fn await_end(setup: &Setup, former: &LockHolder) -> Outcome {
    let process = ProcessId::of(former.pid);
    let mut since_ms = former.since_ms;
    let deadline = Instant::now() + Duration::from_secs(u64::from(SERVICE_STOP_S));
    while process.is_running() {
        let now = setup.lock_holder().filter(|now| now.pid == former.pid);
        if let Some(again) = now.filter(|now| now.since_ms != since_ms && now.port.is_some()) {
            since_ms = again.since_ms;
            signal_holder(setup, Signal::TERM)?;
        }
        if Instant::now() > deadline {
            let fault = format!("process {} does not end", former.pid);
            return Err(Failure::failed(fault).mend(format!("kill -9 {}", former.pid)));
        }
        std::thread::sleep(Duration::from_millis(TAKE_OVER_POLL_MS));
    }
    Ok(())
}

/// Sends a signal to the gateway that holds this state directory; gives who that is, or None
/// where there is none.
pub(super) fn signal_holder(setup: &Setup, signal: Signal) -> Result<Option<LockHolder>, Failure> {
    let Some(holder) = setup.lock_holder() else {
        return Ok(None);
    };
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|_| holder.is_running()) else {
        return Err(Failure::failed(
            "the gateway that runs cannot be identified",
        ));
    };
    kill_process(pid, signal).map_err(|fault| {
        Failure::failed(format!("cannot signal process {}: {fault}", holder.pid))
    })?;
    Ok(Some(holder))
}
