//! `clawdia approvals …`: commands that wait for a decision, and what needs none.

mod file;
mod place;

use serde_json::{Value, json};

use super::super::commands::ApprovalsCommand;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::{printable, short_id, span};
use super::{list, text, unix_ms};

/// Does what was asked with approvals.
pub fn run(command: ApprovalsCommand, setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let session_ref = &mut session;
    let outcome = match command {
        ApprovalsCommand::List(_) => waiting(session_ref, out),
        ApprovalsCommand::Approve(args) => {
            let decision = if args.always {
                "allow-always"
            } else {
                "allow-once"
            };
            decide(&args.id, decision, session_ref, out)
        }
        ApprovalsCommand::Deny(args) => decide(&args.id, "deny", session_ref, out),
        ApprovalsCommand::Resolve(args) => decide(&args.id, &args.decision, session_ref, out),
        ApprovalsCommand::Get(args) => file::get(&args, session_ref, out),
        ApprovalsCommand::Set(args) => file::set(&args, session_ref, out),
        ApprovalsCommand::Allowlist(args) => file::allowlist(&args.command, session_ref, out),
    };
    session.client.close();
    outcome
}

/// The commands that wait, each whole: a decision is about all of it.
fn waiting(session: &mut Session, out: &mut Out) -> Outcome {
    let payload = session.call("exec.approval.list", &json!({}))?;
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    let has_node = |one: &Value| !text(&one["request"], "nodeId").is_empty();
    let nodes = match list(&payload, "pending").iter().any(has_node) {
        // Who may only decide is shown ids instead of names.
        true => session.call("node.list", &json!({})).unwrap_or_default(),
        false => Value::Null,
    };
    print_waiting(&payload, &nodes, out)
}

/// A node's name with the start of its id, or its id where `node.list` does not have it.
fn named(id: &str, nodes: &Value) -> String {
    let mut nodes = list(nodes, "nodes").iter();
    let name = nodes
        .find(|it| text(it, "nodeId") == id)
        .map(|it| text(it, "displayName"));
    match name {
        Some(name) if !name.is_empty() => format!("{name} ({})", short_id(id)),
        _ => id.to_owned(),
    }
}

fn print_waiting(payload: &Value, nodes: &Value, out: &mut Out) -> Outcome {
    let pending = list(payload, "pending");
    if pending.is_empty() {
        out.line("No command waits for a decision.")?;
        return Ok(());
    }
    let now_ms = unix_ms();
    for one in pending {
        let left_ms = one["expiresAtMs"]
            .as_u64()
            .unwrap_or(0)
            .saturating_sub(now_ms);
        let head = format!("{}  {} left", short_id(text(one, "id")), span(left_ms));
        out.heading(&head)?;
        out.line(&format!(
            "  {}",
            printable(text(&one["request"], "command"))
        ))?;
        for (name, key) in [
            ("in", "cwd"),
            ("agent", "agentId"),
            ("session", "sessionKey"),
            ("node", "nodeId"),
            ("where", "host"),
            ("file", "resolvedPath"),
        ] {
            let value = text(&one["request"], key);
            let value = match key {
                "nodeId" => named(value, nodes),
                _ => value.to_owned(),
            };
            if !value.is_empty() {
                out.field(name, Paint::Plain, &value)?;
            }
        }
        let env = super::joined(&one["request"], "envKeys");
        if !env.is_empty() {
            out.field("sets", Paint::Warning, &env)?;
        }
        let id = short_id(text(one, "id"));
        for (name, command) in [("allow", "approve"), ("refuse", "deny")] {
            let line = format!("clawdia approvals {command} {id}");
            let line = out.hinted(&line).into_owned();
            out.field(name, Paint::Dim, &line)?;
        }
    }
    out.hint("With approve --always the program needs no question from then on.")?;
    Ok(())
}

fn decide(typed: &str, decision: &str, session: &mut Session, out: &mut Out) -> Outcome {
    if !["allow-once", "allow-always", "deny"].contains(&decision) {
        let fault = format!("{decision} is no decision: allow-once, allow-always or deny");
        return Err(Failure::usage(fault));
    }
    let all = session.call("exec.approval.list", &json!({}))?;
    let one = find(list(&all, "pending"), typed)?;
    let (id, command) = (text(one, "id"), text(&one["request"], "command"));
    let params = json!({"id": id, "decision": decision});
    let payload = session.call("exec.approval.resolve", &params)?;
    if out.wants_json() {
        let told = json!({"id": id, "decision": decision, "ok": payload["ok"]});
        out.json(&told)?;
        return Ok(());
    }
    out.done(&format!("{decision}: {command}"))?;
    Ok(())
}

/// The one request whose id begins with what was typed.
fn find<'a>(pending: &'a [Value], typed: &str) -> Result<&'a Value, Failure> {
    let begins = |one: &&Value| !typed.is_empty() && text(one, "id").starts_with(typed);
    let mut matching = pending.iter().filter(begins);
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::failed(format!(
            "more than one request begins with {typed}"
        ))),
        (None, _) => {
            let fault = format!("no request {typed} waits; it may have been decided or be over");
            Err(Failure::failed(fault).mend("clawdia approvals list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Value {
        json!({"pending": [
            {"id": "11fc", "request": {"command": "rm -rf /tmp/x", "cwd": "/tmp", "agentId": null,
                "nodeId": "aa11bb22cc33", "envKeys": ["LANG"]}, "expiresAtMs": 0},
            {"id": "11aa", "request": {"command": format!("echo {}end", "x".repeat(500))}}]})
    }

    #[test]
    fn a_waiting_command_is_shown_whole_with_where_and_for_whom() {
        let (mut out, buffer) = Out::buffer(false);
        let nodes = json!({"nodes": [{"nodeId": "aa11bb22cc33", "displayName": "attic"}]});
        print_waiting(&pending(), &nodes, &mut out).unwrap();
        drop(out);
        let shown = buffer.text();
        for part in [
            "rm -rf /tmp/x",
            "/tmp",
            "LANG",
            "xend\n",
            "attic (aa11bb22",
            "clawdia approvals approve 11fc\n",
            "clawdia approvals deny 11fc\n",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("agent"), "{shown}");
    }

    #[test]
    fn an_id_may_be_shortened_while_it_is_clear() {
        let all = pending();
        let pending = list(&all, "pending");
        assert_eq!(find(pending, "11f").unwrap()["id"], "11fc");
        for typed in ["11", "", "2"] {
            assert!(find(pending, typed).is_err(), "{typed}");
        }
    }
}
