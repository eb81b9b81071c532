//! Persons of a tailnet, who come through `tailscale serve` on this machine.

use super::*;
use clawdia::gateway::{FetchResult, Input};
use clawdia::tailnet::Tailnet;
use clawdia::tailnet::person::Person;

const NAME: &str = "home.tail1234.ts.net";
const SERVE: &str = "{gateway: {tailscale: {mode: 'serve'}, auth: {token: 'testtoken'}}}";

/// A gateway that is published, in a tailnet where 100.64.0.7 is my phone.
fn published(config: &str) -> Driver {
    let mut driver = configured(config);
    let tailnet = Tailnet {
        name: Some(NAME.into()),
        url: Some(format!("https://{NAME}/")),
        fault: None,
    };
    let now = driver.now;
    driver.gateway.handle(now, Input::Tailnet(tailnet));
    let me = Person {
        login: "me@example.com".into(),
    };
    driver.persons.insert([100, 64, 0, 7].into(), me);
    driver
}

/// What `tailscale serve` sends on for a visitor.
fn through_serve(ip: &str, login: &str) -> Address {
    Address {
        host: NAME.into(),
        ..Address::default()
    }
    .with("X-Forwarded-For", ip)
    .with("X-Forwarded-Host", NAME)
    .with("X-Forwarded-Proto", "https")
    .with("Tailscale-User-Login", login)
}

fn me() -> Address {
    through_serve("100.64.0.7", "me@example.com")
}

/// Connects with a device and this secret.
fn connect(driver: &mut Driver, from: &Address, auth: Value) -> Value {
    let conn = driver.open(from);
    let params = with(|params| params["auth"] = auth);
    driver.connect(conn, params, Some((&Device::new(7), Proof::V2)))
}

/// Whether the connection got as far as its pairing: the secret was not asked for.
fn is_known(answer: &Value) -> bool {
    answer["error"]["message"] == "pairing required"
}

#[test]
fn a_person_whom_the_daemon_knows_needs_no_secret_but_a_paired_device() {
    let mut driver = published(SERVE);
    let answer = connect(&mut driver, &me(), json!({}));
    assert!(is_known(&answer), "{answer}");
    let operator = driver.operator();
    let id = answer["error"]["details"]["requestId"].clone();
    driver.ok(operator, "device.pair.approve", json!({"requestId": id}));
    let hello = connect(&mut driver, &me(), json!({}));
    assert_eq!(hello["ok"], true, "{hello}");
}

#[test]
fn a_claim_that_the_daemon_does_not_confirm_is_nothing() {
    let mut driver = published(SERVE);
    driver.persons.insert(
        [100, 64, 0, 8].into(),
        Person {
            login: "other@example.com".into(),
        },
    );
    for from in [
        through_serve("100.64.0.8", "me@example.com"),
        through_serve("100.64.0.9", "me@example.com"),
        through_serve("100.64.0.7", "root@example.com"),
        // The second time the answer is known already.
        through_serve("100.64.0.8", "me@example.com"),
        through_serve("100.64.0.7", "root@example.com"),
    ] {
        let answer = connect(&mut driver, &from, json!({}));
        let text = text(&answer["error"]).to_owned();
        assert!(text.contains("token missing"), "{text}");
    }
    assert!(is_known(&connect(&mut driver, &me(), json!({}))));
}

#[test]
fn headers_of_anybody_but_the_daemon_are_nothing() {
    let mut driver = published(SERVE);
    let elsewhere = Address {
        ip: [100, 64, 0, 7].into(),
        ..me()
    };
    let funnel = me().with("Tailscale-Funnel-Request", "?1");
    let twice = me().with("Tailscale-User-Login", "me@example.com");
    let mut without_host = me();
    without_host
        .fields
        .retain(|(name, _)| name != "X-Forwarded-Host");
    for from in [elsewhere, funnel, twice, without_host] {
        let answer = connect(&mut driver, &from, json!({}));
        assert!(text(&answer["error"]).contains("token missing"), "{answer}");
    }
}

#[test]
fn a_wrong_token_beside_a_true_person_opens_nothing_more() {
    let mut driver = published(SERVE);
    let junk = json!({"token": "junk"});
    assert!(is_known(&connect(&mut driver, &me(), junk.clone())));
    // Without a device a person is not enough, and the token was wrong.
    let conn = driver.open(&me());
    let params = with(|params| params["auth"] = junk);
    let answer = driver.connect(conn, params, None);
    assert!(
        text(&answer["error"]).contains("token mismatch"),
        "{answer}"
    );
}

#[test]
fn nobody_is_asked_about_where_identities_do_not_count() {
    for config in [
        "{gateway: {auth: {token: 'testtoken'}}}",
        "{gateway: {tailscale: {mode: 'serve'}, auth: {token: 'testtoken', allowTailscale: false}}}",
        "{gateway: {tailscale: {mode: 'serve'}, auth: {mode: 'password', password: 'testtoken'}}}",
    ] {
        let mut driver = published(config);
        let answer = connect(&mut driver, &me(), json!({}));
        assert!(
            text(&answer["error"]).contains("missing"),
            "{config} {answer}"
        );
    }
}

#[test]
fn a_person_goes_when_identities_count_no_more() {
    let mut driver = published(SERVE);
    let answer = connect(&mut driver, &me(), json!({}));
    let operator = driver.operator();
    let id = answer["error"]["details"]["requestId"].clone();
    driver.ok(operator, "device.pair.approve", json!({"requestId": id}));
    let conn = driver.open(&me());
    let params = with(|params| params["auth"] = json!({}));
    let hello = driver.connect(conn, params, Some((&Device::new(7), Proof::V2)));
    assert_eq!(hello["ok"], true);
    let hash = driver.ok(operator, "config.get", json!({}))["hash"].clone();
    let raw = "{gateway: {auth: {allowTailscale: false}}}";
    driver.ok(
        operator,
        "config.patch",
        json!({"raw": raw, "baseHash": hash}),
    );
    let (code, reason) = driver.remote(conn).closed.clone().expect("closed");
    assert_eq!(
        (code, reason.as_str()),
        (1008, "Tailscale identities count no more")
    );
    let answer = connect(&mut driver, &me(), json!({}));
    assert_ne!(
        answer["ok"], true,
        "its own token was never shown: {answer}"
    );
}

#[test]
fn visitors_through_the_daemon_are_told_apart_and_never_local() {
    let mut driver = published(SERVE);
    let wrong = json!({"token": "wrong"});
    let guess = |driver: &mut Driver, ip: &str| {
        let conn = driver.open(&through_serve(ip, "x"));
        let params = with(|params| params["auth"] = wrong.clone());
        driver.connect(conn, params, None)["error"].clone()
    };
    for _ in 0..10 {
        assert!(text(&guess(&mut driver, "100.64.0.9")).contains("mismatch"));
    }
    assert!(text(&guess(&mut driver, "100.64.0.9")).contains("too many"));
    assert!(text(&guess(&mut driver, "100.64.0.10")).contains("mismatch"));
    // Nor are guesses that are locked a way to lock a person out.
    for _ in 0..11 {
        guess(&mut driver, "100.64.0.7");
    }
    assert!(is_known(&connect(&mut driver, &me(), json!({}))));
    // The right token pairs nobody in silence who is not on this machine.
    let far = through_serve("100.64.0.11", "x");
    let answer = connect(&mut driver, &far, json!({"token": TOKEN}));
    assert!(is_known(&answer), "{answer}");
}

#[test]
fn the_page_of_our_own_name_may_connect_and_status_tells_it() {
    let mut driver = published(SERVE);
    let own = me().with("Origin", &format!("https://{NAME}"));
    assert!(is_known(&connect(&mut driver, &own, json!({}))));
    for (name, host) in [
        ("https://evil.example", NAME),
        ("https://x.ts.net", "x.ts.net"),
    ] {
        let from = Address {
            host: host.into(),
            ..me()
        }
        .with("Origin", name);
        assert!(driver.try_open(&from).is_err(), "{name} {host}");
    }
    let operator = driver.operator();
    let status = driver.ok(operator, "status", json!({}));
    assert_eq!(
        status["tailscale"],
        json!({"mode": "serve", "identities": true, "name": NAME, "url": format!("https://{NAME}/")})
    );
}

#[test]
fn a_connection_that_ends_while_the_daemon_is_asked_is_never_registered() {
    let mut driver = published(SERVE);
    let conn = driver.open(&me());
    driver.asked = Some(Vec::new());
    let params = with(|params| params["auth"] = json!({}));
    let nonce = driver.challenge(conn);
    let mut params = params;
    Device::new(7).sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    driver.request(conn, "connect", params);
    driver.settle();
    let tickets = driver.asked.clone().unwrap();
    let [ticket] = tickets[..] else {
        panic!("{tickets:?}")
    };
    driver.hang_up(conn);
    let person = driver.persons.values().next().cloned();
    let result = FetchResult::Person(person);
    driver.handle(Input::Fetched { ticket, result });
    driver.settle();
    let operator = driver.operator();
    let pending = driver.ok(operator, "device.pair.list", json!({}))["pending"].clone();
    assert_eq!(
        pending,
        json!([]),
        "nobody is there to wait for an approval"
    );
}
