//! Documents of every kind, and what they mean.

use super::*;
use crate::config::table::{Kind, ROWS};
use crate::config::types::*;
use serde_json::json;

fn load(text: &str) -> Result<Loaded, Vec<Fault>> {
    let env = |name: &str| (name == "SECRET").then(|| "from-env".to_owned());
    Document::new("c.json", text.to_owned()).load(&env)
}

fn faults(text: &str) -> Vec<String> {
    load(text)
        .unwrap_err()
        .iter()
        .map(Fault::to_string)
        .collect()
}

#[test]
fn an_absent_file_means_all_defaults() {
    let loaded = Document::absent("c.json").load(&|_| None).unwrap();
    assert_eq!(*loaded.config, Config::default());
    assert_eq!(Document::absent("c.json").hash().len(), 64);
}

#[test]
fn a_damaged_file_is_never_taken_for_an_empty_one() {
    for text in [
        "",
        " \n",
        "{",
        "{\"gateway\":{\"mode\":\"loc",
        "\0\0\0\0",
        "[]",
        "null",
    ] {
        assert!(load(text).is_err(), "{text:?}");
    }
}

#[test]
fn all_faults_are_reported_at_once_each_with_its_place() {
    let text = "{\n  gateway: { port: 0, bnid: 'lan', auth: { mode: 'tokn', token: 'undefined' },\n    trustedProxies: ['0.0.0.0/0'], token: 'x' },\n  agents: { list: 7 }\n}";
    assert_eq!(
        faults(text),
        [
            "gateway.port (line 2, column 20): is 0; use a whole number from 1 to 65535",
            "gateway.bnid (line 2, column 23): is not a known key; did you mean gateway.bind?",
            "gateway.auth.mode (line 2, column 50): is \"tokn\"; use one of \"token\", \"password\"",
            "gateway.auth.token (line 2, column 65): is the word \"undefined\", which a script left behind; write the secret, or remove the line",
            "gateway.trustedProxies[0] (line 3, column 22): is \"0.0.0.0/0\", which covers every address, so anybody could claim to be anyone; name the proxies' own addresses",
            "gateway.token (line 3, column 36): is not a known key; did you mean gateway.auth.token?",
            "agents.list (line 4, column 19): is a number; use a list: [ … ]",
        ]
    );
}

#[test]
fn unknown_keys_outside_the_gateway_are_kept_and_reported_once() {
    let loaded = load(
        "{bogus: {x: 1, y: 2}, agents: {defaults: {modle: 'x'}}, tools: {dney: 1, exec: {}}, hooks: {presets: ['gmail']}}",
    )
    .unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(Fault::to_string).collect();
    assert_eq!(
        warnings,
        [
            "bogus (line 1, column 2): is not a known key; it is kept and not used",
            "agents.defaults.modle (line 1, column 43): is not a known key; it is kept and not used; did you mean agents.defaults.model?",
            "tools.dney (line 1, column 65): is not a known key; it is kept and not used; did you mean tools.deny?",
            "hooks.presets (line 1, column 102): names mappings that this gateway does not bring; write what you need of them into hooks.mappings",
        ]
    );
    assert_eq!(loaded.unserved, ["tools.exec"]);
    assert_eq!(loaded.values["bogus"], json!({"x": 1, "y": 2}));
}

#[test]
fn a_node_command_that_is_nearly_a_known_one_is_remarked_on() {
    let text = "{gateway: {nodes: {denyCommands: ['system.rnu', 'camera.*', 'canvas.show', 'my.own'], allowCommands: ['sms.sent']}}}";
    let warnings = load(text).unwrap().warnings;
    let warnings: Vec<String> = warnings.iter().map(Fault::message).collect();
    assert_eq!(
        warnings,
        [
            "names sms.sent, which is no known command; did you mean sms.send?",
            "names system.rnu, which is no known command; did you mean system.run?",
        ]
    );
}

#[test]
fn what_is_whole_beside_faults_can_be_had() {
    let document = Document::new(
        "c.json",
        "{gateway: {port: 5000, bind: 'x', tokn: 1}, agents: {list: 3}, odd: 1}".to_owned(),
    );
    let config = document.without_faults(&|_| None).unwrap();
    assert_eq!(config.gateway.port, Some(5000));
    assert_eq!(config.gateway.bind, BindMode::Loopback);
    let warnings = document.warnings(&|_| None);
    assert!(warnings.iter().any(|it| it.path == "odd"), "{warnings:?}");
    let damaged = Document::new("c.json", "{ gateway: ".to_owned());
    assert!(damaged.without_faults(&|_| None).is_none());
}

/// Typing errors in each section that takes the keys of other programs too.
#[test]
fn a_typing_error_is_told_wherever_it_stands() {
    for (text, path, better) in [
        ("{tools: {alow: ['x']}}", "tools.alow", "tools.allow"),
        (
            "{agents: {list: [{id: 'a', tools: {profil: 'x'}}]}}",
            "agents.list[0].tools.profil",
            "agents.list[0].tools.profile",
        ),
        ("{hooks: {tokn: 'x'}}", "hooks.tokn", "hooks.token"),
        (
            "{hooks: {mappings: [{sesionKey: 'x'}]}}",
            "hooks.mappings[0].sesionKey",
            "hooks.mappings[0].sessionKey",
        ),
        ("{mcp: {server: {}}}", "mcp.server", "mcp.servers"),
        (
            "{mcp: {servers: {x: {comand: 'y', url: 'http://h'}}}}",
            "mcp.servers.x.comand",
            "mcp.servers.x.command",
        ),
        (
            "{channels: {telegrm: {}}}",
            "channels.telegrm",
            "channels.telegram",
        ),
        (
            "{channels: {telegram: {dmPolcy: 'open'}}}",
            "channels.telegram.dmPolcy",
            "channels.telegram.dmPolicy",
        ),
        (
            "{channels: {telegram: {accounts: {a: {botTokn: 'x'}}}}}",
            "channels.telegram.accounts.a.botTokn",
            "channels.telegram.accounts.a.botToken",
        ),
        (
            "{channels: {telegram: {groups: {'*': {requireMentions: true}}}}}",
            "channels.telegram.groups[\"*\"].requireMentions",
            "channels.telegram.groups[\"*\"].requireMention",
        ),
        ("{cron: {enable: true}}", "cron.enable", "cron.enabled"),
        (
            "{session: {mainkey: 'x'}}",
            "session.mainkey",
            "session.mainKey",
        ),
        (
            "{messages: {queue: {mod: 'x'}}}",
            "messages.queue.mod",
            "messages.queue.mode",
        ),
        (
            "{models: {provders: {}}}",
            "models.provders",
            "models.providers",
        ),
        (
            "{browser: {controlURL: 'x'}}",
            "browser.controlURL",
            "browser.controlUrl",
        ),
        ("{logging: {levl: 'x'}}", "logging.levl", "logging.level"),
    ] {
        let loaded = load(text).expect(text);
        assert_eq!(loaded.unserved, [""; 0], "{text}");
        let [warning] = &loaded.warnings[..] else {
            panic!("{text}: {:?}", loaded.warnings)
        };
        assert_eq!(warning.path, path);
        assert!(
            warning
                .instead
                .ends_with(&format!("did you mean {better}?")),
            "{warning}"
        );
    }
}

#[test]
fn references_are_resolved_on_use_and_missing_ones_are_named() {
    let loaded = load(
        "{gateway: {auth: {token: '${SECRET}'}}, channels: {telegram: {botToken: 'x${SECRET}'}}}",
    )
    .unwrap();
    assert_eq!(
        loaded.config.gateway.auth.token,
        Some(crate::config::Secret::new("from-env"))
    );
    assert_eq!(
        loaded.config.channels.get("telegram").unwrap()["botToken"],
        "xfrom-env"
    );
    assert_eq!(
        faults("{gateway: {auth: {token: '${NOT_SET}'}}}"),
        [
            "gateway.auth.token (line 1, column 26): needs the environment variable NOT_SET, which is not set; set NOT_SET or write the value here"
        ]
    );
    assert!(load("{env: {vars: {NOT_SET: 'x'}}, gateway: {auth: {token: '${NOT_SET}'}}}").is_ok());
    assert!(load("{tools: {kept: '${NOT_SET}'}}").is_ok());
}

#[test]
fn a_client_does_without_the_variables_of_the_gateway_but_not_without_its_own() {
    let load = |text: &str| Document::new("c.json", text.to_owned()).load_for_client(&|_| None);
    let loaded = load(
        "{gateway: {port: 5, auth: {mode: 'password', password: '${P}'}}, models: {providers: {x: {apiKey: '${KEY}'}}}, agents: {defaults: {model: {fallbacks: ['${M}', 'a/b']}}}}",
    )
    .unwrap();
    assert_eq!(loaded.config.gateway.port, Some(5));
    assert_eq!(loaded.config.gateway.auth.password, None);
    assert!(!loaded.values.to_string().contains('$'));
    assert!(load("{gateway: {port: 0, auth: {token: '${T}'}}}").is_err());
    assert!(load("{gateway: {remote: {url: 'ws://h', token: '${T}'}}}").is_err());
    assert!(load("{gateway: {auth: {mode: 'password'}}}").is_err());
}

#[test]
fn what_does_not_fit_together_is_a_fault() {
    for (text, path) in [
        (
            "{gateway: {auth: {mode: 'password'}}}",
            "gateway.auth.password",
        ),
        (
            "{gateway: {auth: {mode: 'token', password: 'p'}}}",
            "gateway.auth.mode",
        ),
        ("{gateway: {bind: 'custom'}}", "gateway.customBindHost"),
        ("{gateway: {mode: 'remote'}}", "gateway.remote.url"),
        ("{gateway: {tls: {certPath: 'x'}}}", "gateway.tls"),
        (
            "{gateway: {tls: {enabled: true, autoGenerate: false}}}",
            "gateway.tls.certPath",
        ),
        (
            "{gateway: {bind: 'lan', tailscale: {mode: 'serve'}}}",
            "gateway.tailscale.mode",
        ),
        (
            "{gateway: {tailscale: {mode: 'funnel'}}}",
            "gateway.tailscale.mode",
        ),
        (
            "{gateway: {limits: {handshakesPerIp: 9, handshakes: 8}}}",
            "gateway.limits.handshakesPerIp",
        ),
        (
            "{agents: {list: [{id: 'A'}, {id: 'a'}]}}",
            "agents.list[1].id",
        ),
        ("{agents: {list: [{}]}}", "agents.list[0].id"),
        (
            "{agents: {list: [{id: 'a', default: true}, {id: 'b', default: true}]}}",
            "agents.list[1].default",
        ),
        ("{hooks: {enabled: true}}", "hooks.token"),
        (
            "{hooks: {enabled: true, token: 't', path: '/'}}",
            "hooks.path",
        ),
        (
            "{browser: {controlUrl: 'http://10.0.0.42:18791', controlToken: 'x'}}",
            "browser.controlUrl",
        ),
        (
            "{browser: {controlUrl: 'http://100.64.0.7:18791'}}",
            "browser.controlToken",
        ),
        ("{session: {mainKey: 'a:b'}}", "session.mainKey"),
        ("{$include: './other.json'}", "$include"),
    ] {
        let faults = load(text).expect_err(text);
        assert_eq!(faults[0].path, path, "{text}");
        assert!(!faults[0].instead.is_empty());
    }
}

#[test]
fn a_file_of_the_ecosystem_is_accepted_as_it_is() {
    let loaded = load(include_str!("fixtures/clawdbot.json5")).unwrap();
    assert_eq!(loaded.warnings, []);
    for path in [
        "tools.exec",
        "channels.whatsapp",
        "agents.defaults.compaction",
    ] {
        assert!(loaded.unserved.iter().any(|it| it == path), "{path}");
    }
    assert!(!loaded.unserved.iter().any(|it| it == "meta"));
    let config = &loaded.config;
    assert_eq!(config.gateway.mode, Some(GatewayMode::Local));
    assert_eq!(config.gateway.port, Some(18_789));
    assert_eq!(config.gateway.auth.effective_mode(), AuthMode::Token);
    assert_eq!(
        config.agents.model_of("main").unwrap().primary.as_deref(),
        Some("fake/fake-1")
    );
    assert_eq!(config.agents.default_id(), "work");
    assert_eq!(
        config.models.providers["fake"].models[0].context_window,
        Some(128_000)
    );
    assert_eq!(config.channels.enabled().collect::<Vec<_>>(), ["telegram"]);
}

/// Every row, alone in a document, passes table and types; so no document that the table
/// admits is refused by the types.
#[test]
fn table_and_types_agree_on_every_key() {
    for row in ROWS {
        for sample in samples(row.kind) {
            let mut document = sample.clone();
            for segment in row.path.split('.').rev() {
                let key = segment.trim_end_matches("[]");
                let key = if key == "*" { "any" } else { key };
                if segment.ends_with("[]") {
                    document = json!([document]);
                }
                document = json!({ key: document });
            }
            let text = document.to_string();
            let result = load(&text);
            let only_together = result.as_ref().err().is_some_and(|faults| {
                faults.iter().all(|f| {
                    !f.message().contains("expected") && !f.message().contains("invalid type")
                })
            });
            assert!(result.is_ok() || only_together, "{text}: {result:?}");
            let shape_faults = {
                let root = syntax::parse(&text).unwrap().root;
                validate(&text, &root, &|_| None, Unset::IsFault).faults
            };
            assert_eq!(shape_faults, [], "{text}");
        }
    }
}

fn samples(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Flag => vec![json!(true), json!(false)],
        Kind::Whole(least, most) => vec![json!(least), json!(most)],
        Kind::Number => vec![json!(0), json!(1.5)],
        Kind::Text | Kind::Secret => vec![json!("x")],
        Kind::Choice(words) => words.iter().map(|w| json!(w)).collect(),
        Kind::Url(schemes) => vec![json!(format!("{}://h", schemes[0]))],
        Kind::Ip | Kind::Cidr => vec![json!("10.0.0.1"), json!("::1")],
        Kind::Origin => vec![json!("https://h:1")],
        Kind::Duration => vec![json!("30m")],
        Kind::AgentId => vec![json!("a")],
        Kind::UrlPath => vec![json!("/x")],
        Kind::Fingerprint => vec![json!("ab".repeat(32))],
        Kind::Model => vec![
            json!("a/b"),
            json!({"primary": "a/b", "fallbacks": ["c/d"]}),
            json!({}),
        ],
        Kind::List(kind) => vec![json!([]), Value::Array(samples(*kind))],
        Kind::Map(kind) => vec![json!({}), json!({"k": samples(*kind)[0]})],
        Kind::Open | Kind::Kept | Kind::KeptAs(_) => vec![json!({"k": [1, "x"]}), json!("x")],
    }
}
