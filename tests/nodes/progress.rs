//! What a command prints while it runs: to the caller who asked for it, in order, and to nobody else.

use super::*;

/// A node that tells it, or one that has not heard of it.
fn scene(caps: &[&str]) -> Scene {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(7);
    let mut params = node_params(&["system.run"]);
    params["caps"] = json!(caps);
    let node = driver.join(&device, params);
    Scene {
        driver,
        operator,
        node,
        device,
    }
}

impl Scene {
    /// Asks for it, or not; what the node was asked.
    fn begin(&mut self, key: &str, progress: bool) -> Value {
        let mut params = self.call("system.run", key);
        if progress {
            params["progress"] = true.into();
        }
        self.driver.request(self.operator, "node.invoke", params);
        self.asked()
    }

    /// The node sends a piece; what it is told.
    fn piece(&mut self, asked: &Value, seq: u64, chunk: &str) -> Value {
        let params = json!({"invokeId": asked["id"], "nodeId": asked["nodeId"], "seq": seq,
            "chunk": chunk});
        self.driver.ok(self.node, "node.invoke.progress", params)
    }

    fn heard(&mut self) -> Vec<String> {
        self.driver.settle();
        let events = self.driver.events(self.operator, "node.invoke.progress");
        let chunk = |event: Value| event["chunk"].as_str().unwrap().to_owned();
        events.into_iter().map(chunk).collect()
    }
}

#[test]
fn pieces_reach_their_caller_in_order_and_once() {
    let mut scene = scene(&["progress"]);
    let asked = scene.begin("k", true);
    assert_eq!(asked["progress"], true);
    let other = scene.driver.operator();
    let taken = json!({"ok": true});
    let ignored = json!({"ok": true, "ignored": true});
    assert_eq!(scene.piece(&asked, 1, "early"), ignored);
    assert_eq!(scene.piece(&asked, 0, "one "), taken);
    assert_eq!(scene.piece(&asked, 0, "again"), ignored);
    assert_eq!(scene.piece(&asked, 1, ""), taken, "a sign of life");
    assert_eq!(scene.piece(&asked, 2, "two"), taken);
    scene.driver.settle();
    let events = scene.driver.events(scene.operator, "node.invoke.progress");
    let expected = |seq: u64, chunk: &str| {
        json!({"idempotencyKey": "k", "nodeId": asked["nodeId"], "command": "system.run",
            "seq": seq, "chunk": chunk})
    };
    assert_eq!(events, [expected(0, "one "), expected(2, "two")]);
    assert!(
        scene
            .driver
            .events(other, "node.invoke.progress")
            .is_empty()
    );
    scene.answer(&asked, &json!({"exitCode": 0}));
    assert_eq!(scene.piece(&asked, 3, "late"), ignored);
    assert!(scene.heard().is_empty());
}

#[test]
fn only_who_asked_hears_it_and_only_a_node_that_can_is_told() {
    let mut plain = scene(&["progress"]);
    let asked = plain.begin("k", false);
    assert_eq!(asked.get("progress"), None);
    assert_eq!(plain.piece(&asked, 0, "x")["ignored"], true);
    assert!(plain.heard().is_empty());

    // A node that was not told may do it all the same, as those of version 4 do.
    let mut foreign = scene(&["system"]);
    let asked = foreign.begin("k", true);
    assert_eq!(asked.get("progress"), None);
    assert_eq!(foreign.piece(&asked, 0, "x"), json!({"ok": true}));
    assert_eq!(foreign.heard(), ["x"]);
}

#[test]
fn a_piece_of_another_node_or_too_long_a_one_is_not_passed_on() {
    let mut scene = scene(&["progress"]);
    let asked = scene.begin("k", true);
    let other = Device::new(8);
    let other_node = scene.driver.node(&other, &["system.run"]);
    let forged =
        |id: &str| json!({"invokeId": asked["id"], "nodeId": id, "seq": 0, "chunk": "forged"});
    let refused = scene
        .driver
        .err(other_node, "node.invoke.progress", forged(&scene.device.id));
    assert_eq!(message(&refused), "nodeId mismatch");
    let told = scene
        .driver
        .ok(other_node, "node.invoke.progress", forged(&other.id));
    assert_eq!(told["ignored"], true);
    let long = json!({"invokeId": asked["id"], "nodeId": asked["nodeId"], "seq": 0,
        "chunk": "x".repeat(16 * 1024 + 1)});
    let refused = scene.driver.err(scene.node, "node.invoke.progress", long);
    assert_eq!(message(&refused), "progress chunk too large");
    let operators = scene.driver.err(
        scene.operator,
        "node.invoke.progress",
        forged(&scene.device.id),
    );
    assert_eq!(operators["code"], "INVALID_REQUEST");
    assert!(scene.heard().is_empty());
}

#[test]
fn pieces_do_not_put_the_deadline_off() {
    let mut scene = scene(&["progress"]);
    let mut params = scene.call("system.run", "k");
    params["progress"] = true.into();
    params["timeoutMs"] = 1_000.into();
    let id = scene.driver.request(scene.operator, "node.invoke", params);
    let asked = scene.asked();
    scene.driver.advance(900);
    scene.piece(&asked, 0, "x");
    scene.driver.advance(200);
    let answer = scene.response(&id).expect("its time is over");
    assert_eq!(answer["error"]["details"]["nodeError"]["code"], "TIMEOUT");
    assert_eq!(scene.piece(&asked, 1, "y")["ignored"], true);
}
