use super::super::testing::{refusal, start};
use crate::driver::{Driver, Options};
use crate::limits::{SESSION_KEY_BYTES_MAX, SESSION_SETTING_BYTES_MAX, SESSIONS_MAX};
use crate::state::{Record, Session};
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "agent:main:x";

/// Patches [`KEY`] and gives the entry.
fn entry(driver: &mut Driver, operator: crate::ids::ConnId, mut patch: Value) -> Value {
    patch["key"] = KEY.into();
    let mut answer = driver.ok(operator, "sessions.patch", patch);
    assert_eq!(answer["key"], KEY);
    answer["entry"].take()
}

#[test]
fn settings_are_stored_in_one_form_and_null_takes_them_back() {
    let (mut driver, operator) = start();
    for (name, value, stored) in [
        ("label", json!("  Mine "), json!("Mine")),
        ("thinkingLevel", json!("HIGH"), json!("high")),
        ("thinkingLevel", json!("on"), json!("low")),
        ("thinkingLevel", json!("off"), Value::Null),
        ("verboseLevel", json!("full"), json!("full")),
        ("verboseLevel", json!("off"), json!("off")),
        ("reasoningLevel", json!("stream"), json!("stream")),
        ("reasoningLevel", json!("off"), Value::Null),
        ("responseUsage", json!("on"), json!("tokens")),
        ("responseUsage", json!("off"), Value::Null),
        ("elevatedLevel", json!("ask"), json!("ask")),
        ("execHost", json!("node"), json!("node")),
        ("execSecurity", json!("allowlist"), json!("allowlist")),
        ("execAsk", json!("on-miss"), json!("on-miss")),
        ("execNode", json!(" laptop "), json!("laptop")),
        ("sendPolicy", json!("deny"), json!("deny")),
        ("groupActivation", json!("always"), json!("always")),
    ] {
        let shown = entry(&mut driver, operator, json!({name: value}));
        assert_eq!(shown[name], stored, "{name}: {value}");
        let shown = entry(&mut driver, operator, json!({name: null}));
        assert!(shown.get(name).is_none(), "{shown}");
    }
    let list = driver.ok(operator, "sessions.list", json!({}));
    assert_eq!(list["count"], 1);
}

#[test]
fn bad_values_are_refused_in_the_words_that_clients_know() {
    let (mut driver, operator) = start();
    let long = "x".repeat(SESSION_SETTING_BYTES_MAX + 1);
    for (name, value, text) in [
        ("label", "  ", "invalid label: empty"),
        (
            "label",
            "a\u{1b}[2J",
            "invalid label: control characters or ..",
        ),
        (
            "label",
            "gpj\u{202e}exe",
            "invalid label: control characters or ..",
        ),
        (
            "thinkingLevel",
            "bogus",
            "invalid thinkingLevel (use off|minimal|low|medium|high)",
        ),
        (
            "thinkingLevel",
            "xhigh",
            "thinkingLevel \"xhigh\" is only supported for openai/gpt-5.2, \
             openai-codex/gpt-5.2-codex or openai-codex/gpt-5.1-codex",
        ),
        (
            "verboseLevel",
            "x",
            "invalid verboseLevel (use \"on\"|\"off\")",
        ),
        (
            "reasoningLevel",
            "x",
            "invalid reasoningLevel (use \"on\"|\"off\"|\"stream\")",
        ),
        (
            "elevatedLevel",
            "x",
            "invalid elevatedLevel (use \"on\"|\"off\"|\"ask\"|\"full\")",
        ),
        (
            "execHost",
            "x",
            "invalid execHost (use \"sandbox\"|\"gateway\"|\"node\")",
        ),
        (
            "execSecurity",
            "x",
            "invalid execSecurity (use \"deny\"|\"allowlist\"|\"full\")",
        ),
        (
            "execAsk",
            "x",
            "invalid execAsk (use \"off\"|\"on-miss\"|\"always\")",
        ),
        ("execNode", " ", "invalid execNode: empty"),
        (
            "execNode",
            "../x",
            "invalid execNode: control characters or ..",
        ),
        ("model", " ", "invalid model: empty"),
        ("model", &long, "invalid model: too long"),
        ("model", "builtin/", "invalid model: use provider/model"),
        ("model", "no/such", "invalid model: no provider \"no\""),
        (
            "spawnedBy",
            "main",
            "spawnedBy is only supported for subagent:* sessions",
        ),
        (
            "sendPolicy",
            "x",
            "invalid sessions.patch params: at /sendPolicy: must be equal to constant; \
             at /sendPolicy: must be null; at /sendPolicy: must match a schema in anyOf",
        ),
        (
            "foo",
            "x",
            "invalid sessions.patch params: at root: unexpected property 'foo'",
        ),
    ] {
        let params = json!({"key": KEY, name: value});
        let told = refusal(&mut driver, operator, "sessions.patch", params);
        assert_eq!(told, text, "{name}: {value}");
    }
    let list = driver.ok(operator, "sessions.list", json!({}));
    assert_eq!(list["count"], 0, "a refused patch makes no session");
}

#[test]
fn keys_have_a_whitelist_and_a_length() {
    let (mut driver, operator) = start();
    let long = "x".repeat(SESSION_KEY_BYTES_MAX + 1);
    for key in [
        " ",
        "../x",
        "a..b",
        "a/b",
        "a\\b",
        "a\u{0}b",
        "a b",
        "%2e%2e",
        "agent:",
        "agent:main",
        "agent:main:",
        "agent:../:x",
        "agent::x",
        "a\u{202e}b",
        "<script>",
        &long,
    ] {
        for method in ["sessions.patch", "sessions.reset", "sessions.delete"] {
            let told = refusal(&mut driver, operator, method, json!({"key": key}));
            assert!(told.starts_with("invalid session key: "), "{key}: {told}");
        }
    }
    for (key, canonical) in [
        ("main", "agent:main:main"),
        (" main ", "agent:main:main"),
        ("x", "agent:main:x"),
        ("agent:Main:x", "agent:main:x"),
        (
            "telegram:group:-100:topic:5",
            "agent:main:telegram:group:-100:topic:5",
        ),
        (
            "agent:main:whatsapp:+15551234@g.us",
            "agent:main:whatsapp:+15551234@g.us",
        ),
    ] {
        let answer = driver.ok(operator, "sessions.patch", json!({"key": key}));
        assert_eq!(answer["key"], canonical);
    }
}

#[test]
fn a_label_is_one_sessions_alone_even_while_it_is_being_stored() {
    let (mut driver, operator) = start();
    entry(&mut driver, operator, json!({"label": "Mine"}));
    let other = json!({"key": "other", "label": "Mine"});
    let told = refusal(&mut driver, operator, "sessions.patch", other.clone());
    assert_eq!(told, "label already in use: Mine");
    entry(&mut driver, operator, json!({"label": "Mine"}));
    entry(&mut driver, operator, json!({"label": null}));
    driver.ok(operator, "sessions.patch", other);

    driver.store.held = true;
    let requests = ["a", "b"].map(|key| {
        let params = json!({"key": key, "label": "New"});
        driver.request(operator, "sessions.patch", params)
    });
    driver.settle();
    driver.store.held = false;
    driver.settle();
    let answers = requests.map(|id| driver.response(operator, &id).unwrap()["ok"].clone());
    assert_eq!(answers, [true, false]);
}

#[test]
fn a_model_of_its_own_is_stored_unless_it_is_the_agents() {
    let mut driver = Driver::new(Options {
        config: "{models: {providers: {fake: {baseUrl: 'http://127.0.0.1:1', \
                 api: 'openai-completions', models: [{id: 'f1', contextWindow: 5000}]}}}}"
            .into(),
        ..Options::default()
    });
    let operator = driver.operator();
    let shown = entry(&mut driver, operator, json!({"model": "fake/f1"}));
    assert_eq!(shown["providerOverride"], "fake");
    assert_eq!(shown["modelOverride"], "f1");
    let list = driver.ok(operator, "sessions.list", json!({}));
    assert_eq!(list["sessions"][0]["model"], "f1");
    assert_eq!(list["sessions"][0]["contextTokens"], 5000);
    for same in [json!("builtin/clawdia"), json!("clawdia"), Value::Null] {
        entry(&mut driver, operator, json!({"model": "fake/unknown"}));
        let shown = entry(&mut driver, operator, json!({"model": same}));
        assert!(shown.get("modelOverride").is_none(), "{shown}");
    }
}

#[test]
fn off_is_kept_where_thinking_is_on_by_default() {
    let mut driver = Driver::new(Options {
        config: "{agents: {defaults: {thinkingDefault: 'high'}}}".into(),
        ..Options::default()
    });
    let operator = driver.operator();
    let shown = entry(&mut driver, operator, json!({"thinkingLevel": "off"}));
    assert_eq!(shown["thinkingLevel"], "off");
    let history = driver.ok(operator, "chat.history", json!({"sessionKey": KEY}));
    assert_eq!(history["thinkingLevel"], "off");
    let other = driver.ok(operator, "chat.history", json!({"sessionKey": "other"}));
    assert_eq!(other["thinkingLevel"], "high");
}

#[test]
fn who_spawned_a_session_is_said_once() {
    let (mut driver, operator) = start();
    let key = "agent:main:subagent:1";
    let params = json!({"key": key, "spawnedBy": "main"});
    let answer = driver.ok(operator, "sessions.patch", params.clone());
    assert_eq!(answer["entry"]["spawnedBy"], "agent:main:main");
    driver.ok(operator, "sessions.patch", params);
    for (value, text) in [
        (json!("other"), "spawnedBy cannot be changed once set"),
        (Value::Null, "spawnedBy cannot be cleared once set"),
    ] {
        let params = json!({"key": key, "spawnedBy": value});
        let told = refusal(&mut driver, operator, "sessions.patch", params);
        assert_eq!(told, text);
    }
}

#[test]
fn what_cannot_be_stored_changes_nothing() {
    let (mut driver, operator) = start();
    driver.store.failing = 1;
    let params = json!({"key": KEY, "label": "Mine"});
    let error = driver.err(operator, "sessions.patch", params);
    assert_eq!(error["code"], "UNAVAILABLE");
    let list = driver.ok(operator, "sessions.list", json!({}));
    assert_eq!(list["count"], 0);
}

#[test]
fn there_is_an_end_to_new_sessions_and_old_ones_can_still_be_changed() {
    let (mut driver, _) = start();
    let rows = (0..SESSIONS_MAX).map(|n| {
        Record::SessionPut(Arc::new(Session {
            key: format!("agent:main:{n}").into(),
            session_id: n.to_string().into(),
            agent_id: "main".into(),
            ..Session::default()
        }))
    });
    driver.store.write(&rows.collect::<Vec<_>>());
    let mut driver = driver.crash(0);
    let operator = driver.operator();
    for method in ["sessions.patch", "sessions.reset"] {
        let error = driver.err(operator, method, json!({"key": "new"}));
        assert_eq!(error["code"], "UNAVAILABLE");
        driver.ok(operator, method, json!({"key": "7"}));
    }
    driver.ok(operator, "sessions.delete", json!({"key": "7"}));
    driver.ok(operator, "sessions.patch", json!({"key": "new"}));
}
