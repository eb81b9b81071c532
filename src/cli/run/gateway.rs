//! `clawdia gateway …`: what asks a running one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::commands::{GatewayCall, GatewaySend};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::span;
use super::{message, text, unix_ms};
use crate::client::{GatewayUrl, random};
use crate::limits::CLIENT_RUN_TIMEOUT_MS;

/// `gateway status`
pub fn status(setup: &Setup, out: &mut Out) -> Outcome {
    let holder = setup.lock_holder();
    let mut session = setup.connect()?;
    let payload = session.call("status", &json!({}))?;
    let hello = session.client.hello();
    let uptime_ms = hello.payload["snapshot"]["uptimeMs"].as_u64().unwrap_or(0);
    if out.wants_json() {
        let answer = json!({
            "url": session.to.url.to_string(),
            "version": hello.server_version,
            "protocol": hello.protocol,
            "uptimeMs": uptime_ms,
            "process": holder.as_ref().map(|holder| holder.pid),
            "status": payload,
        });
        out.json(&answer)?;
        session.client.close();
        return Ok(());
    }
    let line = format!("{} gateway is running", out.paint(Paint::Good, "●"));
    out.line(&line)?;
    out.field("address", Paint::Plain, &session.to.url.to_string())?;
    let listen = &payload["listen"];
    if let Some(port) = listen["port"].as_u64() {
        let address = text(listen, "address");
        let listens = format!("{address} port {port} (bind {})", text(listen, "mode"));
        out.field("listens on", Paint::Plain, &listens)?;
    }
    let version = format!("{} (protocol {})", hello.server_version, hello.protocol);
    out.field("version", Paint::Plain, &version)?;
    out.field("up", Paint::Plain, &span(uptime_ms))?;
    if let Some(holder) = holder.filter(|holder| holder.port == Some(session.to.url.port)) {
        out.field("process", Paint::Plain, &holder.pid.to_string())?;
    }
    let snapshot = &hello.payload["snapshot"];
    for (name, key) in [("config", "configPath"), ("state", "stateDir")] {
        match text(snapshot, key) {
            "" => {}
            path => out.field(name, Paint::Plain, path)?,
        }
    }
    session.client.close();
    Ok(())
}

/// `gateway call`
pub fn call(args: GatewayCall, setup: &Setup, out: &mut Out) -> Outcome {
    let params: Value = match &args.params {
        None => json!({}),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("--params is no JSON: {error}")))?,
    };
    let mut session = setup.connect()?;
    let payload = if args.expect_final {
        final_answer(&mut session, &args.method, &params, setup)?
    } else {
        session.call(&args.method, &params)?
    };
    out.json(&payload)?;
    session.client.close();
    Ok(())
}

/// Waits past answers that only say that the work was accepted.
fn final_answer(
    session: &mut Session,
    method: &str,
    params: &Value,
    setup: &Setup,
) -> Result<Value, Failure> {
    let ms = setup.globals.timeout_ms.unwrap_or(CLIENT_RUN_TIMEOUT_MS);
    let deadline = Instant::now() + Duration::from_millis(ms);
    let sent = session.client.send(method, params, deadline);
    let request = sent.map_err(|error| session.explain(error))?;
    loop {
        let answer = session.client.answer(request, deadline);
        let payload = answer.map_err(|error| session.explain(error))?;
        if payload["status"] != "accepted" {
            return Ok(payload);
        }
    }
}

/// `gateway send`
pub fn send(args: GatewaySend, setup: &Setup, out: &mut Out) -> Outcome {
    let mut params = json!({"to": args.to, "message": message(args.message)?});
    if let Some(channel) = args.channel {
        params["channel"] = channel.into();
    }
    if let Some(account) = args.account {
        params["accountId"] = account.into();
    }
    let key = match args.idempotency_key {
        Some(key) => key,
        None => random::uuid()?,
    };
    params["idempotencyKey"] = key.into();
    let mut session = setup.connect()?;
    let payload = session.call("send", &params)?;
    if out.wants_json() {
        out.json(&payload)?;
    } else {
        let id = match text(&payload, "messageId") {
            "" => String::new(),
            id => format!(" (message {id})"),
        };
        out.done(&format!("sent to {}{id}", text(&params, "to")))?;
    }
    session.client.close();
    Ok(())
}

/// `gateway probe`: every gateway that this machine knows.
pub fn probe(setup: &Setup, out: &mut Out) -> Outcome {
    let config = setup.config()?;
    let mut targets = Vec::new();
    if let Some(text) = &setup.globals.url {
        targets.push(("given", GatewayUrl::parse(text).map_err(Failure::usage)?));
    } else {
        targets.push(("local", GatewayUrl::loopback(setup.local_port(&config)?)));
        if let Some(url) = setup.remote_url(&config)? {
            targets.push(("remote", url));
        }
    }
    let mut rows = Vec::new();
    for (name, url) in targets {
        let address = url.to_string();
        let to = setup.destination_of(url, &config)?;
        let started = Instant::now();
        let probed = setup
            .connect_to(to, "probe")
            .and_then(|session| probe_one(session, started));
        rows.push(match probed {
            Ok(mut row) => {
                row["name"] = name.into();
                row["url"] = address.into();
                row
            }
            Err(failure) => json!({"name": name, "url": address, "ok": false,
                "error": {"code": failure.code, "message": failure.message}}),
        });
    }
    print_probe(&rows, out)?;
    if rows.iter().any(|row| row["ok"] == true) {
        return Ok(());
    }
    let mut failure = Failure::failed("no gateway answered");
    if setup.globals.url.is_none() {
        failure = failure.mend("clawdia gateway run");
    }
    Err(failure)
}

fn probe_one(mut session: Session, started: Instant) -> Result<Value, Failure> {
    let connect_ms = started.elapsed().as_millis() as u64;
    let health = session.call("health", &json!({}))?;
    let presence = session.call("system-presence", &json!({}))?;
    let hello = session.client.hello();
    let row = json!({
        "ok": health["ok"] == true,
        "connectMs": connect_ms,
        "totalMs": started.elapsed().as_millis() as u64,
        "version": hello.server_version,
        "protocol": hello.protocol,
        "health": health,
        "presence": presence,
    });
    session.client.close();
    Ok(row)
}

fn print_probe(rows: &[Value], out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(&json!({"ts": unix_ms(), "targets": rows}))?;
        return Ok(());
    }
    for row in rows {
        let (mark, paint) = if row["ok"] == true {
            ("●", Paint::Good)
        } else {
            ("○", Paint::Bad)
        };
        let head = format!(
            "{} {:<7} {}",
            out.paint(paint, mark),
            text(row, "name"),
            text(row, "url")
        );
        out.line(&head)?;
        if row["ok"] == true {
            let version = format!("{} (protocol {})", text(row, "version"), row["protocol"]);
            out.field("version", Paint::Plain, &version)?;
            let took = format!(
                "{} ms to connect, {} ms in all",
                row["connectMs"], row["totalMs"]
            );
            out.field("took", Paint::Plain, &took)?;
        } else {
            out.field("problem", Paint::Plain, text(&row["error"], "message"))?;
        }
    }
    Ok(())
}
