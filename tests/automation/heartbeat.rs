//! Heartbeats and what wakes an agent.

use clawdia::driver::{Driver, Options, Steps};
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;

/// An agent with a model that says these words; `more` is of its heartbeat.
fn driver(says: &str, more: &str) -> Driver {
    Driver::new(Options {
        config: format!(
            "{{models: {{providers: {{x: {{baseUrl: 'http://127.0.0.1:9', models: [{{id: 'm'}}]}}}}}}, \
             agents: {{defaults: {{model: 'x/m', heartbeat: {{every: '30m', {more}}}}}}}}}"
        ),
        steps: Steps::Says(vec![says.to_owned()]),
        ..Options::default()
    })
}

fn history(driver: &mut Driver, key: &str) -> Vec<Value> {
    let operator = driver.operator();
    let history = driver.ok(operator, "chat.history", json!({"sessionKey": key}));
    history["messages"].as_array().unwrap().clone()
}

#[test]
fn nothing_to_do_is_not_shown() {
    let mut driver = driver("**HEARTBEAT_OK**", "");
    let operator = driver.operator();
    driver.advance(30 * MINUTE_MS);
    let beats = driver.events(operator, "heartbeat");
    assert_eq!(beats.len(), 1);
    assert_eq!(beats[0]["status"], "ok-token");
    assert!(history(&mut driver, "main").is_empty());
    let last = driver.ok(operator, "last-heartbeat", json!({}));
    assert_eq!(last["status"], "ok-token");
}

#[test]
fn something_to_say_comes_into_the_main_session_and_not_twice() {
    let mut driver = driver("the disk is nearly full", "prompt: 'look around'");
    let operator = driver.operator();
    driver.advance(30 * MINUTE_MS);
    assert_eq!(driver.events(operator, "heartbeat")[0]["status"], "sent");
    let said = history(&mut driver, "main");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["content"][0]["text"], "the disk is nearly full");
    driver.advance(30 * MINUTE_MS);
    let again = driver.events(operator, "heartbeat");
    assert_eq!(
        (&again[0]["status"], &again[0]["reason"]),
        (&json!("skipped"), &json!("duplicate"))
    );
    assert_eq!(history(&mut driver, "main").len(), 1);
    // Each run begins with an empty transcript of its own.
    let own = history(&mut driver, "agent:main:heartbeat");
    assert_eq!(own.len(), 2);
    assert_eq!(own[0]["content"][0]["text"], "look around");
}

#[test]
fn they_are_switched_off_and_on_over_restarts() {
    let mut driver = driver("HEARTBEAT_OK", "");
    let operator = driver.operator();
    driver.ok(operator, "set-heartbeats", json!({"enabled": false}));
    let mut driver = driver.restart();
    let operator = driver.operator();
    driver.advance(61 * MINUTE_MS);
    assert!(driver.events(operator, "heartbeat").is_empty());
    driver.ok(operator, "set-heartbeats", json!({"enabled": true}));
    driver.advance(31 * MINUTE_MS);
    assert_eq!(driver.events(operator, "heartbeat").len(), 1);
}

#[test]
fn an_agent_sleeps_at_night_and_still_wakes() {
    // The made-up clock starts at 11:06 UTC.
    let hours = "activeHours: {start: '12:00', end: '12:30', timezone: 'UTC'}";
    let mut driver = driver("HEARTBEAT_OK", hours);
    let operator = driver.operator();
    driver.advance(30 * MINUTE_MS);
    assert!(driver.events(operator, "heartbeat").is_empty());
    driver.ok(operator, "wake", json!({"mode": "now", "text": "look!"}));
    driver.settle();
    assert_eq!(driver.events(operator, "heartbeat").len(), 1);
    driver.advance(30 * MINUTE_MS);
    assert_eq!(driver.events(operator, "heartbeat").len(), 1);
    driver.advance(30 * MINUTE_MS);
    assert!(driver.events(operator, "heartbeat").is_empty());
}

#[test]
fn the_built_in_agent_looks_after_nothing_and_repeats_what_it_is_told() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    driver.advance(61 * MINUTE_MS);
    assert!(driver.events(operator, "heartbeat").is_empty());
    driver.ok(
        operator,
        "wake",
        json!({"mode": "next-heartbeat", "text": "one"}),
    );
    driver.ok(
        operator,
        "wake",
        json!({"mode": "now", "text": "the build is done"}),
    );
    driver.settle();
    let said = history(&mut driver, "main");
    assert_eq!(said[0]["content"][0]["text"], "one\nthe build is done");
    let status = driver.ok(operator, "status", json!({}));
    assert_eq!(status["queuedSystemEvents"], json!([]));
}

#[test]
fn a_job_that_wakes_is_heard_at_once() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let job = json!({"name": "tea", "schedule": {"kind": "every", "everyMs": MINUTE_MS},
        "wakeMode": "now", "payload": {"kind": "systemEvent", "text": "the tea is ready"}});
    driver.ok(operator, "cron.add", job);
    driver.advance(MINUTE_MS);
    let said = history(&mut driver, "main");
    assert_eq!(said[0]["content"][0]["text"], "the tea is ready");
}

#[test]
fn one_is_under_way_at_a_time_and_whoever_woke_it_meanwhile_is_heard_once() {
    let mut driver = driver("", "");
    driver.steps_by = Steps::Held;
    let operator = driver.operator();
    driver.advance(30 * MINUTE_MS);
    let step = driver.steps.pop_front().expect("a heartbeat");
    for text in ["one", "two"] {
        driver.ok(operator, "wake", json!({"mode": "now", "text": text}));
    }
    driver.settle();
    assert!(driver.steps.is_empty());
    driver.steps_by = Steps::Says(vec!["HEARTBEAT_OK".into()]);
    driver.steps.push_front(step);
    driver.settle();
    assert_eq!(driver.events(operator, "heartbeat").len(), 2);
}

#[test]
fn a_heartbeat_that_fails_is_told() {
    let mut driver = driver("", "");
    driver.steps_by = Steps::Fails("no such model".into());
    let operator = driver.operator();
    driver.advance(30 * MINUTE_MS);
    let beat = driver.events(operator, "heartbeat").remove(0);
    assert_eq!(
        (&beat["status"], &beat["reason"]),
        (&json!("failed"), &json!("no such model"))
    );
    assert!(history(&mut driver, "main").is_empty());
}
