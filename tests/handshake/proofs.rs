//! Device proofs: what they cover, how old they may be, and that each is good once.

use super::*;

/// Signs by `proof`, lets `tamper` change what was signed, and connects from `from`.
fn tampered(
    driver: &mut Driver,
    from: &Address,
    proof: Proof,
    signed_at_ms: u64,
    tamper: impl FnOnce(&mut Value),
) -> (ConnId, Value) {
    let conn = driver.open(from);
    let nonce = driver.challenge(conn);
    let mut params = operator_params();
    Device::new(2).sign(&mut params, proof, &nonce, signed_at_ms);
    tamper(&mut params);
    (conn, driver.call(conn, "connect", params))
}

const SKEW_MS: u64 = 600_000;

#[test]
fn every_kind_of_proof_lets_an_operator_and_a_node_in() {
    for proof in [Proof::V1, Proof::V2, Proof::V3] {
        for version in [3, 4] {
            for mut params in [operator_params(), node_params(&["system.run"])] {
                let mut driver = Driver::default();
                params["minProtocol"] = version.into();
                params["maxProtocol"] = version.into();
                params["client"]["platform"] = "Linux".into();
                params["client"]["deviceFamily"] = "PC".into();
                let conn = driver.open(&Address::default());
                let answer = driver.connect(conn, params, Some((&Device::new(2), proof)));
                assert_eq!(answer["ok"], true, "{proof:?} {answer}");
                let token = &answer["payload"]["auth"]["deviceToken"];
                assert_eq!(token.as_str().map(str::len), Some(32));
            }
        }
    }
}

#[test]
fn a_proof_covers_what_was_signed_and_nothing_else() {
    type Tamper = fn(&mut Value);
    let tampers: [(&str, Tamper); 9] = [
        ("device signature invalid", |p| {
            p["scopes"] = json!(["operator.read"])
        }),
        ("device signature invalid", |p| p["role"] = "node".into()),
        ("device signature invalid", |p| {
            p["client"]["id"] = "other".into()
        }),
        ("device signature invalid", |p| {
            p["client"]["mode"] = "ui".into()
        }),
        ("device signature invalid", |p| {
            p["auth"]["token"] = "other".into()
        }),
        ("device signature invalid", |p| {
            p["device"]["signedAt"] = (p["device"]["signedAt"].as_u64().unwrap() + 1).into();
        }),
        ("device signature invalid", |p| {
            p["device"]["signature"] = "AAAA".into()
        }),
        ("device identity mismatch", |p| {
            p["device"]["id"] = Device::new(3).id.into()
        }),
        ("device public key invalid", |p| {
            p["device"]["publicKey"] = "AAAA".into()
        }),
    ];
    for (expected, tamper) in tampers {
        let mut driver = Driver::default();
        let at = driver.now.unix_ms;
        let (conn, answer) = tampered(&mut driver, &Address::default(), Proof::V2, at, tamper);
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(text(&error), expected);
        assert_eq!(error["code"], "INVALID_REQUEST");
        assert!(driver.store.state().devices().is_empty());
    }
}

#[test]
fn a_separator_inside_a_signed_field_is_refused() {
    for change in [
        |p: &mut Value| p["client"]["id"] = "cli|cli".into(),
        |p: &mut Value| p["scopes"] = json!(["operator.read,operator.admin"]),
    ] {
        let mut driver = Driver::default();
        let conn = driver.open(&Address::default());
        let answer = driver.connect(conn, with(change), Some((&Device::new(2), Proof::V2)));
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(text(&error), "device signature invalid");
    }
}

#[test]
fn a_proof_is_good_for_ten_minutes_either_way() {
    for (offset_ms, good) in [
        (-(SKEW_MS as i64) - 1, false),
        (-(SKEW_MS as i64), true),
        (SKEW_MS as i64, true),
        (SKEW_MS as i64 + 1, false),
    ] {
        let mut driver = Driver::default();
        let at = driver.now.unix_ms.checked_add_signed(offset_ms).unwrap();
        let (conn, answer) = tampered(&mut driver, &Address::default(), Proof::V2, at, |_| {});
        assert_eq!(answer["ok"], good, "{offset_ms}");
        if !good {
            let error = refused(&mut driver, conn, &answer, 1008);
            assert_eq!(text(&error), "device signature expired");
        }
    }
}

#[test]
fn a_captured_proof_is_worth_nothing_on_another_connection() {
    let mut driver = Driver::default();
    let first = driver.open(&Address::default());
    let second = driver.open(&Address::default());
    let nonce = driver.challenge(first);
    assert_ne!(driver.challenge(second), nonce);
    let mut params = operator_params();
    Device::new(2).sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
    let answer = driver.call(first, "connect", params.clone());
    assert_eq!(answer["ok"], true);
    let answer = driver.call(second, "connect", params);
    let error = refused(&mut driver, second, &answer, 1008);
    assert_eq!(text(&error), "device nonce mismatch");
}

#[test]
fn nonces_are_long_and_never_the_same() {
    let mut driver = Driver::default();
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let conn = driver.open(&Address::default());
        let nonce = driver.challenge(conn);
        assert_eq!(nonce.len(), 36, "122 random bits");
        assert!(nonces.insert(nonce));
    }
}

#[test]
fn a_proof_without_nonce_is_local_and_good_once() {
    for from in [
        away(),
        Address::default().with("X-Forwarded-For", "203.0.113.9"),
        Address::default().with("Forwarded", "for=203.0.113.9"),
    ] {
        let mut driver = Driver::default();
        let at = driver.now.unix_ms;
        let (conn, answer) = tampered(&mut driver, &from, Proof::V1, at, |_| {});
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(text(&error), "device nonce required");
    }
    let mut driver = Driver::default();
    let local = Address::default();
    let at = driver.now.unix_ms;
    let (_, answer) = tampered(&mut driver, &local, Proof::V1, at, |_| {});
    assert_eq!(answer["ok"], true);
    let (conn, answer) = tampered(&mut driver, &local, Proof::V1, at, |_| {});
    let error = refused(&mut driver, conn, &answer, 1008);
    assert_eq!(text(&error), "device signature expired");
    let (_, answer) = tampered(&mut driver, &local, Proof::V1, at + 1, |_| {});
    assert_eq!(answer["ok"], true, "another one is another one");
}

#[test]
fn the_proof_is_judged_before_the_secret_and_the_secret_before_pairing() {
    let mut driver = Driver::default();
    let at = driver.now.unix_ms;
    let wrong = |p: &mut Value| p["auth"]["token"] = "wrong".into();
    // A bad proof with a bad secret: the proof is named, and no guess is counted.
    for _ in 0..20 {
        let (conn, answer) = tampered(&mut driver, &away(), Proof::V2, at, wrong);
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(text(&error), "device signature invalid");
    }
    // A good proof with a bad secret makes no pairing request.
    let conn = driver.open(&away());
    let params = with(wrong);
    let answer = driver.connect(conn, params, Some((&Device::new(2), Proof::V2)));
    let error = refused(&mut driver, conn, &answer, 1008);
    assert!(text(&error).starts_with("unauthorized: gateway token mismatch"));
    assert!(driver.store.state().pairings().is_empty());
}
