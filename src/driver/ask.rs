//! What most tests want: a connection, a `connect`, a call and its answer.

use super::device::{Device, Proof};
use super::remote::masked;
use super::{Driver, TOKEN};
use crate::gateway::auth::locality::{Arrival, SOCKET_HOST};
use crate::ids::ConnId;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// All scopes of an operator.
const SCOPES: [&str; 5] = [
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.pairing",
];

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub struct Address {
    /// The address of the socket.
    pub ip: IpAddr,
    /// The user at the Unix socket, where it is that and not TCP.
    pub uid: Option<u32>,
    /// The port's name in the `Host` header.
    pub host: String,
    /// Further header fields of the upgrade, such as Origin or X-Forwarded-For.
    pub fields: Vec<(String, String)>,
}

impl Default for Address {
    /// This machine, without a proxy and without a page.
    fn default() -> Self {
        Self {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            uid: None,
            host: "127.0.0.1:18789".into(),
            fields: Vec::new(),
        }
    }
}

impl Address {
    /// Somewhere else, without a proxy.
    pub fn remote(ip: [u8; 4]) -> Self {
        Self {
            ip: IpAddr::V4(ip.into()),
            uid: None,
            host: "192.0.2.2:18789".into(),
            fields: Vec::new(),
        }
    }

    /// A program of this user at the Unix socket, as our own client asks.
    pub fn socket(uid: u32) -> Self {
        Self {
            uid: Some(uid),
            host: SOCKET_HOST.into(),
            ..Self::default()
        }
    }

    /// How the connection arrives.
    pub fn arrival(&self) -> Arrival {
        match self.uid {
            Some(uid) => Arrival::Socket { uid },
            None => Arrival::Tcp(self.ip),
        }
    }

    /// The same with one header field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The bytes of the upgrade.
    pub fn upgrade(&self) -> Vec<u8> {
        let mut head = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            self.host
        );
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }
}

/// `connect` parameters of an operator with all scopes and [`TOKEN`], without a device.
pub fn operator_params() -> Value {
    json!({
        "minProtocol": 3,
        "maxProtocol": 3,
        "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        "role": "operator",
        "scopes": SCOPES,
        "caps": [],
        "auth": {"token": TOKEN},
    })
}

/// `connect` parameters of a node that declares `commands`, without a device.
pub fn node_params(commands: &[&str]) -> Value {
    json!({
        "minProtocol": 3,
        "maxProtocol": 3,
        "client": {"id": "node-host", "version": "1", "platform": "linux", "mode": "node"},
        "role": "node",
        "scopes": [],
        "caps": ["system"],
        "commands": commands,
        "auth": {"token": TOKEN},
    })
}

impl Driver {
    /// Opens a connection as far as the challenge.
    ///
    /// # Panics
    ///
    /// When the connection or its upgrade is refused; [`Driver::try_open`] says why.
    pub fn open(&mut self, from: &Address) -> ConnId {
        self.try_open(from)
            .unwrap_or_else(|refusal| panic!("upgrade refused: {refusal}"))
    }

    /// Opens a connection as far as the challenge.
    ///
    /// # Errors
    ///
    /// The HTTP response, or nothing where the connection was not even accepted.
    pub fn try_open(&mut self, from: &Address) -> Result<ConnId, String> {
        let conn = self.accept_from(from.arrival()).ok_or_else(String::new)?;
        self.feed(conn, &from.upgrade());
        self.settle();
        let remote = self.remote(conn);
        if remote.opened {
            return Ok(conn);
        }
        Err(String::from_utf8_lossy(&remote.http).into_owned())
    }

    /// One HTTP request on a connection of its own; the whole response.
    pub fn http(&mut self, request: &str) -> String {
        let Some(conn) = self.accept(IpAddr::V4(Ipv4Addr::LOCALHOST)) else {
            return String::new();
        };
        self.feed(conn, request.as_bytes());
        self.settle();
        String::from_utf8_lossy(&self.remote(conn).http).into_owned()
    }

    /// The nonce of the challenge, which is taken off the messages.
    ///
    /// # Panics
    ///
    /// When the first message is no challenge.
    pub fn challenge(&mut self, conn: ConnId) -> String {
        let first = self.remote(conn).messages.pop_front();
        let first = first.expect("a challenge");
        assert_eq!(first["event"], "connect.challenge");
        let nonce = first["payload"]["nonce"].as_str();
        nonce.expect("a nonce").to_owned()
    }

    /// Sends `connect` with these parameters, signed by `device` where there is one, and gives
    /// the response. The challenge is taken off the messages.
    pub fn connect(
        &mut self,
        conn: ConnId,
        mut params: Value,
        device: Option<(&Device, Proof)>,
    ) -> Value {
        let nonce = self.challenge(conn);
        if let Some((device, proof)) = device {
            device.sign(&mut params, proof, &nonce, self.now.unix_ms);
        }
        self.call(conn, "connect", params)
    }

    /// A local operator with every scope and the device of seed 1; its first events are taken.
    ///
    /// # Panics
    ///
    /// When it is not let in.
    pub fn operator(&mut self) -> ConnId {
        self.join(&Device::new(1), operator_params())
    }

    /// A driver with an operator, who has made the main session.
    ///
    /// # Panics
    ///
    /// When it is not let in.
    pub fn in_main_session() -> (Self, ConnId) {
        let mut driver = Self::default();
        let operator = driver.operator();
        driver.ok(operator, "sessions.patch", json!({"key": "main"}));
        (driver, operator)
    }

    /// A local node of this device.
    ///
    /// # Panics
    ///
    /// When it is not let in.
    pub fn node(&mut self, device: &Device, commands: &[&str]) -> ConnId {
        self.join(device, node_params(commands))
    }

    /// Opens a local connection and connects with these parameters, signed by `device`.
    ///
    /// # Panics
    ///
    /// When it is not let in.
    pub fn join(&mut self, device: &Device, params: Value) -> ConnId {
        let conn = self.open(&Address::default());
        let hello = self.connect(conn, params, Some((device, Proof::V2)));
        assert_eq!(hello["ok"], true, "{hello}");
        self.remote(conn).messages.clear();
        conn
    }

    /// Sends a text message in one frame, without waiting for anything.
    pub fn text(&mut self, conn: ConnId, text: &str) {
        self.feed(conn, &masked(1, text.as_bytes(), [1, 2, 3, 4]));
    }

    /// Sends a request without waiting for its answer; its id.
    pub fn request(&mut self, conn: ConnId, method: &str, params: Value) -> String {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        let request = json!({"type": "req", "id": id, "method": method, "params": params});
        self.text(conn, &request.to_string());
        id
    }

    /// Takes the first response to a request off the messages, if it is there.
    pub fn response(&mut self, conn: ConnId, id: &str) -> Option<Value> {
        let messages = &mut self.remote(conn).messages;
        let is_it = |message: &Value| message["type"] == "res" && message["id"] == id;
        let at = messages.iter().position(is_it)?;
        messages.remove(at)
    }

    /// Sends a request and runs everything until its first response is there: the whole frame.
    /// Other messages stay.
    ///
    /// # Panics
    ///
    /// When no response comes.
    pub fn call(&mut self, conn: ConnId, method: &str, params: Value) -> Value {
        let id = self.request(conn, method, params);
        self.settle();
        self.response(conn, &id)
            .unwrap_or_else(|| panic!("{method} is not answered"))
    }

    /// Calls a method that must succeed; the payload.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn ok(&mut self, conn: ConnId, method: &str, params: Value) -> Value {
        let mut response = self.call(conn, method, params);
        assert_eq!(response["ok"], true, "{method}: {response}");
        response["payload"].take()
    }

    /// Calls a method that must be refused; the error.
    ///
    /// # Panics
    ///
    /// When it succeeds.
    pub fn err(&mut self, conn: ConnId, method: &str, params: Value) -> Value {
        let mut response = self.call(conn, method, params);
        assert_eq!(response["ok"], false, "{method}: {response}");
        response["error"].take()
    }

    /// Takes all messages that have arrived.
    pub fn messages(&mut self, conn: ConnId) -> Vec<Value> {
        self.remote(conn).messages.drain(..).collect()
    }

    /// Takes the payloads of all events of this name that have arrived.
    pub fn events(&mut self, conn: ConnId, name: &str) -> Vec<Value> {
        let messages = std::mem::take(&mut self.remote(conn).messages);
        let (taken, kept): (Vec<Value>, Vec<Value>) = messages
            .into_iter()
            .partition(|message| message["event"] == name);
        self.remote(conn).messages = kept.into();
        taken
            .into_iter()
            .map(|mut event| event["payload"].take())
            .collect()
    }
}
