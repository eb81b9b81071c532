//! What a gateway's operators can do with a node.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::{World, until};

#[test]
fn nothing_runs_until_the_owner_allows_it() {
    let (world, _node) = World::with_node();
    std::fs::remove_file(world.node_dir().join("exec-approvals.json")).unwrap();
    let denied = world.shell("a", "touch here");
    let message = denied["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("SYSTEM_RUN_DISABLED: security=deny"),
        "{denied}"
    );
    world.allow(
        &json!({"version":1,"defaults":{"security":"allowlist","ask":"off"},
        "agents":{"main":{"allowlist":[{"pattern":"/**/echo"}]}}}),
    );
    let denied = world.shell("b", "touch here");
    let message = denied["error"]["message"].as_str().unwrap();
    assert_eq!(message, "SYSTEM_RUN_DENIED: allowlist miss (/bin/sh)");
    let words = json!({"command":["echo","allowed"]});
    let ran = world.call(
        "node.invoke",
        &world.invoke_params("c", "system.run", words),
    );
    assert_eq!(ran["payload"]["stdout"], "allowed\n", "{ran}");
    assert_eq!(world.lines("here"), 0);
}

#[test]
fn a_command_runs_with_its_folder_its_variables_and_its_exit_code() {
    let (world, _node) = World::with_node();
    let params = json!({"command":"pwd; echo $GREETING; echo err >&2; exit 3","cwd":"/",
        "env":{"GREETING":"hello"}});
    let ran = world.call(
        "node.invoke",
        &world.invoke_params("a", "system.run", params),
    );
    let payload = &ran["payload"];
    assert_eq!(payload["stdout"], "/\nhello\n", "{ran}");
    assert_eq!(
        (&payload["stderr"], &payload["exitCode"]),
        (&json!("err\n"), &json!(3))
    );
    let which = json!({"bins":["sh","no-such-program"]});
    let found = world.call(
        "node.invoke",
        &world.invoke_params("b", "system.which", which),
    );
    assert!(found["payload"]["bins"]["sh"].is_string(), "{found}");
    let path = json!({"path":"/tabs"});
    let browser = world.call(
        "node.invoke",
        &world.invoke_params("c", "browser.proxy", path),
    );
    let told = browser["error"]["message"].as_str().unwrap();
    assert_eq!(told, "node command not allowed");
}

#[test]
fn the_command_line_shows_what_is_printed_while_the_command_runs() {
    let (world, _node) = World::with_node();
    let text = "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two";
    let words = ["nodes", "run", "--timeout", "60s", "--raw", text];
    let mut command = world.gateway_home.command(&words);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one");
    let home = world.node_home.state();
    std::fs::write(home.parent().unwrap().join("go"), "").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "two");
    assert!(lines.next().is_none(), "nothing is printed twice");
    assert_eq!(crate::support::ended(&mut child), Some(0));
}

#[test]
fn the_deadline_ends_the_whole_process_group() {
    let (world, _node) = World::with_node();
    let params = json!({"command":"sleep 600 & echo $! > child; wait","timeoutMs":500});
    let ran = world.call(
        "node.invoke",
        &world.invoke_params("a", "system.run", params),
    );
    assert_eq!(ran["payload"]["timedOut"], true, "{ran}");
    let home = world.node_home.state();
    let child = std::fs::read_to_string(home.parent().unwrap().join("child")).unwrap();
    until("the grandchild ends", || !is_alive(child.trim()));
}

#[test]
fn output_is_bounded_and_its_end_is_kept() {
    let (world, _node) = World::with_node();
    let ran = world.shell("a", "yes '\"\"\"\"' | head -c 5000000; echo the end");
    let payload = &ran["payload"];
    let out = payload["stdout"]
        .as_str()
        .unwrap_or_else(|| panic!("{ran}"));
    assert!(out.starts_with("... (truncated) ") && out.ends_with("the end\n"));
    assert_eq!(payload["truncated"], true);
    assert!(out.len() <= 200_100);
}

#[test]
fn several_run_at_a_time() {
    let (world, _node) = World::with_node();
    // Each waits for the other, so both have to run.
    let pair = |own: &str, other: &str| {
        format!("touch {own}; while [ ! -e {other} ]; do sleep 0.02; done; echo met")
    };
    let (one, two) = (pair("a", "b"), pair("b", "a"));
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let first = scope.spawn(|| world.shell("1", &one));
        let second = scope.spawn(|| world.shell("2", &two));
        vec![first.join().unwrap(), second.join().unwrap()]
    });
    for answer in answers {
        assert_eq!(answer["payload"]["stdout"], "met\n", "{answer}");
    }
}

fn is_alive(pid: &str) -> bool {
    // A zombie has ended; who should wait for it is not our matter.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    matches!(state, Some(state) if state != "Z" && state != "X")
}
