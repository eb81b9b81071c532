//! Coming back, and ending.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::FakeGateway;
use crate::world::{World, until};

#[test]
fn a_node_survives_its_gateways_restart_and_a_lost_network() {
    let (world, mut node) = World::with_node();
    world.restart_gateway();
    node.hear("connected");
    assert_eq!(
        world.shell("a", "echo after")["payload"]["stdout"],
        "after\n"
    );
    world.relay.cut();
    let retry = node.hear("retry");
    assert!(retry["afterMs"].as_u64().unwrap() <= 1_000, "{retry}");
    node.hear("connected");
    assert_eq!(
        world.shell("b", "echo again")["payload"]["stdout"],
        "again\n"
    );
    world.kill_gateway();
    world.start_gateway();
    node.hear("connected");
}

#[test]
fn it_ends_at_once_when_told_to_and_takes_its_commands_along() {
    let (world, node) = World::with_node();
    let script = "sleep 600 & echo $! > child; wait";
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.shell("a", script));
        until("the command runs", || world.lines("child") == 1);
        let home = world.node_home.state();
        let child = std::fs::read_to_string(home.parent().unwrap().join("child")).unwrap();
        node.signal(Signal::TERM);
        let (code, took) = node.wait();
        assert_eq!(code, Some(0));
        // A second is what it takes at most; a loaded machine may look late.
        assert!(took < Duration::from_secs(20), "{took:?}");
        let path = format!("/proc/{}/environ", child.trim());
        until("the grandchild ends", || std::fs::read(&path).is_err());
        let answer = call.join().unwrap();
        assert_eq!(answer["ok"], false, "{answer}");
    });
}

#[test]
fn a_node_that_waits_to_be_let_in_ends_at_once_too() {
    let world = World::new();
    let mut node = world.first_start();
    node.hear("waiting");
    node.signal(Signal::TERM);
    let (code, took) = node.wait();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Its socket stays open, so nothing but its missing pongs tells that it is gone.
#[test]
fn a_node_that_stands_still_is_missed_and_comes_back() {
    let (world, mut node) = World::with_node();
    world
        .gateway_home
        .configure("{ gateway: { limits: { pingIntervalMs: 2000 } } }");
    world.restart_gateway();
    node.hear("connected");
    let row = || world.call("node.list", &json!({}))["nodes"][0].clone();
    assert_eq!(row()["connected"], true);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.try_shell("a", "echo x >> began; sleep 30"));
        until("the command runs", || world.lines("began") == 1);
        node.signal(Signal::STOP);
        let answer = call.join().unwrap();
        assert!(answer.out.contains("DISCONNECTED"), "{answer:?}");
    });
    assert_eq!(row()["connected"], false, "list and routing agree");
    let presence = world.call("system-presence", &json!({}));
    let id = world.node_id();
    let its = presence.as_array().unwrap().iter();
    let its: Vec<_> = its.filter(|entry| entry["deviceId"] == *id).collect();
    assert_eq!(its.len(), 1, "{presence}");
    assert_eq!(its[0]["reason"], "disconnect", "{presence}");
    let refused = world.try_shell("b", "true");
    assert!(refused.out.contains("NOT_CONNECTED"), "{refused:?}");
    node.signal(Signal::CONT);
    node.hear("connected");
    assert_eq!(row()["connected"], true);
}

/// The gateway's side is made up: no real one misses its ticks while it keeps a connection.
#[test]
fn a_gateway_that_falls_silent_is_given_up() {
    let world = World::new();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let silent = FakeGateway::start(move |mut peer| {
        let connect = peer.challenge();
        let hello = json!({"type":"hello-ok","protocol":4,"server":{"version":"silent"},
            "policy":{"tickIntervalMs":1_000}});
        peer.answer(&connect, hello);
        let _ = stopped.recv();
    });
    world.relay.turn(silent.port());
    let url = format!("ws://127.0.0.1:{}", world.relay.port);
    let mut node = world.start(&["--url", &url, "--token", "t"]);
    node.hear("connected");
    let retry = node.hear("retry");
    assert_eq!(retry["why"], "the gateway fell silent");
    drop(node);
    drop(stop);
    silent.join();
}

#[test]
fn a_node_that_finds_no_gateway_says_what_to_look_at() {
    let world = World::new();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let url = format!("ws://127.0.0.1:{port}");
    let mut node = world.start(&["--url", &url, "--token", "t"]);
    node.hear("retry");
    let advice = node.hear("trouble")["message"].to_string();
    assert!(advice.contains("clawdia gateway status"), "{advice}");
    for _ in 0..2 {
        assert_eq!(node.next()["event"], "retry", "once is enough");
    }
}

#[test]
fn what_is_not_installed_cannot_be_started() {
    let world = World::new();
    for what in ["start", "stop", "restart", "uninstall"] {
        let ran = world.node_home.run(&["node", what]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("clawdia node install"), "{ran:?}");
    }
}

#[test]
fn a_unit_has_no_secret_in_it() {
    let world = World::new();
    let refused = world.node_home.run(&["node", "install", "--token", "hush"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    // A machine without systemd prints the unit; this test has no session of one.
    let secret = world.node_dir().with_file_name("secret");
    std::fs::create_dir_all(world.node_home.state()).unwrap();
    std::fs::write(&secret, "hush").unwrap();
    let words = [
        "--json",
        "node",
        "install",
        "--host",
        "gateway.example.org",
        "--token-file",
        secret.to_str().unwrap(),
    ];
    let mut command = world.node_home.command(&words);
    command.env("PATH", "/nonexistent");
    let output = command.output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["installed"], json!(false), "{said}");
    let unit = said["unit"].as_str().unwrap();
    assert!(!unit.contains("hush"));
    for part in [
        "node run --token-file /",
        "Restart=on-failure",
        "RestartPreventExitStatus=2 78",
        "NoNewPrivileges=yes",
    ] {
        assert!(unit.contains(part), "{part}\n{unit}");
    }
    let status = world
        .node_home
        .run(&["--json", "node", "status"])
        .ok()
        .json();
    assert_eq!(status["gateway"], "ws://gateway.example.org:18789");
}
