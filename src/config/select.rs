//! Paths such as `agents.list[0].name`, and what they do to a document's values.

use super::fault::Fault;
use super::kinds::describe;
use super::validate::join;
use serde_json::{Map, Value};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Behind a dot. In a list, digits count as the element's number.
    Key(String),
    /// In brackets.
    Index(usize),
}

/// Reads `a.b[0].c`, `a.b.0.c` or `a["key with . in it"]`.
///
/// # Errors
/// When the text is no such path.
pub fn parse_path(text: &str) -> Result<Vec<Step>, Fault> {
    let wrong = || {
        Fault::new(
            if text.is_empty() { "\"\"" } else { text },
            "is not a path",
            "write it as gateway.auth.mode, agents.list[0].name or models.providers[\"a.b\"]",
        )
    };
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = bracket(inside).ok_or_else(wrong)?;
            steps.push(step);
            rest = after;
        } else {
            let key_text = match (steps.is_empty(), rest.strip_prefix('.')) {
                (true, None) => rest,
                (false, Some(after_dot)) => after_dot,
                _ => return Err(wrong()),
            };
            let end = key_text.find(['.', '[']).unwrap_or(key_text.len());
            if end == 0 || key_text[..end].contains([']', '"']) {
                return Err(wrong());
            }
            steps.push(Step::Key(key_text[..end].to_owned()));
            rest = &key_text[end..];
        }
    }
    if steps.is_empty() {
        return Err(wrong());
    }
    Ok(steps)
}

/// The value at a path.
pub fn get<'a>(document: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, step| match value {
        Value::Object(map) => map.get(&step.as_key()),
        Value::Array(list) => list.get(step.as_index()?),
        _ => None,
    })
}

/// Puts a value at a path and makes what is missing on the way.
///
/// # Errors
/// When something on the way has no parts, or a list would get a gap.
pub fn set(document: &mut Value, path: &[Step], value: Value) -> Result<(), Fault> {
    let mut at = document;
    let mut so_far = String::new();
    for (i, step) in path.iter().enumerate() {
        let empty = || match path.get(i + 1) {
            Some(Step::Index(_)) => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        };
        at = match at {
            Value::Object(map) => map.entry(step.as_key()).or_insert_with(empty),
            Value::Array(list) => {
                let index = step.as_index().filter(|index| *index <= list.len());
                let Some(index) = index else {
                    return Err(Fault::new(
                        so_far,
                        format!("is a list of {}", list.len()),
                        format!("use a number from 0 to {}", list.len()),
                    ));
                };
                if index == list.len() {
                    list.push(empty());
                }
                &mut list[index]
            }
            scalar => {
                return Err(Fault::new(
                    so_far,
                    format!("{} and has no parts", describe(scalar)),
                    "unset it first",
                ));
            }
        };
        so_far = match step {
            Step::Key(key) => join(&so_far, key),
            Step::Index(index) => format!("{so_far}[{index}]"),
        };
    }
    *at = value;
    Ok(())
}

/// Takes away what is at a path; false where nothing is.
pub fn unset(document: &mut Value, path: &[Step]) -> bool {
    let Some((last, way)) = path.split_last() else {
        return false;
    };
    let parent = way.iter().try_fold(document, |value, step| match value {
        Value::Object(map) => map.get_mut(&step.as_key()),
        Value::Array(list) => list.get_mut(step.as_index()?),
        _ => None,
    });
    match parent {
        Some(Value::Object(map)) => map.shift_remove(&last.as_key()).is_some(),
        Some(Value::Array(list)) => match last.as_index().filter(|i| *i < list.len()) {
            Some(index) => {
                list.remove(index);
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// RFC 7396: objects are merged, null takes away, all else replaces.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge_patch(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

impl Step {
    fn as_key(&self) -> String {
        match self {
            Self::Key(key) => key.clone(),
            Self::Index(index) => index.to_string(),
        }
    }

    fn as_index(&self) -> Option<usize> {
        match self {
            Self::Key(key) => key.parse().ok(),
            Self::Index(index) => Some(*index),
        }
    }
}

/// What stands behind an opening bracket, and what behind the closing one.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    if inside.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let key = values.next()?.ok()?;
        let after = inside.get(values.byte_offset()..)?.strip_prefix(']')?;
        return Some((Step::Key(key), after));
    }
    let (digits, after) = inside.split_once(']')?;
    Some((Step::Index(digits.parse().ok()?), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Vec<Step> {
        parse_path(text).expect(text)
    }

    #[test]
    fn paths_have_dots_and_brackets() {
        let key = |k: &str| Step::Key(k.into());
        assert_eq!(path("a.b"), [key("a"), key("b")]);
        assert_eq!(path("a[10].b"), [key("a"), Step::Index(10), key("b")]);
        assert_eq!(
            path("a[\"x.y\\\"]\"].b"),
            [key("a"), key("x.y\"]"), key("b")]
        );
        for text in [
            "", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a[0]b", "a[\"x]", "a]", "a.\"b\"",
        ] {
            assert!(parse_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn setting_makes_what_is_missing() {
        let mut document = json!({});
        set(&mut document, &path("a.list[0].id"), json!("x")).unwrap();
        set(&mut document, &path("a.list.1"), json!("y")).unwrap();
        assert_eq!(document, json!({"a": {"list": [{"id": "x"}, "y"]}}));
        assert_eq!(get(&document, &path("a.list.0.id")), Some(&json!("x")));
        assert_eq!(get(&document, &path("a.list.x")), None);
    }

    #[test]
    fn setting_below_a_scalar_or_past_a_list_is_refused() {
        let mut document = json!({"a": 1, "b": []});
        let fault = set(&mut document, &path("a.b"), json!(1)).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "a: is a number and has no parts; unset it first"
        );
        let fault = set(&mut document, &path("b[1]"), json!(1)).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "b: is a list of 0; use a number from 0 to 0"
        );
    }

    #[test]
    fn unsetting_tells_whether_something_was_there() {
        let mut document = json!({"a": {"b": 1, "c": [1, 2, 3]}});
        assert!(unset(&mut document, &path("a.b")));
        assert!(unset(&mut document, &path("a.c[1]")));
        assert!(!unset(&mut document, &path("a.b")));
        assert!(!unset(&mut document, &path("x.y.z")));
        assert!(!unset(&mut document, &path("a.c[9]")));
        assert_eq!(document, json!({"a": {"c": [1, 3]}}));
    }

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn merging_follows_the_rfc() {
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let mut merged = target.clone();
            merge_patch(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} + {patch}");
        }
    }
}
