//! HTTP responses, written whole.

use std::io::Write;

use super::http::Refusal;

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

/// Appends a whole response: status line, `Content-Length`, the fields given, the body.
///
/// `keeps_alive` false adds `Connection: close`. Names and values are the caller's own texts.
pub fn write_response(
    out: &mut Vec<u8>,
    status: u16,
    keeps_alive: bool,
    fields: &[(&str, &str)],
    body: &[u8],
) {
    write_head(out, status, keeps_alive, fields, Some(body.len()));
    out.extend_from_slice(body);
}

/// Appends the head of a response; without `body_len` the body ends where the connection does or
/// as a field says.
pub fn write_head(
    out: &mut Vec<u8>,
    status: u16,
    keeps_alive: bool,
    fields: &[(&str, &str)],
    body_len: Option<usize>,
) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason(status));
    if let Some(len) = body_len {
        let _ = write!(out, "Content-Length: {len}\r\n");
    }
    if !keeps_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    for (name, value) in fields {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a request that is not served; the connection ends with it.
pub fn write_refusal(out: &mut Vec<u8>, refusal: Refusal) {
    // RFC 6455 4.2.2: a refused version names the ones that are spoken.
    let version: &[(&str, &str)] = match refusal.status {
        426 => &[
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            TEXT,
        ],
        _ => &[TEXT],
    };
    let body = format!("{}\n", refusal.why);
    write_response(out, refusal.status, false, version, body.as_bytes());
}

const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_version_names_the_one_that_is_spoken() {
        let mut out = Vec::new();
        write_refusal(&mut out, Refusal::new(426, "no"));
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{text}");
        assert!(
            text.contains("\r\nConnection: close\r\n") && text.ends_with("\r\n\r\nno\n"),
            "{text}"
        );
    }
}
