//! Calling methods and hearing events on a connection.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::error::{ClientError, ErrorKind, GatewayError};
use super::handshake::parse;
use super::ws::WebSocket;
use crate::limits::{CLIENT_EVENTS_QUEUED_MAX, TICK_INTERVAL_MS};

/// What the gateway said in its `hello-ok`.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The whole payload.
    pub payload: Value,
    /// Protocol version agreed on.
    pub protocol: u64,
    /// The gateway's version.
    pub server_version: String,
    /// The token that this device now holds for its role.
    pub device_token: Option<String>,
    /// Interval of the `tick` event, milliseconds.
    pub tick_interval_ms: u64,
}

impl Hello {
    /// Reads the payload of the answer to `connect`.
    pub fn read(payload: Value) -> Result<Self, ClientError> {
        if payload["type"] != "hello-ok" {
            return Err(ClientError::protocol(
                "the answer to connect is no hello-ok",
            ));
        }
        let text = |value: &Value| value.as_str().filter(|s| !s.is_empty()).map(str::to_owned);
        Ok(Self {
            protocol: payload["protocol"].as_u64().unwrap_or(0),
            server_version: text(&payload["server"]["version"]).unwrap_or_else(|| "?".into()),
            device_token: text(&payload["auth"]["deviceToken"]),
            tick_interval_ms: payload["policy"]["tickIntervalMs"]
                .as_u64()
                .unwrap_or(TICK_INTERVAL_MS)
                .clamp(1_000, 3_600_000),
            payload,
        })
    }
}

/// Something that the gateway announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its content.
    pub payload: Value,
}

/// What can come from a gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The answer to the request with this number.
    Response(u64, Result<Value, GatewayError>),
    /// An event.
    Event(Event),
}

/// An open connection to a gateway.
pub struct Client {
    ws: WebSocket,
    hello: Hello,
    requests: u64,
    /// Events that came while an answer was waited for; the oldest goes first when full.
    events: VecDeque<Event>,
}

impl Client {
    pub(super) fn new(ws: WebSocket, hello: Hello) -> Self {
        Self {
            ws,
            hello,
            requests: 0,
            events: VecDeque::new(),
        }
    }

    /// What the gateway said when it let us in.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Calls `method` and waits for its (first) answer.
    pub fn call(
        &mut self,
        method: &str,
        params: &Value,
        deadline: Instant,
    ) -> Result<Value, ClientError> {
        let request = self.send(method, params, deadline)?;
        self.answer(request, deadline)
    }

    /// Sends a request; the number names its answers.
    pub fn send(
        &mut self,
        method: &str,
        params: &Value,
        deadline: Instant,
    ) -> Result<u64, ClientError> {
        self.requests += 1;
        let id = self.requests.to_string();
        let request = json!({"type":"req","id":id,"method":method,"params":params});
        self.ws.send_text(&request.to_string(), deadline)?;
        Ok(self.requests)
    }

    /// Waits for the next answer to `request`; events that come meanwhile are kept.
    pub fn answer(&mut self, request: u64, deadline: Instant) -> Result<Value, ClientError> {
        loop {
            match self.read(deadline)? {
                Incoming::Response(number, result) if number == request => {
                    return result.map_err(ClientError::gateway);
                }
                // An answer to a request that nobody waits for any more.
                Incoming::Response(..) => {}
                Incoming::Event(event) => {
                    if self.events.len() == CLIENT_EVENTS_QUEUED_MAX {
                        self.events.pop_front();
                    }
                    self.events.push_back(event);
                }
            }
        }
    }

    /// The next thing that comes, kept events first.
    pub fn next(&mut self, deadline: Instant) -> Result<Incoming, ClientError> {
        match self.events.pop_front() {
            Some(event) => Ok(Incoming::Event(event)),
            None => self.read(deadline),
        }
    }

    /// The same; `None` once nothing is there and `wake` has something to read.
    pub fn next_or_wake(
        &mut self,
        wake: BorrowedFd<'_>,
        deadline: Instant,
    ) -> Result<Option<Incoming>, ClientError> {
        match self.events.pop_front() {
            Some(event) => Ok(Some(Incoming::Event(event))),
            None => self.read_or_wake(Some(wake), deadline),
        }
    }

    /// Ends the connection properly.
    pub fn close(self) {
        self.ws.close(1000, "");
    }

    fn read(&mut self, deadline: Instant) -> Result<Incoming, ClientError> {
        loop {
            if let Some(incoming) = self.read_or_wake(None, deadline)? {
                return Ok(incoming);
            }
        }
    }

    fn read_or_wake(
        &mut self,
        wake: Option<BorrowedFd<'_>>,
        deadline: Instant,
    ) -> Result<Option<Incoming>, ClientError> {
        while let Some(text) = self.next_text(wake, deadline)? {
            if let Some(incoming) = incoming(parse(&text)?)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    /// Reads until `deadline`, or until the gateway has missed two ticks: then it is gone,
    /// however patient the caller is.
    fn next_text(
        &mut self,
        wake: Option<BorrowedFd<'_>>,
        deadline: Instant,
    ) -> Result<Option<String>, ClientError> {
        let patience = Duration::from_millis(2 * self.hello.tick_interval_ms);
        loop {
            let gone = self.ws.heard_at() + patience;
            match self.ws.text_or_wake(wake, deadline.min(gone)) {
                Err(error) if error.kind == ErrorKind::Timeout && gone < deadline => {
                    // Bytes of a message that is still incomplete count as being heard.
                    if self.ws.heard_at() + patience > Instant::now() {
                        continue;
                    }
                    return Err(ClientError::new(
                        ErrorKind::Closed {
                            code: 4000,
                            reason: "tick timeout".into(),
                        },
                        "the gateway fell silent",
                    ));
                }
                result => return result,
            }
        }
    }
}

/// What a message is; `None` for one of a later protocol.
fn incoming(mut message: Value) -> Result<Option<Incoming>, ClientError> {
    match message["type"].as_str() {
        Some("event") => Ok(Some(Incoming::Event(Event {
            name: message["event"].as_str().unwrap_or("").to_owned(),
            payload: message["payload"].take(),
        }))),
        Some("res") => {
            let Some(number) = message["id"].as_str().and_then(|id| id.parse().ok()) else {
                return Err(ClientError::protocol(format!(
                    "an answer to a request that was never sent: {}",
                    message["error"]["message"].as_str().unwrap_or("no reason")
                )));
            };
            let payload = message["payload"].take();
            let result = if message["ok"] == true {
                Ok(payload)
            } else {
                Err(GatewayError::from_response(&message["error"], payload))
            };
            Ok(Some(Incoming::Response(number, result)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{self, FakeGateway, Peer};

    fn client(script: impl FnOnce(Peer) + Send + 'static) -> (Client, FakeGateway) {
        let fake = FakeGateway::start(script);
        let ws = WebSocket::open(&fake.url(), None, testing::deadline()).unwrap();
        let hello = Hello::read(testing::hello(json!({}))).unwrap();
        (Client::new(ws, hello), fake)
    }

    #[test]
    fn answers_find_their_requests_in_any_order_and_events_are_kept() {
        let (mut client, fake) = client(|mut peer| {
            let (a, b) = (peer.request(), peer.request());
            peer.send(&json!({"type":"event","event":"tick","payload":{"ts":1},"seq":1}));
            peer.answer(&b, json!("b"));
            peer.answer(&a, json!("a"));
            let c = peer.request();
            peer.answer(&c, json!("c"));
        });
        let deadline = testing::deadline();
        let a = client.send("a", &json!({}), deadline).unwrap();
        let _b = client.send("b", &json!({}), deadline).unwrap();
        assert_eq!(client.answer(a, deadline).unwrap(), "a");
        assert_eq!(client.call("c", &json!({}), deadline).unwrap(), "c");
        let Incoming::Event(event) = client.next(deadline).unwrap() else {
            panic!("the kept event");
        };
        assert_eq!(
            (event.name.as_str(), &event.payload["ts"]),
            ("tick", &json!(1))
        );
        fake.join();
    }

    #[test]
    fn two_answers_to_one_request_both_arrive() {
        let (mut client, fake) = client(|mut peer| {
            let run = peer.request();
            peer.answer(&run, json!({"status":"accepted"}));
            peer.send(&json!({"type":"res","id":run["id"],"ok":false,
                "error":{"code":"UNAVAILABLE","message":"broke"},"payload":{"status":"error"}}));
        });
        let deadline = testing::deadline();
        let run = client.send("agent", &json!({}), deadline).unwrap();
        assert_eq!(client.answer(run, deadline).unwrap()["status"], "accepted");
        let error = client.answer(run, deadline).unwrap_err();
        assert_eq!(error.as_gateway().unwrap().payload["status"], "error");
        fake.join();
    }

    #[test]
    fn an_unanswered_call_ends_at_its_deadline() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (mut client, fake) = client(move |mut peer| {
            peer.request();
            let _ = stopped.recv();
        });
        let soon = Instant::now() + Duration::from_millis(50);
        let error = client.call("health", &json!({}), soon).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout);
        drop(stop);
        fake.join();
    }

    #[test]
    fn a_gateway_that_misses_two_ticks_is_gone() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (mut client, fake) = client(move |_peer| {
            let _ = stopped.recv();
        });
        client.hello.tick_interval_ms = 25;
        let error = client.next(testing::deadline()).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Closed { code: 4000, .. }));
        assert!(error.is_retryable());
        drop(stop);
        fake.join();
    }

    #[test]
    fn a_wait_ends_when_somebody_wakes_it() {
        use std::io::Write;
        use std::os::fd::AsFd;
        let (mut client, fake) = client(|mut peer| {
            // A part of a message does not keep the wake waiting.
            peer.raw(&[0x81, 20, b'{']);
            assert_eq!(peer.frame().0, 8, "the close");
        });
        let (wake, mut waker) = std::os::unix::net::UnixStream::pair().unwrap();
        waker.write_all(b"x").unwrap();
        let next = client.next_or_wake(wake.as_fd(), testing::deadline());
        assert_eq!(next.unwrap(), None);
        client.close();
        fake.join();
    }

    #[test]
    fn kept_events_are_bounded() {
        let (mut client, fake) = client(|mut peer| {
            let call = peer.request();
            for i in 0..=CLIENT_EVENTS_QUEUED_MAX {
                peer.send(&json!({"type":"event","event":"tick","payload":i}));
            }
            peer.answer(&call, json!(1));
        });
        client.call("x", &json!({}), testing::deadline()).unwrap();
        assert_eq!(client.events.len(), CLIENT_EVENTS_QUEUED_MAX);
        assert_eq!(client.events[0].payload, 1, "the oldest went");
        fake.join();
    }
}
