//! `clawdia channels …`

use serde_json::{Value, json};

use super::super::commands::ChannelsCommand;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::table::{Cell, Table};
use super::super::text::count;
use super::{age, list, or_dash, text, unix_ms};

/// Shows the channels.
pub fn run(command: ChannelsCommand, setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let args = match command {
        ChannelsCommand::Status(args) => args,
        ChannelsCommand::Logout(args) => {
            let mut params = json!({"channel": args.channel});
            if let Some(account) = args.account {
                params["accountId"] = account.into();
            }
            let payload = session.call("channels.logout", &params)?;
            session.client.close();
            return logged_out(&payload, out);
        }
    };
    let payload = session.call("channels.status", &json!({"probe": args.probe}))?;
    session.client.close();
    let failed = match args.probe {
        true => accounts(&payload)
            .filter(|it| probe_fault(it).is_some())
            .count(),
        false => 0,
    };
    if out.wants_json() {
        out.json(&payload)?;
    } else {
        print(&payload, 0, out)?;
        not_delivered(&payload, out)?;
    }
    out.flush()?;
    match failed {
        0 => Ok(()),
        _ if out.wants_json() => Err(Failure::failed("").told()),
        number => Err(Failure::failed(format!(
            "{} failed",
            count(number as u64, "probe")
        ))),
    }
}

/// All accounts of a `channels.status` payload.
fn accounts(payload: &Value) -> impl Iterator<Item = &Value> {
    let channels = payload["channelAccounts"].as_object().into_iter().flatten();
    channels
        .filter_map(|(_, accounts)| accounts.as_array())
        .flatten()
}

/// Why an account's last probe failed.
fn probe_fault(account: &Value) -> Option<&str> {
    let probe = &account["probe"];
    (probe["ok"] == false).then(|| text(probe, "error"))
}

fn logged_out(payload: &Value, out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(payload)?;
        return Ok(());
    }
    out.line(match payload["loggedOut"] == true {
        true => "the account is not used until the gateway starts again",
        false => "the account was not in use",
    })?;
    Ok(())
}

/// Messages that were not sent, or maybe were.
fn not_delivered(payload: &Value, out: &mut Out) -> Outcome {
    let rows = accounts(payload).flat_map(|it| list(it, "notDelivered"));
    let rows: Vec<&Value> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.heading(&format!("Not delivered, or not known ({})", rows.len()))?;
    let mut table = Table::new(&["STATE", "TO", "WHEN", "WHY", "TEXT"]);
    let now_ms = unix_ms();
    for row in rows {
        table.row([
            Cell::new(text(row, "state"), Paint::Warning),
            text(row, "to").into(),
            age(row, "at", now_ms).into(),
            text(row, "error").into(),
            text(row, "text").into(),
        ]);
    }
    table.print(out, 2)?;
    Ok(())
}

/// A `channels.status` payload as a table, indented by so many blanks.
pub fn print(payload: &Value, indent: usize, out: &mut Out) -> Outcome {
    let order = list(payload, "channelOrder");
    if order.is_empty() {
        let how = "clawdia config set channels.telegram.botToken TOKEN";
        out.line(&format!("{:indent$}none configured ({how})", ""))?;
        return Ok(());
    }
    let mut table = Table::new(&[
        "CHANNEL",
        "ACCOUNT",
        "STATE",
        "WAITING",
        "PROBE",
        "LAST ERROR",
    ]);
    for channel in order.iter().filter_map(Value::as_str) {
        let label = match text(&payload["channelLabels"], channel) {
            "" => channel,
            label => label,
        };
        for account in list(&payload["channelAccounts"], channel) {
            let (state, paint) = state(account);
            let probe = match (probe_fault(account), account["probe"]["ok"] == true) {
                (Some(fault), _) => Cell::new(format!("failed: {fault}"), Paint::Bad),
                (None, true) => "ok".into(),
                (None, false) => "-".into(),
            };
            table.row([
                label.into(),
                or_dash(text(account, "accountId")).into(),
                Cell::new(state, paint),
                waiting(account),
                probe,
                or_dash(text(account, "lastError")).into(),
            ]);
        }
    }
    table.print(out, indent)?;
    Ok(())
}

/// Messages that were not sent yet.
fn waiting(account: &Value) -> Cell {
    match account["outbox"]["waiting"].as_u64() {
        Some(0) | None => "-".into(),
        Some(number) => Cell::new(number.to_string(), Paint::Warning),
    }
}

fn state(account: &Value) -> (&'static str, Paint) {
    if account["configured"] == false {
        ("not configured", Paint::Dim)
    } else if account["enabled"] == false {
        ("switched off", Paint::Dim)
    } else if account["running"] == true && probe_fault(account).is_some() {
        ("running, probe failed", Paint::Bad)
    } else if account["running"] == true {
        ("running", Paint::Good)
    } else {
        ("stopped", Paint::Warning)
    }
}
