//! `node.event`: what a node starts, hears, and is believed.

use super::*;
use clawdia::limits::{NODE_EXEC_GRACE_MS, NODE_SUBSCRIPTIONS_MAX};

fn tell(scene: &mut Scene, event: &str, payload: &Value) -> Value {
    let params = json!({"event": event, "payloadJSON": payload.to_string()});
    scene.driver.ok(scene.node, "node.event", params)
}

fn untold(scene: &mut Scene, event: &str, payload: &Value) -> String {
    let params = json!({"event": event, "payloadJSON": payload.to_string()});
    let refused = scene.driver.err(scene.node, "node.event", params);
    assert_eq!(refused["code"], "INVALID_REQUEST", "{refused}");
    message(&refused).to_owned()
}

/// The text of the last `chat` event that came, which must be final.
fn last_words(events: &[Value]) -> &str {
    let last = events.last().expect("a chat event");
    assert_eq!(last["state"], "final", "{last}");
    last["message"]["content"][0]["text"].as_str().unwrap()
}

#[test]
fn what_is_spoken_starts_a_run_and_its_events_reach_the_chat_and_the_node() {
    let mut scene = Scene::new(&[]);
    let other = scene.driver.node(&Device::new(8), &[]);
    tell(&mut scene, "chat.subscribe", &json!({"sessionKey": "main"}));
    let told = tell(
        &mut scene,
        "voice.transcript",
        &json!({"text": " echo hello "}),
    );
    assert_eq!(told, json!({"ok": true}));
    scene.driver.advance(1_000);
    for conn in [scene.operator, scene.node] {
        let chat = scene.driver.events(conn, "chat");
        assert_eq!(chat.last().unwrap()["sessionKey"], "agent:main:main");
        assert!(!last_words(&chat).is_empty());
    }
    assert!(
        scene.driver.events(other, "chat").is_empty(),
        "not subscribed"
    );
    let history = json!({"sessionKey": "main"});
    let history = scene.driver.ok(scene.operator, "chat.history", history);
    assert_eq!(history["messages"][0]["content"][0]["text"], "echo hello");
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_node_hears_only_the_sessions_that_it_subscribed_to_and_only_so_long() {
    let mut scene = Scene::new(&[]);
    tell(
        &mut scene,
        "chat.subscribe",
        &json!({"sessionKey": "agent:main:a"}),
    );
    let say = |scene: &mut Scene, key: &str| {
        let run = format!("{key} {}", scene.driver.now.mono_ms);
        let params = json!({"sessionKey": key, "message": "echo hi", "idempotencyKey": run});
        scene.driver.ok(scene.operator, "chat.send", params);
        scene.driver.advance(1_000);
        scene.driver.events(scene.node, "chat").len()
            + scene.driver.events(scene.node, "agent").len()
    };
    assert!(say(&mut scene, "agent:main:a") > 0);
    assert!(say(&mut scene, "a") > 0, "the same session by another name");
    assert_eq!(say(&mut scene, "agent:main:b"), 0);
    tell(&mut scene, "chat.unsubscribe", &json!({"sessionKey": "a"}));
    assert_eq!(say(&mut scene, "agent:main:a"), 0);
    tell(&mut scene, "chat.subscribe", &json!({"sessionKey": "a"}));
    scene.driver.hang_up(scene.node);
    scene.node = scene.driver.node(&scene.device, &[]);
    assert_eq!(
        say(&mut scene, "agent:main:a"),
        0,
        "a new connection subscribes anew"
    );
}

#[test]
fn subscriptions_are_bounded_and_checked() {
    let mut scene = Scene::new(&[]);
    for n in 0..NODE_SUBSCRIPTIONS_MAX {
        let session = json!({"sessionKey": format!("agent:main:s{n}")});
        tell(&mut scene, "chat.subscribe", &session);
    }
    let params = json!({"event": "chat.subscribe", "payload": {"sessionKey": "more"}});
    let refused = scene.driver.err(scene.node, "node.event", params);
    assert_eq!(refused["code"], "UNAVAILABLE");
    untold(&mut scene, "chat.subscribe", &json!({"sessionKey": "../x"}));
    untold(&mut scene, "chat.subscribe", &json!({"sessionKey": 5}));
    untold(&mut scene, "chat.subscribe", &Value::Null);
}

#[test]
fn a_request_runs_in_a_session_of_the_nodes_own_unless_it_names_one() {
    let mut scene = Scene::new(&[]);
    let own = format!("agent:main:node-{}", scene.device.id);
    for (payload, key) in [
        (json!({"message": "echo one"}), own.as_str()),
        (
            json!({"message": "echo two", "sessionKey": "main"}),
            "agent:main:main",
        ),
    ] {
        tell(&mut scene, "agent.request", &payload);
        scene.driver.advance(1_000);
        let chat = scene.driver.events(scene.operator, "chat");
        let state = scene.driver.store.state();
        assert!(state.sessions().contains_key(key), "{key}");
        assert!(!last_words(&chat).is_empty());
    }
    for payload in [
        json!({}),
        json!({"message": " "}),
        json!({"message": "x".repeat(20_001)}),
    ] {
        untold(&mut scene, "agent.request", &payload);
    }
    untold(
        &mut scene,
        "voice.transcript",
        &json!({"text": "é".repeat(20_001)}),
    );
}

#[test]
fn an_unknown_event_is_taken_and_means_nothing() {
    let mut scene = Scene::new(&[]);
    assert_eq!(tell(&mut scene, "no.such", &json!({})), json!({"ok": true}));
    let params = json!({"event": "voice.transcript", "payloadJSON": "{no"});
    let refused = scene.driver.err(scene.node, "node.event", params);
    assert!(message(&refused).contains("text must be a text"));
}

fn lines(scene: &mut Scene) -> Vec<String> {
    let status = scene.driver.ok(scene.operator, "status", json!({}));
    let lines = status["queuedSystemEvents"].as_array().unwrap();
    let text = |line: &Value| line.as_str().unwrap().to_owned();
    lines
        .iter()
        .map(text)
        .filter(|line| line.starts_with("Exec"))
        .collect()
}

#[test]
fn only_what_this_connection_was_asked_to_execute_is_believed() {
    let mut scene = Scene::new(&["system.run", "system.which"]);
    let event = json!({"sessionKey": "main", "runId": "r1", "command": "ls", "exitCode": 0,
        "output": "done"});
    let forged = untold(&mut scene, "exec.finished", &event);
    assert!(forged.contains("was not asked for such a run"), "{forged}");
    // Another command is no execution, and another node's is not this one's.
    scene.ask("system.which", "w");
    untold(&mut scene, "exec.finished", &event);
    let other = Device::new(8);
    let other_node = scene.driver.node(&other, &["system.run"]);
    let mut params = scene.call("system.run", "o");
    params["nodeId"] = other.id.as_str().into();
    scene.driver.request(scene.operator, "node.invoke", params);
    scene.driver.settle();
    untold(&mut scene, "exec.finished", &event);
    assert!(lines(&mut scene).is_empty());
    // A call that names its run is told of by that name alone.
    let mut params = scene.call("system.run", "k");
    params["params"] = json!({"command": ["ls"], "runId": "r1", "sessionKey": "main"});
    scene.driver.request(scene.operator, "node.invoke", params);
    let asked = scene.asked();
    for (name, value) in [("runId", "r2"), ("sessionKey", "other")] {
        let mut other = event.clone();
        other[name] = value.into();
        untold(&mut scene, "exec.started", &other);
    }
    tell(&mut scene, "exec.started", &event);
    scene.answer(&asked, &json!({}));
    tell(&mut scene, "exec.finished", &event);
    untold(&mut scene, "exec.finished", &event);
    let told = lines(&mut scene);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("Exec started (node="), "{told:?}");
    assert!(told[1].ends_with(" id=r1, code 0)\ndone"), "{told:?}");
    scene.driver.hang_up(other_node);
}

#[test]
fn an_older_connections_execution_is_not_the_newers() {
    let mut scene = Scene::new(&["system.run"]);
    scene.ask("system.run", "1");
    scene.node = scene.driver.node(&scene.device, &["system.run"]);
    untold(&mut scene, "exec.denied", &json!({"runId": "r"}));
    scene.ask("system.run", "2");
    scene.driver.advance(NODE_EXEC_GRACE_MS / 2);
    tell(
        &mut scene,
        "exec.denied",
        &json!({"runId": "r", "reason": "no"}),
    );
    assert!(lines(&mut scene)[0].starts_with("Exec denied"));
}
