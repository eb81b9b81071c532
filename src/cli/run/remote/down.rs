//! `clawdia remote down`

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::super::super::commands::RemoteDown;
use super::super::super::exit::{Failure, Outcome};
use super::super::super::out::Out;
use super::super::super::setup::Setup;
use super::records;
use crate::io::process::ProcessId;
use crate::limits::{SSH_STOP_MS, TAKE_OVER_POLL_MS};
use crate::remote::record::{Record, Records};

/// Asks the processes that keep the tunnels open to end, and waits until they have.
pub fn run(args: RemoteDown, setup: &Setup, out: &mut Out) -> Outcome {
    let records = match (&args.target, args.all) {
        (Some(_), true) => return Err(Failure::usage("--all needs no target")),
        (None, false) => return Err(Failure::usage("whose tunnel? Write you@host, or --all")),
        (target, _) => records(target.as_deref(), setup)?,
    };
    let mut rows: Vec<Value> = Vec::new();
    for record in &records {
        let was_up = stop(record)?;
        if args.forget {
            forget(record, setup)?;
        }
        rows.push(
            json!({"target": record.target, "remotePort": record.remote_port, "stopped": was_up}),
        );
        if !out.wants_json() {
            let what = match was_up {
                true => "is down",
                false => "was not up",
            };
            out.done(&format!("the tunnel to {} {what}", record.target))?;
        }
    }
    if out.wants_json() {
        out.json(&json!({"remotes": rows}))?;
    }
    Ok(())
}

/// Whether there was anything to stop. Processes are known by number, start and boot, so no other
/// one is ever signalled.
fn stop(record: &Record) -> Result<bool, Failure> {
    let processes = [
        (&record.supervisor, Signal::TERM),
        (&record.ssh, Signal::KILL),
    ];
    let mut stopped = false;
    for (process, signal) in processes {
        let Some(process) = process else { continue };
        if process.signal(signal)? {
            wait_for_end(process)?;
            stopped = true;
        }
    }
    Ok(stopped)
}

fn wait_for_end(process: &ProcessId) -> Result<(), Failure> {
    // It ends its own ssh first, politely and then not.
    let deadline = Instant::now() + Duration::from_millis(6 * SSH_STOP_MS);
    while process.is_running() {
        if Instant::now() > deadline {
            let fault = format!("process {} does not end", process.pid);
            return Err(Failure::failed(fault).mend(format!("kill -9 {}", process.pid)));
        }
        thread::sleep(Duration::from_millis(TAKE_OVER_POLL_MS));
    }
    Ok(())
}

fn forget(record: &Record, setup: &Setup) -> Result<(), Failure> {
    let target = record.target().map_err(Failure::failed)?;
    Ok(Records::new(&setup.paths.state_dir).forget(&target, record.remote_port)?)
}
