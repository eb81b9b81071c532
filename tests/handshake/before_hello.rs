//! The first message, and what comes with it or behind it.

use super::*;
use clawdia::gateway::methods::{ADDITIONS, METHODS, Method};

#[test]
fn nothing_but_connect_runs_before_hello() {
    for method in METHODS.iter().filter(|method| method.name != "connect") {
        let mut driver = Driver::default();
        let before = driver.store.batches;
        let conn = driver.open(&Address::default());
        driver.challenge(conn);
        let params = json!({"enabled": true, "text": "x", "triggers": ["x"], "message": "x",
            "idempotencyKey": "k", "sessionKey": "main", "requestId": "x"});
        let answer = driver.call(conn, method.name, params);
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(
            text(&error),
            "invalid handshake: first request must be connect"
        );
        assert_eq!(error["code"], "INVALID_REQUEST");
        assert_eq!(driver.store.batches, before, "{}", method.name);
        assert!(driver.steps.is_empty());
    }
}

#[test]
fn what_is_no_request_closes_without_an_answer() {
    for first in [
        r#"{"type":"event","event":"x"}"#,
        r#"{"type":"res","id":"1","ok":true}"#,
        r#"{"type":"req","id":5,"method":"connect"}"#,
        r#"{"type":"req","method":"connect"}"#,
        r#"{"type":"req","id":"","method":"connect"}"#,
        r#"{"type":"req","id":"1"}"#,
        "[]",
        "null",
        "not json",
        r#"{"type":"req","id":"1","method":"connect","params":{}"#,
    ] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        driver.challenge(conn);
        driver.text(conn, first);
        driver.settle();
        assert_eq!(driver.messages(conn), Vec::<Value>::new(), "{first}");
        let closed = driver.remote(conn).closed.clone();
        assert_eq!(
            closed,
            Some((1008, "invalid request frame".into())),
            "{first}"
        );
        assert!(is_well(&mut driver));
    }
}

#[test]
fn faults_of_connect_are_told_in_the_words_that_clients_know() {
    for (params, expected) in [
        (
            with(|p| drop(p.as_object_mut().unwrap().remove("client"))),
            "invalid connect params: must have required property 'client'",
        ),
        (
            with(|p| p["client"]["mode"] = "king".into()),
            "invalid connect params: at /client/mode: must be equal to constant; \
             at /client/mode: must match a schema in anyOf",
        ),
        (
            with(|p| p["client"]["id"] = "".into()),
            "invalid connect params: at /client/id: must NOT have fewer than 1 characters",
        ),
        (
            with(|p| p["scopes"] = json!("operator.admin")),
            "invalid connect params: at /scopes: must be array",
        ),
        (with(|p| p["role"] = "king".into()), "invalid role"),
        (with(|p| p["auth"] = json!({})), "device identity required"),
        (
            with(|p| {
                p["role"] = "node".into();
            }),
            "device identity required",
        ),
    ] {
        let error = refuse(&mut Driver::default(), params);
        assert_eq!(text(&error), expected);
        let not_paired = expected == "device identity required";
        let code = if not_paired {
            "NOT_PAIRED"
        } else {
            "INVALID_REQUEST"
        };
        assert_eq!(error["code"], code, "{expected}");
    }
    let mut driver = Driver::default();
    let conn = driver.open(&Address::default());
    driver.challenge(conn);
    driver.text(conn, r#"{"type":"req","id":"1","method":"connect"}"#);
    driver.settle();
    let answer = driver.response(conn, "1").expect("an answer");
    let error = refused(&mut driver, conn, &answer, 1008);
    assert_eq!(text(&error), "invalid connect params: must be object");
}

#[test]
fn any_brand_of_client_is_welcome() {
    for id in ["cli", "clawdbot-ios", "openclaw-macos", "something-else"] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        let answer = driver.connect(conn, with(|p| p["client"]["id"] = id.into()), None);
        assert_eq!(answer["ok"], true, "{id}");
        assert!(
            answer["payload"].get("auth").is_none(),
            "no device, no token"
        );
    }
}

#[test]
fn the_highest_common_version_is_spoken() {
    for (min, max, expected) in [(3, 3, 3), (3, 4, 4), (1, 9, 4), (4, 4, 4), (2, 3, 3)] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        let params = with(|p| {
            p["minProtocol"] = min.into();
            p["maxProtocol"] = max.into();
        });
        let answer = driver.connect(conn, params, None);
        assert_eq!(answer["payload"]["protocol"], expected);
    }
    for (min, max) in [(5, 9), (1, 2), (4, 3)] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        let params = with(|p| {
            p["minProtocol"] = min.into();
            p["maxProtocol"] = max.into();
            // The version is judged before anything else.
            p["role"] = "king".into();
            p["auth"] = json!({});
        });
        let answer = driver.connect(conn, params, None);
        let error = refused(&mut driver, conn, &answer, 1002);
        assert_eq!(text(&error), "protocol mismatch");
        assert_eq!(
            error["details"],
            json!({"code": "PROTOCOL_MISMATCH", "clientMinProtocol": min,
                "clientMaxProtocol": max, "expectedProtocol": 4})
        );
    }
}

#[test]
fn unknown_members_beside_params_are_refused_in_version_three_alone() {
    for (version, good) in [(3, false), (4, true)] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        driver.challenge(conn);
        let params = with(|p| {
            p["minProtocol"] = version.into();
            p["maxProtocol"] = version.into();
        });
        let request = json!({"type": "req", "id": "1", "method": "connect", "params": params,
            "foo": 1});
        driver.text(conn, &request.to_string());
        driver.settle();
        let answer = driver.response(conn, "1").expect("an answer");
        assert_eq!(answer["ok"], good, "{answer}");
    }
}

#[test]
fn connect_is_served_once() {
    let mut driver = Driver::default();
    let conn = driver.open(&Address::default());
    driver.challenge(conn);
    let connect = |id: &str, params: Value| {
        json!({"type": "req", "id": id, "method": "connect", "params": params}).to_string()
    };
    // Two in one segment: the second neither replaces the first nor widens it.
    let little = with(|p| p["scopes"] = json!(["operator.read"]));
    let mut bytes = Vec::new();
    for text in [connect("a", little), connect("b", operator_params())] {
        bytes.extend(clawdia::driver::masked(1, text.as_bytes(), [7; 4]));
    }
    driver.feed(conn, &bytes);
    driver.settle();
    assert_eq!(driver.response(conn, "a").unwrap()["ok"], true);
    let second = driver.response(conn, "b").unwrap();
    let expected = "connect is only valid as the first request";
    assert_eq!(text(&second["error"]), expected);
    assert!(driver.is_open(conn));
    let refused = driver.err(conn, "system-event", json!({"text": "x"}));
    assert_eq!(text(&refused), "missing scope: operator.admin");
}

#[test]
fn what_is_sent_behind_connect_waits_for_hello() {
    let mut driver = Driver::default();
    let device = Device::new(2);
    let conn = driver.open(&Address::default());
    let nonce = driver.challenge(conn);
    let mut params = operator_params();
    device.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    driver.store.held = true;
    driver.request(conn, "connect", params.clone());
    let call = driver.request(conn, "status", json!({}));
    let again = driver.request(conn, "connect", params);
    driver.settle();
    assert!(
        driver.messages(conn).is_empty(),
        "its token is not stored yet"
    );
    driver.store.held = false;
    driver.settle();
    let messages = driver.messages(conn);
    assert_eq!(messages[0]["payload"]["type"], "hello-ok");
    let answered = |id: &str| {
        let found = messages.iter().filter(|message| message["id"] == id);
        found
            .map(|message| message["ok"] == true)
            .collect::<Vec<_>>()
    };
    assert_eq!(answered(&call), [true]);
    assert_eq!(answered(&again), [false]);
}

#[test]
fn what_is_sent_behind_connect_is_bounded() {
    let mut driver = Driver::default();
    let device = Device::new(2);
    let conn = driver.open(&Address::default());
    let nonce = driver.challenge(conn);
    let mut params = operator_params();
    device.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    driver.store.held = true;
    driver.request(conn, "connect", params);
    for _ in 0..3 {
        driver.request(conn, "status", json!({"pad": "x".repeat(30_000)}));
        driver.settle();
    }
    let closed = driver.remote(conn).closed.clone();
    assert_eq!(closed, Some((1008, "too much sent before hello".into())));
    driver.store.held = false;
    driver.settle();
    assert!(
        driver.messages(conn).is_empty(),
        "nobody is let in who is gone"
    );
}

#[test]
fn whoever_hangs_up_while_it_is_stored_is_never_there() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(2);
    let conn = driver.open(&Address::default());
    let nonce = driver.challenge(conn);
    let mut params = with(|p| p["client"]["mode"] = "webchat".into());
    device.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    driver.store.held = true;
    driver.request(conn, "connect", params);
    driver.settle();
    driver.hang_up(conn);
    driver.store.held = false;
    driver.settle();
    let presence = driver.ok(operator, "system-presence", json!({}));
    assert_eq!(
        presence.as_array().unwrap().len(),
        1,
        "the gateway alone: {presence}"
    );
}

#[test]
fn hello_says_what_a_client_needs() {
    let mut driver = Driver::default();
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, operator_params(), Some((&Device::new(2), Proof::V2)));
    let hello = &answer["payload"];
    assert_eq!(hello["type"], "hello-ok");
    assert_eq!(hello["protocol"], 3);
    assert!(hello["server"]["connId"].is_string());
    let policy = json!({"maxPayload": 524_288, "maxBufferedBytes": 1_572_864,
        "tickIntervalMs": 30_000});
    assert_eq!(hello["policy"], policy);
    let snapshot = &hello["snapshot"];
    assert_eq!(snapshot["presence"][0]["mode"], "gateway");
    assert_eq!(snapshot["presence"][0]["reason"], "self");
    assert_eq!(snapshot["health"]["ok"], true);
    assert!(snapshot["stateVersion"]["presence"].is_u64());
    assert!(snapshot["uptimeMs"].is_u64());
    let defaults = json!({"defaultAgentId": "main", "mainKey": "main",
        "mainSessionKey": "agent:main:main", "scope": "per-sender"});
    assert_eq!(snapshot["sessionDefaults"], defaults);
    assert_eq!(hello["auth"]["role"], "operator");
    assert_eq!(hello["auth"]["issuedAtMs"], driver.now.unix_ms);
    let methods = hello["features"]["methods"].as_array().unwrap();
    let is_addition = |row: &&Method| ADDITIONS.contains(&row.name);
    let additions = METHODS.iter().filter(is_addition).count();
    let told = METHODS.len() - 1 - additions;
    assert_eq!(methods.len(), told, "exactly what is served");
    // The first event behind it is health, to those who may read.
    let next = driver.messages(conn);
    assert_eq!(next[0]["event"], "health");
    assert_eq!(next[0]["seq"], 1);
}
