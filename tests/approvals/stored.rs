//! `exec.approvals.get/set`.

use super::*;
use clawdia::limits::APPROVALS_ENTRIES_MAX;

fn file(security: &str) -> Value {
    json!({"version": 1, "defaults": {"security": security}, "agents": {}})
}

#[test]
fn until_somebody_says_more_nothing_may_be_executed() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let first = driver.ok(admin, "exec.approvals.get", json!({}));
    assert_eq!(first["exists"], true);
    assert_eq!(first["hash"].as_str().unwrap().len(), 64);
    assert_eq!(
        first["file"],
        json!({"version": 1, "defaults": {}, "agents": {}})
    );
}

#[test]
fn of_two_changes_made_from_the_same_state_one_is_stored() {
    let mut driver = Driver::default();
    let (one, two) = (driver.operator(), driver.operator());
    let base = driver.ok(one, "exec.approvals.get", json!({}))["hash"].clone();
    driver.store.held = true;
    let change = |security: &str| json!({"file": file(security), "baseHash": base});
    driver.request(one, "exec.approvals.set", change("full"));
    driver.request(two, "exec.approvals.set", change("allowlist"));
    driver.settle();
    driver.store.held = false;
    driver.settle();
    let answer = |driver: &mut Driver, conn| driver.messages(conn).pop().unwrap();
    let (first, second) = (answer(&mut driver, one), answer(&mut driver, two));
    assert_eq!(first["payload"]["file"]["defaults"]["security"], "full");
    assert_eq!(second["ok"], false, "{second}");
    assert!(message(&second["error"]).starts_with("exec approvals changed"));
    let now = driver.ok(one, "exec.approvals.get", json!({}));
    assert_eq!(now, first["payload"]);
    let driver = driver.crash(0);
    let mut driver = driver;
    let admin = driver.operator();
    assert_eq!(driver.ok(admin, "exec.approvals.get", json!({})), now);
}

#[test]
fn a_change_that_is_not_stored_changes_nothing() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let before = driver.ok(admin, "exec.approvals.get", json!({}));
    driver.store.failing = 1;
    let params = json!({"file": file("full"), "baseHash": before["hash"]});
    let refused = driver.err(admin, "exec.approvals.set", params);
    assert_eq!(refused["code"], "UNAVAILABLE");
    assert_eq!(driver.ok(admin, "exec.approvals.get", json!({})), before);
}

#[test]
fn what_is_not_understood_is_not_stored() {
    let mut driver = Driver::default();
    let admin = driver.operator();
    let base = driver.ok(admin, "exec.approvals.get", json!({}))["hash"].clone();
    let entry = json!({"pattern": "/usr/bin/git", "argPattern": "^status$"});
    let many = vec![json!({"pattern": "/a"}); APPROVALS_ENTRIES_MAX + 1];
    for file in [
        json!({"version": 2}),
        json!({"version": 1, "more": true}),
        json!({"version": 1, "defaults": {"security": "none"}}),
        json!({"version": 1, "agents": {"main": {"ask": "Always"}}}),
        json!({"version": 1, "agents": {"main": {"allowlist": [entry]}}}),
        json!({"version": 1, "agents": {"main": {"allowlist": many}}}),
    ] {
        let params = json!({"file": file, "baseHash": base});
        let refused = driver.err(admin, "exec.approvals.set", params);
        assert_eq!(refused["code"], "INVALID_REQUEST", "{file}");
    }
}

#[test]
fn only_an_admin_reads_and_changes_the_file() {
    let mut driver = Driver::default();
    let scopes = [APPROVALS, "operator.write", "operator.pairing"];
    let other = operator(&mut driver, &scopes);
    for method in ["exec.approvals.get", "exec.approvals.set"] {
        let refused = driver.err(other, method, json!({}));
        assert_eq!(message(&refused), "missing scope: operator.admin");
    }
}
