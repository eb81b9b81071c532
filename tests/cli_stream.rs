//! What is printed while it happens.

mod support;

use std::io::Read;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};
use support::{FakeGateway, Home, Peer};

fn spawn(home: &Home, fake: &FakeGateway, words: &[&str]) -> (Child, ChildStdout) {
    let mut command = home.command(words);
    command.args(["--url", &format!("ws://127.0.0.1:{}", fake.port())]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let out = child.stdout.take().unwrap();
    (child, out)
}

/// Reads until `expected` has come, which is all that may come until then.
#[track_caller]
fn expect(out: &mut ChildStdout, expected: &str) {
    let mut read = vec![0; expected.len()];
    out.read_exact(&mut read).unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), expected);
}

fn assistant(run_id: &str, text: &str) -> Value {
    json!({"type":"event","event":"agent","seq":1,
        "payload":{"runId":run_id,"stream":"assistant","data":{"text":text},"seq":1,"ts":1}})
}

#[test]
fn an_answer_is_printed_as_it_comes_and_once() {
    let (go, went) = mpsc::channel::<()>();
    let fake = FakeGateway::start(move |mut peer: Peer| {
        peer.welcome(json!({}));
        let run = peer.request();
        assert_eq!(run["method"], "agent");
        assert_eq!(run["params"]["message"], "hi");
        assert_eq!(run["params"]["sessionKey"], "agent:main:desk");
        assert_eq!(run["params"]["thinking"], "low");
        assert!(!run["params"]["idempotencyKey"].as_str().unwrap().is_empty());
        peer.answer(
            &run,
            json!({"runId":"r","status":"accepted","acceptedAt":1}),
        );
        peer.send(&assistant("other", "not for you"));
        peer.send(&assistant("r", "Hel"));
        went.recv().unwrap();
        peer.send(&assistant("r", "Hello"));
        went.recv().unwrap();
        let result = json!({"payloads":[{"text":"Hello there"}]});
        peer.answer(
            &run,
            json!({"runId":"r","status":"ok","summary":"completed","result":result}),
        );
    });
    let home = Home::new();
    let words = [
        "agent",
        "--message",
        "hi",
        "--session",
        "desk",
        "--thinking",
        "low",
    ];
    let (mut child, mut out) = spawn(&home, &fake, &words);
    expect(&mut out, "Hel");
    go.send(()).unwrap();
    expect(&mut out, "lo");
    go.send(()).unwrap();
    expect(&mut out, " there\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    fake.join();
}

#[test]
fn a_failed_run_is_a_failed_command() {
    let fake = FakeGateway::start(|mut peer: Peer| {
        peer.welcome(json!({}));
        let run = peer.request();
        peer.answer(&run, json!({"runId":"r","status":"accepted"}));
        peer.refuse(
            &run,
            json!({"code":"UNAVAILABLE","message":"the model is away"}),
        );
    });
    let url = format!("ws://127.0.0.1:{}", fake.port());
    let ran = Home::new().run(&["agent", "-m", "hi", "--url", &url]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("the model is away"), "{ran:?}");
    fake.join();
}

#[test]
fn a_gateway_that_says_nothing_is_given_up_in_time() {
    let (stop, stopped) = mpsc::channel::<()>();
    let fake = FakeGateway::start(move |_peer| {
        let _ = stopped.recv();
    });
    let url = format!("ws://127.0.0.1:{}", fake.port());
    let ran = Home::new().run(&["health", "--json", "--timeout=200ms", "--url", &url]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.json()["error"]["code"], "TIMEOUT");
    drop(stop);
    fake.join();
}

#[test]
fn the_log_is_followed_from_where_it_ended() {
    let (go, went) = mpsc::channel::<()>();
    let fake = FakeGateway::start(move |mut peer: Peer| {
        let line = |text: &str| json!({"level":"info","message":text}).to_string();
        peer.welcome(json!({}));
        let first = peer.request();
        assert_eq!(first["params"]["limit"], 3);
        peer.answer(
            &first,
            json!({"file":"f","cursor":10,"size":10,"lines":[line("one")]}),
        );
        let next = peer.request();
        assert_eq!(next["params"]["cursor"], 10);
        went.recv().unwrap();
        peer.answer(
            &next,
            json!({"file":"f","cursor":20,"size":20,"lines":[line("two")]}),
        );
        let last = peer.request();
        assert_eq!(last["params"]["cursor"], 20);
        peer.refuse(&last, json!({"code":"INVALID_REQUEST","message":"no more"}));
    });
    let home = Home::new();
    let (mut child, mut out) = spawn(&home, &fake, &["logs", "--follow", "--json", "-n", "3"]);
    expect(&mut out, "{\"level\":\"info\",\"message\":\"one\"}\n");
    go.send(()).unwrap();
    expect(&mut out, "{\"level\":\"info\",\"message\":\"two\"}\n");
    assert_eq!(
        child.wait().unwrap().code(),
        Some(1),
        "a final refusal ends it"
    );
    fake.join();
}

#[test]
fn a_reader_that_goes_away_ends_the_command_without_a_word() {
    let fake = FakeGateway::start(|mut peer: Peer| {
        peer.welcome(json!({}));
        let call = peer.request();
        let long = "x".repeat(1 << 20);
        peer.answer(&call, json!({"text": long}));
    });
    let home = Home::new();
    let (mut child, out) = spawn(&home, &fake, &["gateway", "call", "x"]);
    drop(out);
    let mut said = String::new();
    let status = child.wait().unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}
