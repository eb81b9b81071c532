//! The served port through real sockets: what the loop owes a peer without being reminded.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use support::Home;

/// Well below the time after which the gateway's own tick would push out what was left behind.
const AT_ONCE: Duration = Duration::from_secs(10);
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A WebSocket client that does nothing of itself.
struct Peer(TcpStream);

impl Peer {
    fn open(port: u16) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(AT_ONCE)).unwrap();
        let upgrade = format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(upgrade.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
        let mut peer = Self(socket);
        assert_eq!(peer.receive_json()["event"], "connect.challenge");
        peer
    }

    /// A frame of less than 126 bytes, with a key of zeroes, which masks nothing.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let len = u8::try_from(payload.len()).unwrap();
        let mut bytes = vec![0x80 | opcode, 0x80 | len, 0, 0, 0, 0];
        bytes.extend(payload);
        self.0.write_all(&bytes).unwrap();
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame in time");
        let mut len = usize::from(head[1]);
        if len == 126 {
            let mut bytes = [0; 2];
            self.0.read_exact(&mut bytes).unwrap();
            len = usize::from(u16::from_be_bytes(bytes));
        }
        let mut payload = vec![0; len];
        self.0.read_exact(&mut payload).unwrap();
        (head[0] & 0x0f, payload)
    }

    fn receive_json(&mut self) -> Value {
        let (opcode, payload) = self.receive();
        assert_eq!(opcode, TEXT);
        serde_json::from_slice(&payload).unwrap()
    }
}

#[test]
fn a_ping_is_answered_at_once() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let mut peer = Peer::open(gateway.port);
    peer.send(PING, b"are you there?");
    assert_eq!(peer.receive(), (PONG, b"are you there?".to_vec()));
}
