//! What a connection may do: what it asked for, cut to what it was given, never more.

use super::*;

const SECRETS: [(&str, &str); 2] = [
    (
        "{gateway: {auth: {mode: 'token', token: 'testtoken'}}}",
        "token",
    ),
    (
        "{gateway: {auth: {mode: 'password', password: 'testtoken'}}}",
        "password",
    ),
];

fn enter(driver: &mut Driver, params: Value) -> ConnId {
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, params, None);
    assert_eq!(answer["ok"], true, "{answer}");
    driver.remote(conn).messages.clear();
    conn
}

#[test]
fn whoever_asks_for_nothing_is_given_nothing() {
    for scopes in [json!([]), Value::Null, json!(["operator.everything", "*"])] {
        let mut driver = Driver::default();
        let params = with(|p| match scopes {
            Value::Null => drop(p.as_object_mut().unwrap().remove("scopes")),
            ref list => p["scopes"] = list.clone(),
        });
        for device in [None, Some((&Device::new(2), Proof::V2))] {
            let conn = driver.open(&Address::default());
            let answer = driver.connect(conn, params.clone(), device);
            assert_eq!(answer["ok"], true, "{answer}");
            assert!(driver.messages(conn).is_empty(), "not even health");
            for (method, scope) in [
                ("status", "operator.read"),
                ("voicewake.set", "operator.write"),
                ("device.pair.list", "operator.pairing"),
                ("system-event", "operator.admin"),
                ("no.such.method", "operator.admin"),
            ] {
                let refused = driver.err(conn, method, json!({}));
                assert_eq!(text(&refused), format!("missing scope: {scope}"));
            }
        }
    }
}

#[test]
fn header_fields_grant_nothing() {
    let mut driver = Driver::default();
    let mut from = Address::default();
    for brand in ["openclaw", "clawdbot", "clawdia"] {
        from = from.with(&format!("x-{brand}-scopes"), "operator.admin");
    }
    let conn = driver.open(&from);
    driver.connect(conn, with(|p| p["scopes"] = json!(["operator.read"])), None);
    let refused = driver.err(conn, "system-event", json!({"text": "x"}));
    assert_eq!(text(&refused), "missing scope: operator.admin");
}

#[test]
fn the_shared_secret_gives_what_was_asked_for() {
    for (config, name) in SECRETS {
        let mut driver = configured(config);
        let params = with(|p| {
            p["scopes"] = json!(["operator.write"]);
            p["auth"] = json!({ name: TOKEN });
        });
        let conn = enter(&mut driver, params);
        driver.ok(conn, "status", json!({}));
        driver.ok(conn, "voicewake.set", json!({"triggers": ["x"]}));
        let refused = driver.err(conn, "device.pair.list", json!({}));
        assert_eq!(text(&refused), "missing scope: operator.pairing");
    }
}

#[test]
fn the_refusal_names_what_is_missing_or_wrong_and_what_mends_it() {
    for (config, name) in SECRETS {
        for (auth, what) in [
            (json!({}), "missing"),
            (json!({ name: "" }), "missing"),
            (json!({ name: "wrong" }), "mismatch"),
            (json!({ name: "tésttoken" }), "mismatch"),
            (json!({ name: "x".repeat(20_000) }), "mismatch"),
        ] {
            let mut driver = configured(config);
            let conn = driver.open(&Address::default());
            let params = with(|p| p["auth"] = auth.clone());
            let answer = driver.connect(conn, params, Some((&Device::new(2), Proof::V2)));
            let error = refused(&mut driver, conn, &answer, 1008);
            let expected = format!("unauthorized: gateway {name} {what} (");
            assert!(text(&error).starts_with(&expected), "{error}");
            assert!(
                text(&error).len() <= 123,
                "the page shows the close reason alone"
            );
            assert!(driver.store.state().devices().is_empty());
        }
    }
}

#[test]
fn a_secret_that_is_only_there_lets_nobody_in() {
    // Neither a token of any kind nor another identity skips the device.
    let config = "{gateway: {auth: {mode: 'token', token: 'testtoken', allowTailscale: true}}}";
    for auth in [
        json!({"token": "junk"}),
        json!({"deviceToken": "junk"}),
        json!({"password": "testtoken"}),
        json!({"bootstrapToken": "testtoken"}),
    ] {
        let mut driver = configured(config);
        let conn = driver.open(&Address::default().with("Tailscale-User-Login", "me@example.com"));
        let answer = driver.connect(conn, with(|p| p["auth"] = auth.clone()), None);
        refused(&mut driver, conn, &answer, 1008);
    }
}

#[test]
fn either_of_two_secrets_is_enough() {
    let mut driver = configured(SECRETS[1].0);
    let params = with(|p| p["auth"] = json!({"token": "an old device token", "password": TOKEN}));
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, params, Some((&Device::new(2), Proof::V2)));
    assert_eq!(answer["ok"], true, "{answer}");
}

#[test]
fn a_new_secret_closes_who_came_in_with_the_old_one() {
    let mut driver = Driver::default();
    let by_secret = driver.operator();
    let laptop = Device::new(2);
    driver.join(&laptop, operator_params());
    let row = driver.store.state().devices()[&*laptop.id].clone();
    let token = row.grants[0].token.as_ref().unwrap().token.to_string();
    let by_token = driver.join(&laptop, with(|p| p["auth"]["token"] = token.into()));
    // One more is on its way in.
    let joining = driver.open(&Address::default());
    let nonce = driver.challenge(joining);
    let mut params = operator_params();
    Device::new(3).sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    driver.store.held = true;
    driver.request(joining, "connect", params);
    driver.settle();

    driver.reload("{gateway: {auth: {mode: 'token', token: 'another one'}}}");
    driver.store.held = false;
    driver.settle();
    for conn in [by_secret, joining] {
        let closed = driver.remote(conn).closed.clone();
        assert_eq!(closed, Some((1008, "gateway secret changed".into())));
    }
    assert!(driver.messages(joining).is_empty());
    assert!(driver.is_open(by_token));
    let error = refuse(&mut driver, operator_params());
    assert!(text(&error).starts_with("unauthorized: gateway token mismatch"));
}

#[test]
fn unauthorized_calls_in_a_row_close_the_connection() {
    let mut driver = Driver::default();
    let conn = enter(
        &mut driver,
        with(|p| p["scopes"] = json!(["operator.read"])),
    );
    for round in 0..2 {
        for _ in 0..10 {
            driver.err(conn, "system-event", json!({"text": "x"}));
        }
        assert!(driver.is_open(conn), "{round}");
        // A good one forgives them.
        driver.ok(conn, "status", json!({}));
    }
    let bad = [
        r#"{"type":"req","id":"1","method":"system-event","params":{}}"#,
        r#"{"type":"req","id":"1","method":"status","params":[]}"#,
        r#"{"type":"req","id":"1"}"#,
        "not json",
    ];
    for at in 0..11 {
        assert!(driver.is_open(conn), "{at}");
        driver.text(conn, bad[at % bad.len()]);
        driver.settle();
    }
    assert_eq!(
        driver.remote(conn).closed.clone().map(|(code, _)| code),
        Some(1008)
    );
}

#[test]
fn requests_in_flight_are_bounded_and_have_names_of_their_own() {
    let mut driver = Driver::default();
    let conn = enter(&mut driver, operator_params());
    driver.store.held = true;
    let set = |id: usize, enabled: bool| {
        json!({"type": "req", "id": format!("{id}"), "method": "voicewake.set",
            "params": {"triggers": [format!("{enabled}")]}})
        .to_string()
    };
    driver.text(conn, &set(0, true));
    driver.settle();
    driver.text(conn, &set(0, true));
    driver.settle();
    let refused = driver.response(conn, "0").expect("an answer");
    assert_eq!(
        text(&refused["error"]),
        "request id is in use by a call in flight"
    );
    for id in 1..100 {
        driver.text(conn, &set(id, true));
    }
    driver.settle();
    let refused = |message: &&Value| message["error"]["code"] == "UNAVAILABLE";
    let messages = driver.messages(conn);
    let early = messages.iter().filter(refused).count();
    driver.store.held = false;
    driver.settle();
    let later = driver.messages(conn);
    let answered = messages
        .iter()
        .chain(&later)
        .filter(|message| message["type"] == "res");
    assert_eq!(answered.count(), 100, "one answer each");
    let late = later.iter().filter(refused).count();
    assert_eq!(early + late, 100 - 64, "early {early} late {late}");
}
