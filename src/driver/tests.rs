use super::device::{Device, Proof};
use super::{Address, Driver, Options, Steps, masked, node_params, operator_params};
use crate::state::Role;
use serde_json::json;

#[test]
fn each_proof_lets_a_local_operator_in() {
    for (seed, proof) in [(1, Proof::V1), (2, Proof::V2), (3, Proof::V3)] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        let device = Device::new(seed);
        let hello = driver.connect(conn, operator_params(), Some((&device, proof)));
        assert_eq!(hello["payload"]["type"], "hello-ok", "{proof:?}: {hello}");
        assert!(driver.store.state().devices().contains_key(&*device.id));
    }
}

#[test]
fn a_password_serves_where_the_configuration_says_so() {
    let mut driver = Driver::new(Options {
        config: "{gateway: {auth: {mode: 'password', password: 'hunter2!'}}}".into(),
        ..Options::default()
    });
    let conn = driver.open(&Address::default());
    let mut params = operator_params();
    params["auth"] = json!({"password": "hunter2!"});
    let hello = driver.connect(conn, params, Some((&Device::new(1), Proof::V2)));
    assert_eq!(hello["ok"], true, "{hello}");
}

#[test]
fn what_was_committed_is_there_after_a_crash_and_what_was_not_is_gone() {
    for (committed, expected) in [(0, "one"), (1, "two")] {
        let mut driver = Driver::default();
        let operator = driver.operator();
        driver.ok(operator, "voicewake.set", json!({"triggers": ["one"]}));
        driver.store.held = true;
        driver.request(operator, "voicewake.set", json!({"triggers": ["two"]}));
        driver.settle();
        assert_eq!(driver.store.waiting_len(), 1);
        let mut driver = driver.crash(committed);
        let operator = driver.operator();
        let got = driver.ok(operator, "voicewake.get", json!({}));
        assert_eq!(got["triggers"], json!([expected]));
    }
}

#[test]
fn a_failed_batch_is_told_and_changes_nothing() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    driver.store.failing = 1;
    let error = driver.err(operator, "voicewake.set", json!({"triggers": ["two"]}));
    assert_eq!(error["code"], "UNAVAILABLE");
    driver.ok(operator, "voicewake.set", json!({"triggers": ["two"]}));
}

#[test]
fn a_slow_peer_gets_the_same_bytes_later() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    driver.remote(operator).window = 7;
    let health = driver.call(operator, "health", json!({}));
    assert_eq!(health["payload"]["ok"], true);
}

#[test]
fn pings_are_answered_and_plain_http_is_served() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    driver.feed(operator, &masked(9, b"hi", [9; 4]));
    driver.settle();
    assert_eq!(driver.remote(operator).pongs, [b"hi"]);
    let response = driver.http("GET /health HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

#[test]
fn deadlines_are_met_at_their_time() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    driver.advance(65_000);
    assert_eq!(driver.events(operator, "tick").len(), 2);
}

#[test]
fn the_log_says_why_a_client_is_gone() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    for _ in 0..40 {
        driver.request(operator, "no.such", json!({}));
    }
    driver.settle();
    let gone = driver
        .log
        .iter()
        .find(|line| line.message == "disconnected");
    let fields = format!("{:?}", gone.expect("it is logged"));
    assert!(
        fields.contains("too many unauthorized or invalid calls"),
        "{fields}"
    );
}

#[test]
fn a_node_is_paired_as_a_node_and_survives_a_restart() {
    let mut driver = Driver::new(Options {
        steps: Steps::Held,
        ..Options::default()
    });
    let device = Device::new(7);
    driver.join(&device, node_params(&["system.run"]));
    let driver = driver.restart();
    let row = &driver.store.state().devices()[&*device.id];
    assert!(row.grant(Role::Node).is_some());
}

/// How long after the shutdown began each of `count` connections was closed.
fn partings(count: usize) -> Vec<u64> {
    let mut driver = Driver::default();
    let conns: Vec<_> = (0..count).map(|_| driver.operator()).collect();
    driver.handle(crate::gateway::Input::Shutdown { reason: "x" });
    driver.settle();
    assert!(
        driver.accept([127, 0, 0, 1].into()).is_none(),
        "nobody new comes in"
    );
    let mut at = vec![None; count];
    let mut passed = 0;
    while at.contains(&None) {
        for (conn, at) in conns.iter().zip(&mut at) {
            let closed = driver.remote(*conn).closed.as_ref();
            assert!(closed.is_none_or(|(code, _)| *code == 1012));
            if closed.is_some() && at.is_none() {
                *at = Some(passed);
            }
        }
        driver.advance(10);
        passed += 10;
        assert!(passed < 10_000, "some are never told");
    }
    for conn in conns {
        driver.hang_up(conn);
    }
    driver.settle();
    assert!(driver.exited);
    at.into_iter().flatten().collect()
}

#[test]
fn a_fleet_is_sent_away_bit_by_bit_and_a_few_at_once() {
    assert!(partings(5).iter().all(|at| *at == 0));
    let at = partings(200);
    assert!(at.iter().max() > Some(&1_000), "{at:?}");
    let in_one_tick = |tick: u64| at.iter().filter(|at| **at / 100 == tick).count();
    assert!((0..20).all(|tick| in_one_tick(tick) < 40), "{at:?}");
    assert!(!at.is_sorted(), "the order is left to chance");
}
