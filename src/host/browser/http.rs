//! One HTTP request to a server whose address is known. Version 1.0, so that the answer ends where the
//! connection does and never comes in chunks.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use super::Fault;
use crate::client::transport;
use crate::limits::{HTTP_HEADERS_MAX, NODE_RESULT_BYTES_MAX};

/// Of an answer that is no success, as much is told.
const ERROR_CHARS_MAX: usize = 2_000;

/// What is asked.
pub struct Request<'a> {
    pub address: SocketAddr,
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    pub token: &'a str,
    /// JSON.
    pub body: Option<String>,
}

/// Asks, and reads the JSON of the answer.
pub fn ask(request: &Request<'_>, deadline: Instant) -> Result<Value, Fault> {
    let fault = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::TimedOut => Fault::TimedOut,
        _ => Fault::Unavailable(format!("the browser control server: {error}")),
    };
    let mut server = transport::to(request.address, deadline).map_err(fault)?;
    server
        .write_all(&head_and_body(request), deadline)
        .map_err(fault)?;
    let mut received = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let count = server.read(&mut chunk, deadline).map_err(fault)?;
        if count == 0 {
            break;
        }
        received.extend_from_slice(&chunk[..count]);
        if received.len() > 2 * NODE_RESULT_BYTES_MAX {
            let text = "the browser control server's answer is too long";
            return Err(Fault::Unavailable(text.into()));
        }
    }
    read(&received)
}

/// The status of a bare `GET /` with these header lines, and nothing of the answer's body.
pub fn status(address: SocketAddr, fields: &str, deadline: Instant) -> Result<u16, Fault> {
    let fault = |error: std::io::Error| Fault::Unavailable(error.to_string());
    let mut server = transport::to(address, deadline).map_err(fault)?;
    let head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n");
    server.write_all(head.as_bytes(), deadline).map_err(fault)?;
    let mut received = Vec::new();
    let mut chunk = [0; 64];
    // `HTTP/1.1 200`
    while received.len() < 12 {
        match server.read(&mut chunk, deadline).map_err(fault)? {
            0 => break,
            count => received.extend_from_slice(&chunk[..count]),
        }
    }
    let line = String::from_utf8_lossy(&received);
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    code.and_then(|code| code.parse().ok())
        .ok_or_else(|| Fault::Unavailable("it speaks no HTTP".into()))
}

fn head_and_body(request: &Request<'_>) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
        request.method, request.path, request.address, request.token
    );
    if let Some(body) = &request.body {
        head += &format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    let body = request.body.as_deref().unwrap_or("");
    format!("{head}\r\n{body}").into_bytes()
}

fn read(received: &[u8]) -> Result<Value, Fault> {
    let odd = || {
        Fault::Unavailable("what answers at browser.controlUrl is no browser control server".into())
    };
    let mut headers = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(at)) = head.parse(received) else {
        return Err(odd());
    };
    if head
        .headers
        .iter()
        .any(|it| it.name.eq_ignore_ascii_case("transfer-encoding"))
    {
        return Err(odd());
    }
    let body = &received[at..];
    let status = head.code.unwrap_or(0);
    if !(200..300).contains(&status) {
        let text: String = String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(ERROR_CHARS_MAX)
            .collect();
        let text = match text.is_empty() {
            true => format!("HTTP {status}"),
            false => format!("{status}: {text}"),
        };
        return Err(Fault::Invalid(text));
    }
    serde_json::from_slice(body).map_err(|_| odd())
}

/// A text as a part of a query.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_answer_is_a_fault_and_never_a_panic() {
        for odd in [
            "",
            "x",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n<html>",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "HTTP/1.1 500\r\n\r\n",
        ] {
            assert!(read(odd.as_bytes()).is_err(), "{odd:?}");
        }
        assert_eq!(read(b"HTTP/1.1 204 x\r\n\r\n1").unwrap(), 1);
    }
}
