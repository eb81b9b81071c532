//! One call: sent, answered once, by whoever comes first of result, deadline and loss.

use super::*;
use clawdia::limits::{INVOKE_TIMEOUT_MS, INVOKE_TIMEOUT_MS_MAX, NODE_CALLS_MAX};

#[test]
fn a_call_goes_to_its_node_and_its_result_comes_back() {
    let mut scene = Scene::new(&["system.which"]);
    let mut params = scene.call("system.which", "k");
    params["params"] = json!({"bins": ["bash", "a\"b"]});
    params["timeoutMs"] = 15_000.into();
    let id = scene.driver.request(scene.operator, "node.invoke", params);
    let asked = scene.asked();
    assert_eq!(asked["nodeId"], scene.device.id.as_str());
    assert_eq!(asked["command"], "system.which");
    assert_eq!(asked["timeoutMs"], 15_000);
    assert_eq!(asked["idempotencyKey"], "k");
    let told: Value = serde_json::from_str(asked["paramsJSON"].as_str().unwrap()).unwrap();
    assert_eq!(told, json!({"bins": ["bash", "a\"b"]}));
    let payload = json!({"bins": {"bash": "/usr/bin/bash"}});
    assert_eq!(scene.answer(&asked, &payload), json!({"ok": true}));
    let response = scene.response(&id).unwrap();
    let expected = json!({"ok": true, "nodeId": scene.device.id, "command": "system.which",
        "payload": payload, "payloadJSON": payload.to_string()});
    assert_eq!(response["payload"], expected);
    assert_eq!(
        scene.answer(&asked, &payload),
        json!({"ok": true, "ignored": true})
    );
    assert!(scene.response(&id).is_none(), "once");
}

#[test]
fn payloads_come_in_every_form_that_nodes_send() {
    for (form, payload, text) in [
        (json!({"payload": {"a": 1}}), Some(json!({"a": 1})), None),
        (json!({}), None, None),
        (json!({"payloadJSON": null, "error": null}), None, None),
        (
            json!({"payloadJSON": {"a": 1}}),
            Some(json!({"a": 1})),
            None,
        ),
        (json!({"payloadJSON": "5"}), Some(json!(5)), Some("5")),
        (
            json!({"payloadJSON": "{no"}),
            Some(json!({"payloadJSON": "{no"})),
            Some("{no"),
        ),
        (
            json!({"payloadJSON": "\"\\ud800\""}),
            Some(json!({"payloadJSON": "\"\\ud800\""})),
            Some("\"\\ud800\""),
        ),
    ] {
        let mut scene = Scene::new(&["system.which"]);
        let (id, asked) = scene.ask("system.which", "k");
        assert!(asked.get("paramsJSON").is_none());
        let mut params = json!({"id": asked["id"], "nodeId": asked["nodeId"], "ok": true});
        for (name, value) in form.as_object().unwrap() {
            params[name] = value.clone();
        }
        scene.driver.ok(scene.node, "node.invoke.result", params);
        let response = scene.response(&id).unwrap();
        assert_eq!(
            response["payload"].get("payload"),
            payload.as_ref(),
            "{form}"
        );
        let told = response["payload"]
            .get("payloadJSON")
            .and_then(Value::as_str);
        assert_eq!(told, text, "{form}");
    }
}

#[test]
fn a_nodes_error_is_told_in_its_words() {
    let mut scene = Scene::new(&["system.run"]);
    for (error, expected) in [
        (
            json!({"code": "UNAVAILABLE", "message": "SYSTEM_RUN_DENIED: approval required"}),
            json!({"code": "UNAVAILABLE", "message": "SYSTEM_RUN_DENIED: approval required"}),
        ),
        (
            Value::Null,
            json!({"code": "UNAVAILABLE", "message": "node invoke failed"}),
        ),
    ] {
        let (id, asked) = scene.ask("system.run", &error.to_string());
        let params =
            json!({"id": asked["id"], "nodeId": asked["nodeId"], "ok": false, "error": error});
        scene.driver.ok(scene.node, "node.invoke.result", params);
        let refused = scene.response(&id).unwrap()["error"].take();
        assert_eq!(refused["code"], "UNAVAILABLE");
        assert_eq!(refused["message"], expected["message"]);
        assert_eq!(refused["details"]["nodeError"], expected);
    }
}

#[test]
fn who_is_not_connected_is_not_asked() {
    let mut scene = Scene::new(&["system.run"]);
    scene.driver.hang_up(scene.node);
    let params = scene.call("system.run", "k");
    let refused = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(refused["code"], "UNAVAILABLE");
    assert_eq!(message(&refused), "node not connected");
    assert_eq!(refused["details"], json!({"code": "NOT_CONNECTED"}));
}

#[test]
fn both_sides_have_the_same_deadline_and_a_late_result_is_nobodys() {
    let mut scene = Scene::new(&["system.run"]);
    let (id, asked) = scene.ask("system.run", "k");
    assert_eq!(asked["timeoutMs"], INVOKE_TIMEOUT_MS);
    scene.driver.advance(INVOKE_TIMEOUT_MS - 1);
    assert!(scene.response(&id).is_none());
    scene.driver.advance(1);
    let refused = scene.response(&id).unwrap()["error"].take();
    assert_eq!(refused["details"]["nodeError"]["code"], "TIMEOUT");
    assert_eq!(message(&refused), "node invoke timed out");
    let told = scene.answer(&asked, &json!(1));
    assert_eq!(told, json!({"ok": true, "ignored": true}));
    assert!(scene.response(&id).is_none());
}

#[test]
fn strange_times_neither_fire_at_once_nor_last_for_ever() {
    for (text, expected) in [
        ("0", Some(INVOKE_TIMEOUT_MS)),
        ("1", Some(1)),
        ("3.0", Some(3)),
        ("9007199254740991", Some(INVOKE_TIMEOUT_MS_MAX)),
        ("9223372036854775808", Some(INVOKE_TIMEOUT_MS_MAX)),
        ("18446744073709551615", Some(INVOKE_TIMEOUT_MS_MAX)),
        ("-1", None),
        ("1.5", None),
        ("1e308", None),
        ("1e400", None),
        ("\"5\"", None),
    ] {
        let mut scene = Scene::new(&["system.run"]);
        let frame = format!(
            r#"{{"type":"req","id":"x","method":"node.invoke","params":{{"nodeId":"{}",
            "command":"system.run","idempotencyKey":"k","timeoutMs":{text}}}}}"#,
            scene.device.id
        );
        scene.driver.text(scene.operator, &frame);
        scene.driver.settle();
        let asked = scene.driver.events(scene.node, "node.invoke.request");
        match expected {
            Some(timeout_ms) => {
                assert_eq!(asked[0]["timeoutMs"], timeout_ms, "{text}");
                assert!(scene.response("x").is_none(), "{text}");
                scene.driver.advance(timeout_ms - 1);
                assert!(scene.response("x").is_none(), "{text}");
                scene.driver.advance(1);
                let response = scene.response("x").unwrap();
                assert_eq!(response["error"]["details"]["nodeError"]["code"], "TIMEOUT");
            }
            None => {
                assert_eq!(asked.len(), 0, "{text}");
                let refused = scene.driver.messages(scene.operator);
                let is_invalid = |frame: &Value| frame["error"]["code"] == "INVALID_REQUEST";
                assert!(refused.iter().any(is_invalid), "{text}: {refused:?}");
            }
        }
    }
}

#[test]
fn a_node_that_goes_ends_its_calls_at_once() {
    let mut scene = Scene::new(&["system.run"]);
    let (one, _) = scene.ask("system.run", "1");
    let (two, _) = scene.ask("system.run", "2");
    scene.driver.hang_up(scene.node);
    for id in [one, two] {
        let refused = scene.response(&id).unwrap()["error"].take();
        assert_eq!(refused["code"], "UNAVAILABLE");
        assert_eq!(message(&refused), "node disconnected (system.run)");
        assert_eq!(refused["details"]["nodeError"]["code"], "DISCONNECTED");
    }
}

#[test]
fn a_token_that_is_revoked_during_a_call_ends_it() {
    let mut scene = Scene::new(&["system.run"]);
    let (id, _) = scene.ask("system.run", "1");
    let params = json!({"deviceId": scene.device.id, "role": "node"});
    scene
        .driver
        .ok(scene.operator, "device.token.revoke", params);
    assert!(!scene.driver.is_open(scene.node));
    let refused = scene.response(&id).unwrap()["error"].take();
    assert_eq!(refused["details"]["nodeError"]["code"], "DISCONNECTED");
    assert_eq!(scene.row()["connected"], false);
}

#[test]
fn no_node_answers_for_another() {
    let mut scene = Scene::new(&["system.run"]);
    let thief = Device::new(8);
    let other = scene.driver.node(&thief, &["system.run"]);
    let (id, asked) = scene.ask("system.run", "k");
    let forged = result(&asked, &json!("forged"));
    let refused = scene
        .driver
        .err(other, "node.invoke.result", forged.clone());
    assert_eq!(refused["code"], "INVALID_REQUEST");
    assert_eq!(message(&refused), "nodeId mismatch");
    let mut own_name = forged;
    own_name["nodeId"] = thief.id.as_str().into();
    let told = scene.driver.ok(other, "node.invoke.result", own_name);
    assert_eq!(told, json!({"ok": true, "ignored": true}));
    assert!(scene.response(&id).is_none());
    scene.answer(&asked, &json!("real"));
    assert_eq!(scene.response(&id).unwrap()["payload"]["payload"], "real");
}

#[test]
fn a_caller_that_leaves_is_forgotten_and_nobody_gets_its_answer() {
    let mut scene = Scene::new(&["system.run"]);
    let (_, asked) = scene.ask("system.run", "k");
    scene.driver.hang_up(scene.operator);
    scene.operator = scene.driver.operator();
    assert_eq!(scene.answer(&asked, &json!(1)), json!({"ok": true}));
    let left = scene.driver.messages(scene.operator);
    assert!(
        left.iter().all(|frame| frame["type"] == "event"),
        "{left:?}"
    );
}

#[test]
fn a_node_has_a_bounded_number_of_calls() {
    let mut scene = Scene::new(&["system.run"]);
    let mut asked = 0;
    for caller in 2.. {
        let caller = scene
            .driver
            .join(&Device::new(caller), clawdia::driver::operator_params());
        for n in 0..60 {
            let params = scene.call("system.run", &format!("{caller} {n}"));
            let id = scene.driver.request(caller, "node.invoke", params);
            scene.driver.settle();
            if let Some(refused) = scene.driver.response(caller, &id) {
                assert_eq!(asked, NODE_CALLS_MAX);
                assert_eq!(refused["error"]["retryable"], true);
                return;
            }
            asked += 1;
        }
    }
}

#[test]
fn a_result_for_a_call_of_an_earlier_process_is_nobodys() {
    let mut scene = Scene::new(&["system.run"]);
    let (_, asked) = scene.ask("system.run", "k");
    scene.driver = scene.driver.crash(0);
    scene.operator = scene.driver.operator();
    scene.node = scene.driver.node(&scene.device, &["system.run"]);
    let (id, new) = scene.ask("system.run", "k2");
    assert_ne!(asked["id"], new["id"]);
    let told = scene.answer(&asked, &json!("late"));
    assert_eq!(told, json!({"ok": true, "ignored": true}));
    assert!(scene.response(&id).is_none());
}
