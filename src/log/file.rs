//! A line as it stands in the log file: one JSON object.
//!
//! Nothing in it can move a cursor, turn a text around or start a new line, neither in the file
//! nor printed after decoding: such characters are spelled out, `\u001b`, as plain text.

use super::LogLine;
use super::iso::iso_utc;
use super::mask::{Mask, is_secret_name};
use crate::limits::{LOG_FIELD_BYTES_MAX, LOG_FIELDS_MAX, LOG_MESSAGE_BYTES_MAX};
use serde_json::{Map, Value};

/// More than this of a text is not even looked at.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const DEPTH_MAX: usize = 4;

/// `{"time", "level", "subsystem", "message", …fields, "repeated"?}` and a line feed. `repeated`
/// is how many lines this one stands for, where it stands for several.
pub fn file_line(line: &LogLine, repeated: u64, mask: &Mask) -> String {
    let mut map = Map::new();
    map.insert("time".into(), iso_utc(line.unix_ms).into());
    map.insert("level".into(), line.level.as_str().into());
    map.insert("subsystem".into(), line.subsystem.into());
    let message = plain(&line.message, mask, LOG_MESSAGE_BYTES_MAX);
    map.insert("message".into(), message.into());
    for (name, value) in line.fields.iter().take(LOG_FIELDS_MAX) {
        let value = if is_secret_name(name) && !value.is_null() && !value.is_boolean() {
            "***".into()
        } else {
            field(value, mask, 0)
        };
        map.entry(*name).or_insert(value);
    }
    if repeated > 0 {
        map.insert("repeated".into(), repeated.into());
    }
    let mut text = Value::Object(map).to_string();
    text.push('\n');
    text
}

fn field(value: &Value, mask: &Mask, depth: usize) -> Value {
    match value {
        Value::String(text) => plain(text, mask, LOG_FIELD_BYTES_MAX).into(),
        Value::Array(list) if depth < DEPTH_MAX && list.len() <= LOG_FIELDS_MAX => {
            list.iter().map(|v| field(v, mask, depth + 1)).collect()
        }
        Value::Object(map) if depth < DEPTH_MAX && map.len() <= LOG_FIELDS_MAX => map
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::String(_) if is_secret_name(key) => "***".into(),
                    value => field(value, mask, depth + 1),
                };
                (plain(key, mask, LOG_FIELD_BYTES_MAX), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(_) | Value::Object(_) => {
            plain(&value.to_string(), mask, LOG_FIELD_BYTES_MAX).into()
        }
        scalar => scalar.clone(),
    }
}

/// Masked, spelled out and cut, in this order: half a secret is a secret too.
pub fn plain(text: &str, mask: &Mask, bytes_max: usize) -> String {
    let looked_at = match text.char_indices().find(|(i, _)| *i >= TEXT_BYTES_MAX) {
        Some((i, _)) => &text[..i],
        None => text,
    };
    let masked = mask.apply(looked_at);
    // As nearly every text is: short, and of characters that show themselves.
    if masked.len() <= bytes_max && masked.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return masked;
    }
    let mut out = String::with_capacity(masked.len().min(bytes_max) + 4);
    for c in masked.chars() {
        let mut piece = String::new();
        match c {
            '\n' => piece.push_str("\\n"),
            '\r' => piece.push_str("\\r"),
            '\t' => piece.push_str("\\t"),
            c if must_be_spelled(c) => piece = format!("\\u{:04x}", u32::from(c)),
            c => piece.push(c),
        }
        if out.len() + piece.len() > bytes_max {
            out.push('…');
            return out;
        }
        out.push_str(&piece);
    }
    out
}

/// Characters that do something else than show themselves.
fn must_be_spelled(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use serde_json::json;

    fn line() -> LogLine {
        LogLine::new(1_795_339_837_304, Level::Warn, "gateway/ws", "closed")
    }

    fn written(line: &LogLine) -> String {
        file_line(line, 0, &Mask::default())
    }

    #[test]
    fn a_line_is_one_json_object_in_a_fixed_order() {
        let line = line().with("conn", "1.2").with("code", 1008);
        assert_eq!(
            file_line(&line, 3, &Mask::default()),
            "{\"time\":\"2026-11-22T09:30:37.304Z\",\"level\":\"warn\",\"subsystem\":\"gateway/ws\",\
             \"message\":\"closed\",\"conn\":\"1.2\",\"code\":1008,\"repeated\":3}\n"
        );
    }

    #[test]
    fn a_header_of_a_peer_can_neither_forge_a_line_nor_drive_a_terminal() {
        let agent = format!(
            "a\r\n{{\"level\":\"info\"}}\u{1b}[31m\u{9b}\u{202e}\u{2066}\u{2028}{}",
            "x".repeat(15_000)
        );
        let text = written(&line().with("ua", agent));
        assert_eq!(text.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        let shown = value["ua"].as_str().unwrap();
        assert!(
            shown.len() <= LOG_FIELD_BYTES_MAX + '…'.len_utf8(),
            "{}",
            shown.len()
        );
        assert!(shown.ends_with('…'));
        assert!(shown.chars().all(|c| !must_be_spelled(c)));
        assert!(
            shown.starts_with("a\\r\\n{\"level\":\"info\"}\\u001b[31m\\u009b\\u202e\\u2066\\u2028")
        );
    }

    #[test]
    fn a_secret_is_masked_before_the_cut() {
        let mut mask = Mask::default();
        mask.learn(["hunter2hunter2".to_owned()]);
        let text = format!("{}hunter2hunter2", "x".repeat(LOG_FIELD_BYTES_MAX - 5));
        let out = file_line(&line().with("path", text).with("token", "abc"), 0, &mask);
        assert!(!out.contains("hunte") && !out.contains("abc"), "{out}");
    }

    #[test]
    fn nested_and_long_fields_are_bounded() {
        let mut deep = json!("x");
        for _ in 0..50 {
            deep = json!([deep]);
        }
        let many: Vec<u32> = (0..10_000).collect();
        let out = written(
            &line()
                .with("deep", deep)
                .with("many", json!(many))
                .with("o", json!({"token": "hunter2", "n": 1})),
        );
        assert!(out.len() < 1_000 && !out.contains("hunter2"), "{out}");
        assert!(out.contains("\"o\":{\"token\":\"***\",\"n\":1}"));
    }

    #[test]
    fn a_text_that_shows_itself_is_left_as_it_is_up_to_its_bound() {
        let mask = Mask::default();
        let shown: String = (' '..='~').collect();
        assert_eq!(plain(&shown, &mask, shown.len()), shown);
        let cut = plain(&shown, &mask, shown.len() - 1);
        assert_eq!(cut, shown[..shown.len() - 1].to_owned() + "…");
        assert_eq!(plain("\u{7f}", &mask, 10), "\\u007f");
        assert_eq!(plain("a\u{1f}", &mask, 10), "a\\u001f");
    }

    #[test]
    fn a_field_never_replaces_what_every_line_has() {
        let out = written(&line().with("level", "info"));
        assert!(out.contains("\"level\":\"warn\"") && !out.contains("info"));
    }
}
