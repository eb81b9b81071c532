//! A server of tools on standard input and output. It is this very test program, started again:
//! what the test harness prints around it is noise that a client has to live with.

use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// Names the file in which the server writes down what happens to it.
const LEDGER: &str = "MCP_LEDGER";

/// The program as a configuration names it; what happens to it stands in `ledger`.
pub fn config(ledger: &Path, more_env: &Value) -> Value {
    let mut env = json!({LEDGER: ledger, "MCP_WORD": "tea"});
    for (name, value) in more_env.as_object().into_iter().flatten() {
        env[name] = value.clone();
    }
    json!({
        "command": std::env::current_exe().unwrap(),
        "args": ["--exact", "server::serves", "--nocapture", "--test-threads", "2"],
        "env": env,
    })
}

/// The lines of a ledger that begin with a word, without it.
pub fn noted(ledger: &Path, word: &str) -> Vec<String> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix(word));
    lines.map(|rest| rest.trim().to_owned()).collect()
}

#[test]
fn serves() {
    // As a test among the others it has nothing to do.
    let Some(ledger) = std::env::var_os(LEDGER) else {
        return;
    };
    let ledger = PathBuf::from(ledger);
    println!("\nhello, this is no JSON");
    eprintln!("a word on standard error");
    note(&ledger, &format!("start {}", std::process::id()));
    let child = std::process::Command::new("sleep").arg("60").spawn();
    note(&ledger, &format!("child {}", child.unwrap().id()));
    if std::env::var_os("MCP_FLOODS").is_some() {
        let long = "x".repeat(1024 * 1024);
        loop {
            print!("{long}");
        }
    }
    let mut more = false;
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let result = match message["method"].as_str().unwrap_or("") {
            "initialize" => json!({"protocolVersion": "2025-06-18",
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "fixture", "version": "1"}}),
            "tools/list" => page(&message["params"], more),
            "tools/call" => {
                let params = &message["params"];
                match params["name"].as_str().unwrap_or("") {
                    "die" => {
                        note(&ledger, "die");
                        std::process::exit(7);
                    }
                    "wait" => {
                        note(&ledger, "wait");
                        continue;
                    }
                    name => {
                        more |= name == "grow";
                        call(name, &params["arguments"])
                    }
                }
            }
            "notifications/cancelled" => {
                note(&ledger, "cancelled");
                continue;
            }
            _ => continue,
        };
        say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
        if more && message["params"]["name"] == "grow" {
            say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
        }
    }
    std::process::exit(0);
}

fn say(message: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{message}").unwrap();
    out.flush().unwrap();
}

fn note(ledger: &Path, line: &str) {
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.append(true).create(true).open(ledger).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// Two pages of tools.
pub fn page(params: &Value, more: bool) -> Value {
    let tool = |name: &str| {
        json!({"name": name, "description": format!("does {name}"), "inputSchema": {
            "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}})
    };
    if std::env::var_os("MCP_FAT").is_some() {
        return fat_page(params);
    }
    match params["cursor"].as_str() {
        None => json!({"tools": [tool("add"), tool("picture"), tool("word")], "nextCursor": "2"}),
        Some(_) => {
            let mut names = vec!["die", "wait", "grow"];
            names.extend(more.then_some("grown"));
            let tools: Vec<Value> = names.into_iter().map(tool).collect();
            json!({"tools": tools})
        }
    }
}

/// Two pages of six tools, each with a schema of 30 KiB.
fn fat_page(params: &Value) -> Value {
    let page = params["cursor"].as_str().unwrap_or("1");
    let tool = |number: usize| {
        json!({"name": format!("fat-{page}-{number}"), "inputSchema": {
            "type": "object", "title": "x".repeat(30 * 1024)}})
    };
    let tools: Vec<Value> = (0..6).map(tool).collect();
    match page {
        "1" => json!({"tools": tools, "nextCursor": "2"}),
        _ => json!({"tools": tools}),
    }
}

/// The results of tools that answer.
pub fn call(name: &str, arguments: &Value) -> Value {
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
    match name {
        "add" => {
            let number = |name: &str| arguments[name].as_f64().unwrap_or(f64::NAN);
            text(&format!("the sum is {}", number("a") + number("b")))
        }
        "picture" => {
            json!({"content": [{"type": "image", "mimeType": "image/png", "data": "AAAA"}]})
        }
        "word" => {
            let seen: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            let word = std::env::var("MCP_WORD").unwrap_or_default();
            text(&format!("{word} {}", seen.join(" ")))
        }
        _ => text("done"),
    }
}
