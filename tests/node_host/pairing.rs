//! How a node gets in, and what keeps it out.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::FakeGateway;
use crate::world::{Node, World, until};

#[test]
fn a_node_waits_to_be_approved_and_then_needs_no_secret_any_more() {
    let world = World::new();
    let mut node = world.first_start();
    let waiting = node.hear("waiting");
    let request = waiting["requestId"].as_str().unwrap();
    let pending = world.call("device.pair.list", &json!({}));
    let pending = &pending["pending"][0];
    assert_eq!(
        (&pending["requestId"], &pending["role"]),
        (&json!(request), &json!("node"))
    );
    world
        .gateway_home
        .run(&["devices", "approve", request])
        .ok();
    node.hear("connected");
    let listed = world.call("node.list", &json!({}));
    let row = &listed["nodes"][0];
    assert_eq!(
        (&row["nodeId"], &row["connected"]),
        (&json!(world.node_id()), &json!(true))
    );
    for command in ["system.run", "system.which", "system.notify"] {
        assert!(
            row["commands"]
                .as_array()
                .unwrap()
                .contains(&json!(command)),
            "{row}"
        );
    }
    drop(node);
    // It remembers whom it serves, and that gateway's token.
    let mut again = world.start(&[]);
    again.hear("connected");
    world.restart_gateway();
    again.hear("connected");
    let status = world
        .node_home
        .run(&["--json", "node", "status"])
        .ok()
        .json();
    assert_eq!(
        (&status["running"], &status["paired"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(status["deviceId"], world.node_id());
}

#[test]
fn a_wrong_secret_ends_it_with_what_mends_it() {
    let world = World::new();
    let url = format!("ws://127.0.0.1:{}", world.relay.port);
    let mut node = world.start(&["--url", &url, "--token", "wrong"]);
    let said = node.hear("INVALID_REQUEST");
    assert!(
        said["error"]["message"].as_str().unwrap().contains("token"),
        "{said}"
    );
    assert!(
        said["error"]["mend"].to_string().contains("--code"),
        "{said}"
    );
    assert_eq!(node.wait().0, Some(78), "no supervisor tries again");
}

#[test]
fn two_hosts_never_share_an_identity() {
    let world = World::new();
    let mut node = world.first_start();
    node.hear("waiting");
    let second = world.node_home.run(&["node", "run"]);
    assert_eq!(second.code, 78);
    assert!(second.err.contains("runs already"), "{second:?}");
}

/// The gateway's side is made up: what it hears is the whole of what the node knows.
#[test]
fn a_code_is_shown_once_and_the_token_for_it_from_then_on() {
    let world = World::new();
    let first = FakeGateway::start(|mut peer| {
        let connect = peer.welcome(json!({"deviceToken":"for the node","role":"node","scopes":[]}));
        let params = &connect["params"];
        assert_eq!(params["auth"], json!({"bootstrapToken":"one-time"}));
        assert_eq!(
            (&params["role"], &params["scopes"]),
            (&json!("node"), &json!([]))
        );
        assert_eq!(
            params["caps"],
            json!(["system", "journal", "progress"]),
            "no browser is configured, so none is offered"
        );
        assert_eq!(
            (&params["client"]["id"], &params["client"]["mode"]),
            (&json!("node-host"), &json!("node"))
        );
        assert_eq!(params["client"]["displayName"], "kitchen");
        peer.raw(&[0x88, 2, 0x03, 0xf4]); // 1012
    });
    world.relay.turn(first.port());
    let url = format!("ws://127.0.0.1:{}", world.relay.port);
    let mut node = world.start(&[
        "--url",
        &url,
        "--code",
        "one-time",
        "--display-name",
        "kitchen",
    ]);
    node.hear("connected");
    first.join();
    let again = FakeGateway::start(|mut peer| {
        let connect = peer.welcome(json!({}));
        assert_eq!(connect["params"]["auth"], json!({"token":"for the node"}));
        peer.rest();
    });
    world.relay.turn(again.port());
    node.hear("connected");
    drop(node);
    again.join();
    let status = world.node_home.run(&["node", "status"]).ok();
    assert!(status.out.contains("yes, it has a token"), "{status:?}");
}

#[test]
fn a_code_lets_a_node_in_and_what_is_always_approved_is_asked_once() {
    let world = World::new();
    let invited = world.gateway_home.run(&["devices", "pair", "--json"]);
    let invited = invited.ok().json();
    let url = format!("ws://127.0.0.1:{}", world.relay.port);
    let code = invited["code"].as_str().unwrap();
    let mut node = world.start(&["--url", &url, "--code", code]);
    node.hear("connected");
    let devices = world.call("device.pair.list", &json!({}));
    assert_eq!(devices["pending"], json!([]), "nobody had to be asked");
    assert_eq!(devices["paired"][0]["deviceId"], world.node_id());

    world.allow(
        &json!({"version":1,"defaults":{"security":"allowlist","ask":"on-miss"},"agents":{}}),
    );
    let run = ["nodes", "run", "--", "touch", "asked-for"];
    let mut asks = world.gateway_home.command(&run);
    let asks = asks.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let asks = asks.unwrap();
    let waiting = || world.call("exec.approval.list", &json!({}))["pending"].take();
    let mut pending = Value::Null;
    until("the command waits for a decision", || {
        pending = waiting();
        pending[0].is_object()
    });
    assert_eq!(pending[0]["request"]["command"], "touch asked-for");
    let home = world.node_home.state();
    let made = |name: &str| home.parent().unwrap().join(name).exists();
    assert!(!made("asked-for"), "nothing runs before somebody decided");
    let id = pending[0]["id"].as_str().unwrap();
    let approve = ["approvals", "approve", "--always", id];
    world.gateway_home.run(&approve).ok();
    let asked = asks.wait_with_output().unwrap();
    assert!(asked.status.success() && made("asked-for"), "{asked:?}");

    let again = ["nodes", "run", "--", "touch", "asked-no-more"];
    let again = world.gateway_home.run(&again).ok();
    assert!(made("asked-no-more"), "{again:?}");
    assert!(!again.err.contains("approval"), "{again:?}");
    assert_eq!(waiting(), json!([]));
    let other = [
        "nodes",
        "run",
        "--timeout",
        "500ms",
        "--",
        "rm",
        "asked-for",
    ];
    let mut other = world.gateway_home.command(&other);
    let mut other = other.stderr(Stdio::null()).spawn().unwrap();
    until("another program is asked for", || waiting()[0].is_object());
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(made("asked-for"));

    // The code is used up.
    let used = crate::support::Home::new();
    let ran = used.run(&["node", "run", "--url", &url, "--code", code]);
    assert_eq!(ran.code, 78, "{ran:?}");
    revoked(&world, node);
}

/// A node whose token is taken away hears that, and not that its code of long ago is used up.
fn revoked(world: &World, mut node: Node) {
    let id = world.node_id();
    world.gateway_home.run(&["devices", "revoke", &id]).ok();
    let said = node.hear("INVALID_REQUEST");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("the token that it gave this device"),
        "{said}"
    );
    for words in [&["nodes"][..], &["devices", "list"]] {
        let shown = world.gateway_home.run(words).ok().out;
        assert!(shown.contains("revoked"), "{shown}");
    }
    let away = world
        .gateway_home
        .run(&["nodes", "run", "--node", &id[..8], "--", "true"]);
    assert!(away.err.contains("clawdia devices pair"), "{away:?}");
}
