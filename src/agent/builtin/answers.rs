//! The built-in agent's answers: an intent and the facts in, a text out.

use super::guide;
use super::intent::Intent;
use super::overview::{health_word, listening, status_text};
use super::text::{Moment, ago, bullets, bytes, clean, count, span};
use crate::agent::{Facts, Listed, PeerFact};

/// What is said to `intent`. Every figure and name comes from `facts`.
pub(super) fn answer(intent: Intent, facts: &Facts) -> String {
    match intent {
        Intent::Beyond => beyond(facts),
        Intent::Identity => identity(facts),
        Intent::HowAreYou => format!(
            "{} I have been up for {}.",
            health(facts),
            span(facts.gateway.uptime_ms)
        ),
        Intent::Help => format!("{}\n{}", guide::CAN_ANSWER, guide::SLASH_HINT),
        Intent::Status => status_text(facts),
        Intent::Health => health(facts),
        Intent::Connected => connected(facts),
        Intent::Nodes => nodes(facts),
        Intent::Devices => devices(facts),
        Intent::ThisSession => this_session(facts),
        Intent::Sessions => sessions(facts),
        Intent::Runs => runs(facts),
        Intent::Uptime => uptime(facts),
        Intent::Version => format!(
            "This is Clawdia {} on {}. Whether a newer one exists I cannot see from here.",
            facts.gateway.version, facts.gateway.platform
        ),
        Intent::Clock => clock(facts),
        Intent::Memory => memory(facts),
        Intent::Channels => channels(facts),
        Intent::Models => models(facts),
        Intent::ConfigureModel => guide::configure_model(facts),
        Intent::Remote => guide::remote(facts),
        Intent::Address => format!("I listen on {}. {}", listening(facts), guide::DASHBOARD),
        Intent::Auth => guide::auth(facts),
        Intent::Backup => guide::BACKUP.to_owned(),
        Intent::Control => guide::CONTROL.to_owned(),
        Intent::Config => guide::config(facts),
        Intent::Logs => guide::logs(facts),
        Intent::Thanks => "You are welcome.".to_owned(),
        Intent::Bye => "Goodbye. The gateway stays up.".to_owned(),
        Intent::Hello => format!(
            "Hello, I am {}, the agent of this gateway. Ask me for its status, who is connected, or \"help\".",
            clean(&facts.agent_name)
        ),
    }
}

/// To what no intent fits.
pub(super) fn unknown(facts: &Facts) -> String {
    format!("I did not understand that. {}", beyond(facts))
}

fn beyond(facts: &Facts) -> String {
    format!(
        "I am the built-in agent, without a language model: I can only answer questions about this gateway \
         (status, health, who is connected, sessions, devices, time; \"help\" lists them all). For everything \
         else a model has to be configured.\n\n{}",
        guide::configure_model(facts)
    )
}

fn identity(facts: &Facts) -> String {
    format!(
        "I am {}, the built-in agent of the Clawdia gateway on {}. I have no language model; I read what is asked \
         about this gateway and answer from its own state.",
        clean(&facts.agent_name),
        clean(&facts.gateway.host_name)
    )
}

fn health(facts: &Facts) -> String {
    if facts.health.ok && facts.health.problems.is_empty() {
        return "The gateway is healthy.".to_owned();
    }
    let problems: Vec<String> = facts
        .health
        .problems
        .iter()
        .map(|problem| format!("\n- {}", clean(problem)))
        .collect();
    format!(
        "The gateway has {}:{}",
        health_word(facts),
        problems.concat()
    )
}

fn connected(facts: &Facts) -> String {
    let total = facts.operators.total + facts.nodes.total;
    if total == 0 {
        return "Nobody is connected at the moment.".to_owned();
    }
    let mut text = format!(
        "Connected now: {} and {}.",
        count(facts.operators.total, "operator"),
        count(facts.nodes.total, "node")
    );
    text.push_str(&peers("Operators", &facts.operators, facts.unix_ms));
    text.push_str(&peers("Nodes", &facts.nodes, facts.unix_ms));
    text
}

fn peers(title: &str, list: &Listed<PeerFact>, now_unix_ms: u64) -> String {
    if list.is_empty() {
        return String::new();
    }
    format!(
        "\n{title}:{}",
        bullets(list, |peer| peer_line(peer, now_unix_ms))
    )
}

fn peer_line(peer: &PeerFact, now_unix_ms: u64) -> String {
    let mut details: Vec<String> = [&peer.mode, &peer.platform, &peer.version, &peer.ip]
        .into_iter()
        .filter(|detail| !detail.is_empty())
        .map(|detail| clean(detail))
        .collect();
    details.push(format!("since {}", ago(now_unix_ms, peer.since_unix_ms)));
    format!("{} ({})", clean(&peer.name), details.join(", "))
}

fn nodes(facts: &Facts) -> String {
    if facts.nodes.is_empty() {
        return "No node is connected at the moment.".to_owned();
    }
    format!(
        "{} connected:{}",
        count(facts.nodes.total, "node"),
        bullets(&facts.nodes, |node| peer_line(node, facts.unix_ms))
    )
}

fn devices(facts: &Facts) -> String {
    let mut text = if facts.pairings.is_empty() {
        "No pairing request is waiting.".to_owned()
    } else {
        let waiting = bullets(&facts.pairings, |request| {
            let mut details = vec![clean(&request.role)];
            details.extend(
                [&request.platform, &request.ip]
                    .into_iter()
                    .filter(|d| !d.is_empty())
                    .map(|d| clean(d)),
            );
            let since = ago(facts.unix_ms, request.since_unix_ms);
            format!(
                "{}: {} ({}, asked {since})",
                clean(&request.request_id),
                clean(&request.name),
                details.join(", ")
            )
        });
        format!(
            "{} waiting:{waiting}",
            count(facts.pairings.total, "pairing request")
        )
    };
    if facts.devices.is_empty() {
        text.push_str("\nNo device is paired.");
    } else {
        let paired = bullets(&facts.devices, |device| {
            let state = if device.connected {
                "connected"
            } else {
                "not connected"
            };
            let roles: Vec<String> = device.roles.iter().map(|role| clean(role)).collect();
            format!("{} ({}, {state})", clean(&device.name), roles.join(" and "))
        });
        text.push_str(&format!(
            "\n{} paired:{paired}",
            count(facts.devices.total, "device")
        ));
    }
    text.push_str("\n\n");
    text.push_str(guide::PAIRING);
    text
}

fn this_session(facts: &Facts) -> String {
    let session = &facts.session;
    format!(
        "This session is {}: {}, model {}, thinking {}, verbose {}, {} tokens in and {} out.\n\
         /think LEVEL, /verbose LEVEL and /model PROVIDER/MODEL change it.",
        clean(&session.key),
        count(
            usize::try_from(session.messages).unwrap_or(usize::MAX),
            "message"
        ),
        clean(&session.model),
        session.thinking.as_str(),
        session.verbosity.as_str(),
        session.tokens_input,
        session.tokens_output,
    )
}

fn sessions(facts: &Facts) -> String {
    if facts.sessions.is_empty() {
        return "There is no session yet.".to_owned();
    }
    let list = bullets(&facts.sessions, |session| {
        format!(
            "{}: {}, updated {}",
            clean(&session.key),
            count(
                usize::try_from(session.messages).unwrap_or(usize::MAX),
                "message"
            ),
            ago(facts.unix_ms, session.updated_unix_ms)
        )
    });
    format!("{}:{list}", count(facts.sessions.total, "session"))
}

fn runs(facts: &Facts) -> String {
    format!(
        "{} active (this answer is one), {} waiting. /stop ends the runs of this session.",
        count(facts.runs.active, "run"),
        facts.runs.waiting
    )
}

fn uptime(facts: &Facts) -> String {
    let started = Moment::new(
        facts.unix_ms.saturating_sub(facts.gateway.uptime_ms),
        &facts.zone,
    );
    format!(
        "Up for {}, since {} {}.",
        span(facts.gateway.uptime_ms),
        started.date,
        started.time
    )
}

fn clock(facts: &Facts) -> String {
    let now = Moment::new(facts.unix_ms, &facts.zone);
    format!("It is {} {}, {}.", now.weekday, now.date, now.time)
}

fn memory(facts: &Facts) -> String {
    match facts.gateway.memory_bytes {
        Some(memory) => format!("The gateway's process holds {} of memory.", bytes(memory)),
        None => "This system does not tell me how much memory the process holds.".to_owned(),
    }
}

fn channels(facts: &Facts) -> String {
    if facts.channels.is_empty() {
        return "No messaging channel is configured; clients reach me over the gateway's own port."
            .to_owned();
    }
    let list = bullets(&facts.channels, |channel| {
        format!("{}: {}", clean(&channel.name), clean(&channel.state))
    });
    format!("{}:{list}", count(facts.channels.total, "channel"))
}

fn models(facts: &Facts) -> String {
    let list = bullets(&facts.models, |model| clean(model));
    format!(
        "This session uses {}; new sessions get {}. {} available:{list}",
        clean(&facts.session.model),
        clean(&facts.default_model),
        count(facts.models.total, "model")
    )
}
