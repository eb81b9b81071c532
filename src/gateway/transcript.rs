//! Rows of transcripts: written as `chat.history` shows them, and read again for previews.
//!
//! Every row is an object with a `role` and an array of content objects: clients draw them
//! without looking twice.

use super::Gateway;
use super::tools::ToolResult;
use crate::agent::{Image, ModelRef, StopReason, ToolCall, Usage};
use crate::config::types::{ModelConfig, ModelCost};
use crate::state::{Message, Page, UnixMs};
use crate::wire::json::Writer;
use serde_json::Value;
use std::borrow::Cow;

/// Stands in a row from which text was left out.
const LEFT_OUT: &str = "\n\n[… the rest of this message is too long to show]";

/// A user's message.
pub(super) fn user_message(text: &str, images: &[Image], ts: UnixMs) -> Message {
    message("user", ts, |w| {
        w.key("content");
        w.array(|w| {
            write_text(w, text);
            images.iter().for_each(|image| write_image(w, image));
        });
        w.field_u64("timestamp", ts);
    })
}

/// What an operator put into a transcript in the agent's name.
pub(super) fn injected_message(text: &str, ts: UnixMs) -> Message {
    message("assistant", ts, |w| {
        write_content(w, text);
        w.field_u64("timestamp", ts);
        w.field_str("stopReason", "injected");
        w.key("usage");
        w.object(|w| {
            for name in ["input", "output", "totalTokens"] {
                w.field_u64(name, 0);
            }
        });
    })
}

/// What a summary begins with.
const SUMMARY: &str = "[What was said before, in short]";

/// What stands in the place of messages that became too many.
pub(super) fn summary_message(text: &str, ts: UnixMs) -> Message {
    message("system", ts, |w| {
        write_content(w, &format!("{SUMMARY}\n{text}"));
        w.field_u64("timestamp", ts);
    })
}

/// The number of the summary that a transcript begins with, where the page reaches it.
pub(super) fn summary_before_all(page: &Page) -> Option<u64> {
    let first = page.messages.first().filter(|_| !page.has_older)?;
    is_summary(&first.message).then_some(first.seq)
}

/// Whether a message is such a summary.
pub(super) fn is_summary(message: &Message) -> bool {
    &*message.role == "system" && message.body.contains(SUMMARY)
}

/// What a tool had to say.
pub(super) fn result_message(call: &ToolCall, result: &ToolResult, ts: UnixMs) -> Message {
    message("toolResult", ts, |w| {
        w.field_str("toolCallId", &call.id);
        w.field_str("toolName", &call.name);
        write_result(w, result);
        w.field_bool("isError", result.is_error);
        w.field_u64("timestamp", ts);
    })
}

/// Writes the content of a tool's result, and the same for programs.
pub(super) fn write_result(w: &mut Writer<'_>, result: &ToolResult) {
    w.key("content");
    w.array(|w| {
        write_text(w, &result.text);
        if let Some(image) = &result.image {
            w.object(|w| {
                w.field_str("type", "image");
                w.field_str("data", &image.data);
                w.field_str("mimeType", image.media_type);
            });
        }
    });
    if let Some(details) = &result.details {
        w.key("details");
        w.raw(details.as_bytes());
    }
}

impl Gateway {
    /// An agent's answer.
    pub(super) fn assistant_message(
        &self,
        text: &str,
        model: &ModelRef,
        usage: Usage,
        stop_reason: StopReason,
        ts: UnixMs,
    ) -> Message {
        message("assistant", ts, |w| {
            write_content(w, text);
            self.write_origin(w, model, usage);
            w.field_str("stopReason", stop_reason.as_str());
            w.field_u64("timestamp", ts);
        })
    }

    /// An agent's message that asks for tools, before its answer.
    pub(super) fn calls_message<'a>(
        &self,
        text: &str,
        calls: impl Iterator<Item = (&'a ToolCall, &'a Value)>,
        model: &ModelRef,
        usage: Usage,
        ts: UnixMs,
    ) -> Message {
        message("assistant", ts, |w| {
            w.key("content");
            w.array(|w| {
                if !text.is_empty() {
                    write_text(w, text);
                }
                for (call, arguments) in calls {
                    w.object(|w| {
                        w.field_str("type", "toolCall");
                        w.field_str("id", &call.id);
                        w.field_str("name", &call.name);
                        w.key("arguments");
                        w.value(arguments);
                    });
                }
            });
            self.write_origin(w, model, usage);
            w.field_str("stopReason", StopReason::ToolUse.as_str());
            w.field_u64("timestamp", ts);
        })
    }

    /// What stands in the place of an answer that failed.
    pub(super) fn failed_message(&self, error: &str, model: &ModelRef, ts: UnixMs) -> Message {
        message("assistant", ts, |w| {
            w.key("content");
            w.array(|_| {});
            self.write_origin(w, model, Usage::default());
            w.field_str("stopReason", "error");
            w.field_str("errorMessage", error);
            w.field_u64("timestamp", ts);
        })
    }

    /// The configuration's entry of a model; the built-in one has none.
    pub(super) fn model_config(&self, model: &ModelRef) -> Option<&ModelConfig> {
        let provider = self.config().models.providers.get(model.provider())?;
        provider
            .models
            .iter()
            .find(|entry| entry.id == model.model())
    }

    fn write_origin(&self, w: &mut Writer<'_>, model: &ModelRef, usage: Usage) {
        let entry = self.model_config(model);
        let provider = self.config().models.providers.get(model.provider());
        let api = entry
            .and_then(|entry| entry.api.as_deref())
            .or(provider.and_then(|provider| provider.api.as_deref()));
        w.field_str("api", api.unwrap_or(model.provider()));
        w.field_str("provider", model.provider());
        w.field_str("model", model.model());
        w.key("usage");
        let cost = entry.map(|entry| entry.cost).unwrap_or_default();
        write_usage(w, usage, cost);
    }
}

/// The text of a stored row as one string; None where it has none.
pub(super) fn text_of(body: &str) -> Option<String> {
    let row: Value = serde_json::from_str(body).ok()?;
    let text = match row.get("content")? {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts = items.iter().filter(|item| item["type"] == "text");
            let texts: Vec<&str> = texts.filter_map(|item| item["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The row in at most `bytes_max` bytes: where it is longer, its texts are cut.
///
/// None for what is no row at all, or still too long without its texts.
pub(super) fn fit(body: &str, bytes_max: usize) -> Option<Cow<'_, str>> {
    if !body.starts_with('{') {
        return None;
    }
    if body.len() <= bytes_max {
        return Some(Cow::Borrowed(body));
    }
    // Escapes make the JSON longer than the text, so half as much is tried until it fits.
    let mut text_bytes_max = bytes_max;
    while text_bytes_max > 0 {
        let mut row: Value = serde_json::from_str(body).ok()?;
        cut_texts(&mut row, text_bytes_max);
        let text = row.to_string();
        if text.len() <= bytes_max {
            return Some(Cow::Owned(text));
        }
        text_bytes_max /= 2;
    }
    None
}

/// At most `chars_max` characters, the last of them `…` where there were more.
pub(super) fn cut_chars(text: &str, chars_max: usize) -> Cow<'_, str> {
    let mut ends = text.char_indices().map(|(at, _)| at);
    let Some(last) = ends.nth(chars_max.saturating_sub(1)) else {
        return Cow::Borrowed(text);
    };
    match ends.next() {
        Some(_) => Cow::Owned(format!("{}…", text[..last].trim_end())),
        None => Cow::Borrowed(text),
    }
}

fn message(role: &str, ts: UnixMs, members: impl FnOnce(&mut Writer<'_>)) -> Message {
    let mut body = Vec::new();
    Writer::new(&mut body).object(|w| {
        w.field_str("role", role);
        members(w);
    });
    Message {
        ts,
        role: role.into(),
        body: String::from_utf8_lossy(&body).into(),
    }
}

fn write_content(w: &mut Writer<'_>, text: &str) {
    w.key("content");
    w.array(|w| write_text(w, text));
}

fn write_text(w: &mut Writer<'_>, text: &str) {
    w.object(|w| {
        w.field_str("type", "text");
        w.field_str("text", text);
    });
}

/// As the ecosystem's page draws it.
fn write_image(w: &mut Writer<'_>, image: &Image) {
    w.object(|w| {
        w.field_str("type", "image");
        w.key("source");
        w.object(|w| {
            w.field_str("type", "base64");
            w.field_str("media_type", image.media_type);
            w.field_str("data", &image.data);
        });
    });
}

/// The pictures of a row, in both the ways in which rows have them.
pub(super) fn images_of(row: &Value) -> Vec<Image> {
    let items = row["content"].as_array().into_iter().flatten();
    let image = |item: &Value| {
        let source = &item["source"];
        let (kind, data) = match source["data"].as_str() {
            Some(data) => (&source["media_type"], data),
            None => (&item["mimeType"], item["data"].as_str()?),
        };
        let media_type = Image::TYPES.into_iter().find(|it| kind == it)?;
        let data = data.into();
        Some(Image { media_type, data })
    };
    items
        .filter(|item| item["type"] == "image")
        .filter_map(image)
        .collect()
}

fn write_usage(w: &mut Writer<'_>, usage: Usage, cost: ModelCost) {
    const PER: f64 = 1_000_000.0;
    let parts = [
        ("input", usage.input, cost.input),
        ("output", usage.output, cost.output),
        ("cacheRead", usage.cache_read, cost.cache_read),
        ("cacheWrite", usage.cache_write, cost.cache_write),
    ];
    w.object(|w| {
        for (name, tokens, _) in parts {
            w.field_u64(name, tokens);
        }
        w.field_u64("totalTokens", usage.total());
        w.key("cost");
        w.object(|w| {
            let mut total = 0.0;
            for (name, tokens, dollars) in parts {
                let part = tokens as f64 * dollars / PER;
                total += part;
                w.key(name);
                w.f64(part);
            }
            w.key("total");
            w.f64(total);
        });
    });
}

fn cut_texts(value: &mut Value, bytes_max: usize) {
    match value {
        Value::String(text) if text.len() > bytes_max => {
            let mut end = bytes_max;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str(LEFT_OUT);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_texts(item, bytes_max)),
        Value::Object(members) => {
            members
                .iter_mut()
                .for_each(|(_, member)| cut_texts(member, bytes_max));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(message: &Message) -> Value {
        serde_json::from_str(&message.body).unwrap()
    }

    #[test]
    fn a_users_row_is_as_history_shows_it() {
        let message = user_message("hi \"there\"\n", &[], 7);
        assert_eq!(&*message.role, "user");
        let content = serde_json::json!([{"type": "text", "text": "hi \"there\"\n"}]);
        let expected = serde_json::json!({"role": "user", "content": content, "timestamp": 7});
        assert_eq!(json(&message), expected);
        assert_eq!(text_of(&message.body).as_deref(), Some("hi \"there\""));
    }

    #[test]
    fn an_injected_row_says_so() {
        let row = json(&injected_message("x", 7));
        assert_eq!(row["stopReason"], "injected");
        assert_eq!(row["usage"]["totalTokens"], 0);
    }

    #[test]
    fn usage_is_priced_by_the_million() {
        let usage = Usage {
            input: 1_000_000,
            output: 500_000,
            ..Usage::default()
        };
        let cost = ModelCost {
            input: 2.0,
            output: 1.0,
            ..ModelCost::default()
        };
        let mut out = Vec::new();
        write_usage(&mut Writer::new(&mut out), usage, cost);
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["totalTokens"], 1_500_000);
        assert_eq!(value["cost"]["total"], 2.5);
        assert_eq!(value["cost"]["cacheRead"], 0);
    }

    #[test]
    fn only_texts_are_read_from_a_row() {
        let tool = r#"{"role":"assistant","content":[{"type":"toolCall","name":"x"}]}"#;
        assert_eq!(text_of(tool), None);
        for bad in [
            "null",
            "[]",
            "{}",
            r#"{"content":null}"#,
            r#"{"content":[null]}"#,
            "{",
        ] {
            assert_eq!(text_of(bad), None, "{bad}");
        }
        assert_eq!(
            text_of(r#"{"content":" plain "}"#).as_deref(),
            Some("plain")
        );
    }

    #[test]
    fn a_row_that_is_too_long_is_cut_and_stays_a_row() {
        let long = user_message(&"\u{1}é".repeat(50_000), &[], 7);
        let cut = fit(&long.body, 10_000).unwrap();
        assert!(cut.len() <= 10_000);
        let row: Value = serde_json::from_str(&cut).unwrap();
        assert_eq!(row["role"], "user");
        assert!(
            row["content"][0]["text"]
                .as_str()
                .unwrap()
                .ends_with(LEFT_OUT)
        );
        let short = user_message("x", &[], 7);
        assert!(matches!(fit(&short.body, 10_000), Some(Cow::Borrowed(_))));
        assert_eq!(fit("null", 10_000), None);
    }

    #[test]
    fn a_cut_counts_characters() {
        assert_eq!(cut_chars("äöü", 3), "äöü");
        assert_eq!(cut_chars("äöüß", 3), "äö…");
        assert_eq!(cut_chars("", 3), "");
    }
}
