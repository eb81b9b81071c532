//! `clawdia gateway list`: the gateways of this machine, one a profile.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::exit::Outcome;
use super::super::out::{Out, Paint};
use super::super::setup::{Setup, variable};
use super::super::table::{Cell, Table};
use super::super::text::ago;
use super::unix_ms;
use crate::config::paths::Paths;
use crate::io::{config_file, lock};

/// One profile's gateway.
struct Gateway {
    profile: Option<String>,
    state_dir: PathBuf,
    /// The port that it serves, else the one that it would.
    port: Option<u16>,
    holder: Option<lock::LockHolder>,
}

/// Looks at every state directory beside this profile's own.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let gateways: Vec<Gateway> = state_dirs(&setup.paths).into_iter().map(look).collect();
    if out.wants_json() {
        let rows: Vec<Value> = gateways.iter().map(row).collect();
        out.json(&json!({"gateways": rows}))?;
        return Ok(());
    }
    let now_ms = unix_ms();
    let mut table = Table::new(&[
        "profile",
        "state",
        "port",
        "process",
        "version",
        "since",
        "directory",
    ]);
    for gateway in &gateways {
        let holder = gateway.holder.as_ref();
        let (state, paint) = match holder {
            Some(_) => ("runs", Paint::Good),
            None => ("stopped", Paint::Dim),
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.row([
            name(gateway).into(),
            Cell::new(state, paint),
            or_dash(gateway.port.map(|port| port.to_string())).into(),
            or_dash(holder.map(|holder| holder.pid.to_string())).into(),
            or_dash(holder.map(|holder| holder.version.clone())).into(),
            or_dash(holder.map(|holder| ago(now_ms, holder.since_ms))).into(),
            gateway.state_dir.display().to_string().into(),
        ]);
    }
    table.print(out, 0)?;
    for (one, other) in sharing(&gateways) {
        let (first, second) = (name(one), name(other));
        let port = one.port.unwrap_or_default();
        out.line(&format!(
            "\n{first} and {second} have the same port {port}, so only one of them can run. Another one:\n  \
             clawdia --profile {second} config set gateway.port PORT"
        ))?;
    }
    Ok(())
}

fn name(gateway: &Gateway) -> &str {
    gateway.profile.as_deref().unwrap_or("default")
}

/// Those of one port: a profile without a setting has its port from its name, and two names may have
/// the same.
fn sharing(gateways: &[Gateway]) -> Vec<(&Gateway, &Gateway)> {
    let mut found = Vec::new();
    for (at, one) in gateways.iter().enumerate() {
        let behind = gateways[at + 1..].iter();
        let mut same = behind.filter(|it| it.port.is_some() && it.port == one.port);
        found.extend(same.next().map(|other| (one, other)));
    }
    found
}

/// The names of all profiles that have a state directory.
pub fn names(own: &Paths) -> Vec<String> {
    let dirs = state_dirs(own).into_iter();
    dirs.map(|(profile, _)| profile.unwrap_or_else(|| "default".to_owned()))
        .collect()
}

/// The state directories of all profiles, the unnamed one first: `<base>` and `<base>-NAME`.
fn state_dirs(own: &Paths) -> Vec<(Option<String>, PathBuf)> {
    let base = base(own);
    let (Some(parent), Some(name)) = (base.parent(), base.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let prefix = format!("{name}-");
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(Option<String>, PathBuf)> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| {
            let found = entry.file_name().into_string().ok()?;
            match found.strip_prefix(&prefix) {
                Some(profile) => Some((Some(profile.to_owned()), entry.path())),
                None => (found == name).then(|| (None, entry.path())),
            }
        })
        .collect();
    found.sort();
    found
}

/// The unnamed profile's directory.
fn base(own: &Paths) -> PathBuf {
    let Some(profile) = &own.profile else {
        return own.state_dir.clone();
    };
    let dir = own.state_dir.to_string_lossy();
    let base = dir.strip_suffix(&format!("-{profile}"));
    base.map_or_else(|| own.state_dir.clone(), PathBuf::from)
}

fn look((profile, state_dir): (Option<String>, PathBuf)) -> Gateway {
    let holder = lock::holder(&state_dir).ok().flatten().flatten();
    let port = holder.as_ref().and_then(|holder| holder.port);
    Gateway {
        port: port.or_else(|| configured_port(profile.as_deref(), &state_dir)),
        holder,
        profile,
        state_dir,
    }
}

/// The port that the profile's gateway would have; None where its file is at fault.
fn configured_port(profile: Option<&str>, state_dir: &Path) -> Option<u16> {
    let paths = Paths {
        profile: profile.map(str::to_owned),
        state_dir: state_dir.to_owned(),
        config_candidates: vec![
            state_dir.join("clawdia.json"),
            state_dir.join("clawdbot.json"),
        ],
    };
    let loaded = config_file::read(&paths)
        .ok()?
        .load_for_client(&variable)
        .ok()?;
    paths
        .gateway_port(None, &|_| None, loaded.config.gateway.port)
        .ok()
}

fn row(gateway: &Gateway) -> Value {
    let holder = gateway.holder.as_ref();
    json!({
        "profile": name(gateway),
        "running": holder.is_some(),
        "port": gateway.port,
        "process": holder.map(|holder| holder.pid),
        "version": holder.map(|holder| holder.version.as_str()),
        "sinceMs": holder.map(|holder| holder.since_ms),
        "stateDir": gateway.state_dir.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::paths::default_port;

    #[test]
    fn two_names_of_one_port_are_found() {
        let gateway = |name: &str, port| Gateway {
            profile: Some(name.to_owned()),
            state_dir: PathBuf::new(),
            port,
            holder: None,
        };
        // Of 651 names two have the same of 650 ports.
        let all: Vec<Gateway> = (0..651)
            .map(|n| format!("p{n}"))
            .map(|name| gateway(&name, Some(default_port(Some(&name)))))
            .collect();
        let found = sharing(&all);
        assert!(!found.is_empty());
        for (one, other) in found {
            assert!(one.port == other.port && one.profile != other.profile);
        }
        assert!(sharing(&[gateway("a", Some(1)), gateway("b", Some(2))]).is_empty());
        assert!(sharing(&[gateway("a", None), gateway("b", None)]).is_empty());
    }
}
