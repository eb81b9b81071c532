//! `nodes pending`, `approve` and `reject`: the part of `devices` that is about nodes.

use serde_json::{Value, json};

use super::super::super::exit::{Failure, Outcome};
use super::super::super::out::{Out, Paint};
use super::super::super::setup::Session;
use super::super::super::table::{Cell, Table};
use super::super::super::text::{printable, short_id};
use super::super::{age, joined, list, or_dash, text, unix_ms};

/// The requests to be let in as a node.
pub fn waiting(session: &mut Session) -> Result<Vec<Value>, Failure> {
    let all = session.call("device.pair.list", &json!({}))?;
    let pending = list(&all, "pending").iter();
    Ok(pending
        .filter(|request| is_node(request))
        .cloned()
        .collect())
}

fn is_node(request: &Value) -> bool {
    text(request, "role") == "node" || list(request, "roles").iter().any(|role| role == "node")
}

pub fn pending(session: &mut Session, out: &mut Out) -> Outcome {
    let pending = waiting(session)?;
    if out.wants_json() {
        out.json(&json!({"pending": pending}))?;
        return Ok(());
    }
    match pending.is_empty() {
        true => Ok(out.line("no node waits")?),
        false => print(&pending, out),
    }
}

pub fn print(pending: &[Value], out: &mut Out) -> Outcome {
    out.heading(&format!("Waiting ({})", pending.len()))?;
    let now_ms = unix_ms();
    let mut table = Table::new(&["REQUEST", "NAME", "PLATFORM", "FROM", "COMMANDS", "ASKED"]);
    for request in pending {
        table.row([
            Cell::new(short_id(text(request, "requestId")), Paint::Warning),
            or_dash(text(request, "displayName")).into(),
            or_dash(text(request, "platform")).into(),
            or_dash(text(request, "remoteIp")).into(),
            or_dash(&joined(request, "commands")).into(),
            age(request, "ts", now_ms).into(),
        ]);
    }
    table.print(out, 2)?;
    let hint = "  Let one in: clawdia nodes approve REQUEST";
    out.hint(hint)?;
    Ok(())
}

pub fn approve(typed: &str, session: &mut Session, out: &mut Out) -> Outcome {
    decide("device.pair.approve", typed, "is let in", session, out)
}

pub fn reject(typed: &str, session: &mut Session, out: &mut Out) -> Outcome {
    decide("device.pair.reject", typed, "is turned away", session, out)
}

fn decide(method: &str, typed: &str, what: &str, session: &mut Session, out: &mut Out) -> Outcome {
    let pending = waiting(session)?;
    let request = pick(typed, &pending)?;
    let name = match text(request, "displayName") {
        "" => short_id(text(request, "deviceId")).into_owned(),
        name => name.to_owned(),
    };
    let params = json!({"requestId": text(request, "requestId")});
    let payload = session.call(method, &params)?;
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    out.done(&format!("{} {what}", printable(&name)))?;
    let commands = joined(request, "commands");
    if method.ends_with("approve") && !commands.is_empty() {
        out.line(&format!("It may be asked for {}", printable(&commands)))?;
    }
    Ok(())
}

fn pick<'a>(typed: &str, pending: &'a [Value]) -> Result<&'a Value, Failure> {
    let fits = |request: &&Value| {
        !typed.is_empty()
            && (text(request, "requestId").starts_with(typed)
                || text(request, "displayName").eq_ignore_ascii_case(typed))
    };
    let mut found = pending.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(request), None) => Ok(request),
        (Some(_), Some(_)) => Err(Failure::failed(format!(
            "more than one request is meant by {typed}"
        ))
        .mend("clawdia nodes pending")),
        (None, _) => Err(
            Failure::failed(format!("no node waits that is called {typed}"))
                .mend("clawdia nodes pending"),
        ),
    }
}
