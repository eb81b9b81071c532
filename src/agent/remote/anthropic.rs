//! Anthropic's messages.

use super::turn::Turn;
use super::{Protocol, content, excerpt, failed};
use crate::agent::{
    Api, ChatMessage, Endpoint, FailureKind, Image, Speaker, Step, StepError, StepSink, StopReason,
    Thinking,
};
use serde_json::{Value, json};

/// Tokens of an answer where the configuration names none; the protocol insists on a number.
const MAX_TOKENS: u64 = 8_192;

/// The protocol.
pub struct Anthropic;

impl Protocol for Anthropic {
    const API: Api = Api::AnthropicMessages;
    const PATH: &'static str = "/v1/messages";

    fn headers(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
        let mut headers = vec![("anthropic-version", "2023-06-01".to_owned())];
        headers.extend(endpoint.key.iter().map(|key| match endpoint.is_bearer {
            true => ("authorization", format!("Bearer {}", key.expose())),
            false => ("x-api-key", key.expose().to_owned()),
        }));
        headers
    }

    fn body(step: &Step, endpoint: &Endpoint) -> Value {
        let max_tokens = endpoint.max_tokens.unwrap_or(MAX_TOKENS);
        let mut body = json!({
            "model": step.model.model(),
            "max_tokens": max_tokens,
            "messages": messages(&step.messages),
            "stream": true,
        });
        if !step.system_prompt.is_empty() {
            body["system"] = (&*step.system_prompt).into();
        }
        if !step.tools.is_empty() {
            let tools = step.tools.iter().map(|tool| {
                let schema: Value = serde_json::from_str(&tool.schema).unwrap_or_default();
                json!({"name": tool.name, "description": tool.description, "input_schema": schema})
            });
            body["tools"] = tools.collect();
        }
        if let Some(budget) = thinking_budget(step, endpoint).filter(|it| *it < max_tokens) {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": budget});
        }
        body
    }

    fn event(turn: &mut Turn, data: &Value, out: &mut dyn StepSink) -> Result<(), StepError> {
        let place = data["index"].as_u64().unwrap_or(0);
        match data["type"].as_str().unwrap_or_default() {
            "message_start" => {
                let usage = &data["message"]["usage"];
                turn.usage.input = number(&usage["input_tokens"]);
                turn.usage.cache_read = number(&usage["cache_read_input_tokens"]);
                turn.usage.cache_write = number(&usage["cache_creation_input_tokens"]);
            }
            "content_block_start" if data["content_block"]["type"] == "tool_use" => {
                let block = &data["content_block"];
                turn.call(place, text(&block["id"]), text(&block["name"]), "")?;
            }
            "content_block_start" => out.delta(text(&data["content_block"]["text"]))?,
            "content_block_delta" => match data["delta"]["type"].as_str() {
                Some("text_delta") => out.delta(text(&data["delta"]["text"]))?,
                Some("input_json_delta") => {
                    turn.call(place, "", "", text(&data["delta"]["partial_json"]))?;
                }
                _ => {}
            },
            "message_delta" => {
                if let Some(output) = data["usage"]["output_tokens"].as_u64() {
                    turn.usage.output = output;
                }
                if let Some(reason) = data["delta"]["stop_reason"].as_str() {
                    turn.stop_reason = Some(match reason {
                        "max_tokens" => StopReason::Length,
                        _ => StopReason::Stop,
                    });
                }
            }
            "message_stop" => turn.is_ended = true,
            "error" => {
                let said = excerpt(text(&data["error"]["message"]));
                let kind = match text(&data["error"]["type"]) {
                    "rate_limit_error" => FailureKind::RateLimited,
                    _ => FailureKind::Network,
                };
                return Err(failed(kind, format!("it failed: {said}")));
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A model that called a tool while it thought wants its thoughts back with the results; they are
/// not kept, so it thinks only before its first call.
fn thinking_budget(step: &Step, endpoint: &Endpoint) -> Option<u64> {
    let has_tools = |it: &ChatMessage| matches!(it.speaker, Speaker::Tool(_));
    if !endpoint.reasoning || step.messages.last().is_some_and(has_tools) {
        return None;
    }
    match step.thinking {
        Thinking::Off => None,
        Thinking::Minimal => Some(1_024),
        Thinking::Low => Some(2_048),
        Thinking::Medium => Some(8_192),
        Thinking::High => Some(16_384),
        Thinking::XHigh => Some(32_768),
    }
}

/// The conversation in turns of user and assistant: results of tools are blocks of a user's
/// message, and two messages of one side in a row are one.
fn messages(all: &[ChatMessage]) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in all {
        let (role, blocks) = blocks(message);
        match turns.last_mut() {
            Some((last, former)) if *last == role => former.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    // The protocol wants the user to speak first.
    let start = turns.iter().position(|(role, _)| *role == "user");
    turns
        .into_iter()
        .skip(start.unwrap_or(0))
        .map(|(role, blocks)| json!({"role": role, "content": blocks}))
        .collect()
}

fn picture(image: &Image) -> Value {
    json!({"type": "image", "source": {
        "type": "base64", "media_type": image.media_type, "data": &*image.data,
    }})
}

fn blocks(message: &ChatMessage) -> (&'static str, Vec<Value>) {
    let said = || json!({"type": "text", "text": &*message.text});
    match &message.speaker {
        Speaker::User | Speaker::System => {
            let text = (!message.text.is_empty() || message.images.is_empty()).then(said);
            let pictures = message.images.iter().map(picture);
            ("user", text.into_iter().chain(pictures).collect())
        }
        Speaker::Tool(answered) => {
            let result = json!({
                "type": "tool_result",
                "tool_use_id": &*answered.call_id,
                "content": content(message, picture),
                "is_error": answered.is_error,
            });
            ("user", vec![result])
        }
        Speaker::Assistant { calls } => {
            let text = (!message.text.is_empty()).then(said);
            let calls = calls.iter().map(|call| {
                let input: Value = serde_json::from_str(&call.arguments).unwrap_or(json!({}));
                json!({"type": "tool_use", "id": &*call.id, "name": &*call.name, "input": input})
            });
            ("assistant", text.into_iter().chain(calls).collect())
        }
    }
}
