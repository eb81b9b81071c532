//! Persons: whom the daemon knows comes in without the secret, and nobody waits for a silent one.

use super::support::tailscale::{NAME, Tailscale, daemon};
use super::support::{Home, Running};
use super::{SERVE, configured, start, tells};
use clawdia::driver::device::{Device, Proof};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PHONE: &str = "100.64.0.7";
const ME: &str = "me@example.com";

/// Connects as `tailscale serve` would pass a device of this person on; the answer to `connect`.
fn visit(gateway: &Running, ip: &str, login: &str, auth: Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {NAME}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         X-Forwarded-Host: {NAME}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: {ip}\r\n\
         Tailscale-User-Login: {login}\r\nTailscale-User-Name: Me\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut byte = [0];
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let challenge = text(&mut stream);
    let nonce = challenge["payload"]["nonce"].as_str().unwrap();
    let mut params = json!({
        "minProtocol": 3, "maxProtocol": 3, "role": "operator", "scopes": ["operator.read"], "caps": [],
        "client": {"id": "phone", "version": "1", "platform": "ios", "mode": "ui"}, "auth": auth,
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Device::new(7).sign(&mut params, Proof::V2, nonce, now.as_millis() as u64);
    let request = json!({"type": "req", "id": "1", "method": "connect", "params": params});
    let masked = clawdia::driver::masked(1, request.to_string().as_bytes(), [0; 4]);
    stream.write_all(&masked).unwrap();
    text(&mut stream)
}

/// The next text frame of a server, which is never masked.
fn text(stream: &mut TcpStream) -> Value {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x81, "a text frame");
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            stream.read_exact(&mut len).unwrap();
            usize::from(u16::from_be_bytes(len))
        }
        len => usize::from(len),
    };
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or("")
}

/// A gateway whose daemon knows my phone.
fn published(tailscale: &Tailscale, is_silent: bool) -> (Home, Running) {
    let socket = tailscale.path("tailscaled.sock");
    daemon(&socket, &[(PHONE, ME)], is_silent);
    let home = configured(SERVE, &format!(", socket: '{}'", socket.display()));
    let gateway = start(&home, tailscale, 0);
    tells(&home, "url", NAME);
    (home, gateway)
}

#[test]
fn a_known_person_pairs_and_comes_in_without_the_secret() {
    let tailscale = Tailscale::new();
    let (home, gateway) = published(&tailscale, false);
    assert!(
        tailscale.read("calls").starts_with("--socket "),
        "the same daemon"
    );
    let first = visit(&gateway, PHONE, ME, json!({}));
    assert_eq!(message(&first), "pairing required");
    let id = first["error"]["details"]["requestId"].as_str().unwrap();
    home.run(&["devices", "approve", id]).ok();
    let hello = visit(&gateway, PHONE, ME, json!({}));
    assert_eq!(hello["ok"], true, "{hello}");
    for (ip, login) in [(PHONE, "other@example.com"), ("100.64.0.8", ME)] {
        let answer = visit(&gateway, ip, login, json!({}));
        assert!(message(&answer).contains("token missing"), "{answer}");
    }
}

#[test]
fn a_daemon_that_says_nothing_holds_up_only_who_waits_for_it() {
    let tailscale = Tailscale::new();
    let (home, gateway) = published(&tailscale, true);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| visit(&gateway, PHONE, ME, json!({}))))
            .collect();
        let started = Instant::now();
        for _ in 0..3 {
            home.run(&["health"]).ok();
        }
        let secret = json!({"token": "a1b2c3d4e5f6a1b2c3d4e5f6"});
        let with_secret = visit(&gateway, PHONE, ME, secret);
        assert_eq!(
            message(&with_secret),
            "pairing required",
            "nobody is asked about"
        );
        assert!(
            started.elapsed() < Duration::from_secs(4),
            "before the daemon's deadline"
        );
        for answer in waiting {
            let answer = answer.join().unwrap();
            assert!(message(&answer).contains("token missing"), "{answer}");
        }
    });
}
