//! What a node may be asked for: declared, approved, of its platform, and not denied.

use super::*;
use clawdia::limits::{NODE_DECLARED_CHARS_MAX, NODE_DECLARED_MAX};

fn refused(scene: &mut Scene, command: &str) -> Value {
    let params = scene.call(command, command);
    let error = scene.driver.err(scene.operator, "node.invoke", params);
    assert_eq!(error["code"], "INVALID_REQUEST");
    assert_eq!(message(&error), "node command not allowed");
    assert_eq!(error["details"]["command"], command);
    error["details"]["reason"].clone()
}

#[test]
fn what_was_not_declared_or_is_not_the_platforms_is_refused() {
    let mut scene = Scene::new(&["system.run", "camera.snap"]);
    assert_eq!(
        refused(&mut scene, "camera.snap"),
        "command not allowlisted"
    );
    assert_eq!(
        refused(&mut scene, "system.which"),
        "command not declared by node"
    );
    assert!(
        scene
            .driver
            .events(scene.node, "node.invoke.request")
            .is_empty()
    );
}

#[test]
fn the_configuration_in_force_decides_and_may_change() {
    let mut scene = Scene::with_config(
        r#"{gateway:{nodes:{allowCommands:["camera.snap"],denyCommands:["system.run"]}}}"#,
        &["system.run", "camera.snap"],
    );
    scene.ask("camera.snap", "1");
    assert_eq!(refused(&mut scene, "system.run"), "command not allowlisted");
    scene.driver.reload("{}");
    scene.ask("system.run", "2");
    assert_eq!(
        refused(&mut scene, "camera.snap"),
        "command not allowlisted"
    );
}

#[test]
fn approvals_of_execution_are_never_invoked() {
    let commands = ["system.execApprovals.get", "system.execApprovals.set"];
    let mut scene = Scene::with_config(
        r#"{gateway:{nodes:{allowCommands:["system.*"]}}}"#,
        &commands,
    );
    for command in commands {
        let reason = refused(&mut scene, command);
        assert!(
            reason.as_str().unwrap().contains("exec.approvals.node"),
            "{reason}"
        );
    }
}

/// A node that was paired from elsewhere, so that more has to be approved by a person.
fn paired_from_elsewhere(params: &Value) -> (Driver, ConnId, Device, String) {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(7);
    let away = Address::remote([198, 51, 100, 7]);
    let conn = driver.open(&away);
    let answer = driver.connect(conn, params.clone(), Some((&device, Proof::V2)));
    let id = answer["error"]["details"]["requestId"].clone();
    driver.ok(operator, "device.pair.approve", json!({"requestId": id}));
    let conn = driver.open(&away);
    let hello = driver.connect(conn, params.clone(), Some((&device, Proof::V2)));
    let token = hello["payload"]["auth"]["deviceToken"].as_str().unwrap();
    let token = token.to_owned();
    driver.hang_up(conn);
    (driver, operator, device, token)
}

/// The same node connects again and says this of itself.
fn again(
    (driver, _, device, token): &mut (Driver, ConnId, Device, String),
    mut params: Value,
) -> (ConnId, Value) {
    params["auth"] = json!({"token": token});
    let conn = driver.open(&Address::remote([198, 51, 100, 7]));
    let answer = driver.connect(conn, params, Some((&*device, Proof::V2)));
    (conn, answer)
}

#[test]
fn more_commands_or_another_platform_have_to_be_approved_again() {
    let params = node_params(&["system.which", "system.notify"]);
    let mut scene = paired_from_elsewhere(&params);
    let fewer = node_params(&["system.which"]);
    assert_eq!(again(&mut scene, fewer).1["ok"], true);
    let mut newer = params.clone();
    newer["client"]["platform"] = "Linux 7.0".into();
    assert_eq!(again(&mut scene, newer).1["ok"], true, "the same platform");
    let more = node_params(&["system.which", "system.notify", "system.run"]);
    let mut other = params.clone();
    other["client"]["platform"] = "macos".into();
    let mut unknown = params.clone();
    unknown["client"]["platform"] = "x".into();
    for params in [more, other, unknown] {
        let (conn, refused) = again(&mut scene, params);
        assert_eq!(refused["error"]["code"], "NOT_PAIRED", "{refused}");
        assert_eq!(message(&refused["error"]), "pairing required");
        assert_eq!(scene.0.remote(conn).closed.as_ref().unwrap().0, 1008);
        assert!(refused["error"]["details"]["requestId"].is_string());
    }
    let (driver, operator, ..) = &mut scene;
    let list = driver.ok(*operator, "device.pair.list", json!({}));
    assert_eq!(list["pending"][0]["isRepair"], true, "{list}");
}

#[test]
fn an_approval_gives_the_commands_that_were_seen() {
    let mut scene = paired_from_elsewhere(&node_params(&["system.which"]));
    let more = node_params(&["system.which", "system.run"]);
    let (_, refused) = again(&mut scene, more.clone());
    let id = refused["error"]["details"]["requestId"].clone();
    // Between list and approve the node asks for something else: the request is another one.
    let other = node_params(&["system.which", "system.run", "browser.proxy"]);
    again(&mut scene, other.clone());
    let (driver, operator, ..) = &mut scene;
    let unknown = driver.err(*operator, "device.pair.approve", json!({"requestId": id}));
    assert_eq!(message(&unknown), "unknown requestId");
    let list = driver.ok(*operator, "device.pair.list", json!({}));
    let id = list["pending"][0]["requestId"].clone();
    driver.ok(*operator, "device.pair.approve", json!({"requestId": id}));
    assert_eq!(again(&mut scene, other).1["ok"], true);
    assert_eq!(again(&mut scene, more).1["ok"], true);
}

#[test]
fn pairing_as_an_operator_does_not_change_a_nodes_platform() {
    let mut scene = Scene::new(&["system.run"]);
    let mut params = clawdia::driver::operator_params();
    params["client"]["platform"] = "ios".into();
    scene.driver.join(&scene.device, params);
    scene.node = scene.driver.node(&scene.device, &["system.run"]);
    scene.ask("system.run", "k");
}

#[test]
fn what_a_node_declares_is_bounded() {
    let many: Vec<String> = (0..=NODE_DECLARED_MAX).map(|n| format!("c{n}")).collect();
    let long = "x".repeat(NODE_DECLARED_CHARS_MAX + 1);
    for (name, declared) in [
        ("commands", json!(many)),
        ("caps", json!(many)),
        ("commands", json!([long])),
    ] {
        let mut driver = Driver::default();
        let mut params = node_params(&[]);
        params[name] = declared;
        let conn = driver.open(&Address::default());
        let refused = driver.connect(conn, params, Some((&Device::new(7), Proof::V2)));
        let text = message(&refused["error"]);
        assert!(text.starts_with("invalid connect params: at /"), "{text}");
    }
}

#[test]
fn two_nodes_do_not_get_one_name_at_once() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let devices = [Device::new(7), Device::new(8)];
    for device in &devices {
        driver.node(device, &["system.run"]);
    }
    driver.store.held = true;
    let asked = devices.map(|device| {
        let params = json!({"nodeId": device.id, "displayName": "kitchen"});
        driver.request(operator, "node.rename", params)
    });
    driver.store.held = false;
    driver.settle();
    let answers = asked.map(|id| driver.response(operator, &id).unwrap()["ok"].clone());
    assert_eq!(answers, [true, false]);
}

#[test]
fn a_node_is_shown_as_it_says_it_is_and_named_as_it_was_named() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(7);
    let mut params = node_params(&["system.which", "system.run", "system.run"]);
    params["caps"] = json!(["system", "browser"]);
    params["pathEnv"] = "/usr/bin:/bin".into();
    params["permissions"] = json!({"screenRecording": true, "camera": false});
    params["client"]["displayName"] = "box".into();
    params["client"]["modelIdentifier"] = "x64".into();
    driver.join(&device, params);
    let id = json!({"nodeId": device.id});
    let shown = driver.ok(operator, "node.describe", id.clone());
    let connected_at = driver.now.unix_ms;
    let expected = json!({"ts": connected_at, "nodeId": device.id, "displayName": "box",
        "platform": "linux", "version": "1", "modelIdentifier": "x64",
        "caps": ["browser", "system"], "commands": ["system.run", "system.which"],
        "pathEnv": "/usr/bin:/bin", "permissions": {"screenRecording": true, "camera": false},
        "connectedAtMs": connected_at, "paired": true, "connected": true});
    assert_eq!(shown, expected);
    let name = json!({"nodeId": device.id, "displayName": " Kitchen "});
    let renamed = driver.ok(operator, "node.rename", name);
    assert_eq!(
        renamed,
        json!({"nodeId": device.id, "displayName": "Kitchen"})
    );
    let present = |driver: &mut Driver, operator| {
        let all = driver.ok(operator, "system-presence", json!({}));
        let mut all = all.as_array().unwrap().iter();
        let node = all.find(|it| it["mode"] == "node").unwrap();
        (node["host"].clone(), node["text"].clone())
    };
    let kitchen = (json!("Kitchen"), json!("Node: Kitchen · mode node"));
    assert_eq!(present(&mut driver, operator), kitchen);
    driver.node(&device, &["system.run"]);
    assert_eq!(present(&mut driver, operator), kitchen);
    let node = driver.node(&device, &["system.run"]);
    driver.hang_up(node);
    let mut driver = driver.crash(0);
    let operator = driver.operator();
    let shown = driver.ok(operator, "node.describe", id);
    assert_eq!(shown["displayName"], "Kitchen");
    assert_eq!(shown["connected"], false);
    let other = Device::new(8);
    driver.node(&other, &["system.run"]);
    for taken in ["kitchen", &device.id[..8]] {
        let params = json!({"nodeId": other.id, "displayName": taken});
        let refused = driver.err(operator, "node.rename", params);
        assert_eq!(refused["code"], "INVALID_REQUEST");
        assert_eq!(refused["details"]["nodeId"], *device.id, "{refused}");
    }
    for (method, params, text) in [
        ("node.describe", json!({"nodeId": "x"}), "unknown nodeId"),
        (
            "node.rename",
            json!({"nodeId": "x", "displayName": "y"}),
            "unknown nodeId",
        ),
        (
            "node.rename",
            json!({"nodeId": device.id, "displayName": " "}),
            "displayName required",
        ),
    ] {
        assert_eq!(message(&driver.err(operator, method, params)), text);
    }
}
