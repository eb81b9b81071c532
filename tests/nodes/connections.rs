//! A node is one connection: a newer one takes its place, and what an older one says or does
//! afterwards changes nothing.

use super::*;

#[test]
fn a_newer_connection_takes_the_place_of_the_older() {
    let mut scene = Scene::new(&["system.run"]);
    let old = scene.node;
    let (id, asked) = scene.ask("system.run", "1");
    scene.node = scene.driver.node(&scene.device, &["system.run"]);
    assert!(!scene.driver.is_open(old));
    let (code, reason) = scene.driver.remote(old).closed.clone().unwrap();
    assert_eq!(
        (code, &*reason),
        (1008, "replaced by a newer connection of this node")
    );
    let refused = scene.response(&id).unwrap()["error"].take();
    assert_eq!(refused["details"]["nodeError"]["code"], "DISCONNECTED");
    // A result that was on its way over the older connection is not taken from the newer one.
    let told = scene.answer(&asked, &json!(1));
    assert_eq!(told, json!({"ok": true, "ignored": true}));
    let (id, asked) = scene.ask("system.run", "2");
    scene.answer(&asked, &json!("new"));
    assert_eq!(scene.response(&id).unwrap()["payload"]["payload"], "new");
}

#[test]
fn a_late_close_of_the_older_one_leaves_the_newer_in_its_place() {
    let mut scene = Scene::new(&["system.run"]);
    let old = scene.node;
    scene.node = scene.driver.node(&scene.device, &["system.run"]);
    // The socket of the older one is only found dead now.
    scene.driver.hang_up(old);
    scene.driver.advance(2_000);
    assert_eq!(scene.row()["connected"], true);
    let (id, asked) = scene.ask("system.run", "1");
    scene.answer(&asked, &json!(1));
    assert!(scene.response(&id).is_some());
    let seen = scene
        .driver
        .ok(scene.operator, "system-presence", json!({}));
    let node = seen
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["mode"] == "node");
    assert_eq!(node.unwrap()["reason"], "connect");
}

#[test]
fn whatever_the_order_of_closes_the_last_one_to_connect_is_the_node() {
    for seed in 0..40 {
        let mut random = clawdia::driver::Seeded(seed);
        let mut scene = Scene::new(&["system.run"]);
        let mut older = vec![scene.node];
        for _ in 0..8 {
            match random.below(3) {
                0 => {
                    let at = random.below(older.len() as u64) as usize;
                    scene.driver.hang_up(older[at]);
                }
                _ => older.push(scene.driver.node(&scene.device, &["system.run"])),
            }
            let newest = *older.last().unwrap();
            let is_there = scene.driver.is_open(newest);
            assert_eq!(scene.row()["connected"], is_there, "seed {seed}");
        }
    }
}

#[test]
fn list_routing_and_presence_agree() {
    let mut scene = Scene::new(&["system.run"]);
    for (key, connected) in [("1", true), ("2", false), ("3", true)] {
        let row = scene.row();
        assert_eq!(row["connected"], connected);
        assert_eq!(row.get("connectedAtMs").is_some(), connected);
        let params = json!({"nodeId": scene.device.id});
        let shown = scene.driver.ok(scene.operator, "node.describe", params);
        assert_eq!(shown["connected"], connected);
        let seen = scene
            .driver
            .ok(scene.operator, "system-presence", json!({}));
        let node = seen
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["mode"] == "node");
        let reason = if connected { "connect" } else { "disconnect" };
        assert_eq!(node.unwrap()["reason"], reason);
        let call = scene.call("system.run", key);
        let id = scene.driver.request(scene.operator, "node.invoke", call);
        scene.driver.settle();
        assert_eq!(
            scene.driver.response(scene.operator, &id).is_none(),
            connected
        );
        match connected {
            true => scene.driver.hang_up(scene.node),
            false => scene.node = scene.driver.node(&scene.device, &["system.run"]),
        }
        scene.driver.messages(scene.operator);
    }
}

#[test]
fn when_a_node_went_is_told_at_once_and_survives() {
    let hour_ms = clawdia::limits::NODE_SEEN_INTERVAL_MS;
    let mut scene = Scene::new(&["system.run"]);
    scene.driver.advance(hour_ms / 2);
    let went_at = scene.driver.now.unix_ms;
    scene.driver.hang_up(scene.node);
    assert_eq!(scene.row()["lastConnectedAtMs"], went_at);
    // Nobody waits for that being stored: it is done with the next that is forgotten.
    scene.driver.store.held = true;
    scene.driver.advance(10);
    assert_eq!(scene.driver.store.waiting_len(), 0);
    scene.driver.advance(60_000);
    assert_eq!(scene.driver.store.waiting_len(), 1);
    scene.driver.store.held = false;
    scene.driver.settle();
    let mut driver = scene.driver.crash(0);
    let operator = driver.operator();
    let list = driver.ok(operator, "node.list", json!({}));
    assert_eq!(list["nodes"][0]["lastConnectedAtMs"], went_at);

    // One that stays is noted once an hour, and when the process ends.
    driver.node(&scene.device, &["system.run"]);
    driver.advance(hour_ms * 2);
    let mut driver = driver.crash(0);
    let seen = |driver: &mut Driver| {
        let operator = driver.operator();
        let list = driver.ok(operator, "node.list", json!({}));
        list["nodes"][0]["lastConnectedAtMs"].as_u64().unwrap()
    };
    let ago_ms = driver.now.unix_ms - seen(&mut driver);
    assert!(ago_ms <= hour_ms + 60_000, "{ago_ms}");
    driver.node(&scene.device, &["system.run"]);
    driver.advance(5_000);
    let ends_at = driver.now.unix_ms;
    let mut driver = driver.restart();
    assert_eq!(seen(&mut driver), ends_at);
}

#[test]
fn a_connection_that_died_while_it_was_let_in_is_no_node() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    driver.store.held = true;
    let device = Device::new(7);
    let conn = driver.open(&Address::default());
    let nonce = driver.challenge(conn);
    let mut params = node_params(&["system.run"]);
    device.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    driver.request(conn, "connect", params);
    driver.settle();
    driver.hang_up(conn);
    driver.store.held = false;
    driver.settle();
    let list = driver.ok(operator, "node.list", json!({}));
    assert_eq!(list["nodes"][0]["connected"], false, "{list}");
}

#[test]
fn a_storm_of_reconnects_leaves_one_node_and_answers_every_call_once() {
    let mut scene = Scene::new(&["system.run"]);
    let mut ids = Vec::new();
    for n in 0..50 {
        let params = scene.call("system.run", &format!("{n}"));
        ids.push(scene.driver.request(scene.operator, "node.invoke", params));
        scene.node = scene.driver.node(&scene.device, &["system.run"]);
    }
    for id in ids {
        assert!(scene.response(&id).is_some());
        assert!(scene.response(&id).is_none());
    }
    assert_eq!(scene.row()["connected"], true);
}
