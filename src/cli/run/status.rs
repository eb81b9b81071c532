//! `clawdia status`

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::table::{Cell, Table};
use super::super::text::{count, printable, short_id};
use super::troubles::{self, Trouble};
use super::{age, channels, gateway, health, joined, list, mcp, or_dash, text, unix_ms};
use crate::client::secret::Target;

/// Connects once and shows everything that matters.
pub fn run(deep: bool, setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let health = session.call("health", &probe(deep))?;
    let status = session.call("status", &json!({}))?;
    let presence = session.call("system-presence", &json!({}))?;
    let mut answer = json!({
        "gateway": {
            "url": session.to.url.to_string(),
            "version": session.client.hello().server_version,
            "protocol": session.client.hello().protocol,
        },
        "health": health,
        "status": status,
        "presence": presence,
    });
    // Who may not read the configuration hears nothing about it.
    let shown = session.call("config.get", &json!({})).unwrap_or_default();
    let mut troubles = troubles(&session, setup, &answer)?;
    troubles.extend(troubles::of_config(&shown, &session.to));
    let told: Vec<Value> = troubles.iter().map(Trouble::to_json).collect();
    answer["troubles"] = told.into();
    if deep {
        answer["channels"] = session.call("channels.status", &probe(deep))?;
        answer["devices"] = session.call("device.pair.list", &json!({}))?;
    }
    if out.wants_json() {
        out.json(&answer)?;
    } else {
        print(&answer, &troubles, &session, deep, out)?;
    }
    session.client.close();
    Ok(())
}

fn probe(deep: bool) -> Value {
    if deep {
        json!({"probe": true})
    } else {
        json!({})
    }
}

/// Settings are those of this machine, so they are looked at where the gateway is its own.
fn troubles(session: &Session, setup: &Setup, answer: &Value) -> Result<Vec<Trouble>, Failure> {
    let mut found = troubles::of_channels(&answer["health"]);
    found.extend(troubles::of_tools(&answer["status"]));
    if session.to.target == Target::Own {
        let config = setup.client_config()?;
        found.extend(troubles::of_settings(setup, &config));
        found.extend(troubles::of_tls(&config, &answer["status"]));
    }
    Ok(found)
}

fn print(
    answer: &Value,
    troubles: &[Trouble],
    session: &Session,
    deep: bool,
    out: &mut Out,
) -> Outcome {
    let ok = answer["health"]["ok"] == true;
    let some = format!("it runs, with {}", count(troubles.len() as u64, "trouble"));
    let (word, paint) = match (ok, troubles.is_empty()) {
        (true, true) => ("healthy", Paint::Good),
        (true, false) => (some.as_str(), Paint::Warning),
        (false, _) => ("not healthy", Paint::Bad),
    };
    let line = format!("{} {}", out.paint(paint, "●"), out.paint(paint, word));
    out.line(&line)?;
    for trouble in troubles {
        trouble.print(out)?;
    }
    health::print(&answer["health"], session, out)?;
    gateway::tailnet(&answer["status"]["tailscale"], out)?;
    let defaults = &answer["status"]["sessions"]["defaults"];
    out.field("model", Paint::Plain, or_dash(text(defaults, "model")))?;
    let queued = list(&answer["status"], "queuedSystemEvents").len() as u64;
    if queued > 0 {
        let waiting = format!("{} for the next heartbeat", count(queued, "event"));
        out.field("waiting", Paint::Plain, &waiting)?;
    }
    let outgoing = answer["status"]["outgoingWaiting"].as_u64().unwrap_or(0);
    if outgoing > 0 {
        let told = format!(
            "{} for a channel   # clawdia channels status",
            count(outgoing, "message")
        );
        let told = out.hinted(&told).into_owned();
        out.field("outbox", Paint::Warning, &told)?;
    }
    print_calls(&answer["status"]["nodeCalls"], out)?;
    for server in list(&answer["status"], "mcp") {
        mcp::print(server, out)?;
    }
    out.line("")?;
    print_presence(&answer["presence"], out)?;
    print_sessions(&answer["status"]["sessions"], out)?;
    if deep {
        out.line("")?;
        out.heading("Channels")?;
        channels::print(&answer["channels"], 2, out)?;
        print_pending(&answer["devices"], out)?;
    }
    Ok(())
}

/// Calls that wait for their nodes, and those of which nobody knows whether they were done.
fn print_calls(calls: &Value, out: &mut Out) -> Outcome {
    let waiting = calls["waiting"].as_u64().unwrap_or(0);
    if waiting > 0 {
        let told = format!(
            "{} for nodes that are away or at work",
            count(waiting, "call")
        );
        out.field("kept", Paint::Plain, &told)?;
    }
    let now = unix_ms();
    for call in list(calls, "unknown") {
        let told = format!(
            "whether {} was done on {}: the connection was lost {}",
            printable(text(call, "command")),
            short_id(text(call, "nodeId")),
            age(call, "endedAtMs", now)
        );
        out.field("unknown", Paint::Warning, &told)?;
    }
    let more = calls["unknownCount"].as_u64().unwrap_or(0) as usize;
    let more = more.saturating_sub(list(calls, "unknown").len());
    if more > 0 {
        out.field("", Paint::Dim, &format!("and {more} earlier ones"))?;
    }
    Ok(())
}

/// Who is connected besides the gateway itself, which is always there.
pub fn print_presence(presence: &Value, out: &mut Out) -> Outcome {
    let entries = presence.as_array().map_or(&[][..], Vec::as_slice);
    let others: Vec<&Value> = entries.iter().filter(|e| e["reason"] != "self").collect();
    let there = others.iter().filter(|entry| is_there(entry)).count();
    out.heading(&format!("Connected ({there})"))?;
    if others.is_empty() {
        out.line("  nobody")?;
        return Ok(());
    }
    let now = unix_ms();
    let mut table = Table::new(&["NAME", "MODE", "ROLE", "PLATFORM", "VERSION", "SEEN"]);
    for entry in others {
        let (paint, left) = match is_there(entry) {
            true => (Paint::Plain, ""),
            false => (Paint::Dim, "left "),
        };
        table.row([
            Cell::new(or_dash(text(entry, "host")), paint),
            Cell::new(or_dash(text(entry, "mode")), paint),
            Cell::new(or_dash(&joined(entry, "roles")), paint),
            Cell::new(or_dash(text(entry, "platform")), paint),
            Cell::new(or_dash(text(entry, "version")), paint),
            Cell::new(format!("{left}{}", age(entry, "ts", now)), paint),
        ]);
    }
    table.print(out, 2)?;
    Ok(())
}

fn is_there(entry: &Value) -> bool {
    text(entry, "reason") != "disconnect"
}

fn print_sessions(sessions: &Value, out: &mut Out) -> Outcome {
    let recent = list(sessions, "recent");
    if recent.is_empty() {
        return Ok(());
    }
    let now = unix_ms();
    out.line("")?;
    out.heading(&format!("Sessions ({})", sessions["count"]))?;
    let mut table = Table::new(&["KEY", "MODEL", "TOKENS", "USED"]);
    for row in recent {
        let tokens = row["totalTokens"].as_u64();
        table.row([
            text(row, "key").into(),
            or_dash(text(row, "model")).into(),
            tokens.map_or("-".to_owned(), |n| n.to_string()).into(),
            age(row, "updatedAt", now).into(),
        ]);
    }
    table.print(out, 2)?;
    Ok(())
}

fn print_pending(devices: &Value, out: &mut Out) -> Outcome {
    let pending = list(devices, "pending");
    out.line("")?;
    let paired = count(list(devices, "paired").len() as u64, "device");
    out.heading(&format!(
        "Devices ({paired} paired, {} waiting)",
        pending.len()
    ))?;
    for request in pending {
        let id = short_id(text(request, "requestId")).into_owned();
        let who = or_dash(text(request, "displayName"));
        let hint = format!(
            "{who} wants in as {}: clawdia devices approve {id}",
            text(request, "role")
        );
        let hint = out.hinted(&hint).into_owned();
        out.field("waiting", Paint::Warning, &hint)?;
    }
    Ok(())
}
