//! `POST /v1/responses`, whole or as events.
//!
//! <https://platform.openai.com/docs/api-reference/responses>

use super::Fault;
use super::ask::Conversation;
use super::run::{Asked, Form, HttpRun};
use crate::agent::Usage;
use crate::gateway::Gateway;
use crate::ids::ConnId;
use crate::wire::http::Head;
use crate::wire::json::Writer;
use serde_json::Value;

/// How far a response is.
pub(super) enum End<'a> {
    InProgress,
    Completed { text: &'a str, usage: Usage },
    Failed(&'a Fault),
}

impl Gateway {
    pub(super) fn respond_to(
        &mut self,
        conn: ConnId,
        head: &Head<'_>,
        body: &Value,
    ) -> Result<(), Fault> {
        if body["previous_response_id"].is_string() {
            return Err(Fault::invalid(
                "previous_response_id is not known here: name a conversation by `user`",
            ));
        }
        let mut conversation = Conversation::default();
        conversation.instruct(body["instructions"].as_str().unwrap_or(""));
        match &body["input"] {
            text @ Value::String(_) => conversation.add("user", text)?,
            Value::Array(items) => {
                for item in items {
                    match item["type"].as_str().unwrap_or("message") {
                        "message" => {
                            conversation
                                .add(item["role"].as_str().unwrap_or(""), &item["content"])?;
                        }
                        "function_call_output" => conversation.add("tool", &item["output"])?,
                        // What a model thought or called is part of an answer that is there too.
                        "reasoning" | "function_call" => {}
                        other => {
                            return Err(Fault::invalid(format!(
                                "an item of the kind {other:?} is not read here"
                            )));
                        }
                    }
                }
            }
            _ => return Err(Fault::invalid("input must be a text or a list")),
        }
        let place = self.api_place(head, "openresponses", body)?;
        let knows = self.session_speaks(&place.session_key);
        let asked = Asked {
            message: conversation.message(knows)?,
            images: conversation.images(knows),
            extra_prompt: conversation.extra_prompt(),
            place,
            form: Form::Response,
            streams: body["stream"] == true,
        };
        self.run_for_http(conn, asked);
        Ok(())
    }
}

/// The events before the first piece of text.
pub(super) fn write_start(out: &mut Vec<u8>, run: &mut HttpRun) {
    for kind in ["response.created", "response.in_progress"] {
        write_event(out, run, kind, |w, run| {
            w.key("response");
            write_resource(w, run, &End::InProgress);
        });
    }
    write_event(out, run, "response.output_item.added", |w, run| {
        w.field_u64("output_index", 0);
        w.key("item");
        write_item(w, run, None);
    });
    write_event(out, run, "response.content_part.added", |w, run| {
        write_place(w, run);
        w.key("part");
        write_part(w, "");
    });
}

/// One piece of text.
pub(super) fn write_delta(out: &mut Vec<u8>, run: &mut HttpRun, delta: &str) {
    write_event(out, run, "response.output_text.delta", |w, run| {
        write_place(w, run);
        w.field_str("delta", delta);
        w.field_strs("logprobs", []);
    });
}

/// The last events.
pub(super) fn write_end(out: &mut Vec<u8>, run: &mut HttpRun, usage: Usage) {
    write_event(out, run, "response.output_text.done", |w, run| {
        write_place(w, run);
        w.field_str("text", &run.said);
        w.field_strs("logprobs", []);
    });
    write_event(out, run, "response.content_part.done", |w, run| {
        write_place(w, run);
        w.key("part");
        write_part(w, &run.said);
    });
    write_event(out, run, "response.output_item.done", |w, run| {
        w.field_u64("output_index", 0);
        w.key("item");
        write_item(w, run, Some(&run.said));
    });
    write_event(out, run, "response.completed", |w, run| {
        w.key("response");
        let text = &run.said;
        write_resource(w, run, &End::Completed { text, usage });
    });
}

/// The run failed after its first event.
pub(super) fn write_fault(out: &mut Vec<u8>, run: &mut HttpRun, fault: &Fault) {
    write_event(out, run, "response.failed", |w, run| {
        w.key("response");
        write_resource(w, run, &End::Failed(fault));
    });
}

/// The response as an object.
pub(super) fn write_resource(w: &mut Writer<'_>, run: &HttpRun, end: &End<'_>) {
    let status = match end {
        End::InProgress => "in_progress",
        End::Completed { .. } => "completed",
        End::Failed(_) => "failed",
    };
    w.object(|w| {
        w.field_str("id", &run.run_id);
        w.field_str("object", "response");
        w.field_u64("created_at", run.created_s);
        w.field_str("status", status);
        w.field_str("model", &run.model);
        w.key("error");
        match end {
            End::Failed(fault) => w.object(|w| {
                w.field_str("code", "server_error");
                w.field_str("message", &fault.message);
            }),
            _ => w.null(),
        }
        w.key("incomplete_details");
        w.null();
        w.key("output");
        w.array(|w| {
            if let End::Completed { text, .. } = end {
                write_item(w, run, Some(text));
            }
        });
        w.field_bool("parallel_tool_calls", false);
        w.field_str("tool_choice", "auto");
        w.field_strs("tools", []);
        w.key("usage");
        match end {
            End::Completed { usage, .. } => write_usage(w, *usage),
            _ => w.null(),
        }
    });
}

/// The one message of an answer; without text while it is being written.
fn write_item(w: &mut Writer<'_>, run: &HttpRun, text: Option<&str>) {
    w.object(|w| {
        w.field_str("type", "message");
        w.field_str("id", &item_id(run));
        w.field_str("role", "assistant");
        let is_whole = text.is_some();
        w.field_str("status", if is_whole { "completed" } else { "in_progress" });
        w.key("content");
        w.array(|w| {
            if let Some(text) = text {
                write_part(w, text);
            }
        });
    });
}

fn write_part(w: &mut Writer<'_>, text: &str) {
    w.object(|w| {
        w.field_str("type", "output_text");
        w.field_str("text", text);
        w.field_strs("annotations", []);
    });
}

fn write_place(w: &mut Writer<'_>, run: &HttpRun) {
    w.field_str("item_id", &item_id(run));
    w.field_u64("output_index", 0);
    w.field_u64("content_index", 0);
}

fn write_usage(w: &mut Writer<'_>, usage: Usage) {
    w.object(|w| {
        let input = usage.input + usage.cache_read + usage.cache_write;
        w.field_u64("input_tokens", input);
        w.key("input_tokens_details");
        w.object(|w| w.field_u64("cached_tokens", usage.cache_read));
        w.field_u64("output_tokens", usage.output);
        w.key("output_tokens_details");
        w.object(|w| w.field_u64("reasoning_tokens", 0));
        w.field_u64("total_tokens", usage.total());
    });
}

fn item_id(run: &HttpRun) -> String {
    run.run_id.replacen("resp_", "msg_", 1)
}

/// One event with its name and number.
fn write_event(
    out: &mut Vec<u8>,
    run: &mut HttpRun,
    kind: &str,
    more: impl FnOnce(&mut Writer<'_>, &HttpRun),
) {
    out.extend_from_slice(format!("event: {kind}\ndata: ").as_bytes());
    Writer::new(out).object(|w| {
        w.field_str("type", kind);
        w.field_u64("sequence_number", run.events);
        more(w, run);
    });
    out.extend_from_slice(b"\n\n");
    run.events += 1;
}
