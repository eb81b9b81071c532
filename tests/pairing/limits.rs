//! Bounds, crashes, failures and clashes.

use super::*;

#[test]
fn asking_again_for_the_same_is_the_same_request() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let first = request(&mut driver, &phone, asking(&[READ, WRITE], TOKEN));
    let again = request(&mut driver, &phone, asking(&[WRITE, READ], TOKEN));
    assert_eq!(first, again);
    assert_eq!(driver.events(admin, "device.pair.requested").len(), 1);
}

#[test]
fn a_request_expires_after_five_minutes() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    // Not in step with the timer that forgets.
    driver.advance(1_500);
    let id = request(&mut driver, &phone, asking(&[READ], TOKEN));
    driver.advance(PAIRING_TTL_MS - 1);
    let list = driver.ok(admin, "device.pair.list", json!({}));
    assert_eq!(list["pending"].as_array().unwrap().len(), 1);
    driver.advance(1);
    let list = driver.ok(admin, "device.pair.list", json!({}));
    assert_eq!(list["pending"], json!([]));
    for method in ["device.pair.approve", "device.pair.reject"] {
        let refused = driver.err(admin, method, json!({ "requestId": id }));
        assert_eq!(message(&refused), "unknown requestId");
    }
    let fresh = request(&mut driver, &phone, asking(&[READ], TOKEN));
    assert_ne!(fresh, id);
    driver.advance(2 * PAIRING_TTL_MS);
    assert!(
        driver.store.state().pairings().is_empty(),
        "it is forgotten"
    );
}

#[test]
fn requests_are_bounded_and_one_a_device() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let mut last = String::new();
    for seed in 0..PAIRINGS_PENDING_MAX as u64 {
        last = request(
            &mut driver,
            &Device::new(100 + seed),
            asking(&[READ], TOKEN),
        );
    }
    let late = Device::new(99);
    let (_, answer) = connect(&mut driver, &away(), &late, asking(&[READ], TOKEN));
    assert_eq!(answer["error"]["code"], "UNAVAILABLE");
    // One that is there may still change its mind, and a decision makes room.
    request(&mut driver, &Device::new(100), asking(&[WRITE], TOKEN));
    driver.ok(admin, "device.pair.reject", json!({ "requestId": last }));
    request(&mut driver, &late, asking(&[READ], TOKEN));
}

#[test]
fn pairing_survives_a_crash_at_each_step() {
    for (committed, is_paired) in [(0, false), (1, true)] {
        let mut driver = Driver::default();
        let admin = driver.operator();
        let phone = Device::new(2);
        let id = request(&mut driver, &phone, asking(&[READ], TOKEN));
        driver.store.held = true;
        driver.request(admin, "device.pair.approve", json!({ "requestId": id }));
        driver.settle();
        let mut driver = driver.crash(committed);
        if is_paired {
            enter(&mut driver, &phone, asking(&[READ], TOKEN));
        } else {
            let again = request(&mut driver, &phone, asking(&[READ], TOKEN));
            assert_eq!(again, id, "it still waits under its name");
        }
    }
}

#[test]
fn a_full_disk_changes_nothing_and_is_not_called_pairing() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    driver.store.failing = 1;
    let (_, answer) = connect(&mut driver, &away(), &phone, asking(&[READ], TOKEN));
    assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{answer}");
    assert!(driver.events(admin, "device.pair.requested").is_empty());

    let id = request(&mut driver, &phone, asking(&[READ], TOKEN));
    driver.remote(admin).messages.clear();
    driver.store.failing = 1;
    let refused = driver.err(admin, "device.pair.approve", json!({ "requestId": id }));
    assert_eq!(refused["code"], "UNAVAILABLE");
    assert!(driver.messages(admin).is_empty(), "nobody is told");
    driver.ok(admin, "device.pair.approve", json!({ "requestId": id }));

    let (conn, _) = enter(&mut driver, &phone, asking(&[READ], TOKEN));
    driver.store.failing = 1;
    let refused = driver.err(admin, "device.token.revoke", named(&phone));
    assert_eq!(refused["code"], "UNAVAILABLE");
    assert!(driver.is_open(conn));
    let local = Device::new(5);
    driver.store.failing = 1;
    let (_, answer) = connect(&mut driver, &Address::default(), &local, operator_params());
    assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{answer}");
}

#[test]
fn decisions_at_the_same_time_are_one_decision() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let id = request(&mut driver, &phone, asking(&[READ], TOKEN));
    driver.store.held = true;
    let params = json!({ "requestId": id });
    let first = driver.request(admin, "device.pair.reject", params.clone());
    let second = driver.request(admin, "device.pair.approve", params);
    driver.settle();
    driver.store.held = false;
    driver.settle();
    assert_eq!(driver.response(admin, &first).unwrap()["ok"], true);
    let second = driver.response(admin, &second).unwrap();
    assert_eq!(message(&second["error"]), "unknown requestId");
    assert!(!driver.store.state().devices().contains_key(&*phone.id));
}

#[test]
fn parameters_are_checked_in_the_words_that_clients_know() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    for (method, params, expected) in [
        (
            "device.pair.list",
            json!({"x": 1}),
            "at root: unexpected property 'x'",
        ),
        (
            "device.pair.approve",
            json!({}),
            "must have required property 'requestId'",
        ),
        (
            "device.pair.reject",
            json!({}),
            "must have required property 'requestId'",
        ),
        (
            "device.token.rotate",
            json!({}),
            "must have required property 'deviceId'; must have required property 'role'",
        ),
        (
            "device.token.revoke",
            json!({}),
            "must have required property 'deviceId'; must have required property 'role'",
        ),
    ] {
        let refused = driver.err(admin, method, params);
        assert_eq!(
            message(&refused),
            format!("invalid {method} params: {expected}")
        );
    }
}
