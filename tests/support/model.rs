//! A model of a test: a server of chat completions that says what it is told to.

use super::http::{Seen, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// What the server does with the next request.
pub enum Says {
    /// These pieces of text.
    Text(&'static [&'static str]),
    /// It asks for a tool: name and arguments.
    Asks(&'static str, Value),
    /// A status line and a body.
    Fails(&'static str, &'static str),
    /// A piece of text, and the rest of it once that is told; without it the connection ends.
    Slowly(&'static str, &'static str, Receiver<()>),
    /// One piece of text, then nothing until the connection ends.
    Hangs(&'static str),
}

/// A server that answers one request after the other.
pub struct Model {
    pub port: u16,
    /// Head and body of each request.
    pub seen: Receiver<Seen>,
    /// How many connections ended before the server ended them.
    pub cut: Receiver<()>,
}

impl Model {
    pub fn start(script: Vec<Says>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, seen) = channel();
        let (tell_cut, cut) = channel();
        std::thread::spawn(move || {
            for says in script {
                let (mut socket, _) = listener.accept().unwrap();
                let _ = tell.send(request(&socket));
                answer(&mut socket, &says);
                if matches!(says, Says::Hangs(_)) && socket.read(&mut [0; 8]).unwrap_or(0) == 0 {
                    let _ = tell_cut.send(());
                }
            }
        });
        Self { port, seen, cut }
    }

    /// A configuration in which this is the model `mine/one`, reached with `key`.
    pub fn config(&self, key: &str) -> String {
        let port = self.port;
        format!(
            "{{ models: {{ providers: {{ mine: {{ baseUrl: 'http://127.0.0.1:{port}/v1', \
             apiKey: '{key}', api: 'openai-completions', models: [{{ id: 'one' }}] }} }} }}, \
             agents: {{ defaults: {{ model: {{ primary: 'mine/one' }} }} }} }}"
        )
    }
}

fn answer(socket: &mut TcpStream, says: &Says) {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let done = |why: &str| {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": why}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 12}})
    };
    let events: Vec<Value> = match says {
        Says::Fails(status, body) => {
            let len = body.len();
            let text = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\
                 Connection: close\r\n\r\n{body}"
            );
            return socket.write_all(text.as_bytes()).unwrap();
        }
        Says::Text(pieces) => {
            let pieces = pieces.iter().map(|piece| delta(json!({"content": piece})));
            pieces.chain([done("stop")]).collect()
        }
        Says::Asks(name, arguments) => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call =
                json!({"index": 0, "id": "call_1", "type": "function", "function": function});
            vec![delta(json!({"tool_calls": [call]})), done("tool_calls")]
        }
        Says::Slowly(start, rest, go) => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
            let first = format!("{head}data: {}\n\n", delta(json!({"content": start})));
            socket.write_all(first.as_bytes()).unwrap();
            if go.recv().is_err() {
                return;
            }
            let rest = delta(json!({"content": rest}));
            let text = format!("data: {rest}\n\ndata: {}\n\n", done("stop"));
            return socket.write_all(text.as_bytes()).unwrap();
        }
        Says::Hangs(piece) => vec![delta(json!({"content": piece}))],
    };
    let mut text = String::from(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    );
    for event in events {
        text += &format!("data: {event}\n\n");
    }
    socket.write_all(text.as_bytes()).unwrap();
}
