//! `clawdia system …`

use serde_json::{Value, json};

use super::super::commands::{SystemCommand, SystemEvent};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::{age, or_dash, status, text, unix_ms};

/// Does what was asked with events, presence and heartbeats.
pub fn run(command: SystemCommand, setup: &Setup, out: &mut Out) -> Outcome {
    match command {
        SystemCommand::Event(args) => event(args, setup, out),
        SystemCommand::Presence(_) => {
            let payload = call("system-presence", &json!({}), setup)?;
            match out.wants_json() {
                true => Ok(out.json(&payload)?),
                false => status::print_presence(&payload, out),
            }
        }
        SystemCommand::Heartbeat(args) => match args.action.as_deref().unwrap_or("last") {
            "last" => last_heartbeat(setup, out),
            "enable" => set_heartbeats(true, setup, out),
            "disable" => set_heartbeats(false, setup, out),
            other => Err(Failure::usage(format!(
                "`{other}`: it is last, enable or disable"
            ))),
        },
    }
}

fn event(args: SystemEvent, setup: &Setup, out: &mut Out) -> Outcome {
    let mode = args.mode.as_deref().unwrap_or("next-heartbeat");
    if !matches!(mode, "now" | "next-heartbeat") {
        return Err(Failure::usage(format!(
            "--mode {mode}: it is now or next-heartbeat"
        )));
    }
    let payload = call("wake", &json!({"mode": mode, "text": args.text}), setup)?;
    let when = match mode {
        "now" => "the agent is told now",
        _ => "the agent is told at the next heartbeat",
    };
    told(&payload, when, out)
}

fn last_heartbeat(setup: &Setup, out: &mut Out) -> Outcome {
    let payload = call("last-heartbeat", &json!({}), setup)?;
    if out.wants_json() {
        return Ok(out.json(&payload)?);
    }
    if payload.is_null() {
        return Ok(out.line("There has been no heartbeat yet.")?);
    }
    out.field("when", Paint::Plain, &age(&payload, "ts", unix_ms()))?;
    out.field("status", Paint::Plain, or_dash(text(&payload, "status")))?;
    match text(&payload, "preview") {
        "" => {}
        preview => out.field("said", Paint::Plain, preview)?,
    }
    Ok(())
}

fn set_heartbeats(enabled: bool, setup: &Setup, out: &mut Out) -> Outcome {
    let payload = call("set-heartbeats", &json!({"enabled": enabled}), setup)?;
    let word = if enabled { "on" } else { "off" };
    told(&payload, &format!("heartbeats are {word}"), out)
}

fn told(payload: &Value, what: &str, out: &mut Out) -> Outcome {
    match out.wants_json() {
        true => Ok(out.json(payload)?),
        false => Ok(out.done(what)?),
    }
}

fn call(method: &str, params: &Value, setup: &Setup) -> Result<Value, Failure> {
    let mut session = setup.connect()?;
    let payload = session.call(method, params)?;
    session.client.close();
    Ok(payload)
}
