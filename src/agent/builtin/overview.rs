//! The texts of `/status` and `/help`, which the core sends for itself.

use super::text::{ago, bytes, clean, count, span};
use crate::agent::Facts;

/// What the gateway and the asking session are at, one fact a line.
pub fn status_text(facts: &Facts) -> String {
    let gateway = &facts.gateway;
    let session = &facts.session;
    let mut lines = vec![
        format!(
            "Clawdia {} on {} ({}), up {}",
            gateway.version,
            clean(&gateway.host_name),
            gateway.platform,
            span(gateway.uptime_ms)
        ),
        format!("Health: {}", health_word(facts)),
    ];
    lines.extend(
        facts
            .health
            .problems
            .iter()
            .map(|problem| format!("- {}", clean(problem))),
    );
    lines.push(format!("Listening: {}", listening(facts)));
    lines.push(format!(
        "Connected: {}, {}",
        count(facts.operators.total, "operator"),
        count(facts.nodes.total, "node")
    ));
    if !facts.pairings.is_empty() {
        lines.push(format!(
            "Pairing: {} waiting (clawdia devices list)",
            count(facts.pairings.total, "request")
        ));
    }
    lines.push(format!(
        "Session: {} ({}, updated {}), {} in all",
        clean(&session.key),
        count(
            usize::try_from(session.messages).unwrap_or(usize::MAX),
            "message"
        ),
        ago(facts.unix_ms, session.updated_unix_ms),
        count(facts.sessions.total, "session"),
    ));
    lines.push(format!(
        "Model: {} (thinking {}, verbose {})",
        clean(&session.model),
        session.thinking.as_str(),
        session.verbosity.as_str()
    ));
    lines.push(format!(
        "Tokens: {} in, {} out",
        session.tokens_input, session.tokens_output
    ));
    lines.push(format!(
        "Runs: {} active, {} waiting",
        facts.runs.active, facts.runs.waiting
    ));
    if !facts.channels.is_empty() {
        let shown = facts.channels.shown.iter();
        let states: Vec<String> = shown
            .map(|channel| format!("{} {}", clean(&channel.name), clean(&channel.state)))
            .collect();
        lines.push(format!("Channels: {}", states.join(", ")));
    }
    if let Some(memory) = gateway.memory_bytes {
        lines.push(format!("Memory: {}", bytes(memory)));
    }
    lines.join("\n")
}

/// The slash commands and what else can be asked. `commands` are `(usage, meaning)`, as the
/// core understands them.
pub fn help_text(commands: &[(&str, &str)]) -> String {
    let mut text = "Commands:".to_owned();
    for (usage, meaning) in commands {
        text.push_str(&format!("\n- {usage}: {meaning}"));
    }
    text.push_str("\nWhat does not begin with such a command goes to the session's model.");
    text
}

/// `ok`, or how many problems there are.
pub(super) fn health_word(facts: &Facts) -> String {
    if facts.health.ok && facts.health.problems.is_empty() {
        "ok".to_owned()
    } else {
        count(facts.health.problems.len().max(1), "problem")
    }
}

/// The addresses, and who may come in by them.
pub(super) fn listening(facts: &Facts) -> String {
    let gateway = &facts.gateway;
    let urls = if gateway.urls.is_empty() {
        format!("port {}", gateway.port)
    } else {
        gateway.urls.join(", ")
    };
    let tls = if gateway.tls { "TLS on" } else { "TLS off" };
    format!(
        "{urls} (bind {}, auth {}, {tls})",
        gateway.bind, gateway.auth_mode
    )
}
