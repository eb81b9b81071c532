//! Floods on a small scale: who behaves gets in while others only take up places.

mod support;

use clawdia::client::GatewayUrl;
use clawdia::client::ws::WebSocket;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Home, Running};

const SECOND: Duration = Duration::from_secs(1);
/// Long before those who say nothing are given up, on a slow machine as well.
const SOON: Duration = Duration::from_secs(8);

/// The whole handshake of a program that knows the token, and how long it took.
fn hello(gateway: &Running, token: &str) -> (WebSocket, Duration) {
    let began = Instant::now();
    let deadline = began + 30 * SECOND;
    let mut ws = WebSocket::open(&GatewayUrl::loopback(gateway.port), None, deadline).unwrap();
    ws.next_text(deadline).unwrap();
    let params = json!({
        "minProtocol": 3, "maxProtocol": 3, "role": "operator", "scopes": ["operator.read"],
        "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
        "auth": {"token": token},
    });
    let request = json!({"type": "req", "id": "1", "method": "connect", "params": params});
    ws.send_text(&request.to_string(), deadline).unwrap();
    let answer: Value = serde_json::from_str(&ws.next_text(deadline).unwrap()).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    (ws, began.elapsed())
}

/// The slowest of some handshakes.
fn slowest(gateway: &Running, token: &str, times: usize) -> Duration {
    let each = (0..times).map(|_| hello(gateway, token).1);
    each.max().unwrap()
}

fn token(home: &Home) -> String {
    support::read(&home.state().join("gateway-token"))
        .trim()
        .to_owned()
}

fn silent(gateway: &Running) -> TcpStream {
    TcpStream::connect(("127.0.0.1", gateway.port)).unwrap()
}

fn descriptors(gateway: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.pid()))
        .unwrap()
        .count()
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + 30 * SECOND;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn silent_connections_and_slow_heads_keep_nobody_out_and_leave_nothing_behind() {
    let home = Home::new();
    home.configure("{ gateway: { limits: { handshakes: 64 } } }");
    let gateway = home.gateway(&[]);
    let token = token(&home);
    let before = descriptors(&gateway);
    let mut flood: Vec<TcpStream> = Vec::new();
    for _ in 0..400 {
        let mut stream = silent(&gateway);
        // Every other one has begun a head and says no more.
        if flood.len().is_multiple_of(2) {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0");
        }
        flood.push(stream);
    }
    assert!(slowest(&gateway, &token, 20) < SOON);
    let held = descriptors(&gateway) - before;
    assert!(held <= 64 + 20, "{held} places are held");
    drop(flood);
    wait_until("places come back", || descriptors(&gateway) <= before);
}

#[test]
fn guesses_lock_the_guesser_and_nobody_else() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let token = token(&home);
    let mut answers = Vec::new();
    for _ in 0..60 {
        let mut stream = silent(&gateway);
        stream.set_read_timeout(Some(30 * SECOND)).unwrap();
        // A name of ours that is not this machine's: not local, so guesses count.
        let head = "POST /v1/responses HTTP/1.1\r\nHost: 192.0.2.2\r\nContent-Length: 100000\r\n\
            Authorization: Bearer wrong\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answers.push(String::from_utf8_lossy(&answer[9..12]).into_owned());
    }
    let expected: Vec<&str> = (0..60)
        .map(|n| if n < 10 { "401" } else { "429" })
        .collect();
    assert_eq!(answers, expected);
    assert!(slowest(&gateway, &token, 5) < SOON);
    home.run(&["health"]).ok();
}

#[test]
fn with_few_descriptors_it_waits_calmly_and_serves_who_is_in() {
    let home = Home::new();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]);
    let plain = home.command(&[]);
    command
        .arg(plain.get_program())
        .args(["gateway", "run", "--port", "0"]);
    command.env_clear();
    command.envs(
        plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let gateway = Running::start(command);
    let token = token(&home);
    let (mut live, _) = hello(&gateway, &token);
    let flood: Vec<TcpStream> = (0..200).map(|_| silent(&gateway)).collect();
    let cpu_before = cpu_ms(&gateway);
    let watched = Instant::now();
    let mut request = 1;
    while watched.elapsed() < SECOND {
        request += 1;
        let deadline = Instant::now() + 30 * SECOND;
        let id = request.to_string();
        let call = json!({"type": "req", "id": id, "method": "health", "params": {}});
        live.send_text(&call.to_string(), deadline).unwrap();
        loop {
            let message: Value = serde_json::from_str(&live.next_text(deadline).unwrap()).unwrap();
            if message["id"] == id.as_str() {
                assert_eq!(message["ok"], true);
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let used = cpu_ms(&gateway) - cpu_before;
    assert!(
        used < 500,
        "{used} ms of processor time in a second of waiting"
    );
    drop(flood);
    let (_, took) = hello(&gateway, &token);
    assert!(took < SOON, "{took:?}");
}

/// Processor time of the main thread, milliseconds.
fn cpu_ms(gateway: &Running) -> u64 {
    let stat = support::read(format!("/proc/{}/schedstat", gateway.pid()).as_ref());
    stat.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000_000
}
