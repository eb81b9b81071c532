//! `devices/paired.json`: devices, what they may do, and their tokens.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{Found, read_object};
use crate::gateway::auth::ed25519::Key;
use crate::gateway::auth::scope::ScopeSet;
use crate::io::state_dir::StartFault;
use crate::order;
use crate::state::{ClientFacts, Device, DeviceToken, Grant, Record, Role, State, Text, Texts};

/// What a phone lent by being paired, in the ecosystem's gateway of January 2026.
const PHONE: [&str; 13] = [
    "camera.clip",
    "camera.list",
    "camera.snap",
    "canvas.a2ui.push",
    "canvas.a2ui.pushJSONL",
    "canvas.a2ui.reset",
    "canvas.eval",
    "canvas.hide",
    "canvas.navigate",
    "canvas.present",
    "canvas.snapshot",
    "location.get",
    "screen.record",
];
/// The same of a machine.
const MACHINE: [&str; 6] = [
    "browser.proxy",
    "system.execApprovals.get",
    "system.execApprovals.set",
    "system.notify",
    "system.run",
    "system.which",
];

pub(super) fn find(
    from: &Path,
    state: &State,
    now_ms: u64,
    found: &mut Found,
) -> Result<(), StartFault> {
    let path = from.join("devices/paired.json");
    let Some(rows) = read_object(&path)? else {
        return Ok(());
    };
    for (id, row) in &rows {
        if state.devices().contains_key(id.as_str()) {
            found
                .notes
                .push(format!("device {id} is paired here already"));
            continue;
        }
        match device(id, row, now_ms) {
            Ok(device) => {
                found.records.push(Record::DevicePut(Arc::new(device)));
                found.devices += 1;
            }
            Err(why) => found.notes.push(format!("device {id} is left out: {why}")),
        }
    }
    Ok(())
}

fn device(id: &str, row: &Value, now_ms: u64) -> Result<Device, &'static str> {
    let public_key = row["publicKey"].as_str().unwrap_or("");
    let key = Key::decode(public_key).map_err(|_| "its key is none")?;
    // The id proves nothing by itself: who signs with the key is the device.
    if key.device_id() != id {
        return Err("its id is not that of its key");
    }
    let text = |name: &str| row[name].as_str().map(Text::from);
    let client = ClientFacts {
        display_name: text("displayName"),
        platform: text("platform"),
        device_family: text("deviceFamily"),
        model_identifier: text("modelIdentifier"),
        client_id: text("clientId"),
        client_mode: text("clientMode"),
        remote_ip: text("remoteIp"),
    };
    let mut grants: Vec<Grant> = [Role::Operator, Role::Node]
        .into_iter()
        .filter_map(|role| grant(role, row, now_ms))
        .collect();
    order::sort_by_key(&mut grants, |grant| grant.role);
    if grants.is_empty() {
        return Err("it has no role");
    }
    let is_node = grants.iter().any(|grant| grant.role == Role::Node);
    let time = |name: &str| row[name].as_u64().unwrap_or(now_ms);
    Ok(Device {
        name: None,
        device_id: id.into(),
        public_key: public_key.into(),
        commands: match is_node {
            true => commands(client.platform.as_deref().unwrap_or("")),
            false => Texts::default(),
        },
        client,
        grants,
        caps: Texts::default(),
        created_at_ms: time("createdAtMs"),
        approved_at_ms: time("approvedAtMs"),
        last_seen_ms: time("approvedAtMs"),
    })
}

/// What the device was approved for in a role, with its token.
fn grant(role: Role, row: &Value, now_ms: u64) -> Option<Grant> {
    let word = role.as_str();
    let entry = &row["tokens"][word];
    let listed = row["roles"].as_array().into_iter().flatten();
    let has_role = entry.is_object()
        || row["role"] == word
        || listed.into_iter().any(|listed| *listed == *word);
    if !has_role {
        return None;
    }
    let scopes = |value: &Value| match role {
        Role::Node => ScopeSet::EMPTY,
        Role::Operator => ScopeSet::parse(
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        ),
    };
    let approved = scopes(&row["scopes"]);
    let time = |name: &str| entry[name].as_u64();
    let token = entry["token"].as_str().filter(|token| !token.is_empty());
    Some(Grant {
        role,
        scopes: approved.union(scopes(&entry["scopes"])).to_texts(),
        token: token.map(|token| {
            Box::new(DeviceToken {
                token: token.into(),
                scopes: scopes(&entry["scopes"]).to_texts(),
                created_at_ms: time("createdAtMs").unwrap_or(now_ms),
                rotated_at_ms: time("rotatedAtMs"),
                revoked_at_ms: time("revokedAtMs"),
                last_used_at_ms: time("lastUsedAtMs"),
            })
        }),
    })
}

/// The ecosystem's gateway stored no commands: what its list for the platform let a node do was
/// approved with the pairing.
fn commands(platform: &str) -> Texts {
    let platform = platform.to_ascii_lowercase();
    let is = |names: &[&str]| names.iter().any(|name| platform.starts_with(name));
    let mut commands: Vec<&str> = Vec::new();
    if is(&["ios", "ipados", "android", "mac", "darwin"]) {
        commands.extend(PHONE);
    }
    if is(&["android"]) {
        commands.push("sms.send");
    }
    if is(&["mac", "darwin", "linux", "win"]) {
        commands.extend(MACHINE);
    }
    commands.sort_unstable();
    commands.into_iter().map(Text::from).collect()
}
