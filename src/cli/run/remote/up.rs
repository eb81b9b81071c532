//! `clawdia remote up`

use serde_json::json;

use super::super::super::commands::RemoteUp;
use super::super::super::exit::{Failure, Outcome};
use super::super::super::far::failed;
use super::super::super::out::{Out, Paint};
use super::super::super::setup::Setup;
use super::super::config;
use super::super::tunnel::{self, Plan};
use crate::config::select;
use crate::remote::ask;

/// Finds the gateway, opens the tunnel, pairs, and keeps it open.
pub fn run(args: RemoteUp, setup: &Setup, out: &mut Out) -> Outcome {
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
    plan.keep(setup, out, &mut |plan, out| {
        if args.default {
            make_default(plan, setup, out)?;
        }
        welcome(plan, out)
    })
}

fn welcome(plan: &Plan, out: &mut Out) -> Outcome {
    if out.wants_json() {
        return Ok(());
    }
    let target = &plan.far.login.target;
    let page = format!("http://127.0.0.1:{}/", plan.local_port);
    out.field("page", Paint::Plain, &page)?;
    out.field(
        "try",
        Paint::Plain,
        &format!("clawdia --ssh {target} status"),
    )?;
    out.field(
        "end",
        Paint::Plain,
        &format!("Ctrl-C, or: clawdia remote down {target}"),
    )?;
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
    config::change(setup, out, |whole| {
        for (path, value) in values {
            let fault = |fault: crate::config::Fault| Failure::failed(fault.to_string());
            let steps = select::parse_path(path).map_err(fault)?;
            select::set(whole, &steps, value).map_err(fault)?;
        }
        Ok(format!("{} is this profile's gateway now", login.target))
    })
}
