//! `clawdia sessions …`

use serde_json::{Value, json};

use super::super::commands::{SessionsCommand, SessionsList, SessionsPatch, SessionsPreview};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::table::Table;
use super::super::text::{cut, printable_lines};
use super::{age, list, or_dash, text, unix_ms};

/// Does what was asked with sessions.
pub fn run(command: SessionsCommand, setup: &Setup, out: &mut Out) -> Outcome {
    match command {
        SessionsCommand::List(args) => list_all(args, setup, out),
        SessionsCommand::Preview(args) => preview(args, setup, out),
        SessionsCommand::Patch(args) => patch(args, setup, out),
        SessionsCommand::Reset(args) => {
            let params = json!({"key": args.key});
            change("sessions.reset", &params, "begins anew", setup, out)
        }
        SessionsCommand::Compact(args) => {
            let mut params = json!({"key": args.key});
            if let Some(lines) = args.max_lines {
                params["maxLines"] = lines.into();
            }
            change("sessions.compact", &params, "is compacted", setup, out)
        }
        SessionsCommand::Delete(args) => delete(&args.key, setup, out),
    }
}

fn list_all(args: SessionsList, setup: &Setup, out: &mut Out) -> Outcome {
    let mut params = json!({});
    if let Some(limit) = args.limit {
        params["limit"] = limit.into();
    }
    if let Some(minutes) = args.active {
        params["activeMinutes"] = minutes.into();
    }
    if let Some(search) = args.search {
        params["search"] = search.into();
    }
    let mut session = setup.connect()?;
    let payload = session.call("sessions.list", &params)?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    let rows = list(&payload, "sessions");
    if rows.is_empty() {
        out.hint("No sessions. Begin one: clawdia agent --message \"hello\"")?;
        return Ok(());
    }
    let now = unix_ms();
    let mut table = Table::new(&["KEY", "LABEL", "KIND", "MODEL", "TOKENS", "USED"]);
    for row in rows {
        let label = match text(row, "label") {
            "" => text(row, "displayName"),
            label => label,
        };
        table.row([
            text(row, "key").into(),
            cut(or_dash(label), 32).into(),
            or_dash(text(row, "kind")).into(),
            or_dash(text(row, "model")).into(),
            row["totalTokens"]
                .as_u64()
                .map_or("-".into(), |n| n.to_string())
                .into(),
            age(row, "updatedAt", now).into(),
        ]);
    }
    table.print(out, 0)?;
    Ok(())
}

fn preview(args: SessionsPreview, setup: &Setup, out: &mut Out) -> Outcome {
    let mut params = json!({"keys": [args.key], "maxChars": 2_000});
    if let Some(limit) = args.limit {
        params["limit"] = limit.into();
    }
    let mut session = setup.connect()?;
    let payload = session.call("sessions.preview", &params)?;
    session.client.close();
    let preview = list(&payload, "previews").first().unwrap_or(&Value::Null);
    let is_empty = match text(preview, "status") {
        "ok" => false,
        "empty" => true,
        _ => {
            return Err(Failure::failed(format!("there is no session {}", args.key))
                .mend("clawdia sessions list"));
        }
    };
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    if is_empty {
        return Ok(out.line("The session has no messages yet.")?);
    }
    for item in list(preview, "items") {
        let role = text(item, "role");
        let paint = if role == "user" {
            Paint::Bold
        } else {
            Paint::Good
        };
        let body = printable_lines(text(item, "text")).replace('\n', "\n           ");
        let line = format!("{} {body}", out.paint(paint, &format!("{role:<10}")));
        out.line(&line)?;
    }
    Ok(())
}

fn patch(args: SessionsPatch, setup: &Setup, out: &mut Out) -> Outcome {
    let mut params = json!({"key": args.key});
    for (key, value) in [
        ("label", args.label),
        ("thinkingLevel", args.thinking),
        ("verboseLevel", args.verbose_level),
        ("model", args.model),
    ] {
        match value {
            // The protocol unsets by null.
            Some(value) if value.is_empty() => params[key] = Value::Null,
            Some(value) => params[key] = value.into(),
            None => {}
        }
    }
    if params.as_object().is_some_and(|object| object.len() == 1) {
        return Err(Failure::usage(
            "nothing to change: give --label, --thinking, …",
        ));
    }
    change("sessions.patch", &params, "is changed", setup, out)
}

fn delete(key: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let payload = session.call("sessions.delete", &json!({"key": key}))?;
    session.client.close();
    if payload["deleted"] != true {
        return Err(
            Failure::failed(format!("there is no session {key}")).mend("clawdia sessions list")
        );
    }
    told(&payload, "is deleted", out)
}

fn change(method: &str, params: &Value, what: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let payload = session.call(method, params)?;
    session.client.close();
    told(&payload, what, out)
}

fn told(payload: &Value, what: &str, out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(payload)?;
    } else if payload["compacted"] == false {
        out.line("There was nothing to compact.")?;
    } else {
        out.done(&format!("session {} {what}", text(payload, "key")))?;
    }
    Ok(())
}
