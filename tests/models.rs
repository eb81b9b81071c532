//! Agent runs with configured models: the built program, a server of chat completions, a node.

mod support;

use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use support::model::{Model, Says};
use support::node::TestNode;
use support::{Home, Running};

const KEY: &str = "sk-nobody-may-ever-see-this";

fn start(model: &Model) -> (Home, Running) {
    let home = Home::new();
    home.configure(&model.config(KEY));
    let gateway = home.gateway(&[]);
    (home, gateway)
}

fn uptime(_: &str, _: &Value) -> Result<Value, &'static str> {
    Ok(json!({"exitCode": 0, "timedOut": false, "stdout": "up 3 days\n", "stderr": ""}))
}

/// No file of the state, and nothing that a command prints, may hold the key.
fn check_no_key(home: &Home, printed: &[&str]) {
    let mut dirs = vec![home.state()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.file_name().unwrap() != "clawdia.json" {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
                assert!(!found, "{} holds the key", path.display());
            }
        }
    }
    assert!(printed.iter().all(|text| !text.contains(KEY)));
}

#[test]
fn a_model_asks_for_a_node_and_tells_what_it_found() {
    let arguments = json!({"action": "run", "node": "build-box", "command": ["uptime"]});
    let model = Model::start(vec![
        Says::Asks("nodes", arguments),
        Says::Text(&["It is ", "up for 3 days."]),
        Says::Text(&["Yes."]),
    ]);
    let (home, gateway) = start(&model);
    let token = home.run(&["token"]).ok().out;
    let dir = tempfile::tempdir().unwrap();
    let node = (gateway.port, token.trim(), dir.path());
    let _node = TestNode::start(node.0, node.1, node.2, "build-box", "linux", uptime);
    let told = home
        .run(&["agent", "--message", "how long is build-box up?"])
        .ok();
    assert_eq!(told.out, "It is up for 3 days.\n");
    let (head, first) = model.seen.recv().unwrap();
    assert!(
        head.to_lowercase()
            .contains(&format!("authorization: bearer {KEY}"))
    );
    let tools = first["tools"].as_array().unwrap().iter();
    let names: Vec<&str> = tools
        .map(|it| it["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "nodes",
            "sessions",
            "message",
            "exec",
            "process",
            "read",
            "write",
            "edit",
            "web_fetch",
            "cron",
            "gateway"
        ]
    );
    let (_, second) = model.seen.recv().unwrap();
    let result = second["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&result["role"], &result["tool_call_id"]),
        (&json!("tool"), &json!("call_1"))
    );
    assert!(
        result["content"].as_str().unwrap().contains("up 3 days"),
        "{result}"
    );
    home.run(&["agent", "--message", "sure?"]).ok();
    let (_, third) = model.seen.recv().unwrap();
    let roles = third["messages"].as_array().unwrap().iter();
    let roles: Vec<&str> = roles.map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(
        roles,
        ["system", "user", "assistant", "tool", "assistant", "user"]
    );
    let list = home.run(&["gateway", "call", "sessions.list"]).ok().json();
    let session = &list["sessions"][0];
    assert_eq!(
        (&session["inputTokens"], &session["outputTokens"]),
        (&json!(300), &json!(36))
    );
    let config = home.run(&["gateway", "call", "config.get"]).ok();
    assert_eq!(gateway.stop(), Some(0));
    check_no_key(&home, &[&told.out, &told.err, &config.out]);
}

#[test]
fn a_model_that_fails_is_told_in_words_and_the_next_one_is_asked() {
    let model = Model::start(vec![
        Says::Fails(
            "401 Unauthorized",
            r#"{"error":{"message":"no such key sk-nobody-may-ever-see-this"}}"#,
        ),
        Says::Text(&["Back again."]),
        Says::Fails(
            "400 Bad Request",
            r#"{"error":{"message":"too many words"}}"#,
        ),
        Says::Text(&["The second one says hello."]),
    ]);
    let (home, gateway) = start(&model);
    let failed = home.run(&["agent", "--message", "hi"]);
    assert_eq!(failed.code, 1);
    assert!(
        failed
            .err
            .contains("mine/one: it refused the key with 401: no such key …"),
        "{failed:?}"
    );
    assert_eq!(
        home.run(&["agent", "--message", "hi"]).ok().out,
        "Back again.\n"
    );
    // Both are the same server here, one request after the other.
    let config = model.config(KEY).replace(
        "primary: 'mine/one'",
        "primary: 'mine/one', fallbacks: ['mine/two']",
    );
    let config = config.replace("{ id: 'one' }", "{ id: 'one' }, { id: 'two' }");
    assert_eq!(gateway.stop(), Some(0));
    home.configure(&config);
    let gateway = home.gateway(&[]);
    let told = home.run(&["agent", "--message", "hi"]).ok();
    assert_eq!(told.out, "The second one says hello.\n");
    let models: Vec<Value> = model
        .seen
        .iter()
        .take(4)
        .map(|(_, body)| body["model"].clone())
        .collect();
    assert_eq!(models, ["one", "one", "one", "two"]);
    assert_eq!(gateway.stop(), Some(0));
    check_no_key(&home, &[&failed.out, &failed.err]);
}

#[test]
fn an_abort_cuts_the_models_connection() {
    let model = Model::start(vec![Says::Hangs("Well, "), Says::Text(&["Here."])]);
    let (home, _gateway) = start(&model);
    let mut command = home.command(&["agent", "--message", "go on and on"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    model.seen.recv_timeout(Duration::from_secs(30)).unwrap();
    let abort = [
        "gateway",
        "call",
        "chat.abort",
        "--params",
        r#"{"sessionKey":"main"}"#,
    ];
    let aborted = home.run(&abort).ok().json();
    assert_eq!(aborted["aborted"], true);
    model.cut.recv_timeout(Duration::from_secs(30)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    // The worker is free again.
    assert_eq!(home.run(&["agent", "--message", "hi"]).ok().out, "Here.\n");
}
