//! HTTP responses, written whole.

use std::io::Write;

use super::http::{Refusal, Shape};
use super::json::Writer;

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
    let version: &[(&str, &str)] = match (refusal.status, refusal.shape) {
        (426, _) => &[
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            TEXT,
        ],
        (_, Shape::Text) => &[TEXT],
        (_, _) => &[("Content-Type", "application/json")],
    };
    let body = match refusal.shape {
        Shape::Text => format!("{}\n", refusal.why).into_bytes(),
        _ => json(refusal),
    };
    write_response(out, refusal.status, false, version, &body);
}

fn json(refusal: Refusal) -> Vec<u8> {
    let code = match refusal.status {
        401 => Some("invalid_api_key"),
        429 => Some("rate_limit_exceeded"),
        _ => None,
    };
    let mut out = Vec::new();
    Writer::new(&mut out).object(|w| {
        let is_tool = refusal.shape == Shape::Tool;
        if refusal.shape != Shape::OpenAi {
            w.field_bool("ok", false);
        }
        if refusal.shape == Shape::Hook {
            return w.field_str("error", refusal.why);
        }
        w.key("error");
        w.object(|w| {
            w.field_str("message", refusal.why);
            match (is_tool, refusal.status) {
                (true, 401) => w.field_str("type", "unauthorized"),
                _ => w.field_str("type", "invalid_request_error"),
            }
            if !is_tool {
                w.key("param");
                w.null();
                match code {
                    Some(code) => w.field_str("code", code),
                    None => {
                        w.key("code");
                        w.null();
                    }
                }
            }
        });
    });
    out
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

    #[test]
    fn programs_are_refused_in_the_shape_that_they_read() {
        let told = |shape| {
            let mut out = Vec::new();
            write_refusal(&mut out, Refusal::new(401, "no").shaped(shape));
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("application/json\r\n"), "{text}");
            let (_, body) = text.split_once("\r\n\r\n").unwrap();
            serde_json::from_str::<serde_json::Value>(body).unwrap()
        };
        let openai = told(Shape::OpenAi);
        assert_eq!(openai["error"]["message"], "no");
        assert_eq!(openai["error"]["type"], "invalid_request_error");
        assert_eq!(openai["error"]["code"], "invalid_api_key");
        let tool = told(Shape::Tool);
        assert_eq!(tool["ok"], false);
        assert_eq!(tool["error"]["type"], "unauthorized");
        assert_eq!(
            told(Shape::Hook),
            serde_json::json!({"ok": false, "error": "no"})
        );
    }
}
