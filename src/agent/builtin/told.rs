//! What a tool found, in plain words.

use super::text::{clean, count};
use crate::agent::{ChatMessage, Speaker, ToolCall};
use serde_json::Value;
use std::fmt::Write;

/// Lines of a node's output are repeated as they are; nothing of it is told twice.
pub(super) fn tell(call: &ToolCall, result: &ChatMessage) -> String {
    let is_error = matches!(&result.speaker, Speaker::Tool(answered) if answered.is_error);
    let found = serde_json::from_str::<Value>(&result.text).ok();
    let asked: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    let (false, Some(found)) = (is_error, found) else {
        return sentence(&result.text);
    };
    match asked["action"].as_str().unwrap_or_default() {
        "list" => nodes(&found),
        "describe" => node(&found),
        "run" => ran(&asked, &found),
        "notify" => format!("{} shows it.", name(&found)),
        "camera_snap" => photo(&found),
        "location_get" => place(&found),
        _ => sentence(&result.text),
    }
}

/// With a capital at the start and a full stop at the end.
fn sentence(text: &str) -> String {
    let mut chars = text.trim().chars();
    let first = chars.next().map(char::to_uppercase);
    let mut told: String = first.into_iter().flatten().chain(chars).collect();
    if !told.ends_with(['.', '!', '?', '}', ']']) {
        told.push('.');
    }
    told
}

fn text<'a>(found: &'a Value, field: &str) -> &'a str {
    found[field].as_str().unwrap_or_default()
}

fn name(found: &Value) -> String {
    clean(text(found, "node"))
}

fn nodes(found: &Value) -> String {
    let all = found["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let total = found["total"].as_u64().unwrap_or_default() as usize;
    let online = found["online"].as_u64().unwrap_or_default() as usize;
    if total == 0 {
        return "No node is paired. Start one with clawdia node run on the machine, then let it in \
                with clawdia devices approve."
            .to_owned();
    }
    let mut told = format!("{} online, {} paired.", count(online, "node"), total);
    for node in all {
        let state = match node["connected"] == true {
            true => "online".to_owned(),
            false if text(node, "lastSeen").is_empty() => "away".to_owned(),
            false => format!("away, last seen {}", text(node, "lastSeen")),
        };
        let details = [text(node, "platform"), text(node, "ip")];
        let details = details.iter().filter(|detail| !detail.is_empty());
        let details: String = details
            .map(|detail| format!(", {}", clean(detail)))
            .collect();
        let _ = write!(told, "\n- {} ({state}{details})", clean(text(node, "name")));
    }
    if total > all.len() {
        let _ = write!(told, "\n- and {} more", total - all.len());
    }
    told
}

fn node(found: &Value) -> String {
    let commands = found["commands"].as_array().into_iter().flatten();
    let commands: Vec<String> = commands.filter_map(Value::as_str).map(clean).collect();
    let state = match found["connected"] == true {
        true => "online",
        false => "away",
    };
    let platform = match text(found, "platform") {
        "" => "an unknown platform".to_owned(),
        platform => clean(platform),
    };
    let can = match commands.is_empty() {
        true => "nothing".to_owned(),
        false => commands.join(", "),
    };
    format!(
        "{} is {state}: {platform}, id {}. It offers: {can}.",
        clean(text(found, "name")),
        clean(text(found, "nodeId"))
    )
}

fn ran(asked: &Value, found: &Value) -> String {
    let command = match asked["shell"].as_str() {
        Some(line) => line.to_owned(),
        None => {
            let words = asked["command"].as_array().into_iter().flatten();
            words
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        }
    };
    let mut told = format!("`{}` on {}", clean(&command), name(found));
    match (found["timedOut"] == true, found["exitCode"].as_i64()) {
        (true, _) => told += " took too long and was stopped",
        (false, Some(0)) => {}
        (false, Some(code)) => {
            let _ = write!(told, " ended with exit code {code}");
        }
        (false, None) => told += " ended without an exit code",
    }
    let outputs = [
        text(found, "stdout"),
        text(found, "stderr"),
        text(found, "error"),
    ];
    let mut outputs = outputs
        .iter()
        .map(|output| output.trim_end())
        .filter(|it| !it.is_empty());
    match outputs.next() {
        None => told += ", and said nothing.",
        Some(first) => {
            let _ = write!(told, ":\n{first}");
        }
    }
    for output in outputs {
        let _ = write!(told, "\n{output}");
    }
    told
}

fn photo(found: &Value) -> String {
    let size = match (found["width"].as_u64(), found["height"].as_u64()) {
        (Some(width), Some(height)) => format!("{width} × {height} pixels, "),
        _ => String::new(),
    };
    let bytes = found["bytes"].as_u64().unwrap_or_default();
    format!(
        "{} took a photo ({size}{} KB). It is in this session's history.",
        name(found),
        bytes.div_ceil(1_000)
    )
}

fn place(found: &Value) -> String {
    let location = &found["location"];
    let number = |field: &str| location[field].as_f64();
    let (Some(lat), Some(lon)) = (number("lat"), number("lon")) else {
        return format!("{} answered without a place.", name(found));
    };
    let within = number("accuracyMeters")
        .map(|meters| format!(", within {meters:.0} m"))
        .unwrap_or_default();
    format!(
        "{} is at {lat:.5}, {lon:.5}{within}: https://www.openstreetmap.org/?mlat={lat:.5}&mlon={lon:.5}",
        name(found)
    )
}
