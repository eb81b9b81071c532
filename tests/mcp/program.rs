//! Servers that are programs.

use crate::server::{self, noted};
use crate::support::model::{Model, Says};
use crate::support::{self, Home, Running};
use serde_json::{Value, json};
use std::path::PathBuf;

pub struct World {
    pub home: Home,
    pub gateway: Running,
    pub model: Model,
    pub ledger: PathBuf,
}

/// A gateway with a model that does what `script` says, and the server as `sums`.
fn world(script: Vec<Says>, more: &Value) -> World {
    let model = Model::start(script);
    let home = Home::new();
    let ledger = home.state().join("ledger");
    let mut config = base(&model);
    config["mcp"] = json!({"servers": {"sums": server::config(&ledger, &more["env"])}});
    if more["tools"].is_object() {
        config["tools"] = more["tools"].clone();
    }
    home.configure(&config.to_string());
    let mut command = home.command(&["gateway", "run", "--port", "0"]);
    command.env("MAIL_TOKEN", "not for programs of others");
    let gateway = Running::start(command);
    World {
        home,
        gateway,
        model,
        ledger,
    }
}

/// A configuration with this model alone.
pub fn base(model: &Model) -> Value {
    json!({
        "models": {"providers": {"mine": {"baseUrl": format!("http://127.0.0.1:{}/v1", model.port),
            "apiKey": "k", "api": "openai-completions", "models": [{"id": "one"}]}}},
        "agents": {"defaults": {"model": {"primary": "mine/one"}}},
    })
}

/// What the gateway says of its servers.
pub fn listed(home: &Home) -> Vec<Value> {
    let list = home.run(&["mcp", "list", "--json"]).ok().json();
    list["mcp"].as_array().cloned().unwrap_or_default()
}

pub fn until_up(home: &Home) {
    support::eventually(|| listed(home).iter().all(|it| it["state"] == "up"));
}

fn asks(tool: &'static str, arguments: Value) -> [Says; 2] {
    [Says::Asks(tool, arguments), Says::Text(&["done"])]
}

/// What the model was told of the tool that it asked for last.
pub fn result(model: &Model) -> String {
    let (_, body) = model.seen.recv().unwrap();
    let last = body["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["role"], "tool", "{last}");
    last["content"].as_str().unwrap().to_owned()
}

pub fn tool_names(body: &Value) -> Vec<String> {
    let tools = body["tools"].as_array().into_iter().flatten();
    let names = tools.filter_map(|tool| tool["function"]["name"].as_str());
    names.map(str::to_owned).collect()
}

fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z"))
}

#[test]
fn an_agent_uses_a_programs_tools_and_nothing_of_it_outlives_the_gateway() {
    let script = [
        asks("sums__add", json!({"a": 2, "b": 40})),
        asks("sums__word", json!({})),
        asks("sums__grow", json!({})),
        asks("sums__grown", json!({})),
    ];
    let world = world(script.into_iter().flatten().collect(), &json!({}));
    until_up(&world.home);
    world.home.run(&["agent", "--message", "go"]).ok();
    let (_, first) = world.model.seen.recv().unwrap();
    let names = tool_names(&first);
    assert!(names.contains(&"sums__wait".to_owned()), "{names:?}");
    assert!(result(&world.model).contains("the sum is 42"));

    world.home.run(&["agent", "--message", "go"]).ok();
    world.model.seen.recv().unwrap();
    let word = result(&world.model);
    assert!(word.starts_with("tea ") && word.contains("HOME"), "{word}");
    assert!(!word.contains("MAIL_TOKEN"), "{word}");

    world.home.run(&["agent", "--message", "go"]).ok();
    world.model.seen.recv().unwrap();
    result(&world.model);
    support::eventually(|| {
        let row = &listed(&world.home)[0];
        row["tools"]
            .as_array()
            .unwrap()
            .contains(&json!("sums__grown"))
    });
    world.home.run(&["agent", "--message", "go"]).ok();
    let (_, body) = world.model.seen.recv().unwrap();
    assert!(tool_names(&body).contains(&"sums__grown".to_owned()));
    assert!(result(&world.model).contains("done"));

    let status = world.home.run(&["status"]).ok().out;
    assert!(
        status.contains("sums") && status.contains("7 tools"),
        "{status}"
    );
    let (server, child) = (noted(&world.ledger, "start"), noted(&world.ledger, "child"));
    assert_eq!(world.gateway.stop(), Some(0));
    assert!(is_gone(&server[0]), "the server lives");
    assert!(is_gone(&child[0]), "what it started lives");
}

#[test]
fn the_policies_of_tools_hold_for_a_servers() {
    let script = [asks("sums__add", json!({"a": 1, "b": 1}))];
    let tools = json!({"tools": {"deny": ["sums__a*", "group:fs"]}});
    let world = world(script.into_iter().flatten().collect(), &tools);
    until_up(&world.home);
    world.home.run(&["agent", "--message", "go"]).ok();
    let (_, first) = world.model.seen.recv().unwrap();
    let names = tool_names(&first);
    assert!(names.contains(&"sums__word".to_owned()), "{names:?}");
    assert!(!names.contains(&"sums__add".to_owned()), "{names:?}");
    let refused = result(&world.model);
    assert!(refused.contains("there is no tool"), "{refused}");
}

#[test]
fn a_program_that_ends_is_started_again_and_its_call_is_not_repeated() {
    let script = [
        asks("sums__die", json!({})),
        asks("sums__add", json!({"a": 1, "b": 1})),
    ];
    let world = world(script.into_iter().flatten().collect(), &json!({}));
    until_up(&world.home);
    world.home.run(&["agent", "--message", "go"]).ok();
    world.model.seen.recv().unwrap();
    let failed = result(&world.model);
    assert!(
        failed.contains("ended") && failed.contains("not known"),
        "{failed}"
    );
    support::eventually(|| noted(&world.ledger, "start").len() == 2);
    until_up(&world.home);
    world.home.run(&["agent", "--message", "go"]).ok();
    world.model.seen.recv().unwrap();
    assert!(result(&world.model).contains("the sum is 2"));
    assert_eq!(noted(&world.ledger, "die").len(), 1);
}

#[test]
fn an_abort_is_told_to_the_server() {
    let script = vec![Says::Asks("sums__wait", json!({}))];
    let world = world(script, &json!({}));
    until_up(&world.home);
    let mut asker = world.home.command(&["agent", "--message", "go"]);
    let mut asker = asker.stdout(std::process::Stdio::null()).spawn().unwrap();
    support::eventually(|| noted(&world.ledger, "wait").len() == 1);
    let abort = r#"{"sessionKey":"main"}"#;
    let call = ["gateway", "call", "chat.abort", "--params", abort];
    world.home.run(&call).ok();
    support::eventually(|| noted(&world.ledger, "cancelled").len() == 1);
    support::ended(&mut asker);
}

#[test]
fn a_call_that_a_kill_interrupts_is_told_and_never_made_again() {
    let script = vec![Says::Asks("sums__wait", json!({})), Says::Text(&["done"])];
    let World {
        home,
        gateway,
        model: _model,
        ledger,
    } = world(script, &json!({}));
    until_up(&home);
    let mut asker = home.command(&["agent", "--message", "go"]);
    let asker = asker.stdout(std::process::Stdio::null());
    let mut asker = asker.stderr(std::process::Stdio::null()).spawn().unwrap();
    support::eventually(|| noted(&ledger, "wait").len() == 1);
    // By SIGKILL.
    drop(gateway);
    support::ended(&mut asker);
    let servers = noted(&ledger, "start");
    support::eventually(|| is_gone(&servers[0]));
    let gateway = home.gateway(&[]);
    until_up(&home);
    let params = r#"{"sessionKey":"main"}"#;
    let history = home.run(&["gateway", "call", "chat.history", "--params", params]);
    let history = history.ok().out;
    assert!(history.contains("not known"), "{history}");
    assert_eq!(noted(&ledger, "wait").len(), 1, "it was called again");
    drop(gateway);
}

#[test]
fn a_program_without_an_end_of_line_is_ended() {
    let flood = json!({"env": {"MCP_FLOODS": "1"}});
    let world = world(Vec::new(), &flood);
    support::eventually(|| {
        let row = &listed(&world.home)[0];
        row["fault"]
            .as_str()
            .is_some_and(|it| it.contains("a line of more than"))
    });
    let first = &noted(&world.ledger, "start")[0];
    support::eventually(|| is_gone(first));
}

#[test]
fn the_schemas_of_a_server_are_bounded_together() {
    let fat = json!({"env": {"MCP_FAT": "1"}});
    let world = world(vec![Says::Text(&["done"])], &fat);
    until_up(&world.home);
    // Eight of twelve fit into 256 KiB, whatever page they are on.
    let tools = listed(&world.home)[0]["tools"].as_array().cloned();
    let tools = tools.unwrap_or_default();
    assert_eq!(tools.len(), 8, "{tools:?}");
    assert_eq!(tools[7], "sums__fat-2-1");
    world.home.run(&["agent", "--message", "hi"]).ok();
    let (_, body) = world.model.seen.recv().unwrap();
    let told = |name: &&String| name.starts_with("sums__");
    assert_eq!(tool_names(&body).iter().filter(told).count(), 8);
}
