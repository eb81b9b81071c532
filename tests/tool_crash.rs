//! The gateway is killed while its agent uses a node: nothing acts twice, every run ends once.

mod support;

use serde_json::{Value, json};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use support::Home;
use support::node::TestNode;

/// Commands that the node was asked for, in order.
static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn does(_: &str, params: &Value) -> Result<Value, &'static str> {
    let words = params["command"].as_array().into_iter().flatten();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    DONE.lock().unwrap().push(words.join(" "));
    // So that the gateway can die while the node is at work.
    std::thread::sleep(Duration::from_millis(20));
    Ok(json!({"exitCode": 0, "timedOut": false, "stdout": "done\n", "stderr": ""}))
}

fn times(command: &str) -> usize {
    let done = DONE.lock().unwrap();
    done.iter().filter(|it| *it == command).count()
}

fn ask(home: &Home, message: &str) -> Child {
    let mut command = home.command(&["agent", "--message", message]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn a_gateway_that_is_killed_at_any_moment_repeats_no_command_of_its_agent() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let mut gateway = home.gateway(&[]);
    let token = home.run(&["token"]).ok().out;
    let mut interrupted = 0;
    const LIVES: usize = 8;
    for life in 0..LIVES {
        let node = TestNode::start(gateway.port, token.trim(), dir.path(), "box", "linux", does);
        let command = format!("act {life}");
        let mut client = ask(&home, &format!("run {command} on box"));
        if life % 2 == 0 {
            // Killed while the node is at work, or just after.
            support::eventually(|| times(&command) == 1);
        } else {
            // Killed at a moment that nobody chose.
            std::thread::sleep(Duration::from_millis(7 * life as u64));
        }
        drop(gateway);
        drop(node);
        client.wait().unwrap();
        gateway = home.gateway(&[]);
        let node = TestNode::start(gateway.port, token.trim(), dir.path(), "box", "linux", does);
        // Whatever was accepted comes to its end before this does.
        home.run(&["agent", "--message", "version"]).ok();
        drop(node);
        assert!(
            times(&command) <= 1,
            "{command} was done {} times",
            times(&command)
        );
        let params = r#"{"sessionKey":"main","limit":1000}"#;
        let history = home.run(&["gateway", "call", "chat.history", "--params", params]);
        let history = history.ok().json();
        let rows = history["messages"].as_array().unwrap();
        let asked = rows.iter().filter(|row| row["role"] == "user").count();
        let is_end = |row: &&Value| row["role"] == "assistant" && row["stopReason"] != "toolUse";
        let ends: Vec<&Value> = rows.iter().filter(is_end).collect();
        assert_eq!(ends.len(), asked, "every run ends once: {rows:#?}");
        let is_interrupted = |row: &&&Value| row["stopReason"] == "error";
        let now = ends.iter().filter(is_interrupted).count();
        assert!(now >= interrupted, "an end that was told stays");
        interrupted = now;
    }
    assert!(interrupted > 0, "no run was ever caught in the act");
}
