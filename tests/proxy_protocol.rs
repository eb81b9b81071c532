//! PROXY headers over real sockets: from whom they are taken, and what becomes of all others.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use support::{Home, Running};

const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.2 4097 443\r\n";
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

fn binary() -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    bytes.extend([203, 0, 113, 7, 192, 0, 2, 2, 16, 1, 1, 187]);
    bytes
}

/// Sends pieces one by one and gives the whole answer; nothing where it was closed without one.
fn answer(gateway: &Running, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    for piece in pieces {
        // One that was refused at its first bytes takes no more.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn gateway(home: &Home, proxies: &str) -> Running {
    home.configure(&format!(
        "{{ gateway: {{ trustedProxies: ['{proxies}'], proxyProtocol: true }} }}"
    ));
    home.gateway(&[])
}

#[test]
fn a_trusted_peer_has_to_say_whose_connection_it_is() {
    let home = Home::new();
    let gateway = gateway(&home, "127.0.0.1");
    for header in [LINE, &binary(), b"PROXY UNKNOWN\r\n"] {
        let whole = [header, HEALTH].concat();
        assert!(answer(&gateway, &[&whole]).starts_with("HTTP/1.1 200"));
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert!(
            answer(&gateway, &bytes).starts_with("HTTP/1.1 200"),
            "byte by byte"
        );
    }
    for bad in [
        HEALTH,
        b"\x16\x03\x01\0\0",
        b"PROXY TCP4 1.2.3.4\r\n",
        b"PROXY TCP4 \xff",
    ] {
        assert_eq!(
            answer(&gateway, &[bad, HEALTH]),
            "",
            "{}",
            bad.escape_ascii()
        );
    }
    // The command line comes by the Unix socket, where no proxy is.
    home.run(&["health"]).ok();
}

#[test]
fn who_comes_through_a_proxy_is_not_local() {
    let home = Home::new();
    let gateway = gateway(&home, "127.0.0.1");
    let token = home.run(&["token"]).ok().out;
    let relay = relay(gateway.port);
    let url = format!("ws://127.0.0.1:{relay}");
    let words = ["health", "--url", &url, "--token", token.trim()];
    // A device of its own: this machine's is let in by the Unix socket.
    let ran = Home::new().run(&words);
    assert!(ran.err.contains("not paired"), "{ran:?}");
    let pending = home.run(&["devices", "list", "--json"]).ok().json();
    assert_eq!(
        pending["pending"][0]["remoteIp"], "203.0.113.7",
        "{pending}"
    );
}

/// A proxy for one connection.
fn relay(to: u16) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut gateway = TcpStream::connect(("127.0.0.1", to)).unwrap();
        gateway.write_all(LINE).unwrap();
        let (mut from, mut back) = (client.try_clone().unwrap(), gateway.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut back));
        let _ = std::io::copy(&mut gateway, &mut client);
    });
    port
}

#[test]
fn a_header_of_anybody_else_ends_the_connection() {
    let home = Home::new();
    let gateway = gateway(&home, "192.0.2.9");
    assert!(answer(&gateway, &[HEALTH]).starts_with("HTTP/1.1 200"));
    for header in [LINE, &binary()] {
        let whole = [header, HEALTH].concat();
        let told = answer(&gateway, &[&whole]);
        let refused = ["HTTP/1.1 400", "HTTP/1.1 505"]
            .iter()
            .any(|it| told.starts_with(it));
        assert!(refused, "{told}");
    }
}
