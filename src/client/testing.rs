//! A gateway made up for tests: a thread that accepts one connection and plays a script.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::url::GatewayUrl;

/// Far enough away that only a hanging test meets it.
pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// One connection's worth of gateway on a port of its own.
pub struct FakeGateway {
    port: u16,
    thread: JoinHandle<()>,
}

impl FakeGateway {
    /// Accepts one connection, upgrades it, and lets `script` speak.
    pub fn start(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || script(Peer::accept(&listener)));
        Self { port, thread }
    }

    /// Its address.
    pub fn url(&self) -> GatewayUrl {
        GatewayUrl::loopback(self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the script's end; its failed assertions fail the test.
    pub fn join(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The gateway's end of a connection.
pub struct Peer {
    stream: TcpStream,
    /// The head of the upgrade request, as it came.
    pub head: String,
}

impl Peer {
    /// Accepts the next connection and upgrades it.
    pub fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap();
        let digest = sha1_smol::Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        let accept = STANDARD.encode(digest.digest().bytes());
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .unwrap();
        Self { stream, head }
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends one JSON message.
    pub fn send(&mut self, value: &Value) {
        let text = value.to_string();
        let mut bytes = vec![0x81, 127];
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
        self.raw(&bytes);
    }

    /// The next frame of the client: opcode and unmasked payload.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(head[1] & 0x80, 0x80, "a client masks");
        let mut length = usize::from(head[1] & 0x7f);
        if length >= 126 {
            let mut octets = vec![0; if length == 126 { 2 } else { 8 }];
            self.stream.read_exact(&mut octets).unwrap();
            length = octets.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
        }
        let mut mask = [0; 4];
        self.stream.read_exact(&mut mask).unwrap();
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        (head[0] & 0x0f, payload)
    }

    /// Everything until the client ends the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// The next request of the client.
    pub fn request(&mut self) -> Value {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, 1, "a text frame");
        serde_json::from_slice(&payload).unwrap()
    }

    /// Answers `request` with `payload`.
    pub fn answer(&mut self, request: &Value, payload: Value) {
        self.send(&json!({"type":"res","id":request["id"],"ok":true,"payload":payload}));
    }

    /// Refuses `request` with `error`.
    pub fn refuse(&mut self, request: &Value, error: Value) {
        self.send(&json!({"type":"res","id":request["id"],"ok":false,"error":error}));
    }

    /// Challenges, and returns the `connect` request that comes.
    pub fn challenge(&mut self) -> Value {
        self.send(&json!({"type":"event","event":"connect.challenge",
            "payload":{"nonce":"the-nonce","ts":1}}));
        self.request()
    }

    /// The whole handshake; `auth` is the hello's `auth` object.
    pub fn welcome(&mut self, auth: Value) -> Value {
        let connect = self.challenge();
        self.answer(&connect, hello(auth));
        connect
    }
}

/// A `hello-ok` payload as small as it may be.
pub fn hello(auth: Value) -> Value {
    json!({"type":"hello-ok","protocol":3,
        "server":{"version":"test","host":"vm","connId":"c1"},
        "features":{"methods":["health"],"events":["tick"]},
        "snapshot":{"presence":[],"health":{},"stateVersion":{"presence":0,"health":0},"uptimeMs":1},
        "auth":auth,
        "policy":{"maxPayload":524288,"maxBufferedBytes":1572864,"tickIntervalMs":30000}})
}
