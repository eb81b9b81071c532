//! `clawdia node install|start|stop|restart|status|uninstall`

use std::path::PathBuf;

use serde_json::json;

use super::super::commands::NodeInstall;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Setup, variable};
use super::node::{Given, destination, folder};
use crate::client::identity::Identity;
use crate::client::tokens::TokenStore;
use crate::io::{lock, state_dir};
use crate::node::{Settings, security};
use crate::service::{Unit, systemd};

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
    let unit = unit(setup)?;
    if !systemd::is_there() {
        let text = unit.to_text().map_err(Failure::failed)?;
        let why = "no systemd of this user can be asked here: start `clawdia node run` in another way, \
                   or use this unit elsewhere";
        if out.wants_json() {
            out.json(&json!({"installed": false, "reason": why, "unit": text}))?;
        } else {
            out.line(&format!("# {why}"))?;
            out.part(&text)?;
        }
        return Ok(());
    }
    let path = systemd::write(&unit, &units()?).map_err(|error| failed(&error))?;
    systemd::ask(&["daemon-reload"]).map_err(|error| failed(&error))?;
    let name = unit.file_name();
    // A unit that runs already takes the new words only when it is started again.
    for words in [&["enable", name.as_str()][..], &["restart", name.as_str()]] {
        systemd::ask(words).map_err(|error| failed(&error))?;
    }
    if out.wants_json() {
        out.json(&json!({"installed": true, "unit": name, "path": path}))?;
        return Ok(());
    }
    out.done(&format!("{name} runs, and starts when you log in"))?;
    out.line(
        "  `loginctl enable-linger` starts it with the machine; `clawdia node status` shows it",
    )?;
    Ok(())
}

/// Asks systemd to start, stop or restart the unit.
pub fn ask(what: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let name = installed(setup)?;
    systemd::ask(&[what, &name]).map_err(|error| failed(&error))?;
    told(
        &format!("{name}: {what}"),
        out,
        &json!({"ok": true, "unit": name}),
    )
}

/// Stops the unit and removes its file. The node stays paired.
pub fn uninstall(setup: &Setup, out: &mut Out) -> Outcome {
    let name = installed(setup)?;
    if systemd::is_there() {
        systemd::ask(&["disable", "--now", &name]).map_err(|error| failed(&error))?;
    }
    let path = units()?.join(&name);
    std::fs::remove_file(&path)
        .map_err(|error| Failure::failed(format!("cannot remove {}: {error}", path.display())))?;
    if systemd::is_there() {
        systemd::ask(&["daemon-reload"]).map_err(|error| failed(&error))?;
    }
    told(
        &format!("{name} is gone; the node stays paired"),
        out,
        &json!({"ok": true, "unit": name}),
    )
}

/// Prints what is known without asking the gateway.
pub fn status(setup: &Setup, out: &mut Out) -> Outcome {
    let dir = folder(setup);
    let settings = Settings::load(&dir)?;
    let to = destination(setup, settings.gateway.as_ref())?;
    let holder = lock::holder(&dir).ok().flatten().flatten();
    let name = name(setup);
    let is_installed = units().is_ok_and(|units| units.join(&name).exists());
    let service = match (is_installed, systemd::systemctl(&["is-active", &name])) {
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
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("where this program is: {error}")))?;
    let mut command = vec![program.to_string_lossy().into_owned()];
    if let Some(profile) = &setup.paths.profile {
        command.extend(["--profile".to_owned(), profile.clone()]);
    }
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
    let places = ["CLAWDIA_STATE_DIR", "CLAWDIA_CONFIG_PATH"];
    let set = |name: &str| Some((name.to_owned(), variable(name)?));
    let name = name(setup);
    Ok(Unit {
        description: "Clawdia node: lends this machine to a gateway".to_owned(),
        name: name.trim_end_matches(".service").to_owned(),
        command,
        environment: places.into_iter().filter_map(set).collect(),
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

fn units() -> Result<PathBuf, Failure> {
    let config_home = variable("XDG_CONFIG_HOME");
    let dir = systemd::unit_dir(config_home.as_deref(), std::env::home_dir().as_deref());
    dir.ok_or_else(|| Failure::configuration("HOME is not set"))
}

fn installed(setup: &Setup) -> Result<String, Failure> {
    let name = name(setup);
    if units()?.join(&name).exists() {
        return Ok(name);
    }
    Err(Failure::failed(format!("{name} is not installed")).mend("clawdia node install"))
}

fn told(text: &str, out: &mut Out, json: &serde_json::Value) -> Outcome {
    if out.wants_json() {
        out.json(json)?;
    } else {
        out.done(text)?;
    }
    Ok(())
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::failed(error.to_string())
}
