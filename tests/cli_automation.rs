//! What begins without a person, against the built program: jobs, webhooks, other programs' requests,
//! and a chat over a pipe.

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;
use support::{Home, Running, eventually};

const HOOK: &str = "hook-secret-of-its-own";

fn start() -> (Home, Running) {
    let home = Home::new();
    home.configure(&format!(
        "{{hooks: {{enabled: true, token: '{HOOK}'}}, gateway: {{http: {{endpoints: \
         {{chatCompletions: {{enabled: true}}}}}}}}}}"
    ));
    let gateway = home.gateway(&[]);
    (home, gateway)
}

fn post(gateway: &Running, path: &str, token: &str, body: &Value) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_job_that_is_made_says_which_time_was_understood() {
    let (home, _gateway) = start();
    let told = |at: &str| {
        let words = ["cron", "add", "--name", "tea", "--at", at, "-m", "y"];
        home.run(&words).ok().out
    };
    let without_zone = told("2099-01-30 10:00");
    assert!(
        without_zone.contains("2099-01-30T10:00:00Z"),
        "{without_zone}"
    );
    let with_zone = told("2099-01-30T10:00+01:00");
    assert!(with_zone.contains("2099-01-30T09:00:00Z"), "{with_zone}");
}

#[test]
fn a_job_runs_by_itself_and_its_history_survives_a_restart() {
    let (home, gateway) = start();
    let added = home.run(&[
        "cron",
        "add",
        "--name",
        "tide",
        "--every",
        "1s",
        "-m",
        "say it rises",
    ]);
    assert!(added.ok().out.contains("tide"));
    let ran = || {
        let runs = home.run(&["cron", "runs", "tide", "--json"]).ok().json();
        let first = runs["entries"][0].clone();
        first["status"] == "ok" && first["summary"].as_str().unwrap().contains("it rises")
    };
    eventually(ran);
    home.run(&["cron", "disable", "tide"]).ok();
    assert_eq!(gateway.stop(), Some(0));
    let _gateway = home.gateway(&[]);
    assert!(ran(), "after a restart");
    let list = home.run(&["cron", "list", "--all"]).ok().out;
    assert!(list.contains("every 1 s") && list.contains("off"), "{list}");
    let zone = [
        "--cron",
        "0 7 * * 1-5",
        "--tz",
        "UTC",
        "--system-event",
        "get up",
    ];
    let args = [&["cron", "edit", "tide"][..], &zone].concat();
    home.run(&args).ok();
    let job = home.run(&["cron", "list", "--all", "--json"]).ok().json()["jobs"][0].clone();
    assert_eq!(job["sessionTarget"], "main");
    assert_eq!(job["schedule"]["expr"], "0 7 * * 1-5");
    let later = ["cron", "edit", "tide", "--cron", "0 8 * * *", "--json"];
    let job = home.run(&later).ok().json();
    assert_eq!(
        job["schedule"]["tz"], "UTC",
        "what is not named stays: {job}"
    );
    home.run(&["cron", "run", "tide"]).ok();
    let twin = [
        "cron", "add", "--name", "tide", "--every", "7h", "-m", "x", "--json",
    ];
    let twin = home.run(&twin).ok().json();
    let id = &twin["id"].as_str().unwrap()[..8];
    let ran = home.run(&["cron", "run", "tide"]);
    assert!(
        ran.code == 2 && ran.err.contains(&format!("{id} (every 7 h")),
        "{ran:?}"
    );
    home.run(&["cron", "rm", id]).ok();
    home.run(&["cron", "rm", "tide"]).ok();
    assert_eq!(home.run(&["cron", "rm", "tide"]).code, 1);
    let status = home.run(&["cron", "status"]).ok().out;
    assert!(status.contains("jobs"), "{status}");
    for wrong in [
        &["cron", "add", "--name", "x", "-m", "y"][..],
        &["cron", "add", "--name", "x", "--at", "soon", "-m", "y"],
        &["cron", "add", "--name", "x", "--every", "1h"],
    ] {
        assert_eq!(home.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn another_program_starts_the_agent_and_tells_it_things() {
    let (home, gateway) = start();
    let answer = post(
        &gateway,
        "/hooks/agent",
        HOOK,
        &json!({"message": "say done", "name": "CI"}),
    );
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    // The built-in agent repeats what it is told.
    eventually(|| {
        let history = [
            "gateway",
            "call",
            "chat.history",
            "--params",
            r#"{"sessionKey":"main"}"#,
        ];
        home.run(&history).ok().out.contains("CI: done")
    });
    let denied = post(&gateway, "/hooks/wake", "wrong", &json!({"text": "x"}));
    assert!(denied.starts_with("HTTP/1.1 401"), "{denied}");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_stream_of_a_completion_goes_over_a_real_socket() {
    let (home, gateway) = start();
    let token = home.run(&["token"]).ok().out;
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "say it streams"}]});
    let answer = post(&gateway, "/v1/chat/completions", token.trim(), &body);
    assert!(answer.contains("text/event-stream"), "{answer}");
    assert!(
        answer.contains("streams") && answer.ends_with("data: [DONE]\n\n"),
        "{answer}"
    );
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_chat_over_a_pipe_answers_every_line_in_its_turn() {
    let (home, _gateway) = start();
    let talk = |words: &[&str], lines: &str| {
        let mut command = home.command(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    };
    let said = talk(&["chat"], "say one\nsay two");
    assert_eq!(said, "one\ntwo\n");
    assert_eq!(talk(&["chat"], "say three"), "three\n", "no history");
    let again = talk(&["chat", "--history", "4"], "/help\n/quit\nsay never\n");
    assert!(
        again.starts_with("> say two\ntwo\n> say three\nthree\n"),
        "{again}"
    );
    assert!(
        again.contains("/status") && !again.contains("never"),
        "{again}"
    );
    let json = talk(&["chat", "--json", "--session", "other"], "say three\n");
    let last: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "final");
}

#[test]
fn a_job_gets_another_zone_alone_and_a_second_name_is_remarked() {
    let (home, _gateway) = start();
    let add = |more: &[&str]| {
        let mut words = vec!["cron", "add", "--name", "news", "-m", "what is new?"];
        words.extend(more);
        home.run(&words).ok().out
    };
    assert!(!add(&["--cron", "0 7 * * *"]).contains("remark"));
    let edit = home.run(&["cron", "edit", "news", "--tz", "Europe/Vienna"]);
    edit.ok();
    let jobs = home.run(&["cron", "list", "--json"]).ok().json();
    let schedule = &jobs["jobs"][0]["schedule"];
    assert_eq!(
        (&schedule["expr"], &schedule["tz"]),
        (&json!("0 7 * * *"), &json!("Europe/Vienna"))
    );
    home.run(&["cron", "edit", "news", "--every", "1h"]).ok();
    let refused = home.run(&["cron", "edit", "news", "--tz", "UTC"]);
    assert_eq!(refused.code, 2, "it has no expression: {refused:?}");
    assert!(add(&["--every", "2h"]).contains("another job has this name"));
}
