//! Tokens: kept, rotated, revoked, and never worth anything to anybody else.

use super::*;

#[test]
fn an_approval_gives_no_old_scope_back_beyond_its_approver() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    pair(&mut driver, admin, &phone, &[ADMIN]);
    driver.ok(admin, "device.token.revoke", named(&phone));
    // What the device was approved for comes back with a new token: an admin has to do it.
    let id = request(&mut driver, &phone, node_params(&[]));
    let pairer = secret_holder(&mut driver, &[PAIRING, READ]);
    driver.ok(pairer, "device.pair.approve", json!({ "requestId": id }));
    let row = &driver.store.state().devices()[&*phone.id];
    assert!(
        row.grants[0]
            .token
            .as_ref()
            .unwrap()
            .revoked_at_ms
            .is_some()
    );
}

#[test]
fn a_rotated_token_is_told_to_its_own_device_alone() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let scopes = [READ, PAIRING];
    let old = pair(&mut driver, admin, &phone, &scopes);
    driver.advance(1_000);
    let reply = driver.ok(admin, "device.token.rotate", named(&phone));
    assert_eq!(
        reply,
        json!({"deviceId": phone.id, "role": "operator", "scopes": [PAIRING, READ],
            "rotatedAtMs": driver.now.unix_ms})
    );
    let (_, answer) = connect(&mut driver, &away(), &phone, asking(&scopes, &old));
    let text = message(&answer["error"]);
    assert!(
        text.starts_with("unauthorized: gateway token mismatch ("),
        "{text}"
    );
    let new = token_of(&driver, &phone);
    assert_ne!(new, old);
    let (conn, hello) = enter(&mut driver, &phone, asking(&scopes, TOKEN));
    assert_eq!(hello["auth"]["deviceToken"], *new);
    assert_eq!(hello["auth"]["issuedAtMs"], driver.now.unix_ms);

    let reply = driver.ok(conn, "device.token.rotate", named(&phone));
    let newest = token_of(&driver, &phone);
    assert_eq!(reply["token"], *newest);
    assert_ne!(newest, new);
    let closed = driver.remote(conn).closed.clone();
    assert_eq!(
        closed.map(|(code, _)| code),
        Some(1008),
        "its answer came first"
    );
    enter(&mut driver, &phone, asking(&scopes, &newest));
}

#[test]
fn a_rotation_stays_within_what_was_approved() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    pair(&mut driver, admin, &phone, &[READ, WRITE]);
    for (more, expected) in [
        (
            json!({"scopes": [READ, ADMIN]}),
            "device not approved for scope: operator.admin",
        ),
        (
            json!({"scopes": ["operator.everything"]}),
            "unknown scope: operator.everything",
        ),
        (json!({"role": "node"}), "unknown deviceId/role"),
        (json!({"role": "king"}), "unknown deviceId/role"),
        (json!({"deviceId": "x"}), "unknown deviceId/role"),
    ] {
        let mut params = named(&phone);
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let refused = driver.err(admin, "device.token.rotate", params);
        assert_eq!(message(&refused), expected);
    }
    let mut params = named(&phone);
    params["scopes"] = json!([READ]);
    let reply = driver.ok(admin, "device.token.rotate", params);
    assert_eq!(reply["scopes"], json!([READ]));
    let token = token_of(&driver, &phone);
    let (conn, hello) = enter(&mut driver, &phone, asking(&[READ, WRITE], &token));
    assert_eq!(hello["auth"]["scopes"], json!([READ]));
    let refused = driver.err(conn, "voicewake.set", json!({"triggers": []}));
    assert_eq!(message(&refused), "missing scope: operator.write");
    // No scopes are no scopes, not all of them.
    let mut params = named(&phone);
    params["scopes"] = json!([]);
    let reply = driver.ok(admin, "device.token.rotate", params);
    assert_eq!(reply["scopes"], json!([]));
}

#[test]
fn nobody_takes_a_token_that_holds_more_than_he_does() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let token = pair(&mut driver, admin, &phone, &[ADMIN]);
    let pairer = secret_holder(&mut driver, &[PAIRING, READ]);
    for method in ["device.token.rotate", "device.token.revoke"] {
        let refused = driver.err(pairer, method, named(&phone));
        assert_eq!(message(&refused), "missing scope: operator.admin");
    }
    assert_eq!(token_of(&driver, &phone), token);
}

#[test]
fn a_changed_token_closes_its_live_connections_and_nobody_elses() {
    for method in ["device.token.rotate", "device.token.revoke"] {
        let mut driver = Driver::default();
        let admin = driver.operator();
        let (phone, other) = (Device::new(2), Device::new(3));
        let token = pair(&mut driver, admin, &phone, &[READ, WRITE]);
        let others = pair(&mut driver, admin, &other, &[READ]);
        let (by_token, _) = enter(&mut driver, &phone, asking(&[READ, WRITE], &token));
        let (by_secret, _) = enter(&mut driver, &phone, asking(&[READ], TOKEN));
        let (bystander, _) = enter(&mut driver, &other, asking(&[READ], &others));
        let node = Device::new(4);
        let node = driver.node(&node, &[]);
        driver.ok(admin, method, named(&phone));
        for conn in [by_token, by_secret] {
            let closed = driver.remote(conn).closed.clone();
            assert_eq!(
                closed,
                Some((1008, "device token changed".into())),
                "{method}"
            );
        }
        for conn in [bystander, node, admin] {
            assert!(driver.is_open(conn), "{method}");
        }
    }
}

#[test]
fn calls_in_flight_end_with_a_revoked_token() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let token = pair(&mut driver, admin, &phone, &[READ, WRITE]);
    let (conn, _) = enter(&mut driver, &phone, asking(&[READ, WRITE], &token));
    driver.store.held = true;
    let revoked = driver.request(admin, "device.token.revoke", named(&phone));
    driver.settle();
    // Both wait for the store: one is stored with the next batch, one is not yet begun.
    let first = driver.request(conn, "voicewake.set", json!({"triggers": ["one"]}));
    let second = driver.request(conn, "voicewake.set", json!({"triggers": ["two"]}));
    driver.settle();
    driver.store.held = false;
    driver.settle();
    assert!(driver.response(admin, &revoked).is_some());
    assert_eq!(
        driver.remote(conn).closed.clone().map(|(code, _)| code),
        Some(1008)
    );
    for id in [first, second] {
        assert_eq!(driver.response(conn, &id), None);
    }
    let triggers = driver.ok(admin, "voicewake.get", json!({}));
    assert_ne!(triggers["triggers"], json!(["two"]), "it was never begun");
}

#[test]
fn a_revoked_token_never_comes_back() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let old = pair(&mut driver, admin, &phone, &[READ]);
    driver.advance(1_000);
    let reply = driver.ok(admin, "device.token.revoke", named(&phone));
    let revoked = json!({"deviceId": phone.id, "role": "operator",
        "revokedAtMs": driver.now.unix_ms});
    assert_eq!(reply, revoked);
    driver.advance(1_000);
    let again = driver.ok(admin, "device.token.revoke", named(&phone));
    assert_eq!(again, revoked, "said again, it is as it was");
    let refused = driver.err(
        admin,
        "device.token.revoke",
        json!({"deviceId": phone.id, "role": "node"}),
    );
    assert_eq!(message(&refused), "unknown deviceId/role");

    let is_refused = |driver: &mut Driver| {
        let mut modern = asking(&[READ], "");
        modern["auth"] = json!({ "deviceToken": old });
        for params in [asking(&[READ], &old), modern] {
            let (_, answer) = connect(driver, &away(), &phone, params);
            assert_eq!(answer["ok"], false, "{answer}");
            assert_eq!(answer["error"]["code"], "INVALID_REQUEST", "{answer}");
        }
    };
    is_refused(&mut driver);
    // Neither the shared secret nor another pairing nor a restart brings it back.
    let (_, hello) = enter(&mut driver, &phone, asking(&[READ], TOKEN));
    assert_ne!(hello["auth"]["deviceToken"], *old);
    is_refused(&mut driver);
    let second = token_of(&driver, &phone);
    driver.ok(admin, "device.token.revoke", named(&phone));
    let id = request(&mut driver, &phone, asking(&[READ, WRITE], TOKEN));
    driver.ok(admin, "device.pair.approve", json!({ "requestId": id }));
    assert!(![&*old, &*second].contains(&&*token_of(&driver, &phone)));
    is_refused(&mut driver);
    let mut driver = driver.restart();
    is_refused(&mut driver);
}

#[test]
fn showing_a_revoked_token_is_no_guess() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let old = pair(&mut driver, admin, &phone, &[READ]);
    driver.ok(admin, "device.token.revoke", named(&phone));
    for _ in 0..20 {
        let (_, answer) = connect(&mut driver, &away(), &phone, asking(&[READ], &old));
        let text = message(&answer["error"]);
        assert!(
            text.starts_with("unauthorized: gateway token mismatch"),
            "{text}"
        );
    }
    enter(&mut driver, &phone, asking(&[READ], TOKEN));
}

#[test]
fn another_devices_token_is_worth_nothing() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let (phone, thief) = (Device::new(2), Device::new(3));
    let token = pair(&mut driver, admin, &phone, &[READ]);
    pair(&mut driver, admin, &thief, &[READ]);
    let (_, answer) = connect(&mut driver, &away(), &thief, asking(&[READ], &token));
    assert!(message(&answer["error"]).starts_with("unauthorized: gateway token mismatch"));
    // Nor is it worth anything for another role, or without its device.
    let mut as_node = node_params(&[]);
    as_node["auth"]["token"] = token.clone().into();
    let (_, answer) = connect(&mut driver, &away(), &phone, as_node);
    assert!(message(&answer["error"]).starts_with("unauthorized: gateway token mismatch"));
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, asking(&[READ], &token), None);
    assert!(message(&answer["error"]).starts_with("unauthorized: gateway token mismatch"));
}

#[test]
fn more_scopes_keep_the_token() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let token = pair(&mut driver, admin, &phone, &[READ]);
    let (live, _) = enter(&mut driver, &phone, asking(&[READ], &token));
    let id = request(&mut driver, &phone, asking(&[WRITE], &token));
    let list = driver.ok(admin, "device.pair.list", json!({}));
    assert_eq!(list["pending"][0]["isRepair"], true);
    driver.ok(admin, "device.pair.approve", json!({ "requestId": id }));
    assert!(driver.is_open(live));
    let (_, hello) = enter(&mut driver, &phone, asking(&[READ, WRITE], &token));
    assert_eq!(hello["auth"]["deviceToken"], *token);
    assert_eq!(hello["auth"]["scopes"], json!([READ, WRITE]));
}

#[test]
fn a_removed_device_is_as_one_that_was_never_here() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let (phone, other) = (Device::new(2), Device::new(3));
    let token = pair(&mut driver, admin, &phone, &[READ, WRITE]);
    let others = pair(&mut driver, admin, &other, &[READ]);
    let (live, _) = enter(&mut driver, &phone, asking(&[READ, WRITE], &token));
    let (bystander, _) = enter(&mut driver, &other, asking(&[READ], &others));
    let id = json!({"deviceId": phone.id});
    let reply = driver.ok(admin, "device.pair.remove", id.clone());
    assert_eq!(reply, id);
    let closed = driver.remote(live).closed.clone();
    assert_eq!(closed, Some((1008, "device removed".into())));
    assert!(driver.is_open(bystander) && driver.is_open(admin));
    let list = driver.ok(admin, "device.pair.list", json!({}));
    let is_phone = |device: &Value| device["deviceId"] == *phone.id;
    assert!(!list["paired"].as_array().unwrap().iter().any(is_phone));
    let refused = driver.err(admin, "device.pair.remove", id);
    assert_eq!(message(&refused), "unknown deviceId");
    let mut driver = driver.restart();
    let (_, answer) = connect(&mut driver, &away(), &phone, asking(&[READ], &token));
    assert!(message(&answer["error"]).starts_with("unauthorized: gateway token mismatch"));
    request(&mut driver, &phone, asking(&[READ], TOKEN));
}

#[test]
fn a_device_removes_itself_and_none_that_holds_more() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let (phone, other) = (Device::new(2), Device::new(3));
    pair(&mut driver, admin, &other, &[ADMIN]);
    let token = pair(&mut driver, admin, &phone, &[PAIRING, READ]);
    let (own, _) = enter(&mut driver, &phone, asking(&[PAIRING, READ], &token));
    let pairer = secret_holder(&mut driver, &[PAIRING, READ]);
    let others = json!({"deviceId": other.id});
    let refused = driver.err(own, "device.pair.remove", others.clone());
    assert_eq!(message(&refused), "unknown deviceId");
    let refused = driver.err(pairer, "device.pair.remove", others);
    assert_eq!(message(&refused), "missing scope: operator.admin");
    driver.ok(own, "device.pair.remove", json!({"deviceId": phone.id}));
    let closed = driver.remote(own).closed.clone();
    assert_eq!(closed.map(|(code, _)| code), Some(1008));
    assert!(!driver.store.state().devices().contains_key(&*phone.id));
}

#[test]
fn when_a_device_was_here_is_known_whatever_let_it_in() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    pair(&mut driver, admin, &phone, &[READ]);
    let row = |driver: &mut Driver| {
        let list = driver.ok(admin, "device.pair.list", json!({}));
        let mut paired = list["paired"].as_array().unwrap().iter();
        let row = paired.find(|device| device["deviceId"] == *phone.id);
        (
            row.unwrap()["connected"].clone(),
            row.unwrap()["lastSeenAtMs"].clone(),
        )
    };
    assert_eq!(
        row(&mut driver),
        (false.into(), Value::Null),
        "it was let in and is away"
    );
    driver.advance(1_000);
    let (conn, _) = enter(&mut driver, &phone, asking(&[READ], TOKEN));
    assert_eq!(row(&mut driver).0, true);
    driver.advance(1_000);
    driver.hang_up(conn);
    let went_ms = driver.now.unix_ms;
    driver.advance(5_000);
    assert_eq!(row(&mut driver), (false.into(), went_ms.into()));
    driver.advance(NODE_SEEN_INTERVAL_MS);
    assert_eq!(
        driver.store.state().devices()[&*phone.id].last_seen_ms,
        went_ms
    );
}
