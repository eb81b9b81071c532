//! The configuration as clients see it: secrets hidden, references as they were written.

use super::document::Document;
use super::fault::Fault;
use super::paths::Lookup;
use super::plan::issues;
use super::redact::redact_text;
use super::syntax::parse_any;
use serde_json::{Map, Value, json};

/// The answer to `config.get`.
///
/// `raw` is null where there is no file, and where the file is so damaged that its secrets cannot
/// be found and hidden.
pub fn get_payload(document: &Document, env: Lookup<'_>) -> Value {
    let (raw, parsed) = shown(document);
    let (faults, warnings) = match document.load(env) {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(faults) => (faults, Vec::new()),
    };
    let faults: Vec<Fault> = match document.tree() {
        Ok(_) => faults,
        Err(fault) => vec![Fault {
            what: format!("JSON5 parse failed: {}", fault.what),
            ..fault.clone()
        }],
    };
    let config = for_forms(parsed.clone());
    json!({
        "path": document.path(),
        "exists": document.text().is_some(),
        "raw": raw,
        "parsed": parsed,
        "valid": faults.is_empty(),
        "config": config,
        "hash": document.hash(),
        "issues": issues(&faults),
        "warnings": issues(&warnings),
        "legacyIssues": [],
    })
}

/// The answer to a write that was done: `{ok, path, config}`.
pub fn written_payload(document: &Document) -> Value {
    json!({
        "ok": true,
        "path": document.path(),
        "config": for_forms(shown(document).1),
    })
}

/// The text and the values with secrets hidden.
fn shown(document: &Document) -> (Option<String>, Value) {
    let empty = || Value::Object(Map::new());
    match (document.text(), document.tree()) {
        (Some(text), Ok(tree)) => {
            let raw = redact_text(text, tree);
            let parsed = parse_any(&raw).map_or_else(|_| empty(), |tree| tree.root.to_value());
            (Some(raw), parsed)
        }
        _ => (None, empty()),
    }
}

/// The values as forms edit them.
fn for_forms(config: Value) -> Value {
    let mut config = with_defaults(config);
    if let Some(agents) = config.get_mut("agents") {
        for key in ["model", "imageModel"] {
            long_model(agents.pointer_mut(&format!("/defaults/{key}")));
        }
        let list = agents.get_mut("list").and_then(Value::as_array_mut);
        for agent in list.into_iter().flatten() {
            long_model(agent.get_mut("model"));
        }
    }
    config
}

/// `"provider/model"` as `{primary}`: the schema offers the long form alone.
fn long_model(model: Option<&mut Value>) {
    if let Some(model) = model
        && model.is_string()
    {
        *model = json!({ "primary": model.take() });
    }
}

/// Adds the defaults that clients look for in `config`, not those that only this program needs:
/// some clients write `config` back as it is.
fn with_defaults(mut config: Value) -> Value {
    for (path, value) in [
        ("agents.defaults.maxConcurrent", json!(4)),
        ("agents.defaults.subagents.maxConcurrent", json!(8)),
        ("messages.ackReactionScope", json!("group-mentions")),
        ("commands.native", json!("auto")),
        ("commands.nativeSkills", json!("auto")),
    ] {
        let mut at = &mut config;
        for key in path.split('.') {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(map) = at else { break };
            at = map.entry(key).or_insert(Value::Null);
        }
        if at.is_null() {
            *at = value;
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(value: &Value) -> Vec<&String> {
        value.as_object().unwrap().keys().collect()
    }

    const KEYS: [&str; 10] = [
        "path",
        "exists",
        "raw",
        "parsed",
        "valid",
        "config",
        "hash",
        "issues",
        "warnings",
        "legacyIssues",
    ];

    #[test]
    fn a_short_model_is_shown_in_the_long_form_that_the_schema_offers() {
        let text = "{agents: {defaults: {model: 'a/b', imageModel: {primary: 'c/d'}}, list: [{id: 'x', model: 'e/f'}, 1]}}";
        let payload = get_payload(&Document::new("/c.json", text.into()), &|_| None);
        let agents = &payload["config"]["agents"];
        assert_eq!(agents["defaults"]["model"], json!({"primary": "a/b"}));
        assert_eq!(agents["defaults"]["imageModel"], json!({"primary": "c/d"}));
        assert_eq!(agents["list"][0]["model"], json!({"primary": "e/f"}));
        assert_eq!(payload["parsed"]["agents"]["list"][0]["model"], "e/f");
    }

    #[test]
    fn a_file_is_shown_with_its_values_and_the_defaults_that_clients_look_for() {
        let document = Document::new("/c.json", "{gateway: {port: 1}, x: 1}".into());
        let payload = get_payload(&document, &|_| None);
        assert_eq!(keys(&payload), KEYS);
        assert_eq!(payload["valid"], true);
        assert_eq!(payload["parsed"], json!({"gateway": {"port": 1}, "x": 1}));
        assert_eq!(payload["config"]["agents"]["defaults"]["maxConcurrent"], 4);
        assert_eq!(payload["warnings"][0]["path"], "x");
        assert_eq!(payload["hash"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn an_absent_file_has_a_hash_too() {
        let payload = get_payload(&Document::absent("/c.json"), &|_| None);
        assert_eq!(keys(&payload), KEYS);
        assert_eq!(
            (&payload["exists"], &payload["raw"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(
            (&payload["valid"], &payload["parsed"]),
            (&json!(true), &json!({}))
        );
        assert_eq!(payload["hash"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn a_damaged_file_shows_its_fault_and_none_of_its_secrets() {
        let document = Document::new("/c.json", "{token: 'hunter2', ".into());
        let payload = get_payload(&document, &|_| None);
        assert_eq!(payload["valid"], false);
        assert!(!payload.to_string().contains("hunter2"));
        let message = payload["issues"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("JSON5 parse failed: "), "{message}");
    }

    #[test]
    fn defaults_never_replace_what_is_there() {
        let document = Document::new(
            "/c.json",
            "{agents: {defaults: {maxConcurrent: 9}}, commands: false}".into(),
        );
        let config = &written_payload(&document)["config"];
        assert_eq!(config["agents"]["defaults"]["maxConcurrent"], 9);
        assert_eq!(config["commands"], false);
    }
}
