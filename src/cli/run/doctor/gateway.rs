//! What an open connection to the gateway shows.

use serde_json::{Value, json};

use super::super::{list, text, unix_ms};
use super::{Findings, State, count, troubled, troubles};
use crate::cli::setup::Session;
use crate::cli::text::span;
use crate::client::party::OPERATOR_SCOPES;
use crate::limits::{DOCTOR_SKEW_MS, PROOF_SKEW_MS};

/// What an open connection shows.
pub fn talk(mut session: Session, found: &mut Findings) {
    let hello = session.client.hello().payload.clone();
    let version = text(&hello["server"], "version");
    match version == env!("CARGO_PKG_VERSION") {
        true => found.good("version", version),
        false => {
            let told = format!(
                "the gateway is {version}, this command {}",
                env!("CARGO_PKG_VERSION")
            );
            found.add("version", State::Remark, told, &["clawdia gateway restart"]);
        }
    }
    scopes(&hello, found);
    match session.call("health", &json!({})) {
        Ok(health) => {
            clock(&health, found);
            troubled(troubles::of_channels(&health), found);
        }
        Err(failure) => found.failed("health", &failure),
    }
    match session.call("status", &json!({})) {
        Ok(status) => {
            tailnet(&status["tailscale"], found);
            tools(&status, found);
        }
        Err(failure) => found.failed("status", &failure),
    }
    match session.call("config.get", &json!({})) {
        Ok(shown) => troubled(troubles::of_config(&shown, &session.to), found),
        Err(failure) => found.failed("configuration", &failure),
    }
    match session.call("device.pair.list", &json!({})) {
        Ok(devices) => pending(&devices, found),
        Err(failure) => found.failed("pairing", &failure),
    }
    session.client.close();
}

fn scopes(hello: &Value, found: &mut Findings) {
    let held = list(&hello["auth"], "scopes");
    // A gateway of protocol 3 names scopes only beside a token.
    if held.is_empty() {
        return;
    }
    let missing: Vec<&str> = OPERATOR_SCOPES
        .into_iter()
        .filter(|scope| !held.iter().any(|it| it == scope))
        .collect();
    // Admin includes the others.
    if missing.is_empty() || held.iter().any(|it| it == "operator.admin") {
        return found.good("scopes", "all");
    }
    let told = format!("this device may not: {}", missing.join(", "));
    found.add(
        "scopes",
        State::Fault,
        told,
        &["clawdia devices list", "clawdia devices rotate DEVICE"],
    );
}

/// Says nothing about a gateway that has nothing to do with a tailnet.
fn tailnet(tailscale: &Value, found: &mut Findings) {
    let fault = text(tailscale, "fault");
    let name = match text(tailscale, "url") {
        "" => text(tailscale, "name"),
        url => url,
    };
    match (fault, name) {
        ("", "") => {}
        ("", name) => found.good("tailnet", name),
        (fault, _) => found.add("tailnet", State::Fault, fault, &["tailscale serve status"]),
    }
}

/// Servers of tools, as the gateway finds them.
fn tools(status: &Value, found: &mut Findings) {
    const NAME: &str = "mcp";
    troubled(troubles::of_tools(status), found);
    for server in list(status, "mcp") {
        let name = text(server, "name");
        match text(server, "state") {
            "up" => {
                let tools = count(server["toolCount"].as_u64().unwrap_or(0), "tool");
                found.good(NAME, format!("{name}: up with {tools}"));
            }
            "down" => {}
            state => found.add(
                NAME,
                State::Remark,
                format!("{name}: {state}"),
                &["clawdia mcp list"],
            ),
        }
    }
}

/// A proof of a device counts for ten minutes before and after, so clocks must agree.
fn clock(health: &Value, found: &mut Findings) {
    let Some(theirs) = health["ts"].as_u64() else {
        return;
    };
    let off_ms = unix_ms().abs_diff(theirs);
    let (state, mend): (State, &[&str]) = match off_ms {
        off if off >= PROOF_SKEW_MS => (State::Fault, &["timedatectl set-ntp true"]),
        off if off >= DOCTOR_SKEW_MS => (State::Remark, &["timedatectl set-ntp true"]),
        _ => (State::Good, &[]),
    };
    let told = match state {
        State::Good => "agrees with the gateway's".to_owned(),
        _ => format!("is {} off the gateway's", span(off_ms)),
    };
    found.add("clock", state, told, mend);
}

fn pending(devices: &Value, found: &mut Findings) {
    let waiting = list(devices, "pending");
    if waiting.is_empty() {
        let paired = list(devices, "paired").len() as u64;
        return found.good(
            "pairing",
            format!("{} paired, none waits", count(paired, "device")),
        );
    }
    for request in waiting {
        let who = [
            text(request, "displayName"),
            text(request, "clientId"),
            text(request, "deviceId"),
        ];
        let who = who
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or("a device");
        let mend = format!("clawdia devices approve {}", text(request, "requestId"));
        found.add(
            "pairing",
            State::Remark,
            format!("{who} waits to be let in"),
            &[&mend],
        );
    }
}
