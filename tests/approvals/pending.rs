//! `exec.approval.*`: asked, decided once, or gone.

use super::*;
use clawdia::limits::{APPROVAL_COMMAND_BYTES_MAX, APPROVALS_PENDING_MAX};

fn ask(driver: &mut Driver, conn: ConnId, params: Value) -> String {
    let id = driver.request(conn, "exec.approval.request", params);
    driver.settle();
    id
}

#[test]
fn a_decision_is_told_to_all_who_may_decide_and_to_nobody_else() {
    let mut driver = Driver::default();
    let asker = operator(&mut driver, &[APPROVALS]);
    let decider = operator(&mut driver, &[APPROVALS]);
    let reader = operator(&mut driver, &["operator.write", "operator.pairing"]);
    let call = ask(
        &mut driver,
        asker,
        json!({"command": "uptime", "host": "node"}),
    );
    let asked = driver
        .events(decider, "exec.approval.requested")
        .pop()
        .unwrap();
    assert_eq!(asked["request"]["command"], "uptime");
    let list = driver.ok(decider, "exec.approval.list", json!({}));
    assert_eq!(list["pending"], json!([asked]));
    let decision = json!({"id": asked["id"], "decision": "allow-once"});
    let refused = driver.err(reader, "exec.approval.resolve", decision.clone());
    assert_eq!(message(&refused), "missing scope: operator.approvals");
    driver.ok(decider, "exec.approval.resolve", decision.clone());
    let reply = driver.response(asker, &call).unwrap();
    assert_eq!(reply["payload"]["decision"], "allow-once");
    let again = driver.err(decider, "exec.approval.resolve", decision);
    assert_eq!(message(&again), "unknown approval id");
    for name in ["exec.approval.requested", "exec.approval.resolved"] {
        assert!(driver.events(reader, name).is_empty(), "{name}");
    }
}

#[test]
fn without_a_decision_the_answer_is_none_and_the_request_is_gone() {
    let mut driver = Driver::default();
    let asker = operator(&mut driver, &[APPROVALS]);
    let decider = operator(&mut driver, &[APPROVALS]);
    let call = ask(
        &mut driver,
        asker,
        json!({"command": "ls", "timeoutMs": 5_000}),
    );
    let id = driver.events(decider, "exec.approval.requested")[0]["id"].clone();
    driver.advance(4_999);
    assert_eq!(driver.response(asker, &call), None);
    driver.advance(1);
    let reply = driver.response(asker, &call).unwrap();
    assert!(reply["payload"]["decision"].is_null(), "{reply}");
    let told = driver
        .events(decider, "exec.approval.resolved")
        .pop()
        .unwrap();
    assert_eq!((&told["id"], &told["decision"]), (&id, &json!("deny")));
    let late = json!({"id": id, "decision": "allow-once"});
    let late = driver.err(decider, "exec.approval.resolve", late);
    assert_eq!(message(&late), "unknown approval id");
}

#[test]
fn a_request_goes_with_whoever_asked_and_with_the_process() {
    let mut driver = Driver::default();
    let asker = operator(&mut driver, &[APPROVALS]);
    let decider = operator(&mut driver, &[APPROVALS]);
    ask(&mut driver, asker, json!({"command": "ls", "id": "one"}));
    driver.hang_up(asker);
    driver.settle();
    let told = driver
        .events(decider, "exec.approval.resolved")
        .pop()
        .unwrap();
    assert_eq!(told["decision"], "deny");
    ask(&mut driver, decider, json!({"command": "ls", "id": "two"}));
    let mut driver = driver.crash(0);
    let decider = operator(&mut driver, &[APPROVALS]);
    let list = driver.ok(decider, "exec.approval.list", json!({}));
    assert_eq!(list["pending"], json!([]));
    for id in ["one", "two"] {
        let decision = json!({"id": id, "decision": "allow-once"});
        let refused = driver.err(decider, "exec.approval.resolve", decision);
        assert_eq!(message(&refused), "unknown approval id");
    }
}

#[test]
fn the_whole_command_is_shown_and_nothing_hides_in_it() {
    let mut driver = Driver::default();
    let admin = operator(&mut driver, &[APPROVALS]);
    let long = format!(
        "echo {}; rm -rf /",
        "x".repeat(APPROVAL_COMMAND_BYTES_MAX - 30)
    );
    for (sent, seen) in [
        (long.as_str(), long.as_str()),
        (
            "ls\u{202e}fr- mr\nrm  ",
            r"ls\u{202e}fr- mr\u{a}rm\u{20}\u{20}",
        ),
    ] {
        ask(&mut driver, admin, json!({"command": sent}));
        let asked = driver
            .events(admin, "exec.approval.requested")
            .pop()
            .unwrap();
        assert_eq!(asked["request"]["command"], *seen);
    }
    let long = "x".repeat(APPROVAL_COMMAND_BYTES_MAX + 1);
    let refused = driver.err(admin, "exec.approval.request", json!({ "command": long }));
    assert_eq!(refused["code"], "INVALID_REQUEST");
}

#[test]
fn the_words_have_to_be_what_is_shown() {
    let mut driver = Driver::default();
    let admin = operator(&mut driver, &[APPROVALS]);
    let request = json!({"command": "ls", "commandArgv": ["rm", "-rf", "/"]});
    let refused = driver.err(admin, "exec.approval.request", request);
    assert_eq!(message(&refused), "command does not match commandArgv");
    let request = json!({"command": "echo 'a b'", "commandArgv": ["echo", "a b"], "nodeId": "n",
        "env": {"LANG": "C"}});
    ask(&mut driver, admin, request);
    let asked = driver
        .events(admin, "exec.approval.requested")
        .pop()
        .unwrap();
    assert_eq!(asked["request"]["commandArgv"], json!(["echo", "a b"]));
    assert_eq!(asked["request"]["envKeys"], json!(["LANG"]));
    assert_eq!(asked["request"]["nodeId"], "n");
}

#[test]
fn a_client_may_be_told_first_that_its_request_was_taken() {
    let mut driver = Driver::default();
    let admin = operator(&mut driver, &[APPROVALS]);
    let request = json!({"command": "ls", "id": "one", "twoPhase": true});
    let call = ask(&mut driver, admin, request);
    let first = driver.response(admin, &call).unwrap();
    assert_eq!(first["payload"]["status"], "accepted");
    let decision = json!({"id": "one", "decision": "deny"});
    driver.request(admin, "exec.approval.resolve", decision);
    driver.settle();
    let second = driver.response(admin, &call).unwrap();
    assert_eq!(second["payload"]["decision"], "deny");
}

#[test]
fn no_more_wait_than_people_can_look_at() {
    let mut driver = Driver::default();
    let askers = [(); 2].map(|()| operator(&mut driver, &[APPROVALS]));
    for n in 0..APPROVALS_PENDING_MAX {
        ask(&mut driver, askers[n % 2], json!({"command": "ls"}));
    }
    let refused = driver.err(askers[0], "exec.approval.request", json!({"command": "ls"}));
    assert_eq!(refused["code"], "UNAVAILABLE");
    assert_eq!(refused["retryable"], true);
}
