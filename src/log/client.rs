//! A line as clients of the ecosystem read it.
//!
//! They take the level from `_meta.logLevelName`, the subsystem from `_meta.name`, which is JSON
//! in a text, the time from `time`, and put the message together from all keys that are numbers.
//! The command line prints every number, the web page shows `1`; `0` must stay free, since the
//! page takes it for the subsystem.

use serde_json::{Map, Value, json};

/// The line with what those clients look for added. Any other text stays as it is.
pub fn client_line(line: &str) -> String {
    match serde_json::from_str::<Map<String, Value>>(line) {
        Ok(map) => translate(map).unwrap_or_else(|| line.to_owned()),
        Err(_) => line.to_owned(),
    }
}

fn translate(mut map: Map<String, Value>) -> Option<String> {
    let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let (time, level) = (text("time")?, text("level")?);
    let (subsystem, message) = (text("subsystem")?, text("message")?);
    let fields: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !["time", "level", "subsystem", "message"].contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    map.insert("1".into(), message.into());
    if !fields.is_empty() {
        map.insert("2".into(), fields.into());
    }
    let meta = json!({
        "name": json!({ "subsystem": subsystem }).to_string(),
        "date": time,
        "logLevelName": level.to_ascii_uppercase(),
    });
    map.insert("_meta".into(), meta);
    Some(Value::Object(map).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::file::file_line;
    use super::super::mask::Mask;
    use super::super::{Level, LogLine};
    use super::*;

    #[test]
    fn clients_find_level_subsystem_time_and_message() {
        let line = LogLine::new(0, Level::Warn, "gateway/ws", "closed").with("code", 1008);
        let text = file_line(&line, 0, &Mask::default());
        let value: Value = serde_json::from_str(&client_line(text.trim_end())).unwrap();
        assert_eq!(value["_meta"]["logLevelName"], "WARN");
        assert_eq!(value["_meta"]["name"], "{\"subsystem\":\"gateway/ws\"}");
        assert_eq!(value["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(value["1"], "closed");
        assert_eq!(value["2"], json!({"code": 1008}));
        assert_eq!(value.get("0"), None);
    }

    #[test]
    fn what_is_no_line_of_ours_stays_as_it_is() {
        for text in ["", "plain", "{\"a\":1}", "[1]", "{\"time\":5}"] {
            assert_eq!(client_line(text), text);
        }
    }
}
