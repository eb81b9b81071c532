//! A repeated idempotency key of `node.invoke` never acts twice.

use super::*;
use clawdia::limits::INVOKE_KEY_TTL_MS;

#[test]
fn a_repeat_gets_the_stored_result_and_the_node_is_not_asked_again() {
    let mut scene = Scene::new(&["system.run"]);
    let (id, asked) = scene.ask("system.run", "k");
    scene.answer(&asked, &json!({"n": 1}));
    let first = scene.response(&id).unwrap()["payload"].take();
    let params = scene.call("system.run", "k");
    let again = scene
        .driver
        .ok(scene.operator, "node.invoke", params.clone());
    assert_eq!(again, first);
    // Also when the node is gone.
    scene.driver.hang_up(scene.node);
    let again = scene
        .driver
        .ok(scene.operator, "node.invoke", params.clone());
    assert_eq!(again, first);
    scene.driver.advance(INVOKE_KEY_TTL_MS + 60_000);
    let forgotten = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(message(&forgotten), "node not connected");
}

#[test]
fn a_repeat_in_flight_waits_for_the_same_result() {
    let mut scene = Scene::new(&["system.run"]);
    let (one, asked) = scene.ask("system.run", "k");
    let other = scene
        .driver
        .join(&Device::new(2), clawdia::driver::operator_params());
    let params = scene.call("system.run", "k");
    let two = scene.driver.request(other, "node.invoke", params);
    scene.driver.settle();
    assert!(
        scene
            .driver
            .events(scene.node, "node.invoke.request")
            .is_empty()
    );
    scene.answer(&asked, &json!("once"));
    assert_eq!(scene.response(&one).unwrap()["payload"]["payload"], "once");
    let answer = scene.driver.response(other, &two).unwrap();
    assert_eq!(answer["payload"]["payload"], "once");
}

#[test]
fn failures_are_repeated_as_they_were_but_not_what_never_was_sent() {
    let mut scene = Scene::new(&["system.run"]);
    let (id, _) = scene.ask("system.run", "k");
    scene.driver.hang_up(scene.node);
    let first = scene.response(&id).unwrap()["error"].take();
    let params = scene.call("system.run", "k");
    let again = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(again, first);
    let params = scene.call("system.run", "k2");
    scene.driver.err(scene.operator, "node.invoke", params);
    scene.node = scene.driver.node(&scene.device, &["system.run"]);
    scene.ask("system.run", "k2");
}

#[test]
fn a_key_belongs_to_one_call() {
    let mut scene = Scene::new(&["system.run", "system.which"]);
    scene.ask("system.run", "k");
    let mut other = scene.call("system.run", "k");
    other["params"] = json!({"command": ["ls"]});
    let mut longer = scene.call("system.run", "k");
    longer["timeoutMs"] = 5.into();
    for params in [scene.call("system.which", "k"), other] {
        let refused = scene.driver.err(scene.operator, "node.invoke", params);
        assert_eq!(refused["code"], "INVALID_REQUEST");
        assert!(message(&refused).contains("idempotencyKey was used for another call"));
    }
    scene.driver.request(scene.operator, "node.invoke", longer);
    scene.driver.settle();
    assert!(
        scene
            .driver
            .events(scene.node, "node.invoke.request")
            .is_empty()
    );
}
