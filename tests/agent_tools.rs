//! An agent's tools on the gateway's own machine: the built program, a scripted model, real
//! commands and files.

mod support;

use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::process::Stdio;
use support::model::{Model, Says};
use support::{Home, Running};

const KEY: &str = "sk-nobody-may-ever-see-this";

fn start(script: Vec<Says>) -> (Home, Running, Model) {
    let model = Model::start(script);
    let home = Home::new();
    home.configure(&model.config(KEY));
    let gateway = home.gateway(&[]);
    (home, gateway, model)
}

/// The result of the tool that the model asked for last.
fn result(model: &Model) -> String {
    let (_, body) = model.seen.recv().unwrap();
    let last = body["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["role"], "tool", "{last}");
    last["content"].as_str().unwrap().to_owned()
}

fn allow_all(home: &Home) {
    let file = json!({"version": 1, "defaults": {"security": "full", "ask": "off"}, "agents": {}});
    let path = home.state().join("allow.json");
    std::fs::write(&path, file.to_string()).unwrap();
    home.run(&["approvals", "set", "--file", path.to_str().unwrap()])
        .ok();
}

/// One run: the model asks for a tool and says "done".
fn uses(tool: &'static str, arguments: Value) -> [Says; 2] {
    [Says::Asks(tool, arguments), Says::Text(&["done"])]
}

#[test]
fn a_command_runs_where_its_owner_allows_it_and_sees_no_secret() {
    let shell = json!({"shell": "pwd; env; echo oops >&2; exit 3"});
    let forked = json!({"shell": "sleep 600 & echo $!; sleep 600", "timeoutMs": 700});
    let script = [
        uses("exec", shell.clone()),
        uses("exec", shell),
        uses("exec", forked),
    ];
    let (home, gateway, model) = start(script.into_iter().flatten().collect());
    home.run(&["agent", "--message", "go"]).ok();
    model.seen.recv().unwrap();
    let refused = result(&model);
    assert!(refused.contains("runs no commands"), "{refused}");

    allow_all(&home);
    home.run(&["agent", "--message", "go"]).ok();
    model.seen.recv().unwrap();
    let ran: Value = serde_json::from_str(&result(&model)).unwrap();
    assert_eq!(
        (&ran["exitCode"], &ran["stderr"]),
        (&json!(3), &json!("oops\n"))
    );
    let out = ran["stdout"].as_str().unwrap();
    let workspace = home.state().join("workspace").canonicalize().unwrap();
    assert!(out.starts_with(workspace.to_str().unwrap()), "{out}");
    assert!(!out.contains("TOKEN=") && !out.contains(KEY), "{out}");

    home.run(&["agent", "--message", "go"]).ok();
    model.seen.recv().unwrap();
    let ran: Value = serde_json::from_str(&result(&model)).unwrap();
    assert_eq!(ran["timedOut"], true, "{ran}");
    let grandchild = ran["stdout"].as_str().unwrap().trim().to_owned();
    let stat = format!("/proc/{grandchild}/stat");
    support::eventually(|| std::fs::read_to_string(&stat).map_or(true, |it| it.contains(") Z")));
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn files_are_those_of_the_workspace_and_its_notes_are_in_the_prompt() {
    let write = json!({"path": "notes/today.md", "text": "one\ntwo\n"});
    let edit = json!({"path": "notes/today.md", "oldText": "two", "newText": "2"});
    let read = json!({"path": "notes/today.md"});
    let script = [
        uses("write", write),
        uses("edit", edit),
        uses("read", read),
        uses("read", json!({"path": "../clawdia.json"})),
        uses("read", json!({"path": "way/clawdia.json"})),
        uses("write", json!({"path": "way/new", "text": "x"})),
    ];
    let model = Model::start(script.into_iter().flatten().collect());
    let home = Home::new();
    let workspace = home.state().join("workspace");
    std::fs::create_dir_all(&workspace).unwrap();
    std::fs::write(workspace.join("SOUL.md"), "Speak like a pirate.").unwrap();
    symlink("..", workspace.join("way")).unwrap();
    home.configure(&model.config(KEY));
    let gateway = home.gateway(&[]);
    let mut results = Vec::new();
    for _ in 0..6 {
        home.run(&["agent", "--message", "go"]).ok();
        let (_, first) = model.seen.recv().unwrap();
        let prompt = first["messages"][0]["content"].as_str().unwrap();
        assert!(
            prompt.contains("# SOUL.md\n\nSpeak like a pirate."),
            "{prompt}"
        );
        results.push(result(&model));
    }
    assert!(results[0].starts_with("wrote 8 bytes"), "{results:?}");
    assert_eq!(results[2], "one\n2");
    for outside in &results[3..] {
        assert!(
            !outside.contains("providers") && !outside.starts_with("wrote"),
            "{outside}"
        );
    }
    assert!(!home.state().join("new").exists());
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn pages_of_this_machine_are_not_read() {
    let (home, gateway, model) = start(Vec::new());
    let url = format!("http://127.0.0.1:{}/health", gateway.port);
    drop((home, gateway, model));
    let (home, gateway, model) = start(uses("web_fetch", json!({"url": url})).into());
    home.run(&["agent", "--message", "go"]).ok();
    model.seen.recv().unwrap();
    let told = result(&model);
    assert!(told.contains("private network"), "{told}");
    assert_eq!(gateway.stop(), Some(0));
}

/// The agent wants the configuration changed: a person is shown that very change, and only their
/// yes makes it, whatever else was changed meanwhile.
#[test]
fn the_agent_changes_the_configuration_only_as_a_person_approved() {
    let patch = |minutes: u64| json!({"action": "config_patch", "patch": {"session": {"idleMinutes": minutes}}});
    let invalid = json!({"action": "config_patch", "patch": {"gateway": {"port": 0}}});
    let script = [
        uses("gateway", patch(7)),
        uses("gateway", patch(8)),
        uses("gateway", patch(9)),
        uses("gateway", invalid),
    ];
    let (home, gateway, model) = start(script.into_iter().flatten().collect());
    let idle = || home.run(&["config", "get", "session.idleMinutes"]).out;
    let asked = |decision: &str, meanwhile: &dyn Fn()| {
        let agent = home.command(&["agent", "--message", "go"]).spawn().unwrap();
        let waiting = || {
            let told = home.run(&["approvals", "list", "--json"]).ok().json();
            told["pending"][0].clone()
        };
        support::eventually(|| !waiting().is_null());
        let pending = waiting();
        let shown = pending.to_string();
        assert!(shown.contains("clawdia config patch"), "{shown}");
        meanwhile();
        let id = pending["id"].as_str().unwrap();
        home.run(&["approvals", decision, id]).ok();
        assert!(agent.wait_with_output().unwrap().status.success());
        model.seen.recv().unwrap();
        result(&model)
    };
    assert_eq!(asked("approve", &|| {}), "the configuration is changed");
    assert_eq!(idle().trim(), "7");
    let text = asked("deny", &|| {});
    assert!(text.contains("said no"), "{text}");
    assert_eq!(idle().trim(), "7");
    // Another change in between stays, and so do its comments.
    let path = home.state().join("clawdia.json");
    let meanwhile = || {
        let text = support::read(&path);
        let text = text.trim_end().strip_suffix('}').unwrap().to_owned();
        let text = text.trim_end().trim_end_matches(',').to_owned();
        std::fs::write(&path, text + ", // mine\n  cron: { enabled: false } }\n").unwrap();
    };
    assert_eq!(asked("approve", &meanwhile), "the configuration is changed");
    assert_eq!(idle().trim(), "9");
    let text = support::read(&path);
    assert!(
        text.contains("// mine") && text.contains("enabled: false"),
        "{text}"
    );
    // What a person says yes to may still be no configuration.
    let before = support::read(&path);
    let text = asked("approve", &|| {});
    assert!(text.contains("invalid config"), "{text}");
    assert_eq!(support::read(&path), before);
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_command_that_a_kill_interrupts_is_told_and_never_run_again() {
    let line =
        |word: &str| format!("echo {word} >> ledger; while [ ! -e over ]; do sleep 0.1; done");
    let script = vec![
        Says::Asks("exec", json!({"shell": line("front")})),
        Says::Asks("exec", json!({"shell": line("back"), "background": true})),
        Says::Asks(
            "process",
            json!({"action": "poll", "process": "1", "waitMs": 60_000}),
        ),
        Says::Text(&["done"]),
    ];
    let (home, gateway, model) = start(script);
    allow_all(&home);
    let workspace = home.state().join("workspace");
    let ran = |word: &str| {
        let ledger = std::fs::read_to_string(workspace.join("ledger")).unwrap_or_default();
        ledger.lines().filter(|line| *line == word).count()
    };
    let ask = |message: &str| {
        let mut asker = home.command(&["agent", "--message", message]);
        asker.stdout(Stdio::null()).stderr(Stdio::null());
        asker.spawn().unwrap()
    };
    let history = || {
        let params = r#"{"sessionKey":"main"}"#;
        let history = home.run(&["gateway", "call", "chat.history", "--params", params]);
        history.ok().json()["messages"].clone()
    };

    // While the run waits for its command: nobody knows, so the run ends.
    let mut asker = ask("in front");
    model.seen.recv().unwrap();
    support::eventually(|| ran("front") == 1);
    drop(gateway);
    support::ended(&mut asker);
    let gateway = home.gateway(&[]);
    support::eventually(|| history().as_array().is_some_and(|told| told.len() == 3));
    let told = history();
    assert_eq!(told[2]["stopReason"], "error", "{told}");
    assert!(told.to_string().contains("it is not repeated"), "{told}");

    // While it looks after one in the background, which acts no more: the run goes on.
    let mut asker = ask("behind");
    model.seen.recv().unwrap();
    model.seen.recv().unwrap();
    support::eventually(|| ran("back") == 1);
    drop(gateway);
    support::ended(&mut asker);
    let gateway = home.gateway(&[]);
    support::eventually(|| history().to_string().contains("done"));
    assert_eq!((ran("front"), ran("back")), (1, 1));
    std::fs::write(workspace.join("over"), "").unwrap();
    assert_eq!(gateway.stop(), Some(0));
}
