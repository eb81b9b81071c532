//! JSON-RPC 2.0 as this protocol uses it.

use serde_json::{Map, Value, json};

/// What we speak.
pub const PROTOCOL_VERSION: &str = "2025-06-18";
/// What a server may answer with: what we use of them is the same.
pub const VERSIONS: &[&str] = &[PROTOCOL_VERSION, "2025-03-26", "2024-11-05"];

/// Something that a server said.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// The answer to a request of ours.
    Answer {
        id: u64,
        result: Result<Value, String>,
    },
    /// A request to us.
    Request { id: Value, method: String },
    /// Something that nobody answers.
    Notice { method: String },
}

/// Reads a message. None for what is none, also an answer to what we never asked.
pub fn read(text: &str) -> Option<Message> {
    let mut members: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut take = |name: &str| members.remove(name).unwrap_or_default();
    let id = take("id");
    if let Value::String(method) = take("method") {
        return Some(match id {
            Value::Null => Message::Notice { method },
            id => Message::Request { id, method },
        });
    }
    let id = id.as_u64()?;
    let result = match (take("error"), take("result")) {
        (Value::Null, Value::Null) => Err("an answer without a result".to_owned()),
        (Value::Null, result) => Ok(result),
        (error, _) => Err(fault_text(&error)),
    };
    Some(Message::Answer { id, result })
}

fn fault_text(error: &Value) -> String {
    let code = error["code"].as_i64().unwrap_or_default();
    match error["message"].as_str().map(str::trim) {
        Some(text) if !text.is_empty() => format!("{text} ({code})"),
        _ => format!("error {code}"),
    }
}

/// A request of ours.
pub fn request(id: u64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// Something that a server does not answer.
pub fn notice(method: &str, params: Option<Value>) -> String {
    let mut message = json!({"jsonrpc": "2.0", "method": method});
    if let Some(params) = params {
        message["params"] = params;
    }
    message.to_string()
}

/// Our answer to a server's request: we are there, and offer nothing (JSON-RPC 2.0, 5.1).
pub fn answer(id: &Value, method: &str) -> String {
    let message = match method {
        "ping" => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
        _ => json!({"jsonrpc": "2.0", "id": id,
            "error": {"code": -32601, "message": "this client does not offer that"}}),
    };
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_requests_and_notices_are_told_apart() {
        let read = |value: Value| read(&value.to_string());
        assert_eq!(
            read(json!({"jsonrpc": "2.0", "id": 3, "result": {"a": 1}})),
            Some(Message::Answer {
                id: 3,
                result: Ok(json!({"a": 1}))
            })
        );
        let error = json!({"id": 3, "error": {"code": -32602, "message": "no such tool"}});
        assert_eq!(
            read(error),
            Some(Message::Answer {
                id: 3,
                result: Err("no such tool (-32602)".into())
            })
        );
        assert_eq!(
            read(json!({"id": "x", "method": "ping"})),
            Some(Message::Request {
                id: json!("x"),
                method: "ping".into()
            })
        );
        assert_eq!(
            read(json!({"method": "notifications/message", "params": {}})),
            Some(Message::Notice {
                method: "notifications/message".into()
            })
        );
        for nonsense in [
            json!(7),
            json!([]),
            json!({"id": "7", "result": 1}),
            json!({}),
        ] {
            assert_eq!(read(nonsense.clone()), None, "{nonsense}");
        }
        assert_eq!(super::read("Listening on stdio"), None);
    }
}
