//! Plain HTTP requests that act, each with its secret shown before its body was read: an
//! OpenAI-compatible server in front of the agents, and webhooks.
//!
//! ```text
//! head ──> entry: secret, longest body ──> body ──> here: method, endpoint, JSON
//!                                                     │ a run like any other
//!                              SSE or JSON  <── delta, end     client gone ──> the run is stopped
//! ```

mod ask;
mod completions;
mod hooks;
mod invoke;
mod mapping;
mod responses;
mod run;

pub(super) use hooks::Hooks;
pub(super) use invoke::Invokes;
pub(super) use run::HttpRuns;

use super::memory::SHORT;
use super::{Effect, Gateway};
use crate::ids::ConnId;
use crate::limits::{HTTP_BODY_BYTES_MAX, JSON_PADDING_BYTES};
use crate::wire::envelope::Parser;
use crate::wire::http::Head;
use crate::wire::json::Writer;
use crate::wire::respond::write_response;
use serde_json::Value;

const TOOLS_INVOKE: &str = "/tools/invoke";

/// Why a request is answered with an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    status: u16,
    /// OpenAI's word for the kind of error.
    kind: &'static str,
    message: String,
}

impl Fault {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            message: message.into(),
        }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: 404,
            ..Self::invalid(message)
        }
    }

    fn failed(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "api_error",
            message: message.into(),
        }
    }

    /// `{message, type, …}`, as OpenAI's clients read it.
    fn write(&self, w: &mut Writer<'_>) {
        w.object(|w| {
            w.field_str("message", &self.message);
            w.field_str("type", self.kind);
            w.key("param");
            w.null();
            w.key("code");
            w.null();
        });
    }
}

impl Gateway {
    /// The longest body that an endpoint takes.
    pub(super) fn api_body_max(&self, path: &str) -> usize {
        let endpoints = &self.config().gateway.http.endpoints;
        let configured = match path {
            "/v1/chat/completions" => endpoints.chat_completions.max_body_bytes,
            "/v1/responses" => endpoints.responses.max_body_bytes,
            "/metrics" => Some(0),
            _ => None,
        };
        configured.unwrap_or(HTTP_BODY_BYTES_MAX)
    }

    /// A request for a path that needs the gateway's secret, which was shown.
    pub(super) fn on_api(&mut self, conn: ConnId, head: &Head<'_>, path: &str, body: &[u8]) {
        let taken = match self.is_short_of_memory() {
            true => Err(Fault::failed(503, SHORT)),
            false => self.take_api_request(conn, head, path, body),
        };
        match taken {
            Ok(()) => {}
            Err(fault) if path == TOOLS_INVOKE => self.answer_invoke_fault(conn, &fault),
            Err(fault) => self.answer_fault(conn, &fault),
        }
    }

    fn take_api_request(
        &mut self,
        conn: ConnId,
        head: &Head<'_>,
        path: &str,
        body: &[u8],
    ) -> Result<(), Fault> {
        let endpoints = &self.config().gateway.http.endpoints;
        let (completions, responses) = (
            endpoints.chat_completions.enabled,
            endpoints.responses.enabled,
        );
        let (method, setting) = match path {
            "/v1/chat/completions" if completions => ("POST", ""),
            "/v1/chat/completions" => ("POST", "chatCompletions"),
            "/v1/responses" if responses => ("POST", ""),
            "/v1/responses" => ("POST", "responses"),
            "/v1/models" if completions || responses => ("GET", ""),
            TOOLS_INVOKE => ("POST", ""),
            _ => return Err(Fault::not_found("there is nothing at this path")),
        };
        if !setting.is_empty() {
            return Err(Fault::not_found(format!(
                "this endpoint is off (clawdia config set gateway.http.endpoints.{setting}.enabled \
                 true)"
            )));
        }
        if head.method != method {
            return Err(Fault {
                status: 405,
                ..Fault::invalid(format!("use {method}"))
            });
        }
        match path {
            "/v1/chat/completions" => self.complete(conn, head, &parse(body)?),
            "/v1/responses" => self.respond_to(conn, head, &parse(body)?),
            TOOLS_INVOKE => self.invoke_tool(conn, &parse(body)?),
            _ => {
                self.list_api_models(conn);
                Ok(())
            }
        }
    }

    /// `GET /v1/models`: every agent is one.
    fn list_api_models(&mut self, conn: ConnId) {
        let created_s = self.identity.started_unix_ms / 1_000;
        let mut out = Vec::new();
        Writer::new(&mut out).object(|w| {
            w.field_str("object", "list");
            w.key("data");
            w.array(|w| {
                for agent in self.config().agents.ids() {
                    w.object(|w| {
                        w.field_str("id", &format!("clawdia:{agent}"));
                        w.field_str("object", "model");
                        w.field_u64("created", created_s);
                        w.field_str("owned_by", "clawdia");
                    });
                }
            });
        });
        self.answer_json(conn, 200, &out);
    }

    fn answer_fault(&mut self, conn: ConnId, fault: &Fault) {
        let mut out = Vec::new();
        Writer::new(&mut out).object(|w| {
            w.key("error");
            fault.write(w);
        });
        self.answer_json(conn, fault.status, &out);
    }

    /// Answers with JSON and ends the connection.
    fn answer_json(&mut self, conn: ConnId, status: u16, json: &[u8]) {
        let fields = [
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ];
        let mut out = Vec::with_capacity(json.len() + 256);
        write_response(&mut out, status, false, &fields, json);
        self.write_plain(conn, &out);
        self.effects.push_back(Effect::Finish { conn });
    }

    /// Queues bytes for a peer that speaks plain HTTP.
    fn write_plain(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(peer) = self.peers.get_mut(conn) {
            peer.outbox.bytes(&mut self.turn, bytes);
            self.mark_dirty(conn);
            self.watch_outbox(conn);
        }
    }
}

/// A body as a JSON object, by the rules that hold for messages: depth, no member twice.
fn parse(body: &[u8]) -> Result<Value, Fault> {
    let mut padded = body.to_vec();
    padded.resize(body.len() + JSON_PADDING_BYTES, 0);
    let mut parser = Parser::default();
    let document = parser
        .parse(&mut padded, body.len())
        .map_err(|fault| Fault::invalid(fault.text()))?;
    match document.root() {
        Some(root) if root.is_object() => Ok(root.to_value()),
        _ => Err(Fault::invalid("the body is no JSON object")),
    }
}
