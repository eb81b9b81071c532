//! A gateway that is watched, and one on a machine with little memory.

mod support;

use clawdia::driver::{Address, masked};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use support::{Home, Running, eventually};

/// The whole answer to a plain request.
fn get(gateway: &Running, path: &str, fields: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    let port = gateway.port;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn bearer(home: &Home) -> String {
    let token = support::read(&home.state().join("gateway-token"));
    format!("Authorization: Bearer {}\r\n", token.trim())
}

fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not in {page}"))
}

#[test]
fn figures_are_for_who_shows_the_secret_and_move_with_the_bytes() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    for fields in ["", "Authorization: Bearer wrong\r\n"] {
        let refused = get(&gateway, "/metrics", fields);
        assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
        assert!(!refused.contains("clawdia_"), "{refused}");
    }
    let before = get(&gateway, "/metrics", &bearer(&home));
    assert!(before.starts_with("HTTP/1.1 200 "), "{before}");
    get(&gateway, "/health", "");
    let after = get(&gateway, "/metrics", &bearer(&home));
    for name in [
        "clawdia_received_bytes_total",
        "clawdia_sent_bytes_total",
        "clawdia_loop_turns_total",
        "clawdia_connections_accepted_total",
    ] {
        assert!(value(&after, name) > value(&before, name), "{name}");
    }
}

const LIMIT_KIB: u64 = 64 * 1024;
/// A message may be so long, and is never finished here.
const PART_BYTES: usize = 400_000;

/// A gateway under `ulimit -v`.
fn limited(home: &Home) -> Running {
    let program = env!("CARGO_BIN_EXE_clawdia");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!("ulimit -v {LIMIT_KIB} && exec \"$0\" gateway run --port 0"),
            program,
        ])
        .env_clear()
        .env("HOME", home.state().parent().unwrap());
    Running::start(command)
}

/// A peer that speaks frames by hand.
struct Peer(TcpStream);

impl Peer {
    /// As far as hello-ok; an error where it is turned away.
    fn hello(gateway: &Running, token: &str) -> io::Result<Self> {
        let mut peer = Self(TcpStream::connect(("127.0.0.1", gateway.port))?);
        peer.0.set_read_timeout(Some(Duration::from_secs(30)))?;
        peer.0.set_write_timeout(Some(Duration::from_secs(30)))?;
        let address = Address {
            host: format!("127.0.0.1:{}", gateway.port),
            ..Address::default()
        };
        peer.0.write_all(&address.upgrade())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.0.read_exact(&mut byte)?;
            head.extend(byte);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(io::Error::other("no upgrade"));
        }
        peer.frame()?;
        let params = json!({
            "minProtocol": 3, "maxProtocol": 3, "role": "operator", "scopes": ["operator.read"],
            "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
            "auth": {"token": token},
        });
        let request = json!({"type": "req", "id": "1", "method": "connect", "params": params});
        peer.0
            .write_all(&masked(1, request.to_string().as_bytes(), [1, 2, 3, 4]))?;
        let (_, hello) = peer.frame()?;
        let hello: Value = serde_json::from_slice(&hello)?;
        match hello["ok"] == true {
            true => Ok(peer),
            false => Err(io::Error::other("refused")),
        }
    }

    /// The next frame: its opcode and payload.
    fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head)?;
        let more = match head[1] {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mut len = [0; 8];
        self.0.read_exact(&mut len[8 - more..])?;
        let len = match more {
            0 => usize::from(head[1]),
            _ => u64::from_be_bytes(len) as usize,
        };
        let mut payload = vec![0; len];
        self.0.read_exact(&mut payload)?;
        Ok((head[0] & 0x0f, payload))
    }

    /// Begins a message that is never finished.
    fn begin(&mut self) -> io::Result<()> {
        let mut part = masked(1, &vec![b'x'; PART_BYTES], [1, 2, 3, 4]);
        part[0] &= 0x7f;
        self.0.write_all(&part)
    }

    /// The code that it is closed with, if that has come.
    fn close_code(&mut self) -> Option<u16> {
        self.0
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        loop {
            match self.frame() {
                Ok((8, payload)) => return Some(u16::from_be_bytes(*payload.first_chunk()?)),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

#[test]
fn under_a_memory_limit_it_sheds_says_so_and_lives() {
    let home = Home::new();
    let gateway = limited(&home);
    let token = support::read(&home.state().join("gateway-token"));
    let mut peers = Vec::new();
    let (mut turned_away, mut unready) = (0, String::new());
    // Three times what there is, by messages that never end.
    for _ in 0..3 * 1_024 * LIMIT_KIB as usize / PART_BYTES {
        match Peer::hello(&gateway, token.trim()) {
            Ok(mut peer) => {
                // Whoever is sent away meanwhile may not be able to write all of it.
                let _ = peer.begin();
                peers.push(peer);
            }
            Err(_) => {
                turned_away += 1;
                let said = get(&gateway, "/readyz", "");
                if said.starts_with("HTTP/1.1 503 ") {
                    unready = said;
                }
            }
        }
    }
    let page = get(&gateway, "/metrics", &bearer(&home));
    assert_eq!(
        value(&page, "clawdia_memory_limit_bytes"),
        LIMIT_KIB * 1_024
    );
    let codes: Vec<u16> = peers.iter_mut().filter_map(Peer::close_code).collect();
    assert!(
        !codes.is_empty(),
        "nobody was sent away; {turned_away} were turned away"
    );
    assert!(codes.iter().all(|code| *code == 1013), "{codes:?}");
    let shed = value(&page, r#"clawdia_connections_shed_total{why="memory"}"#);
    assert!(shed > 0, "{page}");
    if turned_away > 0 {
        assert!(unready.contains("short of memory"), "{unready}");
    }
    drop(peers);
    eventually(|| get(&gateway, "/readyz", "").starts_with("HTTP/1.1 200 "));
    Peer::hello(&gateway, token.trim()).unwrap();
    assert_eq!(gateway.stop(), Some(0));
}
