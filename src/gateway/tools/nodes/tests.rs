use crate::driver::device::{Device, Proof};
use crate::driver::{Address, Driver, node_params};
use crate::ids::ConnId;
use crate::limits::{TOOL_APPROVAL_MS, TOOL_COMMAND_GRACE_MS, TOOL_COMMAND_MS};
use serde_json::{Value, json};

const COMMANDS: &[&str] = &["system.run", "system.notify", "camera.snap", "location.get"];

/// A gateway with a node build-box, asked by the built-in agent.
struct World {
    driver: Driver,
    operator: ConnId,
    node: ConnId,
    id: String,
    sent: u64,
}

fn start() -> World {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(7);
    let id = device.id.clone();
    let node = node(&mut driver, &device, "build-box", "macos", COMMANDS);
    World {
        driver,
        operator,
        node,
        id,
        sent: 0,
    }
}

fn node(
    driver: &mut Driver,
    device: &Device,
    name: &str,
    platform: &str,
    commands: &[&str],
) -> ConnId {
    let mut params = node_params(commands);
    params["client"]["displayName"] = name.into();
    params["client"]["platform"] = platform.into();
    driver.join(device, params)
}

impl World {
    fn says(&mut self, message: &str) {
        self.sent += 1;
        let key = format!("k{}", self.sent);
        let params = json!({"sessionKey": "main", "message": message, "idempotencyKey": key});
        self.driver.ok(self.operator, "chat.send", params);
    }

    /// What the agent says to a message, where no node has to answer.
    fn asks(&mut self, message: &str) -> String {
        self.says(message);
        self.answer()
    }

    /// The last answer of the agent.
    fn answer(&mut self) -> String {
        self.driver.settle();
        let chats = self.driver.events(self.operator, "chat");
        let last = chats.last().expect("a chat event");
        assert_eq!(last["state"], "final", "{last}");
        let text = last["message"]["content"][0]["text"].as_str();
        text.unwrap_or_default().to_owned()
    }

    /// What the node is asked for: id, command and parameters.
    fn request(&mut self) -> (String, String, Value) {
        self.driver.settle();
        let mut requests = self.driver.events(self.node, "node.invoke.request");
        assert_eq!(requests.len(), 1, "{requests:?}");
        let request = requests.remove(0);
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let params = serde_json::from_str(&text("paramsJSON")).expect("JSON");
        (text("id"), text("command"), params)
    }

    fn replies(&mut self, id: &str, payload: Value) {
        let json = payload.to_string();
        let params = json!({"id": id, "nodeId": self.id, "ok": true, "payloadJSON": json});
        self.driver.ok(self.node, "node.invoke.result", params);
    }

    fn refuses(&mut self, id: &str, message: &str) {
        let error = json!({"code": "UNAVAILABLE", "message": message});
        let params = json!({"id": id, "nodeId": self.id, "ok": false, "error": error});
        self.driver.ok(self.node, "node.invoke.result", params);
    }
}

#[test]
fn a_command_runs_on_a_node_and_its_output_is_told() {
    let mut world = start();
    world.says("run uptime -p on build-box");
    let (id, command, params) = world.request();
    assert_eq!(command, "system.run");
    assert_eq!(params["command"], json!(["uptime", "-p"]));
    assert_eq!(params["sessionKey"], "agent:main:main");
    assert!(params.get("approved").is_none(), "{params}");
    let said = json!({"exitCode": 0, "timedOut": false, "stdout": "up 3 days\n", "stderr": ""});
    world.replies(&id, said);
    assert_eq!(world.answer(), "`uptime -p` on build-box:\nup 3 days");
    let short: String = world.id.chars().take(8).collect();
    world.says(&format!("run ls | wc -l on {short}"));
    let (id, _, params) = world.request();
    assert_eq!(params["command"], json!(["/bin/sh", "-lc", "ls | wc -l"]));
    assert_eq!(params["rawCommand"], "ls | wc -l");
    world.replies(&id, json!({"exitCode": 2, "stdout": "", "stderr": "oh\n"}));
    let answer = world.answer();
    assert_eq!(
        answer,
        "`ls | wc -l` on build-box ended with exit code 2:\noh"
    );
}

#[test]
fn nodes_are_listed_described_notified_located_and_take_photos() {
    let mut world = start();
    let answer = world.asks("which nodes are online?");
    assert!(answer.starts_with("1 node online, 1 paired."), "{answer}");
    assert!(answer.contains("\n- build-box (online, macos"), "{answer}");
    let answer = world.asks("what can build-box do?");
    assert!(
        answer.contains("It offers: camera.snap, location.get, "),
        "{answer}"
    );

    world.says("notify build-box: tea is ready");
    let (id, command, params) = world.request();
    assert_eq!(
        (command.as_str(), &params["body"]),
        ("system.notify", &json!("tea is ready"))
    );
    world.replies(&id, json!({"ok": true}));
    assert_eq!(world.answer(), "build-box shows it.");

    world.says("where is build-box?");
    let (id, command, _) = world.request();
    assert_eq!(command, "location.get");
    world.replies(
        &id,
        json!({"lat": 48.2, "lon": 16.37, "accuracyMeters": 12}),
    );
    assert!(
        world
            .answer()
            .starts_with("build-box is at 48.20000, 16.37000, within 12 m")
    );

    world.says("take a photo with build-box");
    let (id, command, params) = world.request();
    assert_eq!(
        (command.as_str(), &params["facing"]),
        ("camera.snap", &json!("back"))
    );
    let photo = json!({"format": "jpg", "base64": "AAAA", "width": 4, "height": 3});
    world.replies(&id, photo);
    assert!(world.answer().contains("took a photo (4 × 3 pixels"));
    let history = json!({"sessionKey": "main", "limit": 2});
    let history = world.driver.ok(world.operator, "chat.history", history);
    let image = &history["messages"][0]["content"][1];
    assert_eq!(
        (&image["type"], &image["data"]),
        (&json!("image"), &json!("AAAA"))
    );
}

#[test]
fn what_stands_in_the_way_is_named_with_what_mends_it() {
    let mut world = start();
    let answer = world.asks("run uptime on nowhere");
    assert_eq!(
        answer,
        "No node is called \"nowhere\"; there are: build-box (clawdia nodes status shows them all)."
    );
    // It is allowed on a Mac, but this one never said that it can.
    let linux = Device::new(8);
    let other = node(
        &mut world.driver,
        &linux,
        "attic",
        "linux",
        &["system.run", "camera.snap"],
    );
    let answer = world.asks("take a photo with attic");
    assert!(
        answer.contains("gateway.nodes.allowCommands '[\"camera.snap\"]'"),
        "{answer}"
    );
    let answer = world.asks("notify attic: hello");
    assert!(
        answer.starts_with("Attic has no command system.notify"),
        "{answer}"
    );
    let twin = Device::new(9);
    node(&mut world.driver, &twin, "attic", "linux", &["system.run"]);
    let answer = world.asks("run uptime on attic");
    assert!(answer.contains("2 nodes are called \"attic\""), "{answer}");
    assert!(answer.contains(&*twin.id) && answer.contains(&*linux.id));
    // Of two, the one that is connected is meant.
    world.driver.hang_up(other);
    world.says("run uptime on attic");
    world.driver.settle();
    world
        .driver
        .ok(world.operator, "chat.abort", json!({"sessionKey": "main"}));
    world.driver.hang_up(world.node);
    let answer = world.asks("run uptime on build-box");
    assert!(
        answer.starts_with("Build-box is not connected: it was "),
        "{answer}"
    );
    assert!(answer.contains("clawdia node run"), "{answer}");
}

#[test]
fn a_node_that_does_not_answer_or_goes_is_told_as_uncertain() {
    let mut world = start();
    world.says("run uptime on build-box");
    world.request();
    world
        .driver
        .advance(TOOL_COMMAND_MS + TOOL_COMMAND_GRACE_MS);
    let answer = world.answer();
    assert!(answer.contains("did not answer in time"), "{answer}");
    world.says("run uptime on build-box");
    let (id, ..) = world.request();
    world.driver.hang_up(world.node);
    let answer = world.answer();
    assert!(
        answer.contains("whether it did it is not known"),
        "{answer}"
    );
    assert!(!id.is_empty());
}

#[test]
fn a_node_that_wants_approval_gets_the_word_of_an_operator_or_nothing() {
    for (decision, told) in [
        (Some("allow-once"), None),
        (Some("deny"), Some("an operator said no")),
        (None, Some("nobody approved")),
    ] {
        let mut world = start();
        world.says("run rm -r 'old things' on build-box");
        let (id, ..) = world.request();
        world.refuses(&id, "SYSTEM_RUN_DENIED: approval required");
        world.driver.settle();
        let asked = world
            .driver
            .events(world.operator, "exec.approval.requested");
        let asked = &asked[0];
        assert_eq!(asked["request"]["command"], "rm -r 'old things'");
        assert_eq!(asked["request"]["nodeId"], world.id);
        assert_eq!(asked["request"]["sessionKey"], "agent:main:main");
        match decision {
            Some(decision) => {
                let params = json!({"id": asked["id"], "decision": decision});
                world
                    .driver
                    .ok(world.operator, "exec.approval.resolve", params);
            }
            None => world.driver.advance(TOOL_APPROVAL_MS),
        }
        world.driver.settle();
        match told {
            Some(told) => {
                let answer = world.answer().to_lowercase();
                assert!(answer.contains(told), "{answer}");
                assert!(
                    world
                        .driver
                        .events(world.node, "node.invoke.request")
                        .is_empty()
                );
            }
            None => {
                let (id, command, params) = world.request();
                assert_eq!(command, "system.run");
                assert_eq!(params["approved"], true);
                assert_eq!(params["approvalDecision"], "allow-once");
                assert_eq!(params["rawCommand"], "rm -r 'old things'");
                // A second "approval required" is an answer like any other.
                world.refuses(&id, "SYSTEM_RUN_DENIED: approval required");
                assert!(world.answer().contains("may not run this command"));
            }
        }
    }
}

#[test]
fn an_abort_withdraws_the_question_and_forgets_the_call() {
    let mut world = start();
    world.says("run uptime on build-box");
    let (id, ..) = world.request();
    world.refuses(&id, "SYSTEM_RUN_DENIED: approval required");
    world.driver.settle();
    world
        .driver
        .ok(world.operator, "chat.abort", json!({"sessionKey": "main"}));
    let pending = world
        .driver
        .ok(world.operator, "exec.approval.list", json!({}));
    assert_eq!(pending["pending"], json!([]));
    assert!(
        world
            .driver
            .events(world.node, "node.invoke.request")
            .is_empty()
    );
    world.says("run uptime on build-box");
    let (id, ..) = world.request();
    world
        .driver
        .ok(world.operator, "chat.abort", json!({"sessionKey": "main"}));
    let params = json!({"id": id, "nodeId": world.id, "ok": true, "payload": {}});
    let late = world.driver.ok(world.node, "node.invoke.result", params);
    assert_eq!(late["ignored"], true);
}

#[test]
fn a_command_that_was_sent_is_not_sent_again_after_a_crash() {
    let mut world = start();
    world.says("run uptime on build-box");
    let (id, ..) = world.request();
    world.driver = world.driver.crash(0);
    world.node = node(
        &mut world.driver,
        &Device::new(7),
        "build-box",
        "macos",
        COMMANDS,
    );
    world.operator = world.driver.operator();
    world.driver.settle();
    assert!(
        world
            .driver
            .events(world.node, "node.invoke.request")
            .is_empty()
    );
    let params = json!({"id": id, "nodeId": world.id, "ok": true, "payload": {}});
    world.driver.ok(world.node, "node.invoke.result", params);
    let history = json!({"sessionKey": "main"});
    let history = world.driver.ok(world.operator, "chat.history", history);
    let last = history["messages"].as_array().unwrap().last().unwrap();
    let error = last["errorMessage"].as_str().unwrap();
    assert!(error.contains("while a tool was at work"), "{error}");
    // A place to be is read anew, since asking for it changes nothing.
    world.says("where is build-box");
    world.request();
    world.driver = world.driver.crash(0);
    let local = Address::default();
    let conn = world.driver.open(&local);
    let mut params = node_params(COMMANDS);
    params["client"]["displayName"] = "build-box".into();
    params["client"]["platform"] = "macos".into();
    world
        .driver
        .connect(conn, params, Some((&Device::new(7), Proof::V2)));
    world.operator = world.driver.operator();
    let history = json!({"sessionKey": "main"});
    let history = world.driver.ok(world.operator, "chat.history", history);
    let last = history["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["stopReason"], "stop", "{last}");
    assert!(
        last["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("is not connected")
    );
}

#[test]
fn a_model_that_names_things_wrongly_is_told_so() {
    use crate::agent::{ModelRef, StepEvent, StopReason, ToolCall, Usage};
    use crate::driver::{Options, Steps};
    let mut driver = Driver::new(Options {
        steps: Steps::Held,
        ..Options::default()
    });
    let operator = driver.operator();
    node(
        &mut driver,
        &Device::new(7),
        "box",
        "linux",
        &["system.run"],
    );
    let params = json!({"sessionKey": "main", "message": "x", "idempotencyKey": "k"});
    driver.ok(operator, "chat.send", params);
    let step = driver.steps.pop_front().unwrap();
    let all = [
        (
            json!({"action": "run", "node": "box"}),
            "the argument \"command\" is missing",
        ),
        (
            json!({"action": "run", "node": "box", "command": []}),
            "command required",
        ),
        (
            json!({"action": "run", "node": "box", "command": ["a"], "shell": "b"}),
            "give command or shell",
        ),
        (
            json!({"action": "run", "node": "box", "command": ["a"], "env": {"A": 1}}),
            "the argument \"env\"",
        ),
        (json!({"action": "run"}), "the argument \"node\" is missing"),
        (json!({"action": "notify", "node": "box"}), "say what"),
        (
            json!({"action": "invoke", "node": "box", "invokeCommand": "system.run"}),
            "use the action run",
        ),
        (
            json!({"action": "invoke", "node": "box", "invokeCommand": "system.execApprovals.set"}),
            "box has no command system.execApprovals.set. It has: system.run",
        ),
        (
            json!({"action": "fly", "node": "box"}),
            "there is no action \"fly\"",
        ),
    ];
    let calls = all.iter().enumerate().map(|(at, (arguments, _))| ToolCall {
        id: at.to_string().into(),
        name: "nodes".into(),
        arguments: arguments.to_string().into(),
    });
    let event = StepEvent::Done {
        text: String::new(),
        stop_reason: StopReason::ToolUse,
        calls: calls.collect(),
        usage: Usage::default(),
        model: ModelRef::new("builtin", "clawdia"),
    };
    driver.step(step.tag, event);
    driver.settle();
    let step = driver.steps.pop_front().unwrap();
    for (message, (_, expected)) in step.messages[2..].iter().zip(&all) {
        assert!(message.text.starts_with(expected), "{}", message.text);
    }
}

#[test]
fn the_gateway_ends_only_when_its_nodes_are_done() {
    let mut world = start();
    world.says("run uptime on build-box");
    let (id, ..) = world.request();
    let reason = "service restart";
    world
        .driver
        .handle(crate::gateway::Input::Shutdown { reason });
    world.driver.settle();
    assert!(!world.driver.exited);
    world.replies(&id, json!({"exitCode": 0, "stdout": "up\n"}));
    world.driver.settle();
    assert!(world.driver.exited);
    // The next process tells what the node said.
    world.driver = world.driver.crash(0);
    world.operator = world.driver.operator();
    let history = json!({"sessionKey": "main"});
    let history = world.driver.ok(world.operator, "chat.history", history);
    let last = history["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["content"][0]["text"], "`uptime` on build-box:\nup");
}
