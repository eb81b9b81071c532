//! A line as a terminal shows it.

use super::LogLine;
use super::file::file_line;
use super::mask::Mask;
use serde_json::{Map, Value};

/// `09:30:37 warn gateway/ws: closed conn=1.2 code=1008`, as safe to print as the file's line.
pub fn console_line(line: &LogLine, repeated: u64, mask: &Mask) -> String {
    let safe = file_line(line, repeated, mask);
    let fields: Map<String, Value> = serde_json::from_str(&safe).unwrap_or_default();
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let clock = text("time").get(11..19).unwrap_or_default();
    let mut out = format!(
        "{clock} {} {}: {}",
        line.level.as_str(),
        line.subsystem,
        text("message")
    );
    for (key, value) in fields.iter().skip(4) {
        match value {
            Value::String(text) if !text.contains([' ', '=', '"']) => {
                out.push_str(&format!(" {key}={text}"));
            }
            value => out.push_str(&format!(" {key}={value}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_terminal_shows_time_level_sender_message_and_fields() {
        let line = LogLine::new(1_795_339_837_304, Level::Warn, "gateway/ws", "closed")
            .with("conn", "1.2")
            .with("reason", "a b\u{1b}[31m");
        assert_eq!(
            console_line(&line, 3, &Mask::default()),
            "09:30:37 warn gateway/ws: closed conn=1.2 reason=\"a b\\\\u001b[31m\" repeated=3"
        );
    }
}
