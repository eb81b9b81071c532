//! Commands that wait for a person, and the file that says what needs none, through the core.

mod grants;
mod pending;
mod stored;

use clawdia::driver::device::Device;
use clawdia::driver::{Address, Driver, operator_params};
use clawdia::ids::ConnId;
use serde_json::{Value, json};

const APPROVALS: &str = "operator.approvals";

/// A local operator who holds `scopes`.
fn operator(driver: &mut Driver, scopes: &[&str]) -> ConnId {
    let conn = driver.open(&Address::default());
    let mut params = operator_params();
    params["scopes"] = json!(scopes);
    let answer = driver.connect(conn, params, None);
    assert_eq!(answer["ok"], true, "{answer}");
    driver.remote(conn).messages.clear();
    conn
}

fn message(error: &Value) -> &str {
    error["message"].as_str().expect("a message")
}
