//! Many sessions at once against one model: every message is accepted, as many steps are at work
//! as may be, each session gets its turn, and the gateway answers others meanwhile.

mod support;

use clawdia::client::{Client, Incoming, Party};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use support::http::request;
use support::{Home, Running};

const SESSIONS: usize = 100;
const AT_ONCE: usize = 4;

/// What the model has seen and lets happen.
#[derive(Default)]
struct Desk {
    open: bool,
    now: usize,
    most: usize,
    /// The session of each request, in order.
    order: Vec<String>,
}

/// A model that answers all at once, once it is opened: a tool first, then "done".
fn model(desk: Arc<(Mutex<Desk>, Condvar)>, first: fn(&str) -> Value) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let desk = desk.clone();
            std::thread::spawn(move || serve(socket.unwrap(), &desk, first));
        }
    });
    port
}

fn serve(mut socket: TcpStream, desk: &(Mutex<Desk>, Condvar), first: fn(&str) -> Value) {
    let (_, body) = request(&socket);
    let messages = body["messages"].as_array().unwrap();
    let asked = messages.iter().find(|it| it["role"] == "user").unwrap();
    let session = asked["content"].as_str().unwrap().to_owned();
    {
        let mut state = desk.0.lock().unwrap();
        state.now += 1;
        state.most = state.most.max(state.now);
        state.order.push(session.clone());
        while !state.open {
            state = desk.1.wait(state).unwrap();
        }
    }
    // So that steps overlap where they can.
    std::thread::sleep(Duration::from_millis(5));
    let has_result = messages.last().unwrap()["role"] == "tool";
    let delta = match has_result {
        true => json!({"content": format!("done {session}")}),
        false => json!({"tool_calls": [first(&session)]}),
    };
    let why = if has_result { "stop" } else { "tool_calls" };
    let events = [
        json!({"choices": [{"index": 0, "delta": delta}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": why}]}),
    ];
    let mut text = String::from(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    );
    for event in events {
        text += &format!("data: {event}\n\n");
    }
    // The next step may begin as soon as this one is told, so it is over before.
    desk.0.lock().unwrap().now -= 1;
    let _ = socket.write_all(text.as_bytes());
}

fn lists(_: &str) -> Value {
    json!({"index": 0, "id": "c", "type": "function",
           "function": {"name": "sessions", "arguments": "{\"action\":\"list\"}"}})
}

/// The first sessions ask for a command that a person has to approve.
fn waits(session: &str) -> Value {
    match session {
        "s9" => lists(session),
        _ => json!({"index": 0, "id": "c", "type": "function",
                    "function": {"name": "exec", "arguments": "{\"command\":[\"true\"]}"}}),
    }
}

fn start(port: u16) -> (Home, Running) {
    let home = Home::new();
    home.configure(&format!(
        "{{ models: {{ providers: {{ mine: {{ baseUrl: 'http://127.0.0.1:{port}/v1', api: \
         'openai-completions', models: [{{ id: 'one' }}] }} }} }}, agents: {{ defaults: {{ model: \
         'mine/one', maxConcurrent: {AT_ONCE} }} }} }}"
    ));
    let gateway = home.gateway(&[]);
    (home, gateway)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn connect(home: &Home, gateway: &Running, dir: &tempfile::TempDir) -> Client {
    let token = home.run(&["token"]).ok().out;
    let party = Party::operator().unwrap();
    support::node::connect(gateway.port, token.trim(), dir.path(), &party, "backend")
}

fn says(client: &mut Client, session: &str) {
    let params = json!({"sessionKey": session, "message": session, "idempotencyKey": session});
    let answer = client.call("chat.send", &params, soon()).unwrap();
    assert_eq!(answer["status"], "started", "{answer}");
}

/// Reads events until so many runs have ended; gives the last text of each.
fn finals(client: &mut Client, count: usize) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    while out.len() < count {
        let Incoming::Event(event) = client.next(soon()).unwrap() else {
            continue;
        };
        let told = &event.payload;
        if event.name == "chat" && told["state"] != "delta" {
            assert_eq!(told["state"], "final", "{told}");
            let text = told["message"]["content"][0]["text"].as_str().unwrap_or("");
            out.insert(told["runId"].as_str().unwrap().to_owned(), text.to_owned());
        }
    }
    out
}

fn memory_kib(gateway: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_sessions_are_served_in_turn_a_few_steps_at_a_time() {
    let desk = Arc::new((Mutex::new(Desk::default()), Condvar::new()));
    let (home, gateway) = start(model(desk.clone(), lists));
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut client = connect(&home, &gateway, &dirs[0]);
    let mut other = connect(&home, &gateway, &dirs[1]);
    let names: Vec<String> = (0..SESSIONS).map(|at| format!("s{at}")).collect();
    let before_kib = memory_kib(&gateway);
    for name in &names {
        says(&mut client, name);
    }
    // All are accepted though none has been answered, and no more are at work than may be.
    support::eventually(|| desk.0.lock().unwrap().now == AT_ONCE);
    let mut times = Vec::new();
    desk.0.lock().unwrap().open = true;
    desk.1.notify_all();
    for _ in 0..200 {
        let began = Instant::now();
        other.call("health", &json!({}), soon()).unwrap();
        times.push(began.elapsed());
    }
    let told = finals(&mut client, SESSIONS);
    for name in &names {
        assert_eq!(told[name], format!("done {name}"));
    }
    let state = desk.0.lock().unwrap();
    assert_eq!(state.most, AT_ONCE, "steps at a time");
    assert_eq!(state.order.len(), 2 * SESSIONS);
    // Nobody gets a second step before everybody had a first one, but for those at work at once.
    let first: BTreeSet<&String> = state.order[..SESSIONS + AT_ONCE].iter().collect();
    assert_eq!(first.len(), SESSIONS);
    let grown_kib = memory_kib(&gateway).saturating_sub(before_kib);
    assert!(grown_kib < 64 * 1024, "{grown_kib} KiB more than before");
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    println!("health p99 {p99:?}, memory {grown_kib} KiB more");
    // A machine that builds something else at the same time is slow by itself.
    assert!(p99 < Duration::from_secs(10), "{p99:?}");
    drop(state);
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn who_waits_for_a_person_holds_nobody_up() {
    let desk = Arc::new((Mutex::new(Desk::default()), Condvar::new()));
    desk.0.lock().unwrap().open = true;
    let (home, gateway) = start(model(desk, waits));
    let file = json!({"version": 1, "defaults": {"security": "allowlist", "ask": "always"},
                      "agents": {}});
    let path = home.state().join("ask.json");
    std::fs::write(&path, file.to_string()).unwrap();
    home.run(&["approvals", "set", "--file", path.to_str().unwrap()])
        .ok();
    let dir = tempfile::tempdir().unwrap();
    let mut client = connect(&home, &gateway, &dir);
    for at in 0..AT_ONCE {
        says(&mut client, &format!("s{at}"));
    }
    let pending = || {
        let list = home
            .run(&["gateway", "call", "exec.approval.list"])
            .ok()
            .json();
        list["pending"].as_array().map_or(0, Vec::len)
    };
    support::eventually(|| pending() == AT_ONCE);
    // As many runs wait as may work, and the next one works all the same.
    says(&mut client, "s9");
    assert_eq!(finals(&mut client, 1)["s9"], "done s9");
    assert_eq!(pending(), AT_ONCE);
    assert_eq!(gateway.stop(), Some(0));
}
