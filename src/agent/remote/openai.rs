//! OpenAI's chat completions, as OpenAI, Ollama, llama.cpp, vLLM, LM Studio and others serve them.

use super::turn::Turn;
use super::{Protocol, content, excerpt, failed};
use crate::agent::{
    Api, ChatMessage, Endpoint, FailureKind, Image, Speaker, Step, StepError, StepSink, StopReason,
    Thinking, Usage,
};
use serde_json::{Value, json};

/// The protocol.
pub struct OpenAi;

impl Protocol for OpenAi {
    const API: Api = Api::OpenAiCompletions;
    const PATH: &'static str = "/chat/completions";

    fn headers(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
        let key = endpoint.key.iter();
        key.map(|key| ("authorization", format!("Bearer {}", key.expose())))
            .collect()
    }

    fn body(step: &Step, endpoint: &Endpoint) -> Value {
        let system = (!step.system_prompt.is_empty())
            .then(|| json!({"role": "system", "content": &*step.system_prompt}));
        let messages: Vec<Value> = system
            .into_iter()
            .chain(with_pictures(&step.messages))
            .collect();
        let mut body = json!({
            "model": step.model.model(),
            "messages": messages,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if !step.tools.is_empty() {
            let tools = step.tools.iter().map(|tool| {
                let schema: Value = serde_json::from_str(&tool.schema).unwrap_or_default();
                json!({"type": "function", "function": {
                    "name": tool.name, "description": tool.description, "parameters": schema,
                }})
            });
            body["tools"] = tools.collect();
        }
        if let Some(max_tokens) = endpoint.max_tokens {
            body["max_tokens"] = max_tokens.into();
        }
        if endpoint.reasoning && step.thinking != Thinking::Off {
            let effort = match step.thinking {
                Thinking::Off | Thinking::Minimal | Thinking::Low => "low",
                Thinking::Medium => "medium",
                Thinking::High | Thinking::XHigh => "high",
            };
            body["reasoning_effort"] = effort.into();
        }
        body
    }

    fn event(turn: &mut Turn, data: &Value, out: &mut dyn StepSink) -> Result<(), StepError> {
        if let Some(error) = data.get("error").filter(|error| !error.is_null()) {
            let said = error["message"].as_str().map(str::to_owned);
            let said = excerpt(&said.unwrap_or_else(|| error.to_string()));
            return Err(failed(FailureKind::Network, format!("it failed: {said}")));
        }
        if let Some(usage) = data.get("usage").filter(|usage| usage.is_object()) {
            turn.usage = read_usage(usage);
        }
        let choice = &data["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str() {
            out.delta(text)?;
        }
        let calls = choice["delta"]["tool_calls"].as_array();
        for (at, call) in calls.into_iter().flatten().enumerate() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            turn.call(
                call["index"].as_u64().unwrap_or(at as u64),
                &text(&call["id"]),
                &text(&call["function"]["name"]),
                &text(&call["function"]["arguments"]),
            )?;
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            turn.stop_reason = Some(match reason {
                "length" => StopReason::Length,
                _ => StopReason::Stop,
            });
        }
        Ok(())
    }
}

fn message(message: &ChatMessage) -> Value {
    match &message.speaker {
        // Many models' templates refuse a system message that is not the first.
        Speaker::User | Speaker::System => {
            json!({"role": "user", "content": content(message, picture)})
        }
        Speaker::Tool(answered) => json!({
            "role": "tool", "tool_call_id": &*answered.call_id, "content": &*message.text,
        }),
        Speaker::Assistant { calls } if calls.is_empty() => {
            json!({"role": "assistant", "content": &*message.text})
        }
        Speaker::Assistant { calls } => {
            let calls: Vec<Value> = calls
                .iter()
                .map(|call| {
                    json!({"id": &*call.id, "type": "function", "function": {
                        "name": &*call.name, "arguments": &*call.arguments,
                    }})
                })
                .collect();
            let text = Some(&*message.text).filter(|text| !text.is_empty());
            json!({"role": "assistant", "content": text, "tool_calls": calls})
        }
    }
}

fn picture(image: &Image) -> Value {
    let url = format!("data:{};base64,{}", image.media_type, image.data);
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// The messages that a message becomes. A tool's has no place for pictures: they follow as a user's, once
/// all results of its round are there.
fn with_pictures(all: &[ChatMessage]) -> Vec<Value> {
    let mut out = Vec::with_capacity(all.len() + 1);
    let mut shown: Vec<Value> = Vec::new();
    for it in all {
        let is_result = matches!(it.speaker, Speaker::Tool(_));
        if !is_result && !shown.is_empty() {
            out.push(json!({"role": "user", "content": std::mem::take(&mut shown)}));
        }
        out.push(message(it));
        if is_result {
            shown.extend(it.images.iter().map(picture));
        }
    }
    if !shown.is_empty() {
        out.push(json!({"role": "user", "content": shown}));
    }
    out
}

fn read_usage(usage: &Value) -> Usage {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let cached = number(&usage["prompt_tokens_details"]["cached_tokens"]);
    Usage {
        // What came out of the cache is counted apart, as it is priced.
        input: number(&usage["prompt_tokens"]).saturating_sub(cached),
        output: number(&usage["completion_tokens"]),
        cache_read: cached,
        cache_write: 0,
    }
}
