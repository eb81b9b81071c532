//! Plain HTTP requests over real sockets.

mod support;

use std::io::Write;

use clawdia::io::app::{Closed, Command};
use support::{BODY_MAX, Options, Server};

fn request(target: &str, body_len: usize) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {body_len}\r\n\r\n").into_bytes()
}

#[test]
fn requests_on_one_connection_are_answered_in_order_even_when_they_come_at_once() {
    let server = Server::start(Options::default());
    let mut client = server.dial();
    let mut bytes = [
        request("/", 3),
        b"one".to_vec(),
        request("/", 0),
        request("/", 5),
    ]
    .concat();
    bytes.extend(b"three");
    client.0.write_all(&bytes).unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: ";
    assert_eq!(client.until(b"one"), format!("{head}3\r\n\r\none"));
    assert_eq!(client.until(b"\r\n\r\n"), format!("{head}0\r\n\r\n"));
    assert_eq!(client.until(b"three"), format!("{head}5\r\n\r\nthree"));
}

#[test]
fn a_body_may_come_in_pieces_and_be_longer_than_one_read() {
    let server = Server::start(Options::default());
    let mut client = server.dial();
    let body = "b".repeat(BODY_MAX);
    for piece in [request("/", BODY_MAX).as_slice(), body.as_bytes()]
        .concat()
        .chunks(33_333)
    {
        client.0.write_all(piece).unwrap();
    }
    client.until(b"\r\n\r\n");
    assert_eq!(client.until(body.as_bytes()), body);
}

#[test]
fn a_body_is_refused_by_its_head() {
    let server = Server::start(Options::default());
    for (target, len, status) in [("/", BODY_MAX + 1, "413"), ("/secret", 10, "401")] {
        let mut client = server.dial();
        client.0.write_all(&request(target, len)).unwrap();
        assert!(client.until(b"\r\n").contains(status));
        let status: u16 = status.parse().unwrap();
        assert_eq!(server.next_closed(), Closed::Fault(status));
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Server::start(Options::default());
    let mut client = server.dial();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    client.0.write_all(head.as_bytes()).unwrap();
    assert_eq!(client.until(b"\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.0.write_all(b"ok").unwrap();
    assert!(client.until(b"\r\n\r\nok").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_dripping_body_is_cut_at_its_deadline() {
    let mut options = Options::default();
    options.settings.body_deadline_ms = 200;
    let server = Server::start(options);
    let mut client = server.dial();
    client
        .0
        .write_all(&[request("/", 100), b"drip".to_vec()].concat())
        .unwrap();
    assert!(client.until(b"\r\n").starts_with("HTTP/1.1 408 "));
    assert_eq!(server.next_closed(), Closed::Timeout);
}

#[test]
fn the_next_request_waits_for_a_late_answer() {
    let server = Server::start(Options::default());
    let mut client = server.dial();
    client
        .0
        .write_all(&[request("/later", 0), request("/", 4), b"next".to_vec()].concat())
        .unwrap();
    // An answer on another connection shows that the loop has read both requests.
    let mut other = server.dial();
    other
        .0
        .write_all(&[request("/", 1), b"x".to_vec()].concat())
        .unwrap();
    other.until(b"\r\n\r\nx");
    server.order(Command::StopAccepting);
    let text = client.until(b"next");
    assert!(
        text.find("late").unwrap() < text.find("next").unwrap(),
        "{text}"
    );
}

#[test]
fn a_connection_that_is_not_kept_ends_after_its_answer() {
    let server = Server::start(Options::default());
    let mut client = server.dial();
    client
        .0
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let answer = String::from_utf8(client.read_out()).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Connection: close"),
        "{answer}"
    );
    assert_eq!(server.next_closed(), Closed::Answered);
}
