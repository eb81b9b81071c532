//! `node.pair.*`: the older store of node pairings.

use super::*;
use clawdia::limits::{PAIRING_TTL_MS, PAIRINGS_PENDING_MAX};

fn ask(driver: &mut Driver, conn: ConnId, node: &str, commands: &[&str]) -> Value {
    let params = json!({"nodeId": node, "platform": "ios", "commands": commands});
    driver.ok(conn, "node.pair.request", params)
}

#[test]
fn a_request_is_approved_once_and_its_token_verified() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let asked = ask(&mut driver, operator, "phone", &["camera.snap"]);
    assert_eq!(
        (&asked["status"], &asked["created"]),
        (&json!("pending"), &json!(true))
    );
    let requested = driver.events(operator, "node.pair.requested");
    assert_eq!(requested, [asked["request"].clone()]);
    let again = ask(&mut driver, operator, "phone", &["camera.snap"]);
    assert_eq!(
        (&again["created"], &again["request"]),
        (&json!(false), &asked["request"])
    );
    let id = json!({"requestId": asked["request"]["requestId"]});
    let approved = driver.ok(operator, "node.pair.approve", id.clone());
    let token = approved["node"]["token"].as_str().unwrap().to_owned();
    let resolved = driver.events(operator, "node.pair.resolved");
    assert_eq!(resolved[0]["decision"], "approved");
    let mut driver = driver.crash(0);
    let operator = driver.operator();
    let list = driver.ok(operator, "node.pair.list", json!({}));
    assert_eq!(list["pending"], json!([]));
    assert_eq!(list["paired"][0]["nodeId"], "phone");
    assert!(list["paired"][0].get("token").is_none(), "{list}");
    for (shown, good) in [(token.as_str(), true), ("x", false)] {
        let params = json!({"nodeId": "phone", "token": shown});
        let verified = driver.ok(operator, "node.pair.verify", params);
        assert_eq!(verified["ok"], good);
        assert_eq!(verified.get("node").is_some(), good);
    }
    let refused = driver.err(operator, "node.pair.approve", id);
    assert_eq!(message(&refused), "unknown requestId");
}

#[test]
fn another_content_is_another_request_and_nobody_approves_more_than_he_holds() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let mut params = clawdia::driver::operator_params();
    params["scopes"] = json!(["operator.pairing"]);
    let conn = driver.open(&Address::default());
    let hello = driver.connect(conn, params, None);
    assert_eq!(hello["ok"], true, "{hello}");
    let seen = ask(&mut driver, operator, "box", &["system.notify"]);
    let other = ask(&mut driver, operator, "box", &["system.run"]);
    assert_eq!(other["created"], true);
    let id = |asked: &Value| json!({"requestId": asked["request"]["requestId"]});
    let refused = driver.err(operator, "node.pair.approve", id(&seen));
    assert_eq!(message(&refused), "unknown requestId");
    let refused = driver.err(conn, "node.pair.approve", id(&other));
    assert_eq!(message(&refused), "missing scope: operator.admin");
    let rejected = driver.ok(conn, "node.pair.reject", id(&other));
    assert_eq!(rejected["nodeId"], "box");
    let list = driver.ok(operator, "node.pair.list", json!({}));
    assert_eq!(list, json!({"pending": [], "paired": []}));
}

#[test]
fn requests_are_bounded_and_expire() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    for n in 0..PAIRINGS_PENDING_MAX {
        ask(&mut driver, operator, &format!("n{n}"), &[]);
    }
    let params = json!({"nodeId": "more"});
    let refused = driver.err(operator, "node.pair.request", params.clone());
    assert_eq!(refused["code"], "UNAVAILABLE");
    driver.advance(PAIRING_TTL_MS);
    driver.ok(operator, "node.pair.request", params);
    let list = driver.ok(operator, "node.pair.list", json!({}));
    assert_eq!(list["pending"].as_array().unwrap().len(), 1);
}
