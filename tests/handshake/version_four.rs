//! Clients of version 4: members that nobody here knows, and what they must find in hello.

use super::*;

fn four(mut params: Value) -> Value {
    params["minProtocol"] = 4.into();
    params["maxProtocol"] = 4.into();
    params["client"]["buildId"] = "abc".into();
    params["client"]["timeZone"] = "Europe/Berlin".into();
    for name in ["computerUse", "workerRuns", "modelCatalog"] {
        params[name] = json!({"enabled": true});
    }
    params
}

#[test]
fn a_program_without_a_device_is_told_its_role_and_scopes() {
    let mut driver = Driver::default();
    let conn = driver.open(&Address::default());
    let params = four(with(|p| p["scopes"] = json!(["operator.read"])));
    let answer = driver.connect(conn, params, None);
    let hello = &answer["payload"];
    let auth = json!({"method": "token", "role": "operator", "scopes": ["operator.read"]});
    assert_eq!(hello["auth"], auth);
    assert_eq!(hello["protocol"], 4);
    assert_eq!(hello["features"]["capabilities"], json!([]));
    driver.ok(conn, "health", json!({}));
}

#[test]
fn a_device_is_told_how_it_came_in() {
    let mut driver = Driver::default();
    let laptop = Device::new(2);
    let local = Address::default();
    let first = driver.open(&local);
    let answer = driver.connect(first, four(operator_params()), Some((&laptop, Proof::V3)));
    let auth = answer["payload"]["auth"].clone();
    assert_eq!(auth["method"], "token");
    let token = auth["deviceToken"].clone();
    // The token may come under its own name, beside a shared one or alone.
    for shown in [
        json!({"token": token}),
        json!({"deviceToken": token}),
        json!({"token": TOKEN, "deviceToken": token}),
        json!({"token": token, "bootstrapToken": "x"}),
    ] {
        let conn = driver.open(&local);
        let params = four(with(|p| p["auth"] = shown.clone()));
        let answer = driver.connect(conn, params, Some((&laptop, Proof::V3)));
        assert_eq!(answer["ok"], true, "{shown} {answer}");
        assert_eq!(
            answer["payload"]["auth"]["method"], "device-token",
            "{shown}"
        );
        assert_eq!(answer["payload"]["auth"]["deviceToken"], token);
    }
    let mut driver = configured("{gateway: {auth: {mode: 'password', password: 'testtoken'}}}");
    let conn = driver.open(&local);
    let params = four(with(|p| p["auth"] = json!({"password": TOKEN})));
    let answer = driver.connect(conn, params, None);
    assert_eq!(answer["payload"]["auth"]["method"], "password");
}

#[test]
fn the_gateways_process_has_a_name_of_its_own() {
    let boot = |driver: &mut Driver| {
        let conn = driver.open(&Address::default());
        let answer = driver.connect(conn, four(operator_params()), None);
        answer["payload"]["server"]["bootId"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    let mut driver = Driver::default();
    let first = boot(&mut driver);
    assert_eq!(boot(&mut driver), first);
    let mut driver = driver.restart();
    assert_ne!(boot(&mut driver), first);
}

#[test]
fn a_node_of_either_version_is_let_in() {
    for (min, max) in [(3, 3), (3, 4), (4, 4)] {
        let mut driver = Driver::default();
        let mut params = four(node_params(&["system.run"]));
        params["minProtocol"] = min.into();
        params["maxProtocol"] = max.into();
        let conn = driver.open(&Address::default());
        let answer = driver.connect(conn, params, Some((&Device::new(7), Proof::V3)));
        assert_eq!(answer["payload"]["protocol"], max, "{answer}");
    }
}

#[test]
fn unknown_members_of_a_request_are_let_through() {
    let mut driver = Driver::default();
    let conn = driver.open(&Address::default());
    driver.connect(conn, four(operator_params()), None);
    driver.text(
        conn,
        r#"{"type":"req","id":"1","method":"status","params":{},"traceparent":"x"}"#,
    );
    driver.settle();
    assert_eq!(driver.response(conn, "1").expect("an answer")["ok"], true);
}

#[test]
fn giving_up_on_a_request_is_no_fault() {
    let mut driver = Driver::default();
    let conn = driver.open(&Address::default());
    driver.connect(conn, four(operator_params()), None);
    driver.messages(conn);
    for _ in 0..20 {
        driver.text(conn, r#"{"type":"cancel","id":"r1"}"#);
        driver.settle();
    }
    assert!(driver.messages(conn).is_empty());
    assert!(driver.is_open(conn));
    // In version 3 there is no such thing.
    let conn = driver.operator();
    driver.text(conn, r#"{"type":"cancel","id":"r1"}"#);
    driver.settle();
    assert_eq!(driver.messages(conn)[0]["ok"], false);
}

#[test]
fn a_parameter_that_nobody_here_knows_refuses_a_client_of_version_three_alone() {
    let params = json!({"includeDisabled": true, "limit": 200, "offset": 0});
    let mut driver = Driver::default();
    let older = driver.operator();
    driver.err(older, "cron.list", params.clone());
    let newer = driver.open(&Address::default());
    driver.connect(newer, four(operator_params()), None);
    driver.ok(newer, "cron.list", params);
    let wrong = driver.err(newer, "cron.list", json!({"includeDisabled": 1}));
    assert_eq!(
        wrong["message"],
        "invalid cron.list params: at /includeDisabled: must be boolean"
    );
    // What changes the gateway itself is done as it was meant, or not at all.
    let refused = driver.err(newer, "config.set", json!({"raw": "{}", "dryRun": true}));
    assert_eq!(
        refused["message"],
        "invalid config.set params: at root: unexpected property 'dryRun'"
    );
}

#[test]
fn a_method_that_nobody_here_knows_is_told_apart_from_a_scope_that_is_missing() {
    let mut driver = Driver::default();
    let mut reader = |adapt: fn(Value) -> Value| {
        let conn = driver.open(&Address::default());
        let params = adapt(with(|p| p["scopes"] = json!(["operator.read"])));
        driver.connect(conn, params, None);
        let unknown = driver.err(conn, "cron.get", json!({"id": "x"}));
        let admin = driver.err(conn, "config.get", json!({}));
        [unknown["message"].clone(), admin["message"].clone()]
    };
    let missing = "missing scope: operator.admin";
    assert_eq!(reader(|params| params), [missing, missing]);
    assert_eq!(reader(four), ["unknown method: cron.get", missing]);
}
