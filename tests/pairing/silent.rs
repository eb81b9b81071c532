//! Devices that are paired by the way, because they are here and know the secret.

use super::*;

#[test]
fn a_local_client_with_the_secret_is_paired_with_all_that_an_operator_needs() {
    let mut driver = Driver::default();
    let laptop = Device::new(2);
    let local = Address::default();
    let (conn, answer) = connect(&mut driver, &local, &laptop, asking(&[READ], TOKEN));
    let auth = answer["payload"]["auth"].clone();
    assert_eq!(auth["scopes"], json!(ALL), "or it could approve nobody");
    // The connection itself has what it asked for.
    let refused = driver.err(conn, "device.pair.list", json!({}));
    assert_eq!(message(&refused), "missing scope: operator.pairing");
    let (_, again) = connect(&mut driver, &local, &laptop, asking(&ALL, TOKEN));
    assert_eq!(
        again["payload"]["auth"], auth,
        "connecting never replaces a token"
    );
}

#[test]
fn silent_pairing_gives_an_old_token_what_was_asked_for_and_no_more() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    pair(&mut driver, admin, &phone, &[READ, WRITE]);
    let mut params = named(&phone);
    params["scopes"] = json!([READ]);
    driver.ok(admin, "device.token.rotate", params);
    let token = token_of(&driver, &phone);
    let params = asking(&[READ, APPROVALS], TOKEN);
    let (_, answer) = connect(&mut driver, &Address::default(), &phone, params);
    let auth = &answer["payload"]["auth"];
    assert_eq!(auth["deviceToken"], *token);
    assert_eq!(
        auth["scopes"],
        json!([APPROVALS, READ]),
        "write was taken from it"
    );
}

#[test]
fn a_request_that_silent_pairing_settles_is_told_as_resolved() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let id = request(&mut driver, &phone, asking(&[READ], TOKEN));
    let (_, answer) = connect(&mut driver, &Address::default(), &phone, operator_params());
    assert_eq!(answer["ok"], true);
    let told = driver.events(admin, "device.pair.resolved");
    assert_eq!(told[0]["requestId"], *id);
    assert!(driver.store.state().pairings().is_empty());
    // One for something else still waits.
    let id = request(&mut driver, &Device::new(3), node_params(&["camera.snap"]));
    let (_, answer) = connect(
        &mut driver,
        &Address::default(),
        &Device::new(3),
        operator_params(),
    );
    assert_eq!(answer["ok"], true);
    assert!(driver.store.state().pairings().contains_key(&*id));
}

#[test]
fn only_a_direct_local_program_or_our_own_page_is_paired_silently() {
    let local = Address::default;
    let listed = "https://page.example";
    for (from, good) in [
        (local(), true),
        (local().with("Origin", "http://127.0.0.1:18789"), true),
        (local().with("Origin", listed), false),
        (local().with("X-Forwarded-For", "127.0.0.1"), false),
        (away(), false),
    ] {
        let mut driver = Driver::new(clawdia::driver::Options {
            config: format!("{{gateway: {{controlUi: {{allowedOrigins: ['{listed}']}}}}}}"),
            ..Default::default()
        });
        for params in [operator_params(), node_params(&[])] {
            let (_, answer) = connect(&mut driver, &from, &Device::new(2), params);
            assert_eq!(answer["ok"], good, "{from:?} {answer}");
        }
    }
}

#[test]
fn a_device_token_proves_no_new_role_or_scope_even_locally() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let phone = Device::new(2);
    let token = pair(&mut driver, admin, &phone, &[READ]);
    let local = Address::default();
    let (_, answer) = connect(&mut driver, &local, &phone, asking(&[ADMIN], &token));
    assert_eq!(answer["error"]["code"], "NOT_PAIRED", "{answer}");
}

#[test]
fn two_connections_of_a_new_device_share_one_token() {
    let mut driver = Driver::default();
    let laptop = Device::new(2);
    let conns = [(); 3].map(|()| driver.open(&Address::default()));
    driver.store.held = true;
    let ids = conns.map(|conn| {
        let nonce = driver.challenge(conn);
        let mut params = operator_params();
        laptop.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
        driver.request(conn, "connect", params)
    });
    driver.settle();
    driver.store.held = false;
    driver.settle();
    let tokens: Vec<Value> = conns
        .iter()
        .zip(&ids)
        .map(|(conn, id)| driver.response(*conn, id).expect("a hello"))
        .map(|hello| hello["payload"]["auth"]["deviceToken"].clone())
        .collect();
    assert!(tokens[0].is_string());
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[test]
fn connecting_writes_nothing_but_once_a_day() {
    let mut driver = Driver::default();
    let laptop = Device::new(2);
    driver.join(&laptop, operator_params());
    let token = token_of(&driver, &laptop);
    let batches = driver.store.batches;
    for _ in 0..5 {
        driver.join(&laptop, asking(&ALL, &token));
    }
    assert_eq!(driver.store.batches, batches);
    driver.advance(DEVICE_SEEN_INTERVAL_MS);
    driver.store.held = true;
    // The hello does not wait for it.
    driver.join(&laptop, asking(&ALL, &token));
    driver.store.held = false;
    driver.settle();
    driver.join(&laptop, asking(&ALL, &token));
    assert_eq!(driver.store.batches, batches + 1);
    let row = &driver.store.state().devices()[&*laptop.id];
    assert_eq!(row.last_seen_ms, driver.now.unix_ms);
    let token = row.grants[0].token.as_ref().unwrap();
    assert_eq!(token.last_used_at_ms, Some(driver.now.unix_ms));
}
