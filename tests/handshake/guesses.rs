//! Wrong secrets: counted where they are guesses, and nowhere else.

use super::*;

const LOCKED: &str = "unauthorized: too many attempts";
const LOCK_MS: u64 = 300_000;

/// One wrong guess from there; the error's text.
fn guess(driver: &mut Driver, from: &Address, auth: Value) -> Value {
    let conn = driver.open(from);
    let answer = driver.connect(conn, with(|p| p["auth"] = auth), None);
    refused(driver, conn, &answer, 1008)
}

fn wrong(driver: &mut Driver, from: &Address) -> Value {
    guess(driver, from, json!({"token": "wrong"}))
}

/// Whether the right secret is let in from there.
fn is_let_in(driver: &mut Driver, from: &Address) -> bool {
    let conn = driver.open(from);
    let answer = driver.connect(conn, operator_params(), Some((&Device::new(2), Proof::V2)));
    answer["error"]["message"] == "pairing required" || answer["ok"] == true
}

fn at(ip: &str) -> Address {
    Address {
        ip: ip.parse().unwrap(),
        ..away()
    }
}

#[test]
fn ten_wrong_guesses_lock_an_address_however_it_is_written() {
    let behind_proxy = |hop: &str| Address::default().with("X-Forwarded-For", hop);
    let sources: [[Address; 2]; 4] = [
        [at("203.0.113.9"), at("203.0.113.9")],
        [at("203.0.113.9"), at("::ffff:203.0.113.9")],
        [at("2001:db8::1"), at("2001:db8::ffff:1")],
        [behind_proxy("203.0.113.9"), behind_proxy("203.0.113.9")],
    ];
    for [one, other] in sources {
        let mut driver = configured("{gateway: {trustedProxies: ['127.0.0.1']}}");
        for n in 0..10 {
            let from = if n % 2 == 0 { &one } else { &other };
            let error = wrong(&mut driver, from);
            assert!(text(&error).contains("mismatch"), "{n} {error}");
        }
        for from in [&one, &other] {
            let error = wrong(&mut driver, from);
            assert_eq!(text(&error), LOCKED, "{from:?}");
            assert_eq!(error["retryable"], true);
            let retry_ms = error["retryAfterMs"].as_u64().unwrap();
            assert!((1..=LOCK_MS).contains(&retry_ms), "{retry_ms}");
            assert!(!is_let_in(&mut driver, from), "even with the right one");
        }
        assert!(
            is_let_in(&mut driver, &at("198.51.100.7")),
            "others are not locked"
        );
    }
}

#[test]
fn a_bogus_device_token_beside_it_makes_a_guess_no_less_a_guess() {
    let mut driver = Driver::default();
    for n in 0..11 {
        let error = guess(
            &mut driver,
            &away(),
            json!({"token": format!("wrong{n}"), "deviceToken": "bogus"}),
        );
        assert_eq!(text(&error) == LOCKED, n == 10, "{error}");
    }
    let mut driver = Driver::default();
    for n in 0..11 {
        let conn = driver.open(&away());
        let params = with(|p| p["auth"]["token"] = format!("wrong{n}").into());
        let answer = driver.connect(conn, params, Some((&Device::new(2), Proof::V2)));
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(text(&error) == LOCKED, n == 10, "{error}");
    }
}

#[test]
fn the_window_slides_and_a_lock_ends_by_itself() {
    let mut driver = Driver::default();
    for _ in 0..9 {
        wrong(&mut driver, &away());
    }
    driver.advance(60_001);
    for n in 0..10 {
        assert!(
            text(&wrong(&mut driver, &away())).contains("mismatch"),
            "{n}"
        );
    }
    assert!(!is_let_in(&mut driver, &away()));
    driver.advance(LOCK_MS - 1);
    assert!(!is_let_in(&mut driver, &away()));
    driver.advance(1);
    assert!(is_let_in(&mut driver, &away()), "without a restart");
}

#[test]
fn what_is_no_guess_locks_nobody_out() {
    let mut driver = Driver::default();
    for _ in 0..30 {
        let conn = driver.open(&away());
        driver.connect(conn, with(|p| p["auth"] = json!({})), None);
        let conn = driver.open(&away());
        let params = with(|p| p["auth"] = json!({}));
        let answer = driver.connect(conn, params, Some((&Device::new(2), Proof::V2)));
        assert!(text(&answer["error"]).contains("missing"));
        let conn = driver.open(&away());
        driver.text(conn, "not json");
        driver.settle();
        let conn = driver.open(&away());
        driver.challenge(conn);
        driver.call(conn, "health", json!({}));
        let conn = driver.open(&away());
        driver.connect(conn, with(|p| p["role"] = "king".into()), None);
    }
    assert!(is_let_in(&mut driver, &away()));
}

#[test]
fn a_good_device_token_passes_while_the_secret_is_locked() {
    let mut driver = Driver::default();
    let laptop = Device::new(2);
    driver.join(&laptop, operator_params());
    let row = driver.store.state().devices()[&*laptop.id].clone();
    let token = row.grants[0].token.as_ref().unwrap().token.to_string();
    for _ in 0..11 {
        wrong(&mut driver, &away());
    }
    assert!(!is_let_in(&mut driver, &away()));
    let conn = driver.open(&away());
    let params = with(|p| p["auth"] = json!({ "token": token }));
    let answer = driver.connect(conn, params, Some((&laptop, Proof::V2)));
    assert_eq!(answer["ok"], true, "{answer}");
}

#[test]
fn on_this_machine_a_page_is_locked_and_a_program_is_not() {
    let page = Address::default().with("Origin", "http://127.0.0.1:18789");
    let listed = Address::default().with("Origin", "https://page.example");
    let config = "{gateway: {controlUi: {allowedOrigins: ['https://page.example'], \
                  allowInsecureAuth: true}}}";
    let mut driver = configured(config);
    for _ in 0..10 {
        wrong(&mut driver, &page);
        wrong(&mut driver, &Address::default());
        wrong(&mut driver, &Address::default());
    }
    assert_eq!(text(&wrong(&mut driver, &page)), LOCKED);
    assert!(!is_let_in(&mut driver, &page));
    assert!(
        is_let_in(&mut driver, &listed),
        "each page is counted alone"
    );
    assert!(is_let_in(&mut driver, &Address::default()));
}
