//! The configuration file: its text, what it means, and what becomes of it when it is edited.

use super::INPUT_BYTES_MAX;
use crate::config::syntax::{self, Tree};
use crate::config::{Document, edit, redact};
use serde_json::{Value, json};

/// Words of the rules that are ours and not JSON5's.
const OURS: [&str; 5] = [
    "nested too deep",
    "twice",
    "is not an object",
    "entries",
    "finite",
];

/// A text: what is accepted means what another reader says, an edit changes nothing else, and
/// what is shown holds no secret and comes back as it was.
///
/// # Panics
///
/// When one of these does not hold.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if text.len() > INPUT_BYTES_MAX {
        return;
    }
    let document = Document::new("clawdia.json5", text.to_owned());
    let loaded = document.load(&|name| (name == "SET").then(|| "from-env".to_owned()));
    let tree = match document.tree() {
        Ok(tree) => tree,
        Err(fault) => {
            assert!(loaded.is_err());
            let told = fault.to_string();
            let is_ours = OURS.iter().any(|word| told.contains(word));
            let theirs = json5::from_str::<Value>(text);
            assert!(is_ours || theirs.is_err(), "refused here alone: {told}");
            return;
        }
    };
    let value = document.value();
    let theirs: Value = json5::from_str(text).expect("accepted here alone");
    assert_eq!(value, theirs);
    edited(text, tree, &value);
    shown(text, tree);
    if let Ok(loaded) = loaded {
        let shown = redact::redact_text(text, tree);
        assert_eq!(
            loaded.config.gateway.port.is_some(),
            value["gateway"]["port"].is_u64()
        );
        assert!(syntax::parse(&shown).is_ok());
    }
}

fn edited(text: &str, tree: &Tree, value: &Value) {
    assert_eq!(edit::rewrite(text, tree, value), text, "an edit of nothing");
    let mut more = value.clone();
    more["fuzz"] = json!({"a": [1, "x"], "b": {}});
    let mut fewer = value.clone();
    if let Some(object) = fewer.as_object_mut() {
        let first = object.keys().next().cloned();
        first.and_then(|key| object.shift_remove(&key));
    }
    for new in [more, fewer, json!({})] {
        let after = edit::rewrite(text, tree, &new);
        let read = syntax::parse(&after).unwrap_or_else(|fault| panic!("{fault}: {after}"));
        assert_eq!(read.root.to_value(), new, "{after}");
    }
}

fn shown(text: &str, tree: &Tree) {
    let shown = redact::redact_text(text, tree);
    let shown_tree = syntax::parse(&shown).unwrap_or_else(|fault| panic!("{fault}: {shown}"));
    if text.contains(redact::SENTINEL) {
        return;
    }
    let back = redact::restore_text(&shown, &shown_tree, Some((text, tree)));
    assert_eq!(back.as_deref(), Ok(text), "shown as {shown}");
    assert!(!redact::has_secrets(&shown_tree) || !redact::has_secrets(tree) || shown != text);
}
