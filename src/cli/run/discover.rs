//! `clawdia gateway discover`: what this machine's networks tell of gateways.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use crate::io::discovery;
use crate::limits::DISCOVER_MS;
use crate::remote::beacon::Found;

/// Listens, then shows what was heard. Nothing of it is used or kept.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let ms = setup.globals.timeout_ms.unwrap_or(DISCOVER_MS);
    let found = discovery::browse(Duration::from_millis(ms))
        .map_err(|fault| Failure::failed(format!("the network cannot be listened to: {fault}")))?;
    if out.wants_json() {
        let rows: Vec<Value> = found.iter().map(row).collect();
        out.json(&json!({"gateways": rows}))?;
        return Ok(());
    }
    if found.is_empty() {
        out.line("no gateway told of itself")?;
        return Ok(());
    }
    for one in &found {
        let url = one.url();
        out.heading(&one.name)?;
        out.field(
            "address",
            Paint::Plain,
            url.as_deref().unwrap_or("none that can be reached"),
        )?;
        out.field(
            "host",
            Paint::Plain,
            &format!("{} port {}", one.host, one.port),
        )?;
        if let Some(fingerprint) = &one.fingerprint {
            let said = format!("{fingerprint} (so it says)");
            out.field("certificate", Paint::Plain, &said)?;
        }
    }
    out.line("")?;
    out.line(
        "Anybody on a network can say this. Before you show a secret, compare the pin with what",
    )?;
    out.line(
        "`clawdia gateway fingerprint` prints on that machine: --url URL --tls-fingerprint PIN.",
    )?;
    Ok(())
}

fn row(found: &Found) -> Value {
    json!({
        "name": found.name,
        "url": found.url(),
        "host": found.host,
        "port": found.port,
        "addresses": found.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hints": {"tls": found.tls, "tlsFingerprint": found.fingerprint},
    })
}
