//! `clawdia channels …`

use serde_json::{Value, json};

use super::super::commands::ChannelsCommand;
use super::super::exit::Outcome;
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::table::{Cell, Table};
use super::{list, or_dash, text};

/// Shows the channels.
pub fn run(command: ChannelsCommand, setup: &Setup, out: &mut Out) -> Outcome {
    let ChannelsCommand::Status(args) = command;
    let mut session = setup.connect()?;
    let payload = session.call("channels.status", &json!({"probe": args.probe}))?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    print(&payload, 0, out)
}

/// A `channels.status` payload as a table, indented by so many blanks.
pub fn print(payload: &Value, indent: usize, out: &mut Out) -> Outcome {
    let order = list(payload, "channelOrder");
    if order.is_empty() {
        out.line(&format!("{:indent$}none configured", ""))?;
        return Ok(());
    }
    let mut table = Table::new(&["CHANNEL", "ACCOUNT", "STATE", "PROBE", "LAST ERROR"]);
    for channel in order.iter().filter_map(Value::as_str) {
        let label = match text(&payload["channelLabels"], channel) {
            "" => channel,
            label => label,
        };
        for account in list(&payload["channelAccounts"], channel) {
            let (state, paint) = state(account);
            let probe = match account["probe"]["ok"].as_bool() {
                Some(true) => "ok",
                Some(false) => "failed",
                None => "-",
            };
            table.row([
                label.into(),
                or_dash(text(account, "accountId")).into(),
                Cell::new(state, paint),
                probe.into(),
                or_dash(text(account, "lastError")).into(),
            ]);
        }
    }
    table.print(out, indent)?;
    Ok(())
}

fn state(account: &Value) -> (&'static str, Paint) {
    if account["configured"] == false {
        ("not configured", Paint::Dim)
    } else if account["enabled"] == false {
        ("switched off", Paint::Dim)
    } else if account["running"] == true {
        ("running", Paint::Good)
    } else {
        ("stopped", Paint::Warning)
    }
}
