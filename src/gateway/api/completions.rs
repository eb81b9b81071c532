//! `POST /v1/chat/completions`, whole or as events.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

use super::Fault;
use super::ask::Conversation;
use super::run::{Asked, Form, HttpRun};
use crate::agent::Usage;
use crate::gateway::Gateway;
use crate::ids::ConnId;
use crate::wire::http::Head;
use crate::wire::json::Writer;
use serde_json::Value;

impl Gateway {
    pub(super) fn complete(
        &mut self,
        conn: ConnId,
        head: &Head<'_>,
        body: &Value,
    ) -> Result<(), Fault> {
        let Some(messages) = body["messages"].as_array() else {
            return Err(Fault::invalid("messages must be a list"));
        };
        let mut conversation = Conversation::default();
        for message in messages {
            conversation.add(message["role"].as_str().unwrap_or(""), &message["content"])?;
        }
        let place = self.api_place(head, "openai", body)?;
        let knows = self.session_speaks(&place.session_key);
        let asked = Asked {
            message: conversation.message(knows)?,
            images: conversation.images(knows),
            extra_prompt: conversation.extra_prompt(),
            place,
            form: Form::Completion {
                wants_usage: body["stream_options"]["include_usage"] == true,
            },
            streams: body["stream"] == true,
        };
        self.run_for_http(conn, asked);
        Ok(())
    }
}

/// The answer as a whole.
pub(super) fn write_whole(w: &mut Writer<'_>, run: &HttpRun, text: &str, usage: Usage) {
    w.object(|w| {
        write_head(w, run, "chat.completion");
        w.key("choices");
        w.array(|w| {
            w.object(|w| {
                w.field_u64("index", 0);
                w.key("message");
                w.object(|w| {
                    w.field_str("role", "assistant");
                    w.field_str("content", text);
                });
                w.field_str("finish_reason", "stop");
            });
        });
        w.key("usage");
        write_usage(w, usage);
    });
}

/// The first event: who speaks.
pub(super) fn write_start(out: &mut Vec<u8>, run: &HttpRun) {
    write_chunk(out, run, None, |w| {
        w.field_str("role", "assistant");
        w.field_str("content", "");
    });
}

/// One piece of text.
pub(super) fn write_delta(out: &mut Vec<u8>, run: &HttpRun, delta: &str) {
    write_chunk(out, run, None, |w| w.field_str("content", delta));
}

/// The last events.
pub(super) fn write_end(out: &mut Vec<u8>, run: &HttpRun, usage: Option<Usage>) {
    write_chunk(out, run, Some("stop"), |_| {});
    if let Some(usage) = usage {
        write_event(out, |w| {
            w.object(|w| {
                write_head(w, run, "chat.completion.chunk");
                w.key("choices");
                w.array(|_| {});
                w.key("usage");
                write_usage(w, usage);
            });
        });
    }
    out.extend_from_slice(b"data: [DONE]\n\n");
}

/// The run failed after its first event.
pub(super) fn write_fault(out: &mut Vec<u8>, fault: &Fault) {
    write_event(out, |w| {
        w.object(|w| {
            w.key("error");
            fault.write(w);
        });
    });
}

fn write_chunk(
    out: &mut Vec<u8>,
    run: &HttpRun,
    finish_reason: Option<&str>,
    delta: impl FnOnce(&mut Writer<'_>),
) {
    write_event(out, |w| {
        w.object(|w| {
            write_head(w, run, "chat.completion.chunk");
            w.key("choices");
            w.array(|w| {
                w.object(|w| {
                    w.field_u64("index", 0);
                    w.key("delta");
                    w.object(delta);
                    w.key("finish_reason");
                    match finish_reason {
                        Some(reason) => w.str(reason),
                        None => w.null(),
                    }
                });
            });
        });
    });
}

fn write_head(w: &mut Writer<'_>, run: &HttpRun, object: &str) {
    w.field_str("id", &run.run_id);
    w.field_str("object", object);
    w.field_u64("created", run.created_s);
    w.field_str("model", &run.model);
}

fn write_usage(w: &mut Writer<'_>, usage: Usage) {
    let input = usage.input + usage.cache_read + usage.cache_write;
    w.object(|w| {
        w.field_u64("prompt_tokens", input);
        w.field_u64("completion_tokens", usage.output);
        w.field_u64("total_tokens", usage.total());
    });
}

/// One event of the kind that has no name.
fn write_event(out: &mut Vec<u8>, data: impl FnOnce(&mut Writer<'_>)) {
    out.extend_from_slice(b"data: ");
    data(&mut Writer::new(out));
    out.extend_from_slice(b"\n\n");
}
