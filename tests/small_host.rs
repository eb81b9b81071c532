//! A gateway that is watched, and one on a machine with little memory.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use support::{Home, Running};

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
