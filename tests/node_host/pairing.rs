//! How a node gets in, and what keeps it out.

use serde_json::json;

use crate::support::FakeGateway;
use crate::world::World;

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
    for command in [
        "system.run",
        "system.which",
        "system.notify",
        "browser.proxy",
    ] {
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
        assert_eq!(params["caps"], json!(["system", "browser", "journal"]));
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
