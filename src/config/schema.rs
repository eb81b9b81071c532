//! JSON Schema and hints for forms, from the table.

use super::table::{Kind, ROWS, SECTIONS, STRICT_SECTION, Shape};
use serde_json::{Map, Value, json};

/// The answer to `config.schema`. `generated_at` is ISO 8601.
pub fn schema_payload(version: &str, generated_at: &str) -> Value {
    let mut schema = shape_schema(Shape::root(), false);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "Clawdia configuration".into();
    json!({
        "schema": schema,
        "uiHints": hints(),
        "version": version,
        "generatedAt": generated_at,
    })
}

fn shape_schema(shape: &Shape, strict: bool) -> Value {
    if let Some(row) = shape.row {
        let mut schema = kind_schema(row.kind);
        if !row.label.is_empty() {
            schema["title"] = row.label.into();
            schema["description"] = row.help.into();
        }
        return schema;
    }
    if let Some(element) = &shape.element {
        return json!({ "type": "array", "items": shape_schema(element, strict) });
    }
    let properties: Map<String, Value> = shape
        .keys
        .iter()
        .map(|(key, child)| {
            let strict = strict || *key == STRICT_SECTION;
            ((*key).to_owned(), shape_schema(child, strict))
        })
        .collect();
    // The ecosystem's page edits "anything" where it is written as an empty schema; `true` it cannot.
    let others = match &shape.any_key {
        Some(child) if matches!(child.row, Some(row) if matches!(row.kind, Kind::Kept)) => {
            json!({})
        }
        Some(child) => shape_schema(child, strict),
        None if strict => Value::Bool(false),
        None => json!({}),
    };
    json!({ "type": "object", "properties": properties, "additionalProperties": others })
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Number => json!({ "type": "number", "minimum": 0 }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Secret => json!({ "type": "string", "minLength": 1 }),
        // The long form alone: forms cannot offer two, and `config.get` writes the short one so.
        Kind::Model => json!({
            "type": "object",
            "properties": {
                "primary": { "type": "string" },
                "fallbacks": { "type": "array", "items": { "type": "string" } },
            },
        }),
        Kind::List(kind) => json!({ "type": "array", "items": kind_schema(*kind) }),
        Kind::Map(kind) => {
            json!({ "type": "object", "additionalProperties": kind_schema(*kind) })
        }
        Kind::Open => json!({}),
        Kind::Kept => json!({ "type": "object", "additionalProperties": {} }),
        Kind::KeptAs(kind) => kind_schema(*kind),
        Kind::Text
        | Kind::Url(_)
        | Kind::Ip
        | Kind::Cidr
        | Kind::Origin
        | Kind::Duration
        | Kind::AgentId
        | Kind::UrlPath
        | Kind::Fingerprint => json!({ "type": "string" }),
    }
}

fn hints() -> Map<String, Value> {
    let mut hints = Map::new();
    for (order, (path, label)) in (1..).zip(SECTIONS) {
        let hint = json!({ "label": label, "group": label, "order": order * 10 });
        hints.insert((*path).to_owned(), hint);
    }
    for row in ROWS.iter().filter(|row| !row.label.is_empty()) {
        let hint = hints.entry(row.path).or_insert_with(|| json!({}));
        hint["label"] = row.label.into();
        hint["help"] = row.help.into();
        match row.kind {
            Kind::Secret => hint["sensitive"] = true.into(),
            Kind::Kept | Kind::KeptAs(_) => hint["advanced"] = true.into(),
            _ => {}
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_every_key_of_the_table() {
        let payload = schema_payload("1.0.0", "2026-01-01T00:00:00.000Z");
        let keys: Vec<_> = payload.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["schema", "uiHints", "version", "generatedAt"]);
        for row in ROWS {
            let mut at = &payload["schema"];
            for segment in row.path.split('.') {
                let key = segment.trim_end_matches("[]");
                at = match key {
                    "*" => &at["additionalProperties"],
                    key => &at["properties"][key],
                };
                if segment.ends_with("[]") {
                    at = &at["items"];
                }
            }
            assert!(at.is_object(), "{}", row.path);
        }
    }

    #[test]
    fn only_the_strict_section_refuses_other_keys() {
        let schema = &schema_payload("1", "t")["schema"];
        assert_eq!(schema["additionalProperties"], json!({}));
        assert_eq!(
            schema["properties"]["gateway"]["additionalProperties"],
            false
        );
        assert_eq!(
            schema["properties"]["gateway"]["properties"]["auth"]["additionalProperties"],
            false
        );
    }

    /// Where the ecosystem's page would say "unsupported" instead of showing a field.
    fn unsupported(schema: &Value, path: &str, out: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match schema["type"].as_str() {
            Some("object") => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                let mut all: Vec<_> = properties
                    .map(|(key, child)| (format!("{path}.{key}"), child))
                    .collect();
                match &schema["additionalProperties"] {
                    Value::Bool(true) => out.push(path.to_owned()),
                    Value::Object(any) if any.is_empty() => {}
                    others @ Value::Object(_) => all.push((format!("{path}.*"), others)),
                    _ => {}
                }
                all
            }
            Some("array") => vec![(format!("{path}[]"), &schema["items"])],
            Some("string" | "number" | "integer" | "boolean") => Vec::new(),
            _ => return out.push(path.to_owned()),
        };
        for (path, child) in children {
            unsupported(child, &path, out);
        }
    }

    #[test]
    fn the_ecosystem_s_page_can_edit_every_key_in_a_form() {
        let mut out = Vec::new();
        unsupported(&schema_payload("1", "t")["schema"], "", &mut out);
        assert_eq!(out, Vec::<String>::new());
    }

    #[test]
    fn secrets_are_marked_for_forms() {
        let payload = schema_payload("1", "t");
        let hints = payload["uiHints"].as_object().unwrap();
        assert_eq!(hints["gateway.auth.token"]["sensitive"], true);
        assert_eq!(hints["models.providers.*.apiKey"]["sensitive"], true);
        assert_eq!(hints["gateway.port"].get("sensitive"), None);
        for row in ROWS.iter().filter(|row| matches!(row.kind, Kind::Secret)) {
            let key = row.path.rsplit('.').next().unwrap();
            assert!(
                super::super::redact::is_secret_key(key),
                "{key} is shown by config.get"
            );
        }
    }
}
