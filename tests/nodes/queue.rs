//! Calls that are kept until their node has answered, over restarts of either side.

use super::*;
use clawdia::driver::Seeded;
use clawdia::limits::QUEUED_CALL_KEPT_MS;
use std::collections::BTreeMap;

fn declared(caps: &[&str]) -> Value {
    let mut params = node_params(&["system.run"]);
    params["caps"] = json!(caps);
    params
}

/// A node with these capabilities that is away.
fn away(caps: &[&str]) -> Scene {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(7);
    let node = driver.join(&device, declared(caps));
    driver.hang_up(node);
    Scene {
        driver,
        operator,
        node,
        device,
    }
}

fn queued(scene: &Scene, key: &str) -> Value {
    let mut params = scene.call("system.run", key);
    params["params"] = json!({"command": ["ls"]});
    params["queue"] = true.into();
    params["ttlMs"] = 3_600_000.into();
    params
}

fn come_back(scene: &mut Scene, caps: &[&str]) -> Vec<Value> {
    let conn = scene.driver.open(&Address::default());
    let params = declared(caps);
    let hello = scene
        .driver
        .connect(conn, params, Some((&scene.device, Proof::V2)));
    assert_eq!(hello["ok"], true, "{hello}");
    scene.node = conn;
    scene.driver.settle();
    scene.driver.events(conn, "node.invoke.request")
}

fn restart(scene: &mut Scene) {
    let driver = std::mem::take(&mut scene.driver);
    scene.driver = driver.crash(0);
    scene.operator = scene.driver.operator();
}

#[test]
fn a_call_for_a_node_that_is_away_waits_and_is_delivered_over_restarts() {
    for (caps, is_patient) in [(&["system", "journal"][..], true), (&["system"], false)] {
        let mut scene = away(caps);
        let params = queued(&scene, "k");
        let told = scene
            .driver
            .ok(scene.operator, "node.invoke", params.clone());
        assert_eq!(
            (&told["queued"], &told["idempotencyKey"]),
            (&json!(true), &json!("k"))
        );
        let expires_at = told["expiresAtMs"].as_u64().unwrap();
        assert_eq!(expires_at, scene.driver.now.unix_ms + 3_600_000);
        restart(&mut scene);
        let asked = come_back(&mut scene, caps);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0]["idempotencyKey"], "k");
        let id = scene
            .driver
            .request(scene.operator, "node.invoke", params.clone());
        scene.driver.settle();
        assert!(
            scene.response(&id).is_none(),
            "a repeat waits for the result"
        );
        scene.answer(&asked[0], &json!({"exitCode": 0}));
        let answer = scene.response(&id).unwrap()["payload"].take();
        assert_eq!(answer["payload"], json!({"exitCode": 0}));
        restart(&mut scene);
        assert!(come_back(&mut scene, caps).is_empty(), "it has ended");
        let again = scene
            .driver
            .ok(scene.operator, "node.invoke", params.clone());
        assert_eq!(again, answer, "the stored result, also after a restart");
        let mut other = params.clone();
        other["params"] = json!({"command": ["rm"]});
        let refused = scene.driver.err(scene.operator, "node.invoke", other);
        assert!(message(&refused).contains("used for another call"));
        if !is_patient {
            continue;
        }
        scene.driver.hang_up(scene.node);
        scene.driver.advance(QUEUED_CALL_KEPT_MS + 120_000);
        let again = scene.driver.ok(scene.operator, "node.invoke", params);
        assert_eq!(again["queued"], true, "after a day the key is new");
    }
}

#[test]
fn a_node_with_a_journal_gets_an_open_call_again_and_one_without_never() {
    for (caps, again) in [(&["journal"][..], 1), (&[], 0)] {
        // Lost with the node, then with the gateway.
        for lose in [
            |scene: &mut Scene| scene.driver.hang_up(scene.node),
            restart as fn(&mut Scene),
        ] {
            let mut scene = away(caps);
            let params = queued(&scene, "k");
            scene
                .driver
                .ok(scene.operator, "node.invoke", params.clone());
            assert_eq!(come_back(&mut scene, caps).len(), 1);
            lose(&mut scene);
            scene.driver.settle();
            scene.driver.messages(scene.operator);
            let asked = come_back(&mut scene, caps);
            assert_eq!(asked.len(), again, "{caps:?}");
            if again == 1 {
                scene.answer(&asked[0], &json!(1));
                let result = scene.driver.ok(scene.operator, "node.invoke", params);
                assert_eq!(result["payload"], 1);
            } else {
                let refused = scene.driver.err(scene.operator, "node.invoke", params);
                assert_eq!(refused["details"]["nodeError"]["code"], "UNKNOWN");
            }
        }
    }
}

#[test]
fn what_a_node_without_a_journal_had_is_in_doubt_as_soon_as_the_gateway_is_back() {
    let mut scene = away(&[]);
    let params = queued(&scene, "k");
    scene
        .driver
        .ok(scene.operator, "node.invoke", params.clone());
    assert_eq!(come_back(&mut scene, &[]).len(), 1);
    restart(&mut scene);
    // Whoever asks need not wait for the node to come back, nor for the call's time to end.
    let refused = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(refused["details"]["nodeError"]["code"], "UNKNOWN");
    let status = scene.driver.ok(scene.operator, "status", json!({}));
    let told = &status["nodeCalls"];
    assert_eq!(
        (&told["waiting"], &told["unknownCount"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(told["unknown"][0]["idempotencyKey"], "k", "{told}");
    assert_eq!(told["unknown"][0]["nodeId"], scene.device.id.as_str());
    assert_eq!(told["unknown"][0]["endedAtMs"], scene.driver.now.unix_ms);
}

#[test]
fn a_node_that_comes_back_without_its_journal_does_not_get_a_call_again() {
    let mut scene = away(&["journal"]);
    let params = queued(&scene, "k");
    scene
        .driver
        .ok(scene.operator, "node.invoke", params.clone());
    assert_eq!(come_back(&mut scene, &["journal"]).len(), 1);
    assert!(come_back(&mut scene, &[]).is_empty());
    let refused = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(refused["details"]["nodeError"]["code"], "UNKNOWN");
}

#[test]
fn nothing_is_sent_before_it_is_written_that_it_may_have_been() {
    for caps in [&["journal"][..], &[]] {
        let mut scene = away(caps);
        let params = queued(&scene, "k");
        scene.driver.ok(scene.operator, "node.invoke", params);
        scene.driver.store.held = true;
        assert!(
            come_back(&mut scene, caps).is_empty(),
            "the store has not answered"
        );
        // The process dies before: the call waits as it did.
        scene.driver.store.held = false;
        let driver = std::mem::take(&mut scene.driver);
        scene.driver = driver.crash(0);
        scene.operator = scene.driver.operator();
        assert_eq!(come_back(&mut scene, caps).len(), 1);
    }
}

#[test]
fn what_is_not_taken_in_time_expires_and_was_never_done() {
    let mut scene = away(&[]);
    let params = queued(&scene, "k");
    scene
        .driver
        .ok(scene.operator, "node.invoke", params.clone());
    scene.driver.advance(3_600_000);
    assert!(come_back(&mut scene, &[]).is_empty());
    let refused = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(refused["details"]["nodeError"]["code"], "EXPIRED");
}

#[test]
fn a_connected_node_answers_at_once_and_what_may_not_be_asked_is_not_kept() {
    let mut scene = away(&["journal"]);
    come_back(&mut scene, &["journal"]);
    let params = queued(&scene, "k");
    let id = scene.driver.request(scene.operator, "node.invoke", params);
    let asked = scene.asked();
    scene.answer(&asked, &json!("now"));
    assert_eq!(scene.response(&id).unwrap()["payload"]["payload"], "now");
    for (name, value, text) in [
        ("command", "camera.snap", "node command not allowed"),
        ("nodeId", "nobody", "unknown nodeId"),
    ] {
        let mut params = queued(&scene, "other");
        params[name] = value.into();
        let refused = scene.driver.err(scene.operator, "node.invoke", params);
        assert_eq!(message(&refused), text);
    }
    assert_eq!(scene.driver.store.state().node_calls().len(), 1);
}

/// What a node did, by key, and what it remembers where it keeps a journal.
#[derive(Default)]
struct Deeds {
    done: BTreeMap<String, u32>,
    journal: BTreeMap<String, Value>,
}

#[test]
fn whatever_dies_when_each_call_is_done_once_or_known_to_be_in_doubt() {
    for seed in 0..24 {
        let mut random = Seeded(seed);
        let caps = match random.below(2) {
            0 => &["journal"][..],
            _ => &[],
        };
        let has_journal = !caps.is_empty();
        let mut scene = away(caps);
        let mut deeds = Deeds::default();
        let mut accepted: Vec<String> = Vec::new();
        let mut asked: Vec<Value> = Vec::new();
        let mut is_here = false;
        for n in 0..60 {
            match random.below(7) {
                0 | 1 => {
                    let key = format!("k{n}");
                    let params = queued(&scene, &key);
                    let id = scene.driver.request(scene.operator, "node.invoke", params);
                    if random.below(4) > 0 {
                        scene.driver.settle();
                        let told = scene.response(&id);
                        let is_known = scene.driver.store.state().node_calls().get(&key);
                        assert!(
                            told.is_none() || is_known.is_some(),
                            "acknowledged and lost"
                        );
                        if is_known.is_some() {
                            accepted.push(key);
                        }
                    }
                }
                2 => {
                    asked = come_back(&mut scene, caps);
                    is_here = true;
                }
                3 if is_here => {
                    scene.driver.hang_up(scene.node);
                    is_here = false;
                }
                4 => {
                    let committed = random.below(3) as usize;
                    let driver = std::mem::take(&mut scene.driver);
                    scene.driver = driver.crash(committed);
                    scene.operator = scene.driver.operator();
                    is_here = false;
                }
                _ if is_here => {
                    scene.driver.settle();
                    asked.extend(scene.driver.events(scene.node, "node.invoke.request"));
                    for call in asked.drain(..) {
                        let key = call["idempotencyKey"].as_str().unwrap().to_owned();
                        let known = deeds.journal.get(&key).cloned();
                        let answer = known.unwrap_or_else(|| {
                            *deeds.done.entry(key.clone()).or_default() += 1;
                            if has_journal {
                                deeds.journal.insert(key, json!(n));
                            }
                            json!(n)
                        });
                        let result = result(&call, &answer);
                        scene
                            .driver
                            .request(scene.node, "node.invoke.result", result);
                        if random.below(4) == 0 {
                            break;
                        }
                    }
                    asked.clear();
                }
                _ => scene.driver.advance(random.below(40_000)),
            }
        }
        // Peace returns: what is open is delivered.
        for _ in 0..=accepted.len().div_ceil(8) {
            for call in come_back(&mut scene, caps) {
                let key = call["idempotencyKey"].as_str().unwrap().to_owned();
                if !deeds.journal.contains_key(&key) {
                    *deeds.done.entry(key.clone()).or_default() += 1;
                    deeds.journal.insert(key.clone(), json!("late"));
                }
                let result = result(&call, &deeds.journal[&key].clone());
                scene
                    .driver
                    .request(scene.node, "node.invoke.result", result);
            }
            scene.driver.settle();
        }
        assert!(
            deeds.done.values().all(|times| *times == 1),
            "seed {seed}: {:?}",
            deeds.done
        );
        for key in accepted {
            let params = queued(&scene, &key);
            let answer = scene.driver.call(scene.operator, "node.invoke", params);
            let was_done = deeds.done.contains_key(&key);
            if answer["ok"] == true {
                assert!(was_done, "seed {seed} {key}: {answer}");
            } else {
                let code = &answer["error"]["details"]["nodeError"]["code"];
                assert!(
                    !has_journal && *code == "UNKNOWN",
                    "seed {seed} {key}: {answer}"
                );
            }
        }
    }
}
