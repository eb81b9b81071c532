//! Plain HTTP on the gateway's port: probes, the page, and nothing that a URL could unlock.

use super::effect::{Fetch, FetchResult};
use super::entry::{clean_path, is_protected};
use super::memory::SHORT;
use super::{Effect, Gateway};
use crate::ids::ConnId;
use crate::ui;
use crate::wire::http::Head;
use crate::wire::respond::{write_head, write_response};

/// Headers of every answer: nothing may guess types or learn addresses.
const SAFE_FIELDS: [(&str, &str); 3] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
];
/// What a page may load: its own scripts and images, and sockets. Nothing may frame it.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; \
    object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

impl Gateway {
    pub(super) fn on_http(&mut self, conn: ConnId, head: &Head<'_>, body: &[u8]) {
        let path = head.target.split(['?', '#']).next().unwrap_or("");
        let Some(path) = clean_path(path) else {
            return self.answer(conn, head, 400, TEXT, b"malformed path\n");
        };
        match path.as_str() {
            "/health" | "/healthz" | "/startupz" => {
                self.answer(conn, head, 200, JSON, b"{\"ok\":true}\n");
            }
            "/readyz" => {
                let (status, body) = match self.unready() {
                    None => (200, "{\"ok\":true}\n".to_owned()),
                    Some(why) => (503, format!("{{\"ok\":false,\"reason\":\"{why}\"}}\n")),
                };
                self.answer(conn, head, status, JSON, body.as_bytes());
            }
            "/metrics" => self.on_metrics(conn, head),
            path if self.hook_path(path).is_some() => {
                let rest = self.hook_path(path).unwrap_or_default().to_owned();
                self.on_hook(conn, head, &rest, body);
            }
            path if self.is_webhook_path(path) => self.on_webhook(conn, head, path, body),
            _ if is_protected(&path) == Ok(true) => self.on_api(conn, head, &path, body),
            _ if self.is_short_of_memory() => {
                self.answer(conn, head, 503, TEXT, b"short of memory\n");
            }
            _ if !matches!(head.method, "GET" | "HEAD") => {
                self.answer(conn, head, 405, TEXT, b"Method Not Allowed\n");
            }
            _ if path.contains("/avatar/") => {
                self.answer(conn, head, 200, JSON, b"{\"avatarUrl\":null}\n");
            }
            _ => self.answer_page(conn, head, path),
        }
    }

    /// Why nobody should be sent here now.
    fn unready(&self) -> Option<String> {
        if self.stopping {
            return Some("shutting down".to_owned());
        }
        let memory = self.memory().filter(|_| self.is_short_of_memory())?;
        let (used, limit) = (memory.used_bytes, memory.limit_bytes);
        Some(format!("{SHORT}: {used} of {limit} bytes are used"))
    }

    /// The page: the configured one's files, read off the loop, or the one in the binary.
    fn answer_page(&mut self, conn: ConnId, head: &Head<'_>, path: String) {
        let page = &self.config().gateway.control_ui;
        if !page.enabled {
            return self.answer(conn, head, 404, TEXT, b"Not Found\n");
        }
        if let Some(root) = page.root.clone() {
            let only_head = head.method == "HEAD";
            let fetch = Fetch::StaticFile { root, path };
            return self.fetch(fetch, move |gateway, _, result| {
                let (status, media_type, bytes) = match result {
                    FetchResult::File { media_type, bytes } => (200, media_type, bytes),
                    FetchResult::Missing => (404, TEXT, b"Not Found\n".to_vec()),
                    _ => (500, TEXT, b"the page could not be read\n".to_vec()),
                };
                gateway.answer_bytes(conn, only_head, status, media_type, &bytes);
            });
        }
        if matches!(path.as_str(), "/" | "/index.html") {
            let scheme = match self.config().gateway.tls.enabled {
                true => "wss",
                false => "ws",
            };
            let page = ui::landing_page(&self.identity.version, scheme, self.identity.port);
            return self.answer(conn, head, 200, "text/html; charset=utf-8", page.as_bytes());
        }
        match ui::asset(&path) {
            Some((media_type, bytes)) => self.answer(conn, head, 200, media_type, bytes),
            None => self.answer(conn, head, 404, TEXT, b"Not Found\n"),
        }
    }

    fn answer(&mut self, conn: ConnId, head: &Head<'_>, status: u16, kind: &str, body: &[u8]) {
        self.answer_bytes(conn, head.method == "HEAD", status, kind, body);
    }

    pub(super) fn answer_bytes(
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
        let mut fields = vec![("Content-Type", media_type)];
        fields.extend(SAFE_FIELDS);
        if media_type.starts_with("text/html") {
            fields.push(("Content-Security-Policy", PAGE_POLICY));
            fields.push(("X-Frame-Options", "DENY"));
        }
        let mut out = Vec::with_capacity(body.len() + 512);
        if only_head {
            write_head(&mut out, status, false, &fields, Some(body.len()));
        } else {
            write_response(&mut out, status, false, &fields, body);
        }
        peer.outbox.bytes(&mut self.turn, &out);
        self.mark_dirty(conn);
        self.effects.push_back(Effect::Finish { conn });
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
