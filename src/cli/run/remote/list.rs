//! `clawdia remote list` and `remote status`

use std::time::Instant;

use serde_json::{Value, json};

use super::super::super::exit::{Failure, Outcome};
use super::super::super::far::{Far, Way};
use super::super::super::out::{Out, Paint};
use super::super::super::setup::Setup;
use super::super::super::table::{Cell, Table};
use super::super::super::text::ago;
use super::super::unix_ms;
use super::records;
use crate::remote::record::{Phase, Record};

/// Prints what is known, without asking anybody.
pub fn list(setup: &Setup, out: &mut Out) -> Outcome {
    let records: Vec<Record> = records(None, setup)?
        .into_iter()
        .map(Record::settled)
        .collect();
    if out.wants_json() {
        let rows: Vec<Value> = records.iter().map(row).collect();
        out.json(&json!({"remotes": rows}))?;
        return Ok(());
    }
    if records.is_empty() {
        return print_none(out);
    }
    let now_ms = unix_ms();
    let mut table = Table::new(&["target", "state", "here", "there", "since"]);
    for record in &records {
        table.row([
            record.target.as_str().into(),
            Cell::new(record.phase.word(), paint(record.phase)),
            record.local_port.to_string().into(),
            record.remote_port.to_string().into(),
            ago(now_ms, record.since_ms).into(),
        ]);
    }
    table.print(out, 0)?;
    Ok(())
}

fn print_none(out: &mut Out) -> Outcome {
    let hint = "No remote gateway is known: clawdia remote up you@host";
    out.hint(hint)?;
    Ok(())
}

/// Asks each gateway through the tunnel that stands.
pub fn status(target: Option<&str>, setup: &Setup, out: &mut Out) -> Outcome {
    let records: Vec<Record> = records(target, setup)?
        .into_iter()
        .map(Record::settled)
        .collect();
    let mut rows = Vec::new();
    for record in &records {
        let mut row = row(record);
        let started = Instant::now();
        match ask(record, setup) {
            Ok(health) => {
                row["ok"] = true.into();
                row["tookMs"] = (started.elapsed().as_millis() as u64).into();
                row["health"] = health;
            }
            Err(failure) => {
                row["ok"] = false.into();
                row["fault"] = failure.message.as_str().into();
            }
        }
        rows.push(row);
    }
    if out.wants_json() {
        out.json(&json!({"remotes": rows}))?;
    } else if rows.is_empty() {
        print_none(out)?;
    } else {
        for row in &rows {
            print(row, out)?;
        }
    }
    match rows.iter().all(|row| row["ok"] == true) {
        true => Ok(()),
        false => Err(Failure::failed("not every remote gateway answers").told()),
    }
}

fn ask(record: &Record, setup: &Setup) -> Result<Value, Failure> {
    let Some(ssh) = record.ssh.clone().filter(|_| record.stands()) else {
        let fault = record.fault.clone();
        return Err(Failure::failed(
            fault.unwrap_or_else(|| "there is no tunnel".to_owned()),
        ));
    };
    let config = setup.client_config()?;
    let far = Far::typed(&record.target, None, Some(record.remote_port), &config)?;
    let way = Way::Standing(ssh, record.local_port);
    let to = setup.destination_by(&far, way, record.remote_port, &config)?;
    let mut session = setup.connect_to(to, "probe")?;
    let health = session.call("health", &json!({}))?;
    session.client.close();
    Ok(health)
}

fn row(record: &Record) -> Value {
    let mut row = json!({
        "target": record.target,
        "phase": record.phase.word(),
        "url": format!("ws://127.0.0.1:{}", record.local_port),
        "localPort": record.local_port,
        "remotePort": record.remote_port,
        "generation": record.generation,
        "sinceMs": record.since_ms,
        "process": record.supervisor.as_ref().map(|process| process.pid),
    });
    if let Some(version) = &record.version {
        row["version"] = version.as_str().into();
    }
    if let Some(fault) = &record.fault {
        row["fault"] = fault.as_str().into();
    }
    row
}

fn print(row: &Value, out: &mut Out) -> Outcome {
    let text = |key: &str| row[key].as_str().unwrap_or("");
    let (mark, mark_paint) = match row["ok"] == true {
        true => ("●", Paint::Good),
        false => ("○", Paint::Bad),
    };
    let line = format!("{} {}", out.paint(mark_paint, mark), text("target"));
    out.line(&line)?;
    out.field("tunnel", Paint::Plain, text("phase"))?;
    let place = format!("{}, port {} there", text("url"), row["remotePort"]);
    out.field("address", Paint::Plain, &place)?;
    let since = ago(unix_ms(), row["sinceMs"].as_u64().unwrap_or(0));
    out.field("since", Paint::Plain, &since)?;
    let tries = row["generation"].as_u64().unwrap_or(0);
    out.field(
        "opened",
        Paint::Plain,
        &super::super::super::text::count(tries, "time"),
    )?;
    match row["ok"] == true {
        true => {
            let version = format!("{}, answers in {} ms", text("version"), row["tookMs"]);
            out.field("gateway", Paint::Plain, &version)?;
        }
        false => out.field("problem", Paint::Plain, text("fault"))?,
    }
    Ok(())
}

fn paint(phase: Phase) -> Paint {
    match phase {
        Phase::Up => Paint::Good,
        Phase::Opening | Phase::Unanswered | Phase::Waiting => Paint::Warning,
        Phase::Down => Paint::Dim,
    }
}
