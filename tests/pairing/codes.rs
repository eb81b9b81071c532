//! Codes that let one device in without anybody looking.

use super::*;
use clawdia::limits::{GUESS_LOCK_MS, GUESSES_MAX, SETUP_CODE_TTL_MS, SETUP_CODES_MAX};

const REFUSED: &str =
    "unauthorized: pairing code unknown, used or expired (run: clawdia devices pair)";

fn make(driver: &mut Driver, maker: ConnId, params: Value) -> String {
    let made = driver.ok(maker, "device.pair.code", params);
    made["code"].as_str().unwrap().to_owned()
}

/// An operator or node that shows nothing but a code.
fn showing(mut params: Value, code: &str) -> Value {
    params["auth"] = json!({ "bootstrapToken": code });
    params
}

fn node(code: &str) -> Value {
    showing(node_params(&["system.run", "system.which"]), code)
}

fn reader(code: &str) -> Value {
    showing(asking(&ALL, ""), code)
}

#[test]
fn a_node_that_shows_a_code_is_let_in_once_with_a_token_of_its_own() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let made = driver.ok(admin, "device.pair.code", json!({}));
    assert_eq!(
        (&made["role"], &made["scopes"]),
        (&json!("node"), &json!([]))
    );
    let expires_at_ms = driver.now.unix_ms + SETUP_CODE_TTL_MS;
    assert_eq!(made["expiresAtMs"], expires_at_ms);
    let code = made["code"].as_str().unwrap();
    assert!(!code.contains(TOKEN));
    let machine = Device::new(3);
    let (_, hello) = enter(&mut driver, &machine, node(code));
    let token = hello["auth"]["deviceToken"].as_str().unwrap().to_owned();
    assert_eq!(hello["auth"]["role"], "node");
    // Not again, not even by the same device, which now has its token.
    for device in [&machine, &Device::new(4)] {
        let (_, answer) = connect(&mut driver, &away(), device, node(code));
        assert_eq!(message(&answer["error"]), REFUSED);
    }
    let mut params = node_params(&["system.run", "system.which"]);
    params["auth"] = json!({ "token": token });
    enter(&mut driver, &machine, params);
    let row = &driver.store.state().devices()[&*machine.id];
    assert_eq!(row.commands.len(), 2);
}

#[test]
fn of_a_hundred_that_show_one_code_at_once_one_comes_in() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let code = make(&mut driver, admin, json!({}));
    driver.store.held = true;
    let mut conns = Vec::new();
    for n in 0..100u8 {
        let from = Address::remote([203, 0, 113, n]);
        let conn = driver.open(&from);
        let nonce = driver.challenge(conn);
        let mut params = node(&code);
        let device = Device::new(u64::from(n) + 10);
        device.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
        driver.request(conn, "connect", params);
        conns.push(conn);
    }
    driver.store.held = false;
    driver.settle();
    let is_in = |conn: &&ConnId| driver.is_open(**conn);
    assert_eq!(conns.iter().filter(is_in).count(), 1);
    let nodes = driver.store.state().devices().values();
    let paired = nodes.filter(|row| row.grant(clawdia::state::Role::Node).is_some());
    assert_eq!(paired.count(), 1);
}

#[test]
fn a_code_gives_what_it_was_made_for_and_nothing_wider() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let code = make(
        &mut driver,
        admin,
        json!({"role": "operator", "scopes": [READ]}),
    );
    let phone = Device::new(2);
    let (_, refused) = connect(&mut driver, &away(), &phone, node(&code));
    let text = "unauthorized: pairing code is for role operator";
    assert_eq!(message(&refused["error"]), text);
    let (conn, hello) = enter(&mut driver, &phone, reader(&code));
    assert_eq!(hello["auth"]["scopes"], json!([READ]));
    let refused = driver.err(conn, "config.get", json!({}));
    assert_eq!(message(&refused), "missing scope: operator.admin");
    let row = &driver.store.state().devices()[&*phone.id];
    assert_eq!(row.grants[0].scopes.len(), 1);
    let token = token_of(&driver, &phone);
    request(&mut driver, &phone, asking(&ALL, &token));
}

#[test]
fn nobody_makes_a_code_for_more_than_he_holds() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let helper = secret_holder(&mut driver, &[PAIRING, READ]);
    let phone = Device::new(2);
    pair(&mut driver, admin, &phone, &[PAIRING, READ]);
    let (paired, _) = enter(&mut driver, &phone, asking(&[PAIRING, READ], TOKEN));
    let role = "operator";
    for (maker, params, wanted) in [
        (helper, json!({"role": role, "scopes": [READ]}), None),
        (helper, json!({"role": role, "scopes": []}), None),
        (
            helper,
            json!({"role": role, "scopes": [WRITE]}),
            Some(WRITE),
        ),
        (helper, json!({"role": role}), Some(WRITE)),
        (helper, json!({"role": "node"}), Some(ADMIN)),
        (paired, json!({"role": role, "scopes": [READ]}), Some(ADMIN)),
        (admin, json!({"role": role, "scopes": ALL}), None),
    ] {
        match wanted {
            None => drop(driver.ok(maker, "device.pair.code", params)),
            Some(scope) => {
                let refused = driver.err(maker, "device.pair.code", params.clone());
                assert_eq!(
                    message(&refused),
                    format!("missing scope: {scope}"),
                    "{params}"
                );
            }
        }
    }
    for params in [
        json!({"role": "boss"}),
        json!({"role": role, "scopes": ["operator.all"]}),
        json!({"ttlMs": SETUP_CODE_TTL_MS + 1}),
        json!({"ttlMs": 0}),
    ] {
        driver.err(admin, "device.pair.code", params);
    }
}

#[test]
fn a_code_ends_with_its_time_its_process_its_secret_and_its_maker() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let refused = |driver: &mut Driver, code: &str| {
        let (_, answer) = connect(driver, &away(), &Device::new(9), node(code));
        assert_eq!(message(&answer["error"]), REFUSED);
    };
    let code = make(&mut driver, admin, json!({"ttlMs": 60_000}));
    driver.advance(60_000);
    refused(&mut driver, &code);

    let phone = Device::new(2);
    pair(&mut driver, admin, &phone, &ALL);
    let (maker, _) = enter(&mut driver, &phone, asking(&ALL, TOKEN));
    let code = make(&mut driver, maker, json!({}));
    driver.ok(admin, "device.token.revoke", named(&phone));
    refused(&mut driver, &code);

    let code = make(&mut driver, admin, json!({}));
    driver.reload(r#"{gateway: {auth: {token: "another"}}}"#);
    refused(&mut driver, &code);

    driver.reload("{}");
    let admin = driver.operator();
    let (used, unused) = (
        make(&mut driver, admin, json!({})),
        make(&mut driver, admin, json!({})),
    );
    enter(&mut driver, &Device::new(3), node(&used));
    let mut driver = driver.crash(0);
    refused(&mut driver, &used);
    refused(&mut driver, &unused);
}

#[test]
fn guesses_lock_who_makes_them_and_nobody_else() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let code = make(&mut driver, admin, json!({}));
    let guesser = Device::new(5);
    for _ in 0..GUESSES_MAX {
        let (_, answer) = connect(&mut driver, &away(), &guesser, node("0000-0000-0000-0000"));
        assert_eq!(message(&answer["error"]), REFUSED);
    }
    let (_, answer) = connect(&mut driver, &away(), &guesser, node(&code));
    assert_eq!(message(&answer["error"]), "unauthorized: too many attempts");
    assert_eq!(answer["error"]["retryAfterMs"], GUESS_LOCK_MS);
    // Whoever shows the shared secret is not locked, nor is another address.
    request(&mut driver, &guesser, node_params(&[]));
    let conn = driver.open(&Address::remote([198, 51, 100, 1]));
    let answer = driver.connect(conn, node(&code), Some((&guesser, Proof::V2)));
    assert_eq!(answer["ok"], true, "{answer}");
}

#[test]
fn a_code_is_worth_nothing_without_a_device_and_with_a_false_proof() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let code = make(&mut driver, admin, json!({"role": "operator"}));
    let conn = driver.open(&away());
    let answer = driver.connect(conn, reader(&code), None);
    assert_eq!(message(&answer["error"]), "device identity required");
    // The proof covers the code: what was signed for another one does not verify.
    let phone = Device::new(2);
    let conn = driver.open(&away());
    let nonce = driver.challenge(conn);
    let mut params = reader("AAAA-AAAA-AAAA-AAAA");
    phone.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    params["auth"]["bootstrapToken"] = json!(code);
    let answer = driver.call(conn, "connect", params);
    assert_eq!(message(&answer["error"]), "device signature invalid");
    enter(&mut driver, &phone, reader(&code));
}

#[test]
fn codes_are_few() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    for _ in 0..SETUP_CODES_MAX {
        make(&mut driver, admin, json!({}));
    }
    let refused = driver.err(admin, "device.pair.code", json!({}));
    assert_eq!(refused["code"], "UNAVAILABLE");
}
