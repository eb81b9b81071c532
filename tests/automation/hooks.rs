//! Webhooks, through the core.

use clawdia::driver::{Driver, Options, Steps, TOKEN};
use serde_json::{Value, json};

const HOOK: &str = "hook-secret-of-its-own";

fn driver(more: &str) -> Driver {
    Driver::new(Options {
        config: format!("{{hooks: {{enabled: true, token: '{HOOK}', {more}}}}}"),
        steps: Steps::Says(vec!["deployed".into()]),
        ..Options::default()
    })
}

fn ask(driver: &mut Driver, path: &str, fields: &str, body: &str) -> (u16, String) {
    let answer = driver.http(&format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn post(driver: &mut Driver, path: &str, fields: &str, body: &Value) -> (u16, Value) {
    let fields = bearer(HOOK) + fields;
    let (status, body) = ask(driver, path, &fields, &body.to_string());
    (status, serde_json::from_str(&body).unwrap_or_default())
}

fn queued(driver: &mut Driver) -> Value {
    let operator = driver.operator();
    driver.ok(operator, "status", json!({}))["queuedSystemEvents"].take()
}

#[test]
fn a_program_tells_the_main_session_something() {
    let mut driver = driver("");
    let body = json!({"text": "the build is done", "mode": "next-heartbeat"});
    let (status, answer) = post(&mut driver, "/hooks/wake", "", &body);
    assert_eq!(
        (status, answer),
        (200, json!({"ok": true, "mode": "next-heartbeat"}))
    );
    assert_eq!(queued(&mut driver), json!(["the build is done"]));
    let mut driver = driver.crash(0);
    assert_eq!(
        queued(&mut driver),
        json!(["the build is done"]),
        "what was answered survives"
    );
}

#[test]
fn a_program_has_the_agent_work_and_the_main_session_hears_of_it() {
    let mut driver = driver("");
    let body = json!({"message": "deploy it", "name": "CI", "wakeMode": "next-heartbeat"});
    let (status, answer) = post(&mut driver, "/hooks/agent", "", &body);
    assert_eq!(status, 202, "{answer}");
    let run_id = answer["runId"].as_str().unwrap();
    driver.settle();
    let run = driver.store.state().runs().get(run_id).cloned().unwrap();
    assert_eq!(run.state.as_str(), "ok");
    assert_eq!(queued(&mut driver), json!(["CI: deployed"]));
    assert!(
        driver.store.state().sessions().is_empty(),
        "its session went with it"
    );
    let body = json!({"message": "deploy it", "sessionKey": "ci", "wakeMode": "next-heartbeat"});
    assert_eq!(post(&mut driver, "/hooks/agent", "", &body).0, 202);
    assert!(
        driver
            .store
            .state()
            .sessions()
            .contains_key("agent:main:ci")
    );
}

#[test]
fn a_hook_that_is_sent_again_acts_once() {
    let mut driver = driver("");
    let body = json!({"message": "deploy it", "sessionKey": "ci", "wakeMode": "next-heartbeat"});
    let key = "Idempotency-Key: 7\r\n";
    let (_, first) = post(&mut driver, "/hooks/agent", key, &body);
    let (status, again) = post(&mut driver, "/hooks/agent", key, &body);
    assert_eq!((status, &again["repeated"]), (200, &json!(true)));
    assert_eq!(first["runId"], again["runId"]);
    let mut other = body.clone();
    other["message"] = json!("something else");
    assert_eq!(post(&mut driver, "/hooks/agent", key, &other).0, 400);
    assert_eq!(driver.store.state().runs().len(), 1);
}

#[test]
fn the_token_is_the_hooks_own_and_never_in_the_url() {
    let mut driver = driver("");
    let body = r#"{"text": "x"}"#;
    for (path, fields, expected) in [
        ("/hooks/wake", String::new(), 401),
        ("/hooks/wake", bearer(TOKEN), 401),
        ("/hooks/wake", bearer("wrong"), 401),
        (&format!("/hooks/wake?token={HOOK}"), String::new(), 401),
        ("/hooks/wake", format!("X-Clawdbot-Token: {HOOK}\r\n"), 200),
        (
            "/hooks/wake",
            bearer(HOOK) + "Origin: https://evil.example\r\n",
            403,
        ),
        ("/Hooks/wake", bearer(HOOK), 400),
        ("/hooks/elsewhere", bearer(HOOK), 404),
        ("/v1/models", bearer(HOOK), 401),
    ] {
        assert_eq!(
            ask(&mut driver, path, &fields, body).0,
            expected,
            "{path} {fields}"
        );
    }
    // Unread: the head alone is answered.
    let head = "Content-Length: 100000\r\n";
    let answer = driver.http(&format!(
        "POST /hooks/agent HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n{head}\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let mut same = Driver::new(Options {
        config: format!("{{hooks: {{enabled: true, token: '{TOKEN}'}}}}"),
        ..Options::default()
    });
    assert_eq!(ask(&mut same, "/hooks/wake", &bearer(TOKEN), body).0, 503);
}

#[test]
fn guesses_are_counted_apart_from_those_at_the_gateway() {
    let mut driver = driver("");
    let page = "Origin: http://127.0.0.1:18789\r\n";
    for _ in 0..10 {
        let fields = bearer("wrong") + page;
        assert_eq!(ask(&mut driver, "/hooks/wake", &fields, "{}").0, 401);
    }
    let locked = ask(&mut driver, "/hooks/wake", &(bearer(HOOK) + page), "{}");
    assert_eq!(locked.0, 429);
    assert_ne!(
        ask(&mut driver, "/v1/models", &(bearer(TOKEN) + page), "{}").0,
        429
    );
}

#[test]
fn what_is_wrong_is_said_and_bodies_are_bounded() {
    let mut driver = driver("path: '/in', maxBodyBytes: 1024");
    let long = json!({"message": "x".repeat(2_000)});
    for (path, body, expected) in [
        ("/in/agent", json!({}), 400),
        ("/in/agent", long, 413),
        ("/in/wake", json!({"text": " "}), 400),
        (
            "/in/agent",
            json!({"message": "m", "model": "no/model"}),
            400,
        ),
        ("/in/agent", json!({"message": "m", "channel": "no"}), 400),
        (
            "/in/agent",
            json!({"message": "m", "channel": "telegram", "to": "7"}),
            400,
        ),
        ("/in/agent", json!({"message": "m", "agentId": "no"}), 400),
        (
            "/in/agent",
            json!({"message": "m", "sessionKey": "agent:no:main"}),
            400,
        ),
        (
            "/in/agent",
            json!({"message": "m", "sessionKey": "../x"}),
            400,
        ),
        ("/in", json!({}), 404),
    ] {
        let (status, answer) = post(&mut driver, path, "", &body);
        assert_eq!(status, expected, "{path} {body}: {answer}");
    }
    // While they have another path this one is the gateway's.
    assert_eq!(
        post(&mut driver, "/hooks/wake", "", &json!({"text": "x"})).0,
        401
    );
    driver.store.failing = 1;
    assert_eq!(
        post(&mut driver, "/in/wake", "", &json!({"text": "x"})).0,
        503
    );
}

#[test]
fn nonsense_is_answered_with_what_would_be_right() {
    let mut driver = driver("");
    for (name, value, right) in [
        ("thinking", json!("hard"), "off, minimal, low, medium, high"),
        ("thinking", json!(7), "off, minimal"),
        ("timeoutSeconds", json!("soon"), "from 1 to 86400"),
        ("timeoutSeconds", json!(0), "from 1 to 86400"),
        ("timeoutSeconds", json!(-5), "from 1 to 86400"),
        ("timeoutSeconds", json!(86_401), "from 1 to 86400"),
    ] {
        let body = json!({"message": "deploy it", name: value});
        let (status, answer) = post(&mut driver, "/hooks/agent", "", &body);
        assert_eq!(status, 400, "{body}: {answer}");
        let told = answer["error"].as_str().unwrap();
        assert!(told.contains(name) && told.contains(right), "{told}");
    }
    let body = json!({"message": "deploy it", "thinking": "LOW", "timeoutSeconds": 30});
    assert_eq!(post(&mut driver, "/hooks/agent", "", &body).0, 202);
}

#[test]
fn a_wrong_token_is_answered_like_every_other_fault_of_a_hook() {
    let mut driver = driver("");
    let (status, body) = ask(&mut driver, "/hooks/wake", &bearer("wrong"), "{}");
    assert_eq!(status, 401);
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let expected = json!({"ok": false, "error": "unauthorized: wrong hooks token"});
    assert_eq!(answer, expected);
}
