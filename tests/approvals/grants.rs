//! A decision that a client asked for holds once, for the very same command.

use super::*;
use clawdia::limits::{APPROVAL_GRANT_MS, APPROVALS_GRANTED_MAX};

struct Scene {
    driver: Driver,
    /// Asks and runs.
    asker: ConnId,
    /// Decides.
    decider: ConnId,
    node: ConnId,
    node_id: String,
    keys: u32,
}

impl Scene {
    fn new() -> Self {
        let mut driver = Driver::default();
        let machine = Device::new(7);
        let node = driver.node(&machine, &["system.run", "system.execApprovals.get"]);
        let asker = driver.operator();
        let decider = operator(&mut driver, &[APPROVALS]);
        Self {
            driver,
            asker,
            decider,
            node,
            node_id: machine.id,
            keys: 0,
        }
    }

    /// All that a decision is bound to.
    fn command(&self) -> Value {
        json!({"command": ["echo", "a b"], "cwd": "/tmp", "env": {"LANG": "C"}, "agentId": "main",
            "sessionKey": "agent:main:main"})
    }

    /// Asks for this command, and lets somebody decide.
    fn decide(&mut self, command: &Value, decision: &str) {
        let mut request = command.clone();
        request["commandArgv"] = command["command"].clone();
        request["command"] = "echo 'a b'".into();
        request["nodeId"] = json!(self.node_id);
        self.decide_as(request, decision);
    }

    fn decide_as(&mut self, request: Value, decision: &str) {
        let call = self
            .driver
            .request(self.asker, "exec.approval.request", request);
        self.driver.settle();
        let asked = self.driver.events(self.decider, "exec.approval.requested");
        let id = &asked.last().expect("a request")["id"];
        let params = json!({"id": id, "decision": decision});
        self.driver
            .ok(self.decider, "exec.approval.resolve", params);
        let answer = self.driver.response(self.asker, &call).unwrap();
        assert_eq!(answer["payload"]["decision"], *decision);
    }

    /// Runs a command; the refusal, if it does not reach the node.
    fn run_on(&mut self, conn: ConnId, command: &Value, decision: &str) -> Option<String> {
        self.keys += 1;
        let mut params = command.clone();
        params["approved"] = true.into();
        params["approvalDecision"] = decision.into();
        let call = json!({"nodeId": self.node_id, "command": "system.run", "params": params,
            "idempotencyKey": self.keys.to_string()});
        let id = self.driver.request(conn, "node.invoke", call);
        self.driver.settle();
        let reached = !self
            .driver
            .events(self.node, "node.invoke.request")
            .is_empty();
        let refused = self.driver.response(conn, &id).map(|answer| {
            assert_eq!(answer["error"]["code"], "INVALID_REQUEST", "{answer}");
            message(&answer["error"]).to_owned()
        });
        assert_eq!(reached, refused.is_none());
        refused
    }

    fn run(&mut self, command: &Value) -> Option<String> {
        self.run_on(self.asker, command, "allow-once")
    }
}

#[test]
fn a_decision_is_used_once_and_not_again() {
    let mut scene = Scene::new();
    let command = scene.command();
    assert!(scene.run(&command).is_some(), "nobody was asked");
    scene.decide(&command, "allow-once");
    assert_eq!(scene.run(&command), None);
    assert!(
        scene
            .run(&command)
            .unwrap()
            .starts_with("approval required")
    );
    scene.decide(&command, "deny");
    assert!(scene.run(&command).is_some());
    scene.decide(&command, "allow-always");
    assert!(scene.run(&command).is_some(), "it was another decision");
    assert_eq!(scene.run_on(scene.asker, &command, "allow-always"), None);
}

#[test]
fn any_change_needs_another_decision() {
    let mut scene = Scene::new();
    let command = scene.command();
    scene.decide(&command, "allow-once");
    for (key, value) in [
        ("command", json!(["echo", "a", "b"])),
        ("command", json!(["echo", "a b "])),
        ("command", json!(["echo", "a b", ""])),
        ("command", json!(["/bin/sh", "-lc", "echo 'a b'"])),
        ("command", json!(["echo", "a b", 5])),
        ("command", json!("echo 'a b'")),
        ("rawCommand", json!("rm -rf /")),
        ("rawCommand", json!(["rm"])),
        ("cwd", json!("/tmp/")),
        ("cwd", json!("/")),
        ("cwd", json!(["/tmp"])),
        ("cwd", Value::Null),
        ("env", json!({"LANG": "C", "LD_PRELOAD": "/tmp/x.so"})),
        ("env", json!({"LANG": "D"})),
        ("env", json!({"LANG": 1})),
        ("env", json!({})),
        ("agentId", json!("other")),
        ("sessionKey", json!("agent:main:other")),
        ("sessionKey", Value::Null),
    ] {
        let mut other = command.clone();
        other[key] = value;
        assert!(scene.run(&other).is_some(), "{other}");
    }
    assert_eq!(scene.run(&command), None, "the decision was not used up");
}

#[test]
fn a_decision_is_for_its_node_and_for_who_asked_and_ends_with_its_time() {
    let mut scene = Scene::new();
    let command = scene.command();
    scene.decide(&command, "allow-once");
    let stranger = operator(&mut scene.driver, &["operator.admin", APPROVALS]);
    assert!(scene.run_on(stranger, &command, "allow-once").is_some());
    let other = Device::new(8);
    scene.node = scene.driver.node(&other, &["system.run"]);
    let first = std::mem::replace(&mut scene.node_id, other.id);
    assert!(scene.run(&command).is_some(), "another node");
    scene.node_id = first;
    scene.driver.advance(APPROVAL_GRANT_MS);
    assert!(scene.run(&command).is_some(), "too late");
}

/// The client of January 2026 says only the text, and runs on another connection.
#[test]
fn a_text_alone_holds_for_the_words_that_it_shows_without_a_changed_environment() {
    let mut scene = Scene::new();
    let asks = json!({"command": "uptime -p", "host": "node", "agentId": "main"});
    let run = json!({"command": ["uptime", "-p"], "agentId": "main"});
    scene.decide_as(asks.clone(), "allow-once");
    let mut with_env = run.clone();
    with_env["env"] = json!({"LD_PRELOAD": "/tmp/x.so"});
    assert!(scene.run(&with_env).is_some());
    let again = scene.driver.operator();
    assert_eq!(scene.run_on(again, &run, "allow-once"), None);
    let shell = json!({"command": ["/bin/sh", "-lc", "uptime -p"], "rawCommand": "uptime -p",
        "agentId": "main"});
    scene.decide_as(asks, "allow-once");
    assert_eq!(scene.run(&shell), None);
}

#[test]
fn a_decision_is_not_used_up_by_a_node_that_is_away() {
    let mut scene = Scene::new();
    let command = scene.command();
    scene.decide(&command, "allow-once");
    scene.driver.hang_up(scene.node);
    scene.driver.settle();
    let params = json!({"nodeId": scene.node_id, "command": "system.run", "idempotencyKey": "k",
        "params": {"command": ["echo", "a b"], "cwd": "/tmp", "env": {"LANG": "C"},
            "agentId": "main", "sessionKey": "agent:main:main", "approved": true}});
    let refused = scene.driver.err(scene.asker, "node.invoke", params);
    assert_eq!(message(&refused), "node not connected");
    scene.node = scene.driver.node(&Device::new(7), &["system.run"]);
    assert_eq!(scene.run(&command), None);
}

#[test]
fn what_says_nothing_of_an_approval_is_up_to_the_node() {
    let mut scene = Scene::new();
    for (n, params) in [
        json!({"command": ["ls"]}),
        json!({"command": ["ls"], "approved": false}),
    ]
    .into_iter()
    .enumerate()
    {
        let call = json!({"nodeId": scene.node_id, "command": "system.run", "params": params,
            "idempotencyKey": format!("n{n}")});
        scene.driver.request(scene.asker, "node.invoke", call);
        scene.driver.settle();
        let reached = scene.driver.events(scene.node, "node.invoke.request");
        assert_eq!(reached.len(), 1);
    }
    for (n, approved) in [json!(1), json!("true"), json!("false"), json!({})]
        .into_iter()
        .enumerate()
    {
        let call = json!({"nodeId": scene.node_id, "command": " system.run ",
            "params": {"command": ["ls"], "approved": approved}, "idempotencyKey": format!("x{n}")});
        let refused = scene.driver.err(scene.asker, "node.invoke", call);
        assert!(
            message(&refused).starts_with("approval required"),
            "{refused}"
        );
    }
}

#[test]
fn a_call_that_is_kept_for_its_node_needs_its_decision_too() {
    let mut scene = Scene::new();
    let command = scene.command();
    let queue = |scene: &Scene, key: &str| {
        let mut params = command.clone();
        params["approved"] = true.into();
        json!({"nodeId": scene.node_id, "command": "system.run", "params": params, "queue": true,
            "idempotencyKey": key})
    };
    let refused = scene
        .driver
        .err(scene.asker, "node.invoke", queue(&scene, "q1"));
    assert!(
        message(&refused).starts_with("approval required"),
        "{refused}"
    );
    scene.decide(&command, "allow-once");
    scene
        .driver
        .request(scene.asker, "node.invoke", queue(&scene, "q2"));
    scene.driver.settle();
    let reached = scene.driver.events(scene.node, "node.invoke.request");
    assert_eq!(reached.len(), 1);
    let refused = scene
        .driver
        .err(scene.asker, "node.invoke", queue(&scene, "q3"));
    assert!(
        message(&refused).starts_with("approval required"),
        "{refused}"
    );
}

#[test]
fn unused_decisions_are_bounded() {
    let mut scene = Scene::new();
    let command = scene.command();
    scene.decide(&command, "allow-once");
    for _ in 0..APPROVALS_GRANTED_MAX {
        scene.decide_as(json!({"command": "ls"}), "allow-once");
    }
    assert!(scene.run(&command).is_some(), "the oldest was forgotten");
}

#[test]
fn a_nodes_file_is_read_and_written_by_the_node() {
    let mut scene = Scene::new();
    let params = json!({"nodeId": scene.node_id});
    let id = scene
        .driver
        .request(scene.asker, "exec.approvals.node.get", params);
    scene.driver.settle();
    let asked = scene
        .driver
        .events(scene.node, "node.invoke.request")
        .remove(0);
    assert_eq!(asked["command"], "system.execApprovals.get");
    let payload = json!({"path": "/n", "exists": true, "hash": "h", "file": {"version": 1}});
    let result = json!({"id": asked["id"], "nodeId": scene.node_id, "ok": true,
        "payloadJSON": payload.to_string()});
    scene.driver.ok(scene.node, "node.invoke.result", result);
    let answer = scene.driver.response(scene.asker, &id).unwrap();
    assert_eq!(answer["payload"], payload);
    // Its node.set is not declared; node.invoke never gets there, whoever asks.
    let set = json!({"nodeId": scene.node_id, "file": {"version": 1}, "baseHash": "h"});
    let refused = scene
        .driver
        .err(scene.asker, "exec.approvals.node.set", set);
    assert_eq!(message(&refused), "node command not allowed");
    let invoke = json!({"nodeId": scene.node_id, "command": "system.execApprovals.get",
        "idempotencyKey": "k"});
    let refused = scene.driver.err(scene.asker, "node.invoke", invoke);
    assert_eq!(message(&refused), "node command not allowed");
}

#[test]
fn a_node_that_answers_with_something_else_or_not_at_all_is_told_apart() {
    let mut scene = Scene::new();
    for result in [
        json!({"ok": true, "payloadJSON": "{\"a\":1}}, \"x\": {"}),
        json!({"ok": true, "payloadJSON": "[]"}),
        json!({"ok": true}),
        json!({"ok": false, "error": {"code": "UNAVAILABLE", "message": "no file"}}),
    ] {
        let params = json!({"nodeId": scene.node_id});
        let id = scene
            .driver
            .request(scene.asker, "exec.approvals.node.get", params);
        scene.driver.settle();
        let asked = scene
            .driver
            .events(scene.node, "node.invoke.request")
            .remove(0);
        let mut result = result;
        result["id"] = asked["id"].clone();
        result["nodeId"] = json!(scene.node_id);
        scene.driver.ok(scene.node, "node.invoke.result", result);
        let answer = scene.driver.response(scene.asker, &id).unwrap();
        assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{answer}");
    }
}
