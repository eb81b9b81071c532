//! `clawdia gateway …`: what asks a running one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::commands::{GatewayCall, GatewaySend};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::span;
use super::{message, text, troubles};
use crate::client::random;
use crate::client::secret::Target;
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
    if session.to.target == Target::Own
        && let Some(waits) = troubles::of_tls(&*setup.client_config()?, &payload)
    {
        let told = format!("{}: {}", waits.message, out.hinted(&waits.mend));
        out.field(waits.name, Paint::Warning, &told)?;
    }
    tailnet(&payload["tailscale"], out)?;
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

/// Where the gateway is in its tailnet, or why it is not.
pub fn tailnet(tailscale: &Value, out: &mut Out) -> Outcome {
    let shown = match (text(tailscale, "url"), text(tailscale, "name")) {
        ("", name) => name,
        (url, _) => url,
    };
    if !shown.is_empty() {
        let mode = text(tailscale, "mode");
        out.field("tailnet", Paint::Plain, &format!("{shown} ({mode})"))?;
    }
    match text(tailscale, "fault") {
        "" => Ok(()),
        fault => out
            .field("tailnet", Paint::Warning, fault)
            .map_err(Into::into),
    }
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
