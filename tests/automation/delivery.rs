//! What jobs, hooks and heartbeats say, sent to channels.

use clawdia::driver::{Driver, Options, Steps, TOKEN};
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;
const HOOK: &str = "hook-secret-of-its-own";

/// A gateway with a channel, hooks and an agent with a model that says "all is well".
fn driver(heartbeat: &str) -> Driver {
    let config = format!(
        "{{channels: {{telegram: {{botToken: '1:a', allowFrom: ['7']}}}}, \
         hooks: {{enabled: true, token: '{HOOK}', mappings: [\
         {{match: {{path: 'ci'}}, sessionKey: 'hook:ci', \
         messageTemplate: '{{{{what}}}} failed', deliver: true}}, \
         {{match: {{path: 'note'}}, action: 'wake', textTemplate: 'note: {{{{text}}}}'}}]}}, \
         models: {{providers: {{x: {{baseUrl: 'http://127.0.0.1:9', models: [{{id: 'm'}}]}}}}}}, \
         agents: {{defaults: {{model: 'x/m', heartbeat: {{every: '30m', {heartbeat}}}}}}}}}"
    );
    Driver::new(Options {
        config,
        steps: Steps::Says(vec!["all is well".into()]),
        ..Options::default()
    })
}

fn post(driver: &mut Driver, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let answer = driver.http(&format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:18789\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn job(payload: Value) -> Value {
    json!({"name": "report", "schedule": {"everyMs": 10 * MINUTE_MS}, "payload": payload,
        "wakeMode": "next-heartbeat"})
}

#[test]
fn a_jobs_answer_goes_where_it_says_or_where_its_agent_was_written_from_last() {
    let mut driver = driver("target: 'none'");
    let operator = driver.operator();
    let named = json!({"kind": "agentTurn", "message": "m", "deliver": true,
        "channel": "telegram", "to": "99"});
    driver.ok(operator, "cron.add", job(named));
    let last = json!({"kind": "agentTurn", "message": "m", "deliver": true});
    driver.ok(operator, "cron.add", job(last));
    let somebody = json!({"kind": "agentTurn", "message": "m", "deliver": true, "to": "98"});
    driver.ok(operator, "cron.add", job(somebody));
    let silent = json!({"kind": "agentTurn", "message": "m"});
    driver.ok(operator, "cron.add", job(silent));
    driver.advance(10 * MINUTE_MS);
    assert_eq!(driver.service.sent_to("99"), ["all is well"]);
    assert_eq!(driver.service.sent_to("98"), ["all is well"]);
    assert!(driver.service.sent_to("7").is_empty(), "nobody wrote yet");
    driver.service.write("7", "hello");
    driver.settle();
    assert_eq!(driver.service.sent_to("7").len(), 1);
    driver.advance(10 * MINUTE_MS);
    assert_eq!(driver.service.sent_to("7").len(), 2);
    assert_eq!(driver.service.sent_to("99").len(), 2);
}

#[test]
fn a_hooks_answer_is_delivered_and_a_mapped_one_too() {
    let mut driver = driver("target: 'none'");
    let body = json!({"message": "m", "channel": "telegram", "to": "99"});
    let (status, _) = post(&mut driver, "/hooks/agent", HOOK, &body);
    assert_eq!(status, 202);
    assert_eq!(driver.service.sent_to("99"), ["all is well"]);
    driver.service.write("7", "hello");
    driver.settle();
    let (status, answer) = post(&mut driver, "/hooks/ci", HOOK, &json!({"what": "build 7"}));
    assert_eq!(status, 202, "{answer}");
    assert_eq!(driver.service.sent_to("7").len(), 2);
    let (status, _) = post(&mut driver, "/hooks/note", HOOK, &json!({"text": "tea"}));
    assert_eq!(status, 200);
    let (status, answer) = post(&mut driver, "/hooks/else", HOOK, &json!({}));
    assert_eq!(status, 404, "{answer}");
    // Theirs is the hooks' token, not the gateway's.
    let (status, _) = post(&mut driver, "/hooks/ci", TOKEN, &json!({"what": "x"}));
    assert_eq!(status, 401);
    let asked = driver.store.all_messages();
    let asked: Vec<&str> = asked.map(|row| &*row.message.body).collect();
    assert!(asked.iter().any(|body| body.contains("build 7 failed")));
}

#[test]
fn a_heartbeat_goes_to_its_target() {
    for (heartbeat, to, sent) in [
        ("target: 'none'", "7", 0),
        ("target: 'last'", "7", 1),
        ("target: 'telegram', to: '99'", "99", 1),
        ("target: 'telegram'", "7", 1),
        ("target: 'pigeon', to: '7'", "7", 0),
    ] {
        let mut driver = driver(heartbeat);
        driver.service.write("7", "hello");
        driver.settle();
        let before = driver.service.sent_to(to).len();
        driver.advance(30 * MINUTE_MS);
        let told = driver.service.sent_to(to).len() - before;
        assert_eq!(told, sent, "{heartbeat}");
        let operator = driver.operator();
        let main = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
        assert_eq!(main["messages"].as_array().unwrap().len(), 3, "{heartbeat}");
    }
}
