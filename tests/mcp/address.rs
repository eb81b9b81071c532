//! Servers behind an address.

use crate::program::{base, listed, result, until_up};
use crate::server::{call, page};
use crate::support::http::request;
use crate::support::model::{Model, Says};
use crate::support::{self, Home, Running};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// How the server answers requests.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Json,
    Events,
    Redirect(u16),
}

/// What it saw: the head of each request and the method that it asked for.
type Seen = (String, String);

fn serve(form: Form) -> (u16, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || answer(socket, form, &tell));
        }
    });
    (port, seen)
}

fn answer(mut socket: TcpStream, form: Form, tell: &Sender<Seen>) {
    let mut peek = [0; 8];
    let len = socket.peek(&mut peek).unwrap_or(0);
    if !peek[..len].starts_with(b"POST") {
        // Neither a stream of its own nor an end of sessions is offered.
        let mut lines = BufReader::new(&socket).lines().map_while(Result::ok);
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let _ = tell.send((head.join("\n"), "no POST".into()));
        let text =
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = socket.write_all(text.as_bytes());
        return;
    }
    let (head, body) = request(&socket);
    let method = body["method"].as_str().unwrap_or("").to_owned();
    let _ = tell.send((head.to_lowercase(), method.clone()));
    let result = match method.as_str() {
        "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "far"}}),
        "tools/list" => page(&body["params"], false),
        "tools/call" => {
            let params = &body["params"];
            call(params["name"].as_str().unwrap_or(""), &params["arguments"])
        }
        _ => Value::Null,
    };
    let message = json!({"jsonrpc": "2.0", "id": body["id"], "result": result});
    let (status, kind, text) = match form {
        _ if result.is_null() => ("202 Accepted", "text/plain", String::new()),
        Form::Json => ("200 OK", "application/json", message.to_string()),
        Form::Events => {
            let noise = json!({"jsonrpc": "2.0", "method": "notifications/message"});
            let text = format!(": hello\n\nevent: message\ndata: {noise}\n\ndata: {message}\n\n");
            ("200 OK", "text/event-stream", text)
        }
        Form::Redirect(port) => {
            let text = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{port}/\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return socket.write_all(text.as_bytes()).unwrap();
        }
    };
    let len = text.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nMcp-Session-Id: s-77\r\n\
         Connection: close\r\n\r\n{text}"
    );
    let _ = socket.write_all(text.as_bytes());
}

fn start(port: u16, script: Vec<Says>) -> (Home, Running, Model) {
    let model = Model::start(script);
    let home = Home::new();
    let mut config = base(&model);
    config["mcp"] = json!({"servers": {"far": {
        "url": format!("http://127.0.0.1:{port}/mcp"),
        "headers": {"Authorization": "Bearer far-secret"},
    }}});
    home.configure(&config.to_string());
    let gateway = home.gateway(&[]);
    (home, gateway, model)
}

#[test]
fn json_and_streams_of_events_are_both_read_within_one_session() {
    for form in [Form::Json, Form::Events] {
        let (port, seen) = serve(form);
        let script = vec![
            Says::Asks("far__add", json!({"a": 20, "b": 22})),
            Says::Text(&["done"]),
        ];
        let (home, gateway, model) = start(port, script);
        until_up(&home);
        home.run(&["agent", "--message", "go"]).ok();
        model.seen.recv().unwrap();
        assert!(result(&model).contains("the sum is 42"));
        assert_eq!(gateway.stop(), Some(0));
        let seen: Vec<Seen> = seen.try_iter().collect();
        let posts: Vec<&Seen> = seen
            .iter()
            .filter(|(_, method)| method != "no POST")
            .collect();
        assert_eq!(posts[0].1, "initialize");
        assert!(!posts[0].0.contains("mcp-session-id"));
        for (head, method) in &posts[1..] {
            assert!(head.contains("mcp-session-id: s-77"), "{method}: {head}");
            assert!(
                head.contains("mcp-protocol-version: 2025-06-18"),
                "{method}: {head}"
            );
        }
        assert!(
            posts
                .iter()
                .all(|(head, _)| head.contains("bearer far-secret"))
        );
        let others = seen.iter().filter(|(_, method)| method == "no POST");
        let firsts: Vec<&str> = others.map(|(head, _)| &head[..3]).collect();
        assert!(
            firsts.contains(&"GET") && firsts.contains(&"DEL"),
            "{firsts:?}"
        );
    }
}

#[test]
fn no_header_follows_a_redirect() {
    let (elsewhere, seen) = serve(Form::Json);
    let (port, _first) = serve(Form::Redirect(elsewhere));
    let (home, _gateway, _model) = start(port, Vec::new());
    support::eventually(|| {
        let row = &listed(&home)[0];
        row["fault"]
            .as_str()
            .is_some_and(|it| it.contains("somewhere else"))
    });
    assert_eq!(seen.try_iter().count(), 0);
    let log = support::read(&home.state().join("logs/clawdia.log"));
    assert!(!log.contains("far-secret"), "{log}");
}
