//! `clawdia node install|start|stop|restart|status|uninstall`

use serde_json::json;

use super::super::commands::NodeInstall;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::node::{Given, destination, folder};
use super::units::{self, Installed, Told};
use crate::client::identity::Identity;
use crate::client::tokens::TokenStore;
use crate::io::{lock, state_dir};
use crate::node::{Settings, security};
use crate::service::Unit;
use crate::service::systemd::Manager;

/// Usage faults and what the node cannot mend by trying again.
const FINAL_CODES: [u8; 2] = [2, state_dir::EXIT_CONFIG];

/// Remembers the gateway, writes the unit and starts it.
pub fn install(args: NodeInstall, setup: &Setup, out: &mut Out) -> Outcome {
    if setup.globals.token.is_some() || setup.globals.password.is_some() {
        let fault = "a unit holds no secret: use --token-file, or pair once with `clawdia node run --code CODE`";
        return Err(Failure::usage(fault));
    }
    let given = Given {
        host: args.host,
        port: args.port,
        tls: args.tls,
        display_name: args.display_name,
        node_id: args.node_id,
    };
    let settings = given.settings(setup)?;
    // Wrong addresses and files are told now and not to a log.
    destination(setup, settings.gateway.as_ref())?;
    state_dir::prepare(&folder(setup))?;
    settings.store(&folder(setup))?;
    let told = Told {
        done: "runs, and starts when you log in",
        hint: Some(
            "`loginctl enable-linger` starts it with the machine; `clawdia node status` shows it",
        ),
    };
    units::install(Manager::User, &unit(setup)?, &told, out)
}

/// Asks systemd to start, stop or restart the unit.
pub fn ask(what: &str, setup: &Setup, out: &mut Out) -> Outcome {
    installed(setup)?.ask(what, out)
}

/// Stops the unit and removes its file. The node stays paired.
pub fn uninstall(setup: &Setup, out: &mut Out) -> Outcome {
    installed(setup)?.remove("the node stays paired", out)
}

/// Prints what is known without asking the gateway.
pub fn status(setup: &Setup, out: &mut Out) -> Outcome {
    let dir = folder(setup);
    let settings = Settings::load(&dir)?;
    let to = destination(setup, settings.gateway.as_ref())?;
    let holder = lock::holder(&dir).ok().flatten().flatten();
    let name = name(setup);
    let is_installed = units::find(&[Manager::User], &name).is_some();
    let is_active = Manager::User.systemctl(&["is-active", &name]);
    let service = match (is_installed, is_active) {
        (false, _) => "not installed".to_owned(),
        (true, Ok(output)) if !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        (true, _) => "installed; systemd cannot be asked".to_owned(),
    };
    let has_identity = dir.join("device.json").exists();
    let device = match has_identity {
        true => Some(Identity::load_or_create(&dir)?),
        false => None,
    };
    let device = device.as_ref().map(Identity::device_id);
    let token = TokenStore::new(&dir, setup.profile()).get(&to.served(), "node")?;
    let (approvals, security) = security(&dir);
    let pid = holder.as_ref().map(|holder| holder.pid);
    if out.wants_json() {
        out.json(&json!({
            "running": pid.is_some(), "pid": pid, "service": service, "unit": name,
            "displayName": settings.display_name, "nodeId": settings.node_id, "deviceId": device,
            "gateway": to.url.to_string(), "paired": token.is_some(),
            "approvals": approvals, "security": security,
        }))?;
        return Ok(());
    }
    let (paint, runs) = match pid {
        Some(pid) => (Paint::Good, format!("runs (process {pid})")),
        None => (Paint::Warning, "does not run".to_owned()),
    };
    out.field("node", paint, &runs)?;
    out.field("service", Paint::Plain, &service)?;
    out.field("gateway", Paint::Plain, &to.url.to_string())?;
    let paired = match token {
        Some(_) => "yes, it has a token",
        None => "no token is kept for this gateway",
    };
    out.field("paired", Paint::Plain, paired)?;
    out.field("device", Paint::Plain, device.unwrap_or("not made yet"))?;
    out.field(
        "commands",
        Paint::Plain,
        &format!("security={security} in {approvals}"),
    )?;
    Ok(())
}

fn unit(setup: &Setup) -> Result<Unit, Failure> {
    let mut command = units::own_command(setup)?;
    command.extend(["node".to_owned(), "run".to_owned()]);
    if let Some(file) = &setup.globals.token_file {
        let path = std::path::absolute(file)
            .map_err(|error| Failure::usage(format!("--token-file {file}: {error}")))?;
        command.extend([
            "--token-file".to_owned(),
            path.to_string_lossy().into_owned(),
        ]);
    }
    if setup.globals.insecure {
        command.push("--insecure".to_owned());
    }
    let name = name(setup);
    Ok(Unit {
        description: "Clawdia node: lends this machine to a gateway".to_owned(),
        name: name.trim_end_matches(".service").to_owned(),
        command,
        environment: units::places(),
        stop_s: 5,
        final_codes: FINAL_CODES.to_vec(),
        ..Unit::default()
    })
}

/// The unit's file name.
fn name(setup: &Setup) -> String {
    match &setup.paths.profile {
        Some(profile) => format!("clawdia-node-{profile}.service"),
        None => "clawdia-node.service".to_owned(),
    }
}

fn installed(setup: &Setup) -> Result<Installed, Failure> {
    let name = name(setup);
    units::find(&[Manager::User], &name).ok_or_else(|| {
        Failure::failed(format!("{name} is not installed")).mend("clawdia node install")
    })
}
