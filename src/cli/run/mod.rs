//! One file for each command.

pub mod agent;
pub mod approvals;
pub mod channels;
pub mod chat;
pub mod config;
pub mod cron;
pub mod dashboard;
pub mod devices;
pub mod discover;
pub mod doctor;
pub mod fingerprint;
pub mod gateway;
pub mod gateway_service;
pub mod health;
pub mod import;
mod interrupts;
pub mod logs;
pub mod mcp;
pub mod message;
pub mod models;
mod next_start;
pub mod node;
pub mod node_service;
pub mod nodes;
pub mod pairing;
pub mod probe;
pub mod profiles;
mod reach;
pub mod remote;
mod running;
pub mod security;
pub mod serve;
pub mod sessions;
pub mod setup;
pub mod state;
pub mod status;
pub mod system;
pub mod token;
pub mod troubles;
mod tunnel;
pub mod units;
pub mod voicewake;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::commands::{Command, GatewayCommand, SecurityCommand};
use super::completion;
use super::exit::{Failure, Outcome};
use super::out::Out;
use super::setup::Setup;

/// Does `command`.
pub fn command(command: Command, setup: &Setup, out: &mut Out) -> Outcome {
    if setup.globals.ssh.is_some() && asks_nobody(&command) {
        let fault = "--ssh says whose gateway is asked, and this command asks none";
        return Err(Failure::usage(fault));
    }
    match command {
        Command::Gateway(gateway) => match gateway.command {
            GatewayCommand::Run(args) => serve::run(args, setup),
            GatewayCommand::Status(_) => gateway::status(setup, out),
            GatewayCommand::Health(_) => health::run(setup, out),
            GatewayCommand::Probe(_) => probe::run(setup, out),
            GatewayCommand::Discover(_) => discover::run(setup, out),
            GatewayCommand::List(_) => profiles::run(setup, out),
            GatewayCommand::Fingerprint(_) => fingerprint::run(setup, out),
            GatewayCommand::Call(args) => gateway::call(args, setup, out),
            GatewayCommand::Send(args) => gateway::send(args, setup, out),
            GatewayCommand::Agent(args) => agent::run(args, setup, out),
            GatewayCommand::Install(args) => gateway_service::install(args, setup, out),
            GatewayCommand::Start(_) => gateway_service::start(setup, out),
            GatewayCommand::Stop(_) => gateway_service::stop(setup, out),
            GatewayCommand::Restart(_) => gateway_service::restart(setup, out),
            GatewayCommand::Uninstall(_) => gateway_service::uninstall(setup, out),
        },
        Command::Agent(args) => agent::run(args, setup, out),
        Command::Health(_) => health::run(setup, out),
        Command::Status(args) => status::run(args.deep, setup, out),
        Command::Logs(args) => logs::run(args, setup, out),
        Command::Sessions(args) => sessions::run(args.command, setup, out),
        Command::Devices(args) => devices::run(args.command, setup, out),
        Command::Node(args) => node::run(args.command, setup, out),
        Command::Nodes(args) => nodes::run(args.command, setup, out),
        Command::Approvals(args) => approvals::run(args.command, setup, out),
        Command::Channels(args) => channels::run(args.command, setup, out),
        Command::Pairing(args) => pairing::run(args.command, setup, out),
        Command::Message(args) => message::run(args.command, setup, out),
        Command::Models(args) => models::run(args.command, setup, out),
        Command::Mcp(_) => mcp::run(setup, out),
        Command::System(args) => system::run(args.command, setup, out),
        Command::Voicewake(args) => voicewake::run(args.command, setup, out),
        Command::Cron(args) => cron::run(args.command, setup, out),
        Command::Chat(args) => chat::run(args, setup, out),
        Command::Config(args) => config::run(args.command, setup, out),
        Command::Tunnel(args) => tunnel::run(args, setup, out),
        Command::Remote(args) => remote::run(args.command, setup, out),
        Command::Token(args) => token::run(args.path, setup, out),
        Command::Dashboard(args) => dashboard::run(args.no_open, setup, out),
        Command::Setup(args) => setup::run(args, setup, out),
        Command::Doctor(_) => doctor::run(setup, out),
        Command::Security(args) => match args.command {
            SecurityCommand::Audit(_) => security::run(setup, out),
        },
        Command::Import(args) => import::run(args, setup, out),
        Command::Backup(args) => state::backup(&args.file, setup, out),
        Command::Restore(args) => state::restore(&args.file, setup, out),
        Command::Completion(args) => completion::run(&args.shell, out),
        Command::Version(_) => version(out),
    }
}

/// Commands that work on this machine alone.
fn asks_nobody(command: &Command) -> bool {
    match command {
        Command::Gateway(gateway) => {
            matches!(
                gateway.command,
                GatewayCommand::Run(_) | GatewayCommand::List(_)
            )
        }
        Command::Config(_)
        | Command::Token(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Completion(_)
        | Command::Version(_) => true,
        _ => false,
    }
}

fn version(out: &mut Out) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    if out.wants_json() {
        out.json(&json!({"version": version}))?;
    } else {
        out.line(&format!("clawdia {version}"))?;
    }
    Ok(())
}

/// Milliseconds since 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// The text at `key`, or nothing.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

/// The array at `key`, or an empty one.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The texts of the array at `key`, joined.
fn joined(value: &Value, key: &str) -> String {
    let texts: Vec<&str> = list(value, key).iter().filter_map(Value::as_str).collect();
    texts.join(", ")
}

/// How long ago the time at `key` was; `-` without one.
fn age(value: &Value, key: &str, now_ms: u64) -> String {
    match value.get(key).and_then(Value::as_u64) {
        Some(then) => super::text::ago(now_ms, then),
        None => "-".to_owned(),
    }
}

/// `value`, or a dash where there is none.
fn or_dash(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

/// A message from the command line, or from standard input where it is `-`.
fn message(typed: String) -> Result<String, Failure> {
    use crate::limits::MESSAGE_BYTES_MAX;
    use std::io::Read;
    let mut text = typed;
    if text == "-" {
        text.clear();
        std::io::stdin()
            .take(MESSAGE_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    }
    if text.len() > MESSAGE_BYTES_MAX {
        let fault = format!("a message has at most {} KiB", MESSAGE_BYTES_MAX / 1024);
        return Err(Failure::usage(fault));
    }
    if text.trim().is_empty() {
        return Err(Failure::usage("the message is empty"));
    }
    Ok(text)
}
