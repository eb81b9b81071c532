//! Nodes: what they see of others, and what they may call.

use super::*;
use clawdia::gateway::methods::{Access, METHODS};

fn hello(driver: &mut Driver) -> (ConnId, Value) {
    let conn = driver.open(&Address::default());
    let params = node_params(&["system.run"]);
    let answer = driver.connect(conn, params, Some((&Device::new(7), Proof::V2)));
    assert_eq!(answer["ok"], true, "{answer}");
    (conn, answer["payload"].clone())
}

#[test]
fn a_nodes_hello_shows_the_gateway_alone_and_then_the_wake_words() {
    let mut driver = Driver::default();
    let web = with(|p| p["client"]["mode"] = "webchat".into());
    let operator = driver.join(&Device::new(1), web);
    driver.ok(operator, "voicewake.set", json!({"triggers": ["computer"]}));
    let (node, hello) = hello(&mut driver);
    let presence = hello["snapshot"]["presence"].as_array().unwrap();
    assert_eq!(presence.len(), 1);
    assert_eq!(presence[0]["mode"], "gateway");
    assert_eq!(hello["auth"]["role"], "node");
    assert_eq!(hello["auth"]["scopes"], json!([]));
    let messages = driver.messages(node);
    let expected = json!({"type": "event", "event": "voicewake.changed",
        "payload": {"triggers": ["computer"]}});
    assert_eq!(messages, [expected], "without a number");
    // Operators see the node.
    let seen = driver.ok(operator, "system-presence", json!({}));
    assert!(
        seen.as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["mode"] == "node")
    );
}

#[test]
fn a_node_calls_nodes_methods_alone_and_an_operator_none_of_them() {
    for method in METHODS {
        let mut driver = Driver::default();
        let operator = driver.operator();
        let (node, _) = hello(&mut driver);
        match method.access {
            Access::Node => {
                let refused = driver.err(operator, method.name, json!({}));
                assert_eq!(
                    text(&refused),
                    "unauthorized role: operator",
                    "{}",
                    method.name
                );
            }
            Access::Operator(_) => {
                let refused = driver.err(node, method.name, json!({}));
                assert_eq!(text(&refused), "unauthorized role: node", "{}", method.name);
            }
            Access::First => {
                let refused = driver.err(node, method.name, node_params(&[]));
                let expected = "connect is only valid as the first request";
                assert_eq!(text(&refused), expected);
            }
        }
    }
    let mut driver = Driver::default();
    let (node, _) = hello(&mut driver);
    let refused = driver.err(node, "no.such.method", json!({}));
    assert_eq!(text(&refused), "unauthorized role: node");
    assert_eq!(
        driver.ok(node, "skills.bins", json!({})),
        json!({"bins": []})
    );
}

#[test]
fn a_node_that_asks_for_an_operators_scopes_gets_none() {
    let mut driver = Driver::default();
    let mut params = node_params(&[]);
    params["scopes"] = json!(["operator.admin"]);
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, params, Some((&Device::new(7), Proof::V2)));
    assert_eq!(answer["payload"]["auth"]["scopes"], json!([]));
    let refused = driver.err(conn, "status", json!({}));
    assert_eq!(text(&refused), "unauthorized role: node");
}

#[test]
fn a_node_hears_nothing_that_is_for_operators() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let (node, _) = hello(&mut driver);
    driver.messages(node);
    driver.ok(operator, "talk.mode", json!({"enabled": true}));
    driver.ok(operator, "system-event", json!({"text": "Node: somewhere"}));
    let conn = driver.open(&away());
    driver.connect(conn, operator_params(), Some((&Device::new(9), Proof::V2)));
    driver.ok(operator, "voicewake.set", json!({"triggers": ["hey"]}));
    driver.advance(61_000);
    let heard: Vec<Value> = driver.messages(node);
    let names: Vec<&str> = heard
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert_eq!(names, ["voicewake.changed", "tick", "tick"]);
    let numbers: Vec<u64> = heard
        .iter()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    assert_eq!(numbers, [1, 2, 3], "without a gap");
}
