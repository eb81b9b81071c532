//! The server's side of an HTTP request with a JSON body.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// What a server saw of a request: its head and its body.
pub type Seen = (String, Value);

/// Reads one request.
pub fn request(socket: &TcpStream) -> Seen {
    let mut reader = BufReader::new(socket);
    let (mut head, mut len) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}
