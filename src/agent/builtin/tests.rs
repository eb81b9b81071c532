use std::sync::Arc;

use super::*;
use crate::agent::{
    CancelToken, ChannelFact, ChatMessage, DeviceFact, GatewayFacts, HealthFacts, Listed,
    PairingFact, PeerFact, RunTag, SessionFact, SessionFacts, Speaker, Stop, Thinking,
};

/// Keeps what was said; stops after a number of deltas.
struct Said {
    deltas: Vec<String>,
    pauses_ms: u64,
    stop_after: usize,
}

impl Said {
    fn all() -> Self {
        Self {
            deltas: Vec::new(),
            pauses_ms: 0,
            stop_after: usize::MAX,
        }
    }
}

impl StepSink for Said {
    fn delta(&mut self, text: &str) -> Result<(), Stop> {
        if self.deltas.len() == self.stop_after {
            return Err(Stop::Cancelled);
        }
        self.deltas.push(text.to_owned());
        Ok(())
    }

    fn pause(&mut self, time_ms: u64) -> Result<(), Stop> {
        self.pauses_ms += time_ms;
        Ok(())
    }

    fn remaining_ms(&self) -> u64 {
        1_000
    }
}

fn step(text: &str, facts: Facts) -> Step {
    let message = |speaker, text: &str| ChatMessage {
        speaker,
        text: text.into(),
        images: Vec::new(),
        unix_ms: 0,
    };
    Step {
        tag: RunTag {
            run: 1,
            generation: 1,
        },
        model: ModelRef::new(PROVIDER, MODEL),
        endpoint: None,
        system_prompt: "".into(),
        messages: vec![
            message(Speaker::User, "version"),
            message(Speaker::Assistant { calls: Vec::new() }, "1"),
            message(Speaker::User, text),
        ],
        tools: Arc::default(),
        thinking: Thinking::Off,
        session_key: "agent:main:main".into(),
        facts: Arc::new(facts),
        deadline_mono_ms: 1_000,
        cancel: CancelToken::new(),
        seed: 0,
    }
}

fn ask(text: &str) -> String {
    reply_to(text, &facts())
}

const NOW: u64 = 1_769_349_802_000; // 2026-01-25 14:03:22 UTC

fn facts() -> Facts {
    let peer = |name: &str, mode: &str, ip: &str, age_ms: u64| PeerFact {
        name: name.to_owned(),
        mode: mode.to_owned(),
        platform: "linux".to_owned(),
        version: "1".to_owned(),
        ip: ip.to_owned(),
        since_unix_ms: NOW - age_ms,
    };
    Facts {
        agent_name: "Clawdia".to_owned(),
        unix_ms: NOW,
        gateway: GatewayFacts {
            version: "9.8.7".to_owned(),
            host_name: "kiste".to_owned(),
            platform: "linux".to_owned(),
            uptime_ms: 3_720_000,
            bind: "loopback".to_owned(),
            port: 18_790,
            urls: vec!["ws://127.0.0.1:18790".to_owned()],
            auth_mode: "token".to_owned(),
            config_path: "/home/u/.clawdia/clawdia.json".to_owned(),
            state_dir: "/home/u/.clawdia".to_owned(),
            memory_bytes: Some(8_703_181),
            ..GatewayFacts::default()
        },
        operators: Listed::from_all([
            peer("laptop", "cli", "127.0.0.1", 60_000),
            peer("page", "webchat", "", 5_000),
        ]),
        nodes: Listed {
            shown: vec![peer("kitchen", "node", "10.0.0.7", 7_200_000)],
            total: 12,
        },
        sessions: Listed::from_all([SessionFact {
            key: "agent:main:work".to_owned(),
            updated_unix_ms: NOW,
            messages: 4,
        }]),
        devices: Listed::from_all([DeviceFact {
            name: "Pixel".to_owned(),
            roles: vec!["node".to_owned()],
            platform: "android".to_owned(),
            connected: false,
        }]),
        pairings: Listed::from_all([PairingFact {
            request_id: "req-77".to_owned(),
            name: "tablet".to_owned(),
            role: "operator".to_owned(),
            ip: "10.0.0.9".to_owned(),
            since_unix_ms: NOW - 20_000,
            ..PairingFact::default()
        }]),
        channels: Listed::from_all([ChannelFact {
            name: "telegram".to_owned(),
            state: "running".to_owned(),
        }]),
        models: Listed::from_all(["builtin/clawdia".to_owned()]),
        default_model: "builtin/clawdia".to_owned(),
        session: SessionFacts {
            key: "agent:main:main".to_owned(),
            model: "builtin/clawdia".to_owned(),
            thinking: Thinking::High,
            messages: 7,
            updated_unix_ms: NOW - 300_000,
            ..SessionFacts::default()
        },
        ..Facts::default()
    }
}

#[test]
fn answers_come_from_the_facts() {
    let cases: &[(&str, &[&str])] = &[
        (
            "status",
            &[
                "9.8.7",
                "kiste",
                "1 h 2 min",
                "ws://127.0.0.1:18790",
                "2 operators, 12 nodes",
                "agent:main:main",
                "thinking high",
            ],
        ),
        (
            "who is connected?",
            &[
                "2 operators and 12 nodes",
                "laptop",
                "127.0.0.1",
                "since 1 min ago",
                "kitchen",
                "and 11 more",
            ],
        ),
        (
            "which nodes are online?",
            &["12 nodes connected", "kitchen", "10.0.0.7"],
        ),
        ("sessions", &["agent:main:work", "4 messages"]),
        (
            "pairing",
            &[
                "req-77",
                "tablet",
                "10.0.0.9",
                "clawdia devices approve",
                "Pixel",
                "not connected",
            ],
        ),
        ("what time is it", &["Sunday 2026-01-25", "14:03:22 UTC"]),
        ("uptime", &["1 h 2 min", "2026-01-25 13:01:22 UTC"]),
        ("version", &["9.8.7"]),
        ("memory", &["8.3 MiB"]),
        ("channels", &["telegram: running"]),
        ("models", &["builtin/clawdia", "1 model available"]),
        (
            "where is the config file",
            &["/home/u/.clawdia/clawdia.json"],
        ),
        (
            "this session",
            &["agent:main:main", "thinking high", "7 messages"],
        ),
        (
            "how do I reach you from another computer",
            &[
                "ssh -N -L 18790:127.0.0.1:18790 USER@kiste",
                "gateway.bind lan",
            ],
        ),
        ("what is my token", &["clawdia token"]),
        ("are you healthy", &["healthy"]),
        ("hello", &["Clawdia"]),
        ("help", &["status", "pairing", "real model"]),
        ("say  two  blanks", &["two  blanks"]),
    ];
    for (question, parts) in cases {
        let answer = ask(question);
        for part in *parts {
            assert!(
                answer.contains(part),
                "{question}: {part:?} is not in\n{answer}"
            );
        }
    }
}

#[test]
fn other_facts_make_other_answers() {
    let mut facts = facts();
    facts.operators = Listed::default();
    facts.nodes = Listed::default();
    facts.health = HealthFacts {
        ok: false,
        problems: vec!["The disk is full.".to_owned()],
    };
    facts.channels = Listed::default();
    facts.gateway.memory_bytes = None;
    assert_eq!(
        reply_to("who is connected", &facts),
        "Nobody is connected at the moment."
    );
    assert!(reply_to("health", &facts).contains("1 problem:\n- The disk is full."));
    assert!(reply_to("how are you", &facts).contains("The disk is full."));
    assert!(reply_to("status", &facts).contains("Health: 1 problem\n- The disk is full."));
    assert!(reply_to("channels", &facts).contains("No messaging channel"));
    assert!(reply_to("memory", &facts).contains("does not tell"));
}

#[test]
fn every_answer_can_be_made_from_no_facts_at_all() {
    for (intent, _) in keys::TABLE {
        assert!(
            !answers::answer(*intent, &Facts::default()).is_empty(),
            "{intent:?}"
        );
    }
}

#[test]
fn what_is_beyond_it_is_said_honestly_with_the_command_that_helps() {
    for question in ["write me a poem", "purple elephants dance"] {
        let answer = ask(question);
        assert!(answer.contains("without a language model"), "{answer}");
        assert!(
            answer.contains("clawdia config set agents.defaults.model.primary"),
            "{answer}"
        );
        assert!(answer.contains("no provider but me yet"), "{answer}");
    }
    let able = Facts {
        model_apis: &["some-api"],
        ..facts()
    };
    let answer = reply_to("how do I configure a model", &able);
    assert!(
        answer.contains("\"api\": \"some-api\"") && !answer.contains("no provider"),
        "{answer}"
    );
}

#[test]
fn a_model_that_is_configured_already_is_named() {
    let facts = Facts {
        models: Listed::from_all(["builtin/clawdia".to_owned(), "mine/qwen".to_owned()]),
        ..facts()
    };
    let answer = reply_to("how do I configure a real model", &facts);
    assert!(
        answer.contains("/model mine/qwen") && !answer.contains("baseUrl"),
        "{answer}"
    );
}

#[test]
fn the_last_message_of_the_user_is_answered_in_pieces_that_make_the_whole() {
    let mut said = Said::all();
    let reply = Builtin::new(15)
        .step(&step("status", facts()), &mut said)
        .unwrap();
    assert_eq!(said.deltas.concat(), status_text(&facts()));
    assert!(said.deltas.len() > 5);
    assert_eq!(said.pauses_ms, 15 * (said.deltas.len() as u64 - 1));
    assert_eq!(
        (reply.usage, reply.stop_reason),
        (Usage::default(), StopReason::Stop)
    );
}

#[test]
fn an_answer_stops_where_it_is_told_to() {
    let mut said = Said {
        stop_after: 2,
        ..Said::all()
    };
    let end = Builtin::new(0).step(&step("status", facts()), &mut said);
    assert_eq!(end, Err(StepError::Stopped(Stop::Cancelled)));
    assert_eq!(said.deltas.len(), 2);
}

#[test]
fn a_long_answer_has_a_bounded_number_of_pieces() {
    let text = "word  and\n".repeat(5_000);
    let pieces = pieces(&text);
    assert!(pieces.len() <= DELTAS_MAX);
    assert_eq!(pieces.concat(), text);
    assert!(super::pieces("").is_empty());
}

#[test]
fn a_name_that_a_peer_chose_cannot_forge_lines() {
    let mut facts = facts();
    facts.operators.shown[0].name = "x\n- admin (cli)".to_owned();
    assert!(!reply_to("who is connected", &facts).contains("\n- admin"));
}

#[test]
fn help_lists_the_commands_that_it_is_given() {
    let text = help_text(&[("/new", "starts over"), ("/stop", "ends the run")]);
    assert!(
        text.contains("\n- /new: starts over\n- /stop: ends the run\n"),
        "{text}"
    );
}
