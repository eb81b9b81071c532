//! `clawdia pairing …`: people who write to channels.

use serde_json::{Value, json};

use super::super::commands::PairingCommand;
use super::super::exit::Outcome;
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::table::{Cell, Table};
use super::super::text::printable;
use super::{age, list, or_dash, text, unix_ms};

/// Shows who waits, lets somebody in, or takes that back.
pub fn run(command: PairingCommand, setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let (method, params, told) = match command {
        PairingCommand::List(args) => {
            let params = args
                .channel
                .map_or(json!({}), |channel| json!({"channel": channel}));
            ("channels.pairing.list", params, None)
        }
        PairingCommand::Approve(args) => {
            let params = json!({"channel": args.channel, "code": args.code});
            ("channels.pairing.approve", params, Some("is let in"))
        }
        PairingCommand::Revoke(args) => {
            let params = json!({"channel": args.channel, "id": args.id});
            ("channels.pairing.remove", params, Some("is let in no more"))
        }
    };
    let payload = session.call(method, &params)?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    match told {
        None => print(&payload, out),
        Some(told) => {
            let name = printable(text(&payload, "name")).to_string();
            Ok(out.line(&format!("{name} ({}) {told}", text(&payload, "id")))?)
        }
    }
}

fn print(payload: &Value, out: &mut Out) -> Outcome {
    let now_ms = unix_ms();
    let pending = list(payload, "pending");
    if !pending.is_empty() {
        out.heading(&format!("Waiting ({})", pending.len()))?;
        let mut table = Table::new(&["CODE", "CHANNEL", "ID", "NAME", "USERNAME", "ASKED"]);
        for contact in pending {
            table.row([
                Cell::new(text(contact, "code"), Paint::Warning),
                text(contact, "channel").into(),
                text(contact, "id").into(),
                text(contact, "name").into(),
                or_dash(text(contact, "username")).into(),
                age(contact, "askedAtMs", now_ms).into(),
            ]);
        }
        table.print(out, 2)?;
        let hint = "  Let one in: clawdia pairing approve CHANNEL CODE";
        out.hint(hint)?;
        out.line("")?;
    }
    let approved = list(payload, "approved");
    out.heading(&format!("Let in ({})", approved.len()))?;
    let mut table = Table::new(&["CHANNEL", "ID", "NAME", "USERNAME", "SINCE"]);
    for contact in approved {
        table.row([
            text(contact, "channel").into(),
            text(contact, "id").into(),
            text(contact, "name").into(),
            or_dash(text(contact, "username")).into(),
            age(contact, "approvedAtMs", now_ms).into(),
        ]);
    }
    table.print(out, 2)?;
    Ok(())
}
