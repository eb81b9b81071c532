//! Parameters of `connect`: whoever gets in has shown the secret, and with no more than was asked.

use super::INPUT_BYTES_MAX;
use crate::driver::device::{Device, Proof};
use crate::driver::{Address, Driver, Options, TOKEN, operator_params};
use serde_json::{Value, json};

/// The first byte chooses the way in, the rest is JSON: whole parameters, or members that
/// replace those of an operator.
///
/// # Panics
///
/// When somebody gets in without the secret, or with what was not asked for.
pub fn connect(bytes: &[u8]) {
    let Some((how, text)) = bytes.split_first() else {
        return;
    };
    if text.len() > INPUT_BYTES_MAX {
        return;
    }
    let mut driver = Driver::new(Options::default());
    let address = match how & 2 {
        0 => Address::default(),
        _ => Address::remote([203, 0, 113, 7]),
    };
    let conn = driver.open(&address);
    match serde_json::from_slice::<Value>(text) {
        Ok(Value::Object(members)) if how & 1 == 1 => {
            let mut params = operator_params();
            for (name, value) in members {
                params[name] = value;
            }
            let has_device = params["device"].is_null() && how & 4 == 0;
            let device = Device::new(3);
            let nonce = driver.challenge(conn);
            if has_device && params["client"].is_object() {
                device.sign(&mut params, Proof::V2, &nonce, driver.now.unix_ms);
            }
            sent(&mut driver, conn, params.to_string().as_bytes(), &params)
        }
        Ok(params) => sent(&mut driver, conn, text, &params),
        Err(_) => sent(&mut driver, conn, text, &Value::Null),
    }
    let witness = driver.operator();
    driver.ok(witness, "health", json!({}));
}

fn sent(driver: &mut Driver, conn: crate::ids::ConnId, text: &[u8], params: &Value) {
    let mut request = br#"{"type":"req","id":"c","method":"connect","params":"#.to_vec();
    request.extend_from_slice(text);
    request.push(b'}');
    driver.feed(conn, &crate::driver::masked(1, &request, [7, 1, 9, 3]));
    driver.settle();
    let remote = driver.remote(conn);
    let is_closed = remote.closed.is_some();
    let messages: Vec<Value> = remote.messages.drain(..).collect();
    let responses = messages.iter().filter(|message| message["type"] == "res");
    let responses: Vec<&Value> = responses.collect();
    assert!(responses.len() <= 1, "answered twice: {messages:?}");
    let Some(hello) = responses.first().filter(|response| response["ok"] == true) else {
        assert!(is_closed, "refused and not closed: {messages:?}");
        return;
    };
    let auth = &params["auth"];
    let shown = ["token", "password", "deviceToken"];
    assert!(
        shown.iter().any(|name| auth[*name] == TOKEN),
        "let in with {params}"
    );
    let asked = |scope: &str| {
        let mut asked = params["scopes"].as_array().into_iter().flatten();
        asked.any(|it| it == scope)
    };
    // With a token of the device come the scopes of that, which may be more.
    let said = &hello["payload"]["auth"];
    let granted = said["scopes"].as_array().into_iter().flatten();
    for scope in granted.filter(|_| said["deviceToken"].is_null()) {
        let is_asked = scope.as_str().is_some_and(asked);
        assert!(is_asked, "{scope} was given to {params}");
    }
    // What the connection may do is tried in any case.
    for (scope, or, method) in [
        ("operator.read", "operator.write", "node.list"),
        (
            "operator.approvals",
            "operator.approvals",
            "exec.approval.list",
        ),
        ("operator.pairing", "operator.pairing", "device.pair.list"),
        ("operator.admin", "operator.admin", "config.get"),
    ] {
        let may = driver.call(conn, method, json!({}))["ok"] == true;
        assert!(
            !may || [scope, or, "operator.admin"].into_iter().any(asked),
            "{method} for {params}"
        );
    }
}
