//! `clawdia nodes` and the agent's tool against a gateway and nodes of their own.

mod support;

use serde_json::{Value, json};
use support::node::TestNode;
use support::{Home, Ran, Running};

/// A gateway with a machine and a phone.
struct World {
    home: Home,
    gateway: Running,
    dirs: Vec<tempfile::TempDir>,
    token: String,
}

impl World {
    fn start() -> Self {
        let home = Home::new();
        let gateway = home.gateway(&[]);
        let token = home.run(&["token"]).ok().out.trim().to_owned();
        Self {
            home,
            gateway,
            dirs: Vec::new(),
            token,
        }
    }

    fn node(&mut self, name: &str, platform: &str) -> TestNode {
        let dir = tempfile::tempdir().unwrap();
        let port = self.gateway.port;
        let node = TestNode::start(port, &self.token, dir.path(), name, platform, does);
        self.dirs.push(dir);
        node
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.home.run(words)
    }

    fn says(&self, message: &str) -> String {
        self.run(&["agent", "--message", message]).ok().out
    }
}

fn does(command: &str, params: &Value) -> Result<Value, &'static str> {
    let words: Vec<&str> = params["command"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    Ok(match (command, words.as_slice()) {
        ("system.run", ["uptime"]) => {
            json!({"exitCode": 0, "timedOut": false, "stdout": "up 3 days\n", "stderr": ""})
        }
        ("system.run", ["false"]) => {
            json!({"exitCode": 3, "timedOut": false, "stdout": "", "stderr": "oh no\n"})
        }
        ("system.run", ["env"]) => {
            let shown = format!("{} in {}\n", params["env"]["A"], params["cwd"]);
            json!({"exitCode": 0, "timedOut": false, "stdout": shown, "stderr": ""})
        }
        ("system.run", ["rm", ..]) if params["approved"] != true => {
            return Err("SYSTEM_RUN_DENIED: approval required");
        }
        ("system.run", ["rm", ..]) => {
            json!({"exitCode": 0, "timedOut": false, "stdout": "gone\n", "stderr": ""})
        }
        ("system.run", _) => return Err("SYSTEM_RUN_DENIED: allowlist miss"),
        ("system.notify", _) => json!({"ok": true}),
        ("location.get", _) => json!({"lat": 48.2, "lon": 16.37}),
        ("camera.snap", _) => json!({"format": "jpg", "base64": "AAAA", "width": 4, "height": 3}),
        _ => return Err("no such command"),
    })
}

#[test]
fn nodes_are_shown_named_called_and_what_they_say_is_printed() {
    let mut world = World::start();
    let none = world.run(&["nodes"]).ok();
    assert!(none.out.contains("clawdia node run"), "{none:?}");
    let machine = world.node("build-box", "macos");
    let status = world.run(&["nodes", "status"]).ok().out;
    assert!(
        status.contains("build-box") && status.contains("connected"),
        "{status}"
    );
    let rows = world
        .run(&["nodes", "status", "--connected", "--json"])
        .ok()
        .json();
    assert_eq!(rows["nodes"][0]["nodeId"], machine.id);
    let list = world.run(&["nodes", "list", "--json", "--last-connected", "24h"]);
    let list = list.ok().json();
    assert_eq!(list["pending"], json!([]));
    assert_eq!(list["paired"][0]["displayName"], "build-box");
    assert!(
        world
            .run(&["nodes", "pending"])
            .ok()
            .out
            .contains("no node waits")
    );
    let described = world.run(&["nodes", "describe", "BUILD BOX"]).ok().out;
    assert!(described.contains("system.run"), "{described}");

    let ran = world.run(&["nodes", "run", "--", "uptime"]).ok();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("up 3 days\n", ""));
    let words = [
        "nodes",
        "run",
        "--node",
        "build-box",
        "--cwd",
        "/tmp",
        "--env",
        "A=b=c",
        "--",
        "env",
    ];
    assert_eq!(world.run(&words).ok().out, "\"b=c\" in \"/tmp\"\n");
    let failed = world.run(&["nodes", "run", "--node", "build-box", "--", "false"]);
    assert_eq!((failed.code, failed.out.as_str()), (1, ""));
    assert!(failed.err.contains("oh no\n"), "{failed:?}");
    assert!(failed.err.contains("exit code 3"), "{failed:?}");
    let failed = world.run(&["nodes", "run", "--json", "--", "false"]);
    assert_eq!(
        (failed.code, &failed.json()["payload"]["exitCode"]),
        (1, &json!(3))
    );

    let answer = world.run(&["nodes", "invoke", "build-box", "--command", "location.get"]);
    assert_eq!(answer.ok().json()["lat"], 48.2);
    let told = world.run(&["nodes", "notify", "build-box", "--body", "tea is ready"]);
    assert!(told.ok().out.contains("build-box shows it"));
    world
        .run(&["nodes", "rename", &machine.id[..8], "attic"])
        .ok();
    world.run(&["nodes", "describe", "attic"]).ok();
    let twin = world
        .run(&["nodes", "rename", &machine.id[..8], "ATTIC"])
        .ok();
    assert!(
        twin.out.contains("ATTIC"),
        "its own name may be written otherwise"
    );
    let phone = world.node("phone", "ios");
    let taken = world.run(&["nodes", "rename", &phone.id[..8], "attic"]);
    let id = &machine.id[..8];
    for told in [
        format!("attic means another node already: {id}"),
        format!("clawdia nodes rename {id} NAME"),
    ] {
        assert!(taken.code == 1 && taken.err.contains(&told), "{taken:?}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_mends_it() {
    let mut world = World::start();
    let ran = world.run(&["nodes", "describe", "phone"]);
    assert!(ran.err.contains("no node is called phone"), "{ran:?}");
    let node = world.node("phone", "linux");
    for (words, code, expected) in [
        (&["nodes", "run"][..], 2, "what is to be run?"),
        (
            &["nodes", "run", "phone"],
            2,
            "phone is a node, and no program was named",
        ),
        (&["nodes", "run", "--env", "x", "--", "ls"], 2, "NAME=VALUE"),
        (
            &["nodes", "run", "--raw", "ls", "--", "ls"],
            2,
            "exclude each other",
        ),
        (&["nodes", "notify", "phone"], 2, "--title or --body"),
        (
            &["nodes", "status", "--last-connected", "soon"],
            2,
            "no duration",
        ),
        (
            &[
                "nodes",
                "invoke",
                "phone",
                "--command",
                "x",
                "--params",
                "{",
            ],
            2,
            "no JSON",
        ),
        (
            &["nodes", "invoke", "phone", "--command", "system.run"],
            2,
            "nodes run",
        ),
        (
            &["nodes", "invoke", "phone", "--command", "x", "--ttl", "1h"],
            2,
            "--queue",
        ),
        (
            &["nodes", "invoke", "phone", "--command", "torch.on"],
            1,
            "phone has no command torch.on",
        ),
        (&["nodes", "describe", "tablet"], 1, "there are phone"),
        (&["nodes", "approve", "tablet"], 1, "no node waits"),
        (
            &["nodes", "invoke", "phone", "--command", "camera.snap"],
            1,
            "gateway.nodes.allowCommands '[\"camera.snap\"]'",
        ),
        (
            &["nodes", "run", "--", "ls"],
            1,
            "clawdia approvals get --node phone",
        ),
    ] {
        let ran = world.run(words);
        assert_eq!(ran.code, code, "{words:?} {ran:?}");
        let shown: String = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(expected), "{words:?} {shown}");
    }
    drop(node);
    let away = || {
        let rows = world.run(&["nodes", "status", "--json"]).ok().json();
        rows["nodes"][0]["connected"] == false
    };
    support::eventually(away);
    let ran = world.run(&["nodes", "notify", "phone", "--body", "x"]);
    assert!(ran.err.contains("phone is not connected"), "{ran:?}");
    assert!(ran.err.contains("clawdia node run"), "{ran:?}");
}

#[test]
fn a_command_that_needs_approval_waits_for_it() {
    let mut world = World::start();
    let _node = world.node("build-box", "linux");
    for (decision, code) in [("allow-once", 0), ("deny", 1)] {
        let mut command = world
            .home
            .command(&["nodes", "run", "--", "rm", "-r", "old things"]);
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        let waiting = || {
            let list = world
                .run(&["gateway", "call", "exec.approval.list"])
                .ok()
                .json();
            list["pending"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        };
        support::eventually(waiting);
        let list = world
            .run(&["gateway", "call", "exec.approval.list"])
            .ok()
            .json();
        let request = &list["pending"][0];
        assert_eq!(request["request"]["command"], "rm -r 'old things'");
        let params = json!({"id": request["id"], "decision": decision}).to_string();
        world
            .run(&[
                "gateway",
                "call",
                "exec.approval.resolve",
                "--params",
                &params,
            ])
            .ok();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(out == "gone\n", code == 0, "{out}{err}");
        assert!(err.contains("clawdia approvals approve"), "{err}");
    }
}

#[test]
fn the_agent_does_with_nodes_what_it_is_asked_in_plain_words() {
    let mut world = World::start();
    let _machine = world.node("build-box", "linux");
    let _phone = world.node("phone", "ios");
    assert_eq!(
        world.says("run uptime on build-box"),
        "`uptime` on build-box:\nup 3 days\n"
    );
    let online = world.says("which nodes are online?");
    assert!(online.starts_with("2 nodes online, 2 paired."), "{online}");
    assert!(
        world
            .says("where is my phone?")
            .starts_with("phone is at 48.2")
    );
    assert!(
        world
            .says("take a photo with phone")
            .contains("took a photo")
    );
    assert_eq!(
        world.says("run uptime on laptop"),
        "No node is called \"laptop\"; there are: build-box, phone (clawdia nodes status shows \
         them all).\n"
    );
    let history = world.run(&[
        "gateway",
        "call",
        "chat.history",
        "--params",
        "{\"sessionKey\":\"main\"}",
    ]);
    let history = history.ok().json();
    let roles = history["messages"].as_array().unwrap().iter().take(4);
    let roles: Vec<&str> = roles.map(|row| row["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "toolResult", "assistant"]);
}

#[test]
fn one_command_on_many_nodes_is_told_node_by_node_with_a_sum() {
    let mut world = World::start();
    let _boxes = [world.node("box-1", "macos"), world.node("box-2", "macos")];
    let _phone = world.node("phone", "ios");
    let many = |more: &[&str]| world.run(&[&["nodes", "invoke-many"], more].concat());

    let ran = many(&["--name", "box-*", "--", "uptime"]).ok();
    let mut lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.pop().unwrap().contains("2 of 2 nodes did it"));
    lines.sort_unstable();
    assert_eq!(lines, ["box-1: up 3 days", "box-2: up 3 days"]);

    let told = many(&["--all", "--command", "location.get", "--json"]).ok();
    let lines: Vec<Value> = told
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[..3].iter().all(|one| one["payload"]["lat"] == 48.2));
    assert_eq!(
        (&lines[3]["total"], &lines[3]["succeeded"]),
        (&json!(3), &json!(3))
    );

    let some = many(&["--node", "box-1", "--node", "phone", "--", "uptime"]);
    assert_eq!(some.code, 1, "{some:?}");
    assert!(some.out.contains("box-1: up 3 days"), "{some:?}");
    assert!(some.out.contains("✗ phone: node command not allowed"));
    assert!(some.err.contains("1 of 2 nodes did it"), "{some:?}");
    let failed = many(&["--platform", "macos", "--", "false"]);
    assert_eq!(failed.code, 1);
    assert!(failed.out.contains("box-2: oh no") && failed.out.contains("exit code 3"));
    assert!(failed.err.contains("0 of 2"), "{failed:?}");

    let nobody = many(&["--platform", "linux", "--", "uptime"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("no connected node"), "{nobody:?}");
    for words in [
        &["--", "uptime"][..],
        &["--all"],
        &["--all", "--name", "x", "--", "uptime"],
        &["--node", "phone", "--cap", "camera", "--", "uptime"],
        &["--all", "--command", "x", "--", "uptime"],
    ] {
        assert_eq!(many(words).code, 2, "{words:?}");
    }
}

#[test]
fn nodes_of_one_name_are_told_apart() {
    let mut world = World::start();
    let twins = [world.node("twin", "macos"), world.node("twin", "macos")];
    let told = world.run(&["nodes", "invoke-many", "--all", "--", "uptime"]);
    let told = told.ok().out;
    let which = world.run(&["nodes", "describe", "twin"]);
    assert_eq!(which.code, 1, "{which:?}");
    let unnamed = world.run(&["nodes", "run", "--", "uptime"]);
    assert_eq!(unnamed.code, 2, "{unnamed:?}");
    for twin in &twins {
        let start = &twin.id[..8];
        assert!(
            told.contains(&format!("twin ({start}): up 3 days")),
            "{told}"
        );
        assert!(which.err.contains(start), "{which:?}");
        assert!(
            unnamed.err.contains(&format!("--node {start}")),
            "{unnamed:?}"
        );
        world.run(&["nodes", "describe", start]).ok();
    }
}
