//! A Bot API server of a test: keeps updates until they are confirmed, records every call, and can be
//! told to hang, cut, or refuse.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The token that the server takes.
pub const TOKEN: &str = "123456:a-token-that-nobody-may-see";

/// What becomes of a call.
pub enum Fate {
    /// It is done and never answered.
    Hangs,
    /// It is done and the connection cut before the answer.
    Cut,
    /// It is refused with this status and these members of the answer.
    Refused(u16, Value),
}

#[derive(Default)]
struct Inner {
    updates: Vec<Value>,
    given: u64,
    /// Method and parameters of every call, in order.
    calls: Vec<(String, Value)>,
    /// Files that people sent, by their id.
    files: Vec<(String, Vec<u8>)>,
    /// Calls of a method that do not go well, in order.
    fates: Vec<(String, VecDeque<Fate>)>,
}

/// The server; its threads end with the test.
pub struct Telegram {
    pub port: u16,
    inner: Arc<(Mutex<Inner>, Condvar)>,
}

impl Telegram {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner: Arc<(Mutex<Inner>, Condvar)> = Arc::default();
        let shared = inner.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let inner = shared.clone();
                std::thread::spawn(move || serve(&socket, &inner));
            }
        });
        Self { port, inner }
    }

    /// The settings of `channels.telegram` that lead here, and more.
    pub fn config(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "{{ channels: {{ telegram: {{ botToken: '{TOKEN}', \
             apiRoot: 'http://127.0.0.1:{port}', {more} }} }} }}"
        )
    }

    /// Somebody writes alone with the bot.
    pub fn write(&self, sender: i64, text: &str) {
        let from = json!({"id": sender, "is_bot": false, "first_name": "Ann"});
        let chat = json!({"id": sender, "type": "private"});
        self.message(json!({"from": from, "chat": chat, "date": 1, "text": text}));
    }

    /// A message in Telegram's own words, without its number.
    pub fn message(&self, mut message: Value) {
        let mut inner = self.inner.0.lock().unwrap();
        inner.given += 1;
        let id = inner.given;
        message["message_id"] = json!(id);
        inner
            .updates
            .push(json!({"update_id": id, "message": message}));
        self.inner.1.notify_all();
    }

    /// A file that a message may name.
    pub fn file(&self, id: &str, bytes: &[u8]) {
        let mut inner = self.inner.0.lock().unwrap();
        inner.files.push((id.to_owned(), bytes.to_vec()));
    }

    /// The next call of a method goes like this.
    pub fn next(&self, method: &str, fate: Fate) {
        let mut inner = self.inner.0.lock().unwrap();
        match inner.fates.iter_mut().find(|(name, _)| name == method) {
            Some((_, fates)) => fates.push_back(fate),
            None => inner.fates.push((method.to_owned(), [fate].into())),
        }
    }

    /// Parameters of the calls of a method so far.
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let inner = self.inner.0.lock().unwrap();
        let calls = inner.calls.iter().filter(|(name, _)| name == method);
        calls.map(|(_, params)| params.clone()).collect()
    }

    /// Texts that were sent to a chat, also those whose answer was lost.
    pub fn texts(&self, chat: i64) -> Vec<String> {
        let sent = self.calls("sendMessage");
        let sent = sent.iter().filter(|it| it["chat_id"] == chat);
        sent.map(|it| it["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until so many texts were sent to a chat.
    #[track_caller]
    pub fn wait_texts(&self, chat: i64, len: usize) -> Vec<String> {
        super::eventually(|| self.texts(chat).len() >= len);
        self.texts(chat)
    }

    /// Updates that were not confirmed.
    pub fn left(&self) -> usize {
        self.inner.0.lock().unwrap().updates.len()
    }
}

fn serve(socket: &TcpStream, inner: &(Mutex<Inner>, Condvar)) {
    let Some((path, body)) = request(socket) else {
        return;
    };
    if let Some(id) = path.strip_prefix(&format!("/file/bot{TOKEN}/files/")) {
        let files = &inner.0.lock().unwrap().files;
        let file = files.iter().find(|(name, _)| name == id);
        return match file {
            Some((_, bytes)) => respond(socket, 200, bytes),
            None => respond(socket, 404, b"gone"),
        };
    }
    let params = serde_json::from_slice(&body).unwrap_or_else(|_| fields(&body));
    let Some(method) = path.strip_prefix(&format!("/bot{TOKEN}/")) else {
        let body = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        return respond(socket, 401, body.to_string().as_bytes());
    };
    let fate = {
        let mut inner = inner.0.lock().unwrap();
        let fates = inner.fates.iter_mut().find(|(name, _)| name == method);
        let fate = fates.and_then(|(_, fates)| fates.pop_front());
        if !matches!(fate, Some(Fate::Refused(..))) {
            inner.calls.push((method.to_owned(), params.clone()));
        }
        fate
    };
    match fate {
        None => {}
        Some(Fate::Cut) => return,
        Some(Fate::Hangs) => {
            let _ = (&*socket).read(&mut [0; 8]);
            return;
        }
        Some(Fate::Refused(status, more)) => {
            let mut body = json!({"ok": false, "error_code": status, "description": "no"});
            for (name, value) in more.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            return respond(socket, status, body.to_string().as_bytes());
        }
    }
    let result = match method {
        "getMe" => json!({"id": 99, "is_bot": true, "first_name": "Claw", "username": "claw_bot"}),
        "getFile" => {
            let id = params["file_id"].as_str().unwrap();
            json!({"file_id": id, "file_path": format!("files/{id}")})
        }
        "getUpdates" => updates(inner, &params),
        "sendMessage" | "sendPhoto" | "sendDocument" => {
            json!({"message_id": 1_000 + inner.0.lock().unwrap().calls.len()})
        }
        "editMessageText" => json!({"message_id": params["message_id"]}),
        _ => json!(true),
    };
    respond(
        socket,
        200,
        json!({"ok": true, "result": result}).to_string().as_bytes(),
    );
}

/// A form's fields as parameters; of a file its name and its length.
fn fields(body: &[u8]) -> Value {
    let mut params = json!({});
    let text = String::from_utf8_lossy(body);
    let Some((boundary, _)) = text.split_once("\r\n") else {
        return params;
    };
    for part in text.split(boundary).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        let quoted = |name: &str| {
            let (_, rest) = head.split_once(&format!(" {name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let value = value.strip_suffix("\r\n").unwrap_or(value);
        let name = quoted("name").unwrap();
        params[name] = match quoted("filename") {
            Some(file) => json!({"name": file, "text": value}),
            None => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        };
    }
    params
}

/// Waits for news as Telegram does.
fn updates(inner: &(Mutex<Inner>, Condvar), params: &Value) -> Value {
    let wait_s = params["timeout"].as_u64().unwrap_or(0);
    let deadline = Instant::now() + Duration::from_secs(wait_s);
    let mut held = inner.0.lock().unwrap();
    loop {
        if let Some(offset) = params["offset"].as_u64() {
            held.updates
                .retain(|update| update["update_id"].as_u64() >= Some(offset));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if !held.updates.is_empty() || left.is_zero() {
            return Value::Array(held.updates.clone());
        }
        held = inner.1.wait_timeout(held, left).unwrap().0;
    }
}

fn request(socket: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut len = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn respond(mut socket: &TcpStream, status: u16, body: &[u8]) {
    let len = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
    let _ = socket.write_all(&[head.as_bytes(), body].concat());
}
