//! Who gets in, who does not, and what each of them is told, through the core.

mod before_hello;
mod guesses;
mod nodes;
mod origins;
mod proofs;
mod scopes;
mod tailnet;
mod version_four;

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, Options, TOKEN, node_params, operator_params};
use clawdia::ids::ConnId;
use serde_json::{Value, json};

/// Somewhere on the internet.
fn away() -> Address {
    Address::remote([203, 0, 113, 9])
}

/// A gateway with this configuration.
fn configured(config: &str) -> Driver {
    Driver::new(Options {
        config: config.into(),
        ..Options::default()
    })
}

/// Parameters of an operator, changed by `change`.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut params = operator_params();
    change(&mut params);
    params
}

/// A `connect` that must be refused: its error. The connection is closed with `code` and the
/// same words.
fn refused(driver: &mut Driver, conn: ConnId, answer: &Value, code: u16) -> Value {
    assert_eq!(answer["ok"], false, "{answer}");
    let error = answer["error"].clone();
    let text = error["message"].as_str().expect("a message");
    let (closed, reason) = driver.remote(conn).closed.clone().expect("a close frame");
    assert_eq!(closed, code, "{answer}");
    assert!(
        text.starts_with(&reason) && !reason.is_empty(),
        "{text} {reason}"
    );
    assert!(
        reason.len() == text.len() || reason.len() > 119,
        "cut too short: {reason}"
    );
    error
}

/// Connects from this machine without a device; must be refused with 1008.
fn refuse(driver: &mut Driver, params: Value) -> Value {
    let conn = driver.open(&Address::default());
    let answer = driver.connect(conn, params, None);
    refused(driver, conn, &answer, 1008)
}

fn text(error: &Value) -> &str {
    error["message"].as_str().expect("a message")
}

/// Whether the gateway still lets an honest client in.
fn is_well(driver: &mut Driver) -> bool {
    let conn = driver.open(&Address::default());
    driver.connect(conn, operator_params(), None)["ok"] == true
}
