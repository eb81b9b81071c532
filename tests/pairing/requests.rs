//! Who asks, who sees it, and who may decide.

use super::*;

#[test]
fn a_stranger_waits_and_then_gets_what_was_asked_for_and_nothing_else() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let mut params = asking(&[READ], TOKEN);
    params["client"]["displayName"] = "Phone".into();
    let id = request(&mut driver, &phone, params);
    let told = driver.events(admin, "device.pair.requested");
    let row = json!({
        "requestId": id, "deviceId": phone.id, "publicKey": phone.public_key,
        "displayName": "Phone", "platform": "linux", "clientId": "cli", "clientMode": "cli",
        "remoteIp": "203.0.113.9", "role": "operator", "roles": ["operator"], "scopes": [READ],
        "silent": false, "isRepair": false, "ts": driver.now.unix_ms,
    });
    assert_eq!(told, std::slice::from_ref(&row));
    let list = driver.ok(admin, "device.pair.list", json!({}));
    assert_eq!(list["pending"], json!([row]));

    let reply = driver.ok(admin, "device.pair.approve", json!({ "requestId": id }));
    let ts = driver.now.unix_ms;
    let device = json!({
        "deviceId": phone.id, "publicKey": phone.public_key, "displayName": "Phone",
        "platform": "linux", "clientId": "cli", "clientMode": "cli", "remoteIp": "203.0.113.9",
        "role": "operator", "roles": ["operator"], "scopes": [READ],
        "createdAtMs": ts, "approvedAtMs": ts, "connected": false,
        "tokens": [{"role": "operator", "scopes": [READ], "createdAtMs": ts}],
    });
    assert_eq!(reply, json!({ "requestId": id, "device": device }));
    let list = driver.ok(admin, "device.pair.list", json!({}));
    assert_eq!(list["pending"], json!([]));
    assert!(list["paired"].as_array().unwrap().contains(&device));

    let (conn, hello) = enter(&mut driver, &phone, asking(&[READ], TOKEN));
    assert_eq!(hello["auth"]["scopes"], json!([READ]));
    let token = hello["auth"]["deviceToken"].as_str().unwrap().to_owned();
    let refused = driver.err(conn, "device.pair.list", json!({}));
    assert_eq!(message(&refused), "missing scope: operator.pairing");
    // From now on its own token is enough, and every hello repeats it.
    let (_, hello) = enter(&mut driver, &phone, asking(&[READ], &token));
    assert_eq!(hello["auth"]["deviceToken"], *token);
    assert_eq!(hello["auth"]["issuedAtMs"], ts);
    // More is another request.
    request(&mut driver, &phone, asking(&[READ, WRITE], &token));
}

#[test]
fn the_decision_is_told_before_it_is_answered() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    for (method, decision) in [
        ("device.pair.reject", "rejected"),
        ("device.pair.approve", "approved"),
    ] {
        let phone = Device::new(2);
        let id = request(&mut driver, &phone, asking(&[READ], TOKEN));
        driver.remote(admin).messages.clear();
        driver.request(admin, method, json!({ "requestId": id }));
        driver.settle();
        let messages = driver.messages(admin);
        assert_eq!(messages[0]["event"], "device.pair.resolved");
        assert_eq!(
            messages[0]["payload"],
            json!({"requestId": id, "deviceId": phone.id, "decision": decision,
                "ts": driver.now.unix_ms})
        );
        assert_eq!(messages[1]["ok"], true);
        assert_eq!(messages.len(), 2);
        if decision == "rejected" {
            let payload = json!({"requestId": id, "deviceId": phone.id});
            assert_eq!(messages[1]["payload"], payload);
        }
        for method in ["device.pair.reject", "device.pair.approve"] {
            let again = driver.err(admin, method, json!({ "requestId": id }));
            assert_eq!(message(&again), "unknown requestId", "{method}");
        }
    }
}

#[test]
fn only_those_who_may_pair_hear_of_requests() {
    let mut driver = Driver::default();
    let reader = secret_holder(&mut driver, &[READ, WRITE, APPROVALS]);
    let pairer = secret_holder(&mut driver, &[PAIRING]);
    request(&mut driver, &Device::new(2), asking(&[READ], TOKEN));
    assert!(driver.events(reader, "device.pair.requested").is_empty());
    assert_eq!(driver.events(pairer, "device.pair.requested").len(), 1);
    for method in [
        "device.pair.list",
        "device.pair.approve",
        "device.pair.reject",
    ] {
        let refused = driver.err(reader, method, json!({}));
        assert_eq!(message(&refused), "missing scope: operator.pairing");
    }
}

#[test]
fn an_approval_never_covers_what_the_operator_did_not_see() {
    let mut other_platform = asking(&[READ], TOKEN);
    other_platform["client"]["platform"] = "ios".into();
    let contents = [
        asking(&[READ], TOKEN),
        asking(&[ADMIN], TOKEN),
        asking(&[], TOKEN),
        other_platform,
        node_params(&["camera.snap"]),
        node_params(&["camera.snap", "system.run"]),
    ];
    let phone = Device::new(2);
    for (at, seen) in contents.iter().enumerate() {
        for (other_at, changed) in contents.iter().enumerate() {
            if at == other_at {
                continue;
            }
            let mut driver = Driver::default();
            let admin = driver.operator();
            let id = request(&mut driver, &phone, seen.clone());
            let changed_id = request(&mut driver, &phone, changed.clone());
            assert_ne!(id, changed_id, "{seen} {changed}");
            let refused = driver.err(admin, "device.pair.approve", json!({ "requestId": id }));
            assert_eq!(message(&refused), "unknown requestId");
            let list = driver.ok(admin, "device.pair.list", json!({}));
            assert_eq!(list["pending"].as_array().unwrap().len(), 1);
        }
    }
}

#[test]
fn an_operator_sees_the_commands_that_he_lets_in() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let node = Device::new(2);
    let id = request(
        &mut driver,
        &node,
        node_params(&["camera.snap", "system.run"]),
    );
    let list = driver.ok(admin, "device.pair.list", json!({}));
    assert_eq!(
        list["pending"][0]["commands"],
        json!(["camera.snap", "system.run"])
    );
    assert_eq!(list["pending"][0]["caps"], json!(["system"]));
    driver.ok(admin, "device.pair.approve", json!({ "requestId": id }));
    let row = &driver.store.state().devices()[&*node.id];
    assert_eq!(row.commands.len(), 2);
    assert!(row.grants[0].scopes.is_empty());
}

#[test]
fn nobody_approves_a_scope_that_he_does_not_hold() {
    let subset = |bits: usize| -> Vec<&str> {
        let chosen = ALL.iter().enumerate();
        let chosen = chosen.filter(|(at, _)| bits & (1 << at) != 0);
        chosen.map(|(_, scope)| *scope).collect()
    };
    let holds = |held: &[&str], scope: &str| {
        held.contains(&scope) || held.contains(&ADMIN) || scope == READ && held.contains(&WRITE)
    };
    for bits in 0..32 {
        let held = subset(bits);
        let mut driver = Driver::default();
        let ids: Vec<String> = (0..32)
            .map(|wanted| {
                let device = Device::new(100 + wanted as u64);
                request(&mut driver, &device, asking(&subset(wanted), TOKEN))
            })
            .collect();
        for (wanted, id) in ids.iter().enumerate() {
            let approver = secret_holder(&mut driver, &held);
            let params = json!({ "requestId": id });
            let answer = driver.call(approver, "device.pair.approve", params);
            let good =
                holds(&held, PAIRING) && subset(wanted).iter().all(|scope| holds(&held, scope));
            assert_eq!(answer["ok"], good, "{held:?} approves {:?}", subset(wanted));
        }
    }
}

#[test]
fn a_node_that_runs_programs_needs_an_admin() {
    for (commands, good) in [
        (vec!["camera.snap"], true),
        (vec!["camera.snap", "system.run"], false),
        (vec!["system.execApprovals.set"], false),
    ] {
        let mut driver = Driver::default();
        let approver = secret_holder(&mut driver, &[PAIRING, READ, WRITE, APPROVALS]);
        let id = request(&mut driver, &Device::new(2), node_params(&commands));
        let params = json!({ "requestId": id });
        let answer = driver.call(approver, "device.pair.approve", params);
        assert_eq!(answer["ok"], good, "{commands:?}");
        if !good {
            assert_eq!(message(&answer["error"]), "missing scope: operator.admin");
        }
    }
}

#[test]
fn a_device_without_admin_sees_and_manages_itself_alone() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let (phone, other) = (Device::new(2), Device::new(3));
    let scopes = [READ, WRITE, PAIRING, APPROVALS];
    let token = pair(&mut driver, admin, &phone, &scopes);
    pair(&mut driver, admin, &other, &[READ]);
    let waiting = request(&mut driver, &Device::new(4), asking(&[READ], TOKEN));
    let (conn, _) = enter(&mut driver, &phone, asking(&scopes, &token));

    let list = driver.ok(conn, "device.pair.list", json!({}));
    assert_eq!(list["pending"], json!([]));
    let ids: Vec<&Value> = list["paired"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0]["deviceId"], *phone.id);
    for method in ["device.pair.approve", "device.pair.reject"] {
        let refused = driver.err(conn, method, json!({ "requestId": waiting }));
        assert_eq!(message(&refused), "unknown requestId", "{method}");
    }
    // The other one, an admin's and one that never was answer alike.
    for id in [&other.id, &Device::new(1).id, &Device::new(77).id] {
        for method in ["device.token.rotate", "device.token.revoke"] {
            let refused = driver.err(conn, method, json!({"deviceId": id, "role": "operator"}));
            assert_eq!(message(&refused), "unknown deviceId/role", "{method}");
        }
    }
    // It may ask to be a node as well, but not decide it.
    let id = request(&mut driver, &phone, node_params(&["camera.snap"]));
    let refused = driver.err(conn, "device.pair.approve", json!({ "requestId": id }));
    assert_eq!(message(&refused), "missing scope: operator.admin");
    // Itself it may manage.
    driver.ok(conn, "device.token.rotate", named(&phone));
}
