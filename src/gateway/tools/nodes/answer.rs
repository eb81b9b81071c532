//! Answers of nodes as results: nothing of them is believed to have the right shape.

use crate::agent::Image;
use crate::gateway::tools::ToolResult;
use serde_json::{Value, json};

/// Of `system.run`.
pub fn ran(name: &str, payload: Value) -> ToolResult {
    let mut shown = json!({"node": name});
    for field in ["exitCode", "timedOut", "stdout", "stderr", "error"] {
        match &payload[field] {
            Value::Null => {}
            value => shown[field] = value.clone(),
        }
    }
    ToolResult::json(shown)
}

/// Of `system.notify`.
pub fn notified(name: &str, _: Value) -> ToolResult {
    ToolResult::json(json!({"node": name, "notified": true}))
}

/// Of `location.get`.
pub fn place(name: &str, payload: Value) -> ToolResult {
    let number = |field: &str| payload[field].as_f64();
    if number("lat").is_none() || number("lon").is_none() {
        return any(name, payload);
    }
    ToolResult::json(json!({"node": name, "location": payload}))
}

/// Of `camera.snap`.
pub fn photo(name: &str, mut payload: Value) -> ToolResult {
    let data = match payload["base64"].take() {
        Value::String(data) if !data.is_empty() => data,
        _ => return ToolResult::error(format!("{name} answered without a picture")),
    };
    let media_type = match payload["format"].as_str() {
        Some("png") => "image/png",
        _ => "image/jpeg",
    };
    let shown = json!({
        "node": name,
        "photo": media_type,
        "width": payload["width"],
        "height": payload["height"],
        // Four characters of Base64 are three bytes.
        "bytes": data.len() / 4 * 3,
    });
    ToolResult {
        image: Some(Image {
            media_type,
            data: data.into(),
        }),
        ..ToolResult::json(shown)
    }
}

/// Of any other command.
pub fn any(name: &str, payload: Value) -> ToolResult {
    ToolResult::json(json!({"node": name, "answer": payload}))
}
