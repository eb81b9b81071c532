//! Plain HTTP on the gateway's port: probes, the page, and nothing that a URL could unlock.

use super::effect::{Fetch, FetchResult, Head};
use super::{Effect, Gateway};
use crate::ids::ConnId;
use crate::ui;
use std::fmt::Write as _;

/// Headers of every answer: nothing may frame us, guess types or learn addresses.
const SAFE_HEADERS: &str = "X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cache-Control: no-cache\r\n\
    Connection: close\r\n";
/// What a page may load: its own scripts and images, and sockets to its own host.
const PAGE_POLICY: &str = "Content-Security-Policy: default-src 'self'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; \
    object-src 'none'; base-uri 'none'; frame-ancestors 'none'\r\n\
    X-Frame-Options: DENY\r\n";

impl Gateway {
    pub(super) fn on_http(&mut self, conn: ConnId, head: Head<'_>, _body: &[u8]) {
        if let Err(fault) = self.check_host(head) {
            return self.answer(conn, head, 403, "text/plain", fault.as_bytes());
        }
        let Some(path) = clean_path(head.path()) else {
            return self.answer(conn, head, 400, "text/plain", b"Bad Request: path\n");
        };
        match path.as_str() {
            "/health" | "/healthz" | "/startupz" => {
                self.answer(conn, head, 200, "application/json", b"{\"ok\":true}\n");
            }
            "/readyz" => {
                let (status, body): (u16, &[u8]) = if self.stopping {
                    (503, b"{\"ok\":false,\"reason\":\"shutting down\"}\n")
                } else {
                    (200, b"{\"ok\":true}\n")
                };
                self.answer(conn, head, status, "application/json", body);
            }
            _ if !matches!(head.method, "GET" | "HEAD") => {
                self.answer(conn, head, 405, "text/plain", b"Method Not Allowed\n");
            }
            _ if path.contains("/avatar/") => {
                self.answer(
                    conn,
                    head,
                    200,
                    "application/json",
                    b"{\"avatarUrl\":null}\n",
                );
            }
            _ if self.config().gateway.control_ui.root.is_some() => {
                self.answer_file(conn, head, path);
            }
            "/" | "/index.html" => {
                let page = ui::landing_page(&self.identity.version);
                self.answer(conn, head, 200, "text/html; charset=utf-8", page.as_bytes());
            }
            _ => match ui::asset(&path) {
                Some((media_type, bytes)) => self.answer(conn, head, 200, media_type, bytes),
                None => self.answer(conn, head, 404, "text/plain", b"Not Found\n"),
            },
        }
    }

    /// The Host rule of the whole port: a name that is not ours is somebody's rebinding.
    fn check_host(&self, head: Head<'_>) -> Result<(), String> {
        match self.allowed.host(head.headers.iter().copied()) {
            Ok(_) => Ok(()),
            Err(fault) => Err(format!("Forbidden: {}\n", fault.text())),
        }
    }

    /// Reads the file off the loop, then answers.
    fn answer_file(&mut self, conn: ConnId, head: Head<'_>, path: String) {
        let only_head = head.method == "HEAD";
        self.fetch(Fetch::StaticFile { path }, move |gateway, _, result| {
            let (status, media_type, bytes) = match result {
                FetchResult::File { media_type, bytes } => (200, media_type, bytes),
                FetchResult::Missing => (404, "text/plain", b"Not Found\n".to_vec()),
                _ => (500, "text/plain", b"Internal Server Error\n".to_vec()),
            };
            gateway.answer_bytes(conn, only_head, status, media_type, &bytes);
        });
    }

    fn answer(&mut self, conn: ConnId, head: Head<'_>, status: u16, media_type: &str, body: &[u8]) {
        self.answer_bytes(conn, head.method == "HEAD", status, media_type, body);
    }

    fn answer_bytes(
        &mut self,
        conn: ConnId,
        only_head: bool,
        status: u16,
        media_type: &str,
        body: &[u8],
    ) {
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let mut head = String::with_capacity(512);
        let _ = write!(
            head,
            "HTTP/1.1 {status} {}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n",
            reason_phrase(status),
            body.len()
        );
        head.push_str(SAFE_HEADERS);
        if media_type.starts_with("text/html") {
            head.push_str(PAGE_POLICY);
        }
        head.push_str("\r\n");
        peer.outbox.bytes(&mut self.turn, head.as_bytes());
        if !only_head {
            peer.outbox.bytes(&mut self.turn, body);
        }
        self.mark_dirty(conn);
        self.effects.push_back(Effect::Finish { conn });
        self.leave(conn);
    }
}

/// The path, decoded once. None for what no honest client sends: a residual escape, a step
/// upwards, a NUL, a backslash, an empty segment.
fn clean_path(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let text = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(text, 16).ok()?
            }
            other => other,
        };
        if matches!(byte, 0..=0x1f | b'\\' | b'%' | 0x7f) {
            return None;
        }
        out.push(byte);
    }
    let path = String::from_utf8(out).ok()?;
    let honest = path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    honest.then_some(path)
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::clean_path;

    #[test]
    fn a_path_is_decoded_once_and_dishonest_ones_are_refused() {
        assert_eq!(clean_path("/a%20b/c").as_deref(), Some("/a b/c"));
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/..",
            "/a/../b",
            "/%2e%2e/x",
            "/a%252fb",
            "/a%00",
            "/a\\b",
            "/%",
            "/%2",
            "/%zz",
            "/a%5cb",
            "/a\u{7f}",
        ] {
            assert_eq!(clean_path(bad), None, "{bad}");
        }
    }
}
