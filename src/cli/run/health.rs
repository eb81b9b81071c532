//! `clawdia health`

use std::time::Instant;

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::span;
use super::{age, list, text};

/// Connects, asks, prints.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let started = Instant::now();
    let mut session = setup.connect()?;
    let health = session.call("health", &json!({}))?;
    let took_ms = started.elapsed().as_millis() as u64;
    let ok = health["ok"] == true;
    if out.wants_json() {
        out.json(&health)?;
    } else {
        let (mark, word, paint) = match ok {
            true => ("●", "healthy", Paint::Good),
            false => ("●", "not healthy", Paint::Bad),
        };
        let line = format!(
            "{} {}  {}",
            out.paint(paint, mark),
            out.paint(paint, word),
            out.paint(Paint::Dim, &format!("{} ms", took_ms))
        );
        out.line(&line)?;
        print(&health, &session, out)?;
    }
    session.client.close();
    if ok {
        Ok(())
    } else {
        Err(Failure::failed("the gateway says that it is not healthy"))
    }
}

/// What a health payload says, as fields.
pub fn print(health: &Value, session: &Session, out: &mut Out) -> Outcome {
    let hello = session.client.hello();
    let gateway = format!("{}  version {}", session.to.url, hello.server_version);
    out.field("gateway", Paint::Plain, &gateway)?;
    if let Some(ms) = hello.payload["snapshot"]["uptimeMs"].as_u64() {
        out.field("up", Paint::Plain, &span(ms))?;
    }
    let agents: Vec<String> = list(health, "agents").iter().map(agent).collect();
    out.field("agents", Paint::Plain, &agents.join(", "))?;
    out.field("sessions", Paint::Plain, &sessions(health))?;
    let channels = channels(health);
    let paint = match channels.iter().any(|(_, works)| !works) {
        true => Paint::Warning,
        false => Paint::Plain,
    };
    let shown = match channels.is_empty() {
        true => "none configured".to_owned(),
        false => channels
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
            .join(", "),
    };
    out.field("channels", paint, &shown)?;
    Ok(())
}

fn agent(agent: &Value) -> String {
    let name = text(agent, "agentId");
    let default = if agent["isDefault"] == true {
        " (default)"
    } else {
        ""
    };
    match text(&agent["heartbeat"], "every") {
        every if agent["heartbeat"]["enabled"] == true && !every.is_empty() => {
            format!("{name}{default}, heartbeat every {every}")
        }
        _ => format!("{name}{default}"),
    }
}

fn sessions(health: &Value) -> String {
    let sessions = &health["sessions"];
    let number = sessions["count"].as_u64().unwrap_or(0);
    match list(sessions, "recent").first() {
        Some(last) => format!(
            "{number}, last {} ({})",
            text(last, "key"),
            age(last, "updatedAt", health["ts"].as_u64().unwrap_or(0))
        ),
        None => number.to_string(),
    }
}

/// Each channel that is configured, and whether its last probe was good.
fn channels(health: &Value) -> Vec<(String, bool)> {
    let Some(channels) = health["channels"].as_object() else {
        return Vec::new();
    };
    channels
        .iter()
        .filter(|(_, channel)| channel["configured"] != false)
        .map(|(name, channel)| match channel["probe"]["ok"].as_bool() {
            Some(false) => {
                let error = text(&channel["probe"], "error");
                (format!("{name} failed ({error})"), false)
            }
            Some(true) => (format!("{name} ok"), true),
            None => (name.clone(), true),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_channel_is_named_with_its_error() {
        let health = json!({"channels":{
            "telegram":{"configured":true,"probe":{"ok":false,"error":"401"}},
            "signal":{"configured":false},
            "slack":{"configured":true}}});
        let expected = [
            ("telegram failed (401)".to_owned(), false),
            ("slack".to_owned(), true),
        ];
        assert_eq!(channels(&health), expected);
    }

    #[test]
    fn the_last_session_is_named_with_its_age() {
        let health =
            json!({"ts":61_000,"sessions":{"count":2,"recent":[{"key":"k","updatedAt":1_000}]}});
        assert_eq!(sessions(&health), "2, last k (1 min ago)");
        assert_eq!(sessions(&json!({})), "0");
    }
}
