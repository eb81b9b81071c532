//! `nodes status`, `list` and `describe`.

use serde_json::{Value, json};

use super::super::super::exit::{Failure, Outcome};
use super::super::super::globals::duration_ms;
use super::super::super::out::{Out, Paint};
use super::super::super::setup::Session;
use super::super::super::table::{Cell, Table};
use super::super::super::text::{ago, printable, short_id};
use super::super::{age, joined, list as array, or_dash, text, unix_ms};
use super::choose::Node;
use super::pairing;

/// Which nodes are wanted.
#[derive(Default)]
pub struct Filter {
    connected: bool,
    /// Only those that were connected this long ago or later.
    within_ms: Option<u64>,
}

impl Filter {
    pub fn new(connected: bool, last_connected: Option<&str>) -> Result<Self, Failure> {
        let within_ms = last_connected
            .map(|text| duration_of(text).map_err(Failure::usage))
            .transpose()?;
        Ok(Self {
            connected,
            within_ms,
        })
    }

    fn lets(&self, row: &Value, now_ms: u64) -> bool {
        let is_connected = row["connected"] == true;
        let seen = row["lastConnectedAtMs"].as_u64().unwrap_or(0);
        let is_recent = |within_ms| is_connected || now_ms.saturating_sub(seen) <= within_ms;
        (is_connected || !self.connected) && self.within_ms.is_none_or(is_recent)
    }

    /// `{ts, nodes}` with the rows that are wanted.
    fn of(&self, payload: &Value) -> Value {
        let now_ms = payload["ts"].as_u64().unwrap_or_else(unix_ms);
        let rows = array(payload, "nodes").iter();
        let rows: Vec<&Value> = rows.filter(|row| self.lets(row, now_ms)).collect();
        json!({"ts": now_ms, "nodes": rows})
    }
}

/// `7d` as well as what every duration may be.
pub fn duration_of(text: &str) -> Result<u64, String> {
    match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days)) if days > 0 => Ok(days.saturating_mul(24 * 3_600_000)),
        _ => duration_ms(text)
            .map_err(|_| format!("`{}` is no duration: write 30m, 24h or 7d", printable(text))),
    }
}

pub fn status(filter: &Filter, session: &mut Session, out: &mut Out) -> Outcome {
    let payload = filter.of(&session.call("node.list", &json!({}))?);
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    print(&payload, out)
}

pub fn list(filter: &Filter, session: &mut Session, out: &mut Out) -> Outcome {
    let pending = pairing::waiting(session)?;
    let payload = filter.of(&session.call("node.list", &json!({}))?);
    if out.wants_json() {
        out.json(&json!({"pending": pending, "paired": payload["nodes"]}))?;
        return Ok(());
    }
    if !pending.is_empty() {
        pairing::print(&pending, out)?;
        out.line("")?;
    }
    print(&payload, out)
}

fn print(payload: &Value, out: &mut Out) -> Outcome {
    let nodes = array(payload, "nodes");
    let now_ms = unix_ms();
    let connected = nodes.iter().filter(|node| node["connected"] == true);
    let heading = format!("Nodes ({} of {} connected)", connected.count(), nodes.len());
    out.heading(&heading)?;
    if nodes.is_empty() {
        let hint = "  Make a machine one: clawdia node run (on it)";
        out.hint(hint)?;
        return Ok(());
    }
    let mut table = Table::new(&["NODE", "ID", "STATE", "PLATFORM", "IP", "CAPS", "SINCE"]);
    for row in nodes {
        let node = Node::new(row);
        let (state, paint, since) = match node.is_connected() {
            true => ("connected", Paint::Good, age(row, "connectedAtMs", now_ms)),
            false if row["revokedAtMs"].is_u64() => ("revoked", Paint::Warning, seen(row, now_ms)),
            false => ("away", Paint::Dim, seen(row, now_ms)),
        };
        table.row([
            node.name.as_str().into(),
            short_id(&node.id).into(),
            Cell::new(state, paint),
            or_dash(text(row, "platform")).into(),
            or_dash(text(row, "remoteIp")).into(),
            or_dash(&joined(row, "caps")).into(),
            since.into(),
        ]);
    }
    table.print(out, 2)?;
    Ok(())
}

/// When a node that is away was last seen.
fn seen(row: &Value, now_ms: u64) -> String {
    match row["lastConnectedAtMs"].as_u64() {
        Some(then) if then > 0 => ago(now_ms, then),
        _ => "-".to_owned(),
    }
}

pub fn describe(node: &Node, session: &mut Session, out: &mut Out) -> Outcome {
    let row = session.call("node.describe", &json!({"nodeId": node.id}))?;
    if out.wants_json() {
        out.json(&row)?;
        return Ok(());
    }
    let now_ms = unix_ms();
    out.heading(&printable(&node.name))?;
    let (state, paint) = match row["connected"] == true {
        true => (
            format!("connected {}", age(&row, "connectedAtMs", now_ms)),
            Paint::Good,
        ),
        false => (
            format!("away, last seen {}", seen(&row, now_ms)),
            Paint::Warning,
        ),
    };
    out.field("state", paint, &state)?;
    for (name, key) in [
        ("id", "nodeId"),
        ("platform", "platform"),
        ("device", "deviceFamily"),
        ("model", "modelIdentifier"),
        ("version", "version"),
        ("address", "remoteIp"),
        ("path", "pathEnv"),
    ] {
        if !text(&row, key).is_empty() {
            out.field(name, Paint::Plain, &printable(text(&row, key)))?;
        }
    }
    for (name, key) in [("caps", "caps"), ("commands", "commands")] {
        let all = joined(&row, key);
        out.field(name, Paint::Plain, &printable(or_dash(&all)))?;
    }
    if let Some(permissions) = row["permissions"].as_object() {
        let granted = permissions.iter().filter(|(_, granted)| **granted == true);
        let granted: Vec<&str> = granted.map(|(name, _)| name.as_str()).collect();
        let granted = granted.join(", ");
        out.field("permits", Paint::Plain, &printable(or_dash(&granted)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_looks_at_now_and_at_the_last_time() {
        let payload = json!({"ts": 100_000_000, "nodes": [
            {"nodeId": "on", "connected": true},
            {"nodeId": "recent", "connected": false, "lastConnectedAtMs": 99_000_000},
            {"nodeId": "old", "connected": false, "lastConnectedAtMs": 5},
            {"nodeId": "never", "connected": false}]});
        let ids = |filter: &Filter| {
            let rows = filter.of(&payload);
            let rows = array(&rows, "nodes").iter();
            rows.map(|row| text(row, "nodeId").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&Filter::default()).len(), 4);
        assert_eq!(ids(&Filter::new(true, None).unwrap()), ["on"]);
        let day = Filter::new(false, Some("24h")).unwrap();
        assert_eq!(ids(&day), ["on", "recent"]);
        assert_eq!(ids(&Filter::new(false, Some("7d")).unwrap()).len(), 4);
        assert!(Filter::new(false, Some("soon")).is_err());
    }
}
