//! `clawdia remote up`

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::super::super::commands::RemoteUp;
use super::super::super::exit::{Failure, Outcome};
use super::super::super::far::{failed, fetch};
use super::super::super::hidden;
use super::super::super::out::{Out, Paint};
use super::super::super::setup::Setup;
use super::super::config;
use super::super::tunnel::{self, Plan};
use super::lend::Node;
use super::voice;
use crate::client::files;
use crate::client::secret::Target;
use crate::client::tokens::GatewayIdentity;
use crate::config::select;
use crate::limits::TUNNEL_TURN_MS;
use crate::remote::ask;
use crate::remote::fault::FaultKind;
use crate::remote::record::{Phase, Record, Records};

/// Finds the gateway, opens the tunnel, pairs, and keeps it open.
pub fn run(args: RemoteUp, setup: &Setup, out: &mut Out) -> Outcome {
    if args.detach {
        return in_background(setup, out);
    }
    let far = tunnel::far(
        args.target.as_deref(),
        args.identity.as_deref(),
        args.remote_port,
        setup,
    )?;
    let asked = match far.remote_port {
        Some(_) => None,
        None => Some(ask::facts(&far.login).map_err(|fault| failed(fault, &far.login))?),
    };
    if let (Some(facts), false) = (&asked, out.wants_json()) {
        let found = format!("port {}: {}", facts.port, facts.source);
        out.field("found", Paint::Dim, &found)?;
        out.flush()?;
    }
    let plan = Plan::new(far, args.local_port, asked.map(|facts| facts.port), setup)?;
    let setup = &with_secret(&plan, setup, out)?;
    let mut node = None;
    plan.keep(setup, out, &mut |plan, out| {
        if args.default {
            make_default(plan, setup, out)?;
        }
        if args.node {
            node = Some(Node::start(plan, setup)?);
        }
        if let Some(command) = args.voice.clone() {
            voice::start(command, plan.far.clone(), setup.clone());
        }
        welcome(plan, out)
    })
}

/// A gateway wants its secret of a device that it does not know. Its host may tell it; where it does
/// not, a person at this terminal is asked.
fn with_secret(plan: &Plan, setup: &Setup, out: &Out) -> Result<Setup, Failure> {
    let mut setup = setup.clone();
    let config = setup.client_config()?;
    let login = &plan.far.login;
    let gateway = GatewayIdentity::behind_ssh(&login.target.to_string(), plan.remote_port);
    let has_secret = !setup
        .secrets_for(Target::Tunnel, plan.far.configured, &config)?
        .is_empty();
    if has_secret || setup.tokens().get(&gateway, "operator")?.is_some() {
        return Ok(setup);
    }
    match fetch(login) {
        // Whether the host can be reached at all, the tunnel says better.
        Err(fault) if fault.kind == FaultKind::Other => {}
        _ => return Ok(setup),
    }
    let target = &login.target;
    let question = format!("The token of the gateway on {target} (it is not shown): ");
    let typed = match out.wants_json() {
        true => None,
        false => hidden::ask(&question)?,
    };
    match typed {
        Some(token) => {
            setup.globals.token = Some(token);
            Ok(setup)
        }
        None => Err(Failure::failed(format!(
            "the gateway on {target} wants its token, and `clawdia token` there gives none"
        ))
        .mend(format!("clawdia remote up {target} --token-file FILE"))),
    }
}

fn welcome(plan: &Plan, out: &mut Out) -> Outcome {
    if out.wants_json() {
        return Ok(());
    }
    let target = &plan.far.login.target;
    let page = format!("{}/", plan.address("http"));
    out.field("page", Paint::Plain, &page)?;
    let status = format!("clawdia status --ssh {target}");
    let status = out.hinted(&status).into_owned();
    out.field("try", Paint::Plain, &status)?;
    let end = format!("Ctrl-C, or: clawdia remote down {target}");
    let end = out.hinted(&end).into_owned();
    out.field("end", Paint::Plain, &end)?;
    Ok(())
}

/// Writes the gateway into the configuration, so that every command of this profile means it.
fn make_default(plan: &Plan, setup: &Setup, out: &mut Out) -> Outcome {
    let login = &plan.far.login;
    let mut values = vec![
        ("gateway.mode", json!("remote")),
        ("gateway.remote.transport", json!("ssh")),
        ("gateway.remote.sshTarget", json!(login.target.to_string())),
        ("gateway.remote.remotePort", json!(plan.remote_port)),
    ];
    if let Some(identity) = &login.identity {
        values.push(("gateway.remote.sshIdentity", json!(identity)));
    }
    config::apply(setup, |whole| {
        for (path, value) in values {
            let fault = |fault: crate::config::Fault| Failure::failed(fault.to_string());
            let steps = select::parse_path(path).map_err(fault)?;
            select::set(whole, &steps, value).map_err(fault)?;
        }
        Ok(())
    })?;
    if !out.wants_json() {
        out.done(&format!("{} is this profile's gateway now", login.target))?;
    }
    Ok(())
}

/// Starts the same command without `--detach` as a process of its own, and waits until the gateway
/// has answered it.
fn in_background(setup: &Setup, out: &mut Out) -> Outcome {
    let dir = setup.paths.state_dir.join("remote");
    files::private_dir(&dir)?;
    let mut said = OpenOptions::new();
    let said = said.create(true).truncate(true).write(true).mode(0o600);
    let path = dir.join("background.log");
    let mut child = start(said.open(&path)?)?;
    loop {
        if let Some(status) = child.try_wait()? {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let first = text.lines().next().unwrap_or("without a word");
            let failure = Failure::failed(first.trim_start_matches("error: "));
            let failure = failure.fact("process", status.to_string());
            return Err(text.lines().filter_map(mend).fold(failure, Failure::mend));
        }
        let records = Records::new(&setup.paths.state_dir).list();
        let own = |record: &&Record| {
            let supervisor = record.supervisor.as_ref();
            supervisor.is_some_and(|process| process.pid == child.id())
        };
        match records.iter().find(own) {
            Some(record) if record.phase == Phase::Up => return tell(record, out),
            _ => thread::sleep(Duration::from_millis(TUNNEL_TURN_MS)),
        }
    }
}

fn start(said: File) -> Result<Child, Failure> {
    let words = std::env::args_os()
        .skip(1)
        .filter(|word| word != "--detach");
    let child = Command::new(std::env::current_exe()?)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        // The end of this terminal's job is not its end.
        .process_group(0)
        .spawn()?;
    Ok(child)
}

/// The command of a line that says what to try.
fn mend(line: &str) -> Option<String> {
    Some(line.trim().strip_prefix("try ")?.trim().to_owned())
}

fn tell(record: &Record, out: &mut Out) -> Outcome {
    let pid = record.supervisor.as_ref().map_or(0, |process| process.pid);
    let url = format!("ws://127.0.0.1:{}", record.local_port);
    if out.wants_json() {
        out.json(
            &json!({"target": record.target, "url": url, "localPort": record.local_port,
            "remotePort": record.remote_port, "process": pid}),
        )?;
        return Ok(());
    }
    out.done(&format!("the gateway of {} is at {url}", record.target))?;
    out.field("process", Paint::Plain, &pid.to_string())?;
    let end = format!("clawdia remote down {}", record.target);
    let end = out.hinted(&end).into_owned();
    out.field("end", Paint::Plain, &end)?;
    Ok(())
}
