//! The parser in place against serde_json: what one of them accepts the other one accepts, with
//! the same value, but for rules that are ours alone.

use super::INPUT_BYTES_MAX;
use crate::limits::{JSON_DEPTH_MAX, JSON_PADDING_BYTES};
use crate::wire::envelope::{Parser, request};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Compares the two on any bytes.
pub fn envelope(input: &[u8]) {
    if input.len() > INPUT_BYTES_MAX {
        return;
    }
    let mut padded = input.to_vec();
    padded.extend([b'"'; JSON_PADDING_BYTES]);
    let mut parser = Parser::default();
    let ours = match parser.parse(&mut padded, input.len()) {
        Ok(document) => {
            let root = document.root().expect("a document has a root");
            // Reading the request may refuse it, and that is all it may do.
            let _ = request(root);
            Some(root.to_value())
        }
        Err(_) => None,
    };
    let theirs: Option<Value> = serde_json::from_slice::<Strict>(input).ok().map(|it| it.0);
    match (&ours, &theirs) {
        (Some(ours), Some(theirs)) => assert!(is_same(ours, theirs), "{ours} is not {theirs}"),
        (Some(ours), None) => panic!("accepted here alone: {ours}"),
        (None, Some(theirs)) => assert!(
            depth(theirs) > JSON_DEPTH_MAX || has_large_number(theirs),
            "refused here alone: {theirs}"
        ),
        (None, None) => {}
    }
}

/// Levels of arrays and objects.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whole numbers beyond 64 bits have no place in the protocol.
fn has_large_number(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_large_number),
        Value::Object(members) => members.values().any(has_large_number),
        Value::Number(number) => {
            number.is_f64() && number.as_f64().is_none_or(|it| it.abs() > 9e18)
        }
        _ => false,
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value): (&String, &Value)| {
                other.get(key).is_some_and(|other| is_same(value, other))
            };
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Number(one), Value::Number(other)) => is_same_number(one, other),
        _ => one == other,
    }
}

/// The last bits of a fraction may differ: neither of the two rounds as exactly as it could.
fn is_same_number(one: &Number, other: &Number) -> bool {
    if !one.is_f64() && !other.is_f64() {
        return one == other;
    }
    let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) else {
        return false;
    };
    (one - other).abs() <= one.abs().max(other.abs()) * 1e-14 || one == other
}

/// A value that names no member twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E: de::Error>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E: de::Error>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_f64<E: de::Error>(self, it: f64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_str<E: de::Error>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if members.insert(key, value).is_some() {
                return Err(de::Error::custom("named twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_at_the_edges_of_the_rules_are_read_alike() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let texts = [
            nested(JSON_DEPTH_MAX),
            nested(JSON_DEPTH_MAX + 1),
            nested(200),
        ];
        let edges = [
            "",
            " ",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "1e400",
            "-1e400",
            "1e-400",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "-0",
            "-0.0",
            "0.1",
            "1.7976931348623157e308",
            "01",
            "1.",
            ".5",
            "+1",
            "NaN",
            "Infinity",
            "nul",
            "nulll",
            "true false",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{,}",
            "[1]]",
            "\"\u{7f}\u{2028}\"",
            "\"\t\"",
            "\u{feff}{}",
            "{\"\":{\"\":[]}}",
        ];
        for text in texts.iter().map(String::as_str).chain(edges) {
            envelope(text.as_bytes());
        }
        envelope(b"\"\xff\"");
        envelope(b"\"\xed\xa0\x80\"");
        envelope(b"\"\xc0\xaf\"");
    }
}
