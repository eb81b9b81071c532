//! What the node says about itself when it connects.

use serde_json::{Map, Value, json};

use super::commands::{self, BROWSER_COMMAND, COMMANDS};
use super::settings::Settings;
use crate::client::Party;
use crate::client::party::host_name;
use crate::host::environment::Environment;

/// Caps that the node always has. `journal` tells a gateway that a repeat of a call with the same
/// idempotency key does not act again, `progress` that output can be had while a command runs.
const CAPS: [&str; 3] = ["system", "journal", "progress"];

/// The node as `connect` shows it.
pub fn party(settings: &Settings, code: Option<String>, has_browser: bool) -> Party {
    let mut caps = CAPS.to_vec();
    let mut offered = COMMANDS.to_vec();
    if has_browser {
        caps.insert(1, "browser");
        offered.push(BROWSER_COMMAND);
    }
    let name = settings.display_name.clone().or_else(host_name);
    let mut client = Map::new();
    client.insert("instanceId".into(), settings.node_id.as_str().into());
    client.insert(
        "displayName".into(),
        name.unwrap_or_else(|| "node".into()).into(),
    );
    client.insert("deviceFamily".into(), family().into());
    let mut connect = Map::new();
    connect.insert("caps".into(), caps.into());
    connect.insert("commands".into(), offered.into());
    connect.insert("permissions".into(), permissions());
    connect.insert(
        "pathEnv".into(),
        Environment::of_this_process().path().into(),
    );
    Party {
        client_id: "node-host",
        role: "node",
        scopes: &[],
        client,
        connect,
        code,
    }
}

fn permissions() -> Value {
    json!({"notifications": commands::can_notify(), "screenRecording": false})
}

fn family() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac",
        other => other,
    }
}
