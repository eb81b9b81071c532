//! Devices from their first request to their last token, through the core.

mod codes;
mod limits;
mod requests;
mod silent;
mod tokens;

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, TOKEN, node_params, operator_params};
use clawdia::ids::ConnId;
use clawdia::limits::{
    DEVICE_SEEN_INTERVAL_MS, NODE_SEEN_INTERVAL_MS, PAIRING_TTL_MS, PAIRINGS_PENDING_MAX,
};
use serde_json::{Value, json};

const READ: &str = "operator.read";
const WRITE: &str = "operator.write";
const PAIRING: &str = "operator.pairing";
const APPROVALS: &str = "operator.approvals";
const ADMIN: &str = "operator.admin";
const ALL: [&str; 5] = [ADMIN, APPROVALS, PAIRING, READ, WRITE];

/// Somewhere on the internet.
fn away() -> Address {
    Address::remote([203, 0, 113, 9])
}

/// An operator who shows `token` and asks for `scopes`.
fn asking(scopes: &[&str], token: &str) -> Value {
    let mut params = operator_params();
    params["scopes"] = json!(scopes);
    params["auth"] = json!({ "token": token });
    params
}

/// A connection from `from`, and the answer to its `connect`.
fn connect(driver: &mut Driver, from: &Address, device: &Device, params: Value) -> (ConnId, Value) {
    let conn = driver.open(from);
    let answer = driver.connect(conn, params, Some((device, Proof::V2)));
    (conn, answer)
}

/// A connection from elsewhere that is let in, and its hello.
fn enter(driver: &mut Driver, device: &Device, params: Value) -> (ConnId, Value) {
    let (conn, answer) = connect(driver, &away(), device, params);
    assert_eq!(answer["ok"], true, "{answer}");
    driver.remote(conn).messages.clear();
    (conn, answer["payload"].clone())
}

/// The id of the request that a device from elsewhere makes.
fn request(driver: &mut Driver, device: &Device, params: Value) -> String {
    let (conn, answer) = connect(driver, &away(), device, params);
    assert_eq!(answer["error"]["code"], "NOT_PAIRED", "{answer}");
    assert_eq!(answer["error"]["message"], "pairing required");
    let closed = driver.remote(conn).closed.clone();
    assert_eq!(closed, Some((1008, "pairing required".into())));
    let id = answer["error"]["details"]["requestId"].as_str();
    id.expect("the id of a request").to_owned()
}

/// Pairs a device from elsewhere; its token.
fn pair(driver: &mut Driver, admin: ConnId, device: &Device, scopes: &[&str]) -> String {
    let id = request(driver, device, asking(scopes, TOKEN));
    driver.ok(admin, "device.pair.approve", json!({ "requestId": id }));
    driver.remote(admin).messages.clear();
    token_of(driver, device)
}

fn token_of(driver: &Driver, device: &Device) -> String {
    let row = &driver.store.state().devices()[&*device.id];
    let token = row.grants[0].token.as_ref().expect("a token");
    token.token.to_string()
}

fn named(device: &Device) -> Value {
    json!({ "deviceId": device.id, "role": "operator" })
}

fn message(error: &Value) -> &str {
    error["message"].as_str().expect("a message")
}

/// A local operator without a device who holds `scopes`.
fn secret_holder(driver: &mut Driver, scopes: &[&str]) -> ConnId {
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, asking(scopes, TOKEN), None);
    assert_eq!(answer["ok"], true, "{answer}");
    driver.remote(conn).messages.clear();
    conn
}
