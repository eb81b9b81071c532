//! Secrets hidden where the configuration is shown, and found again where it comes back.
//!
//! Every hidden value becomes the same word. Where that word comes back, it means "keep what was
//! there": the old text is put back byte by byte, so that a document that was only looked at
//! returns as it was. The word itself is never stored.

use super::env::is_reference;
use super::fault::{Fault, Place};
use super::syntax::{Content, Item, Node, Tree, parse_any};
use super::validate::join;
use serde_json::Value;
use std::ops::Range;

/// What stands in the place of a secret.
pub const SENTINEL: &str = "__CLAWDIA_REDACTED__";

/// Whether a key of that name holds a secret, wherever it stands.
pub use crate::log::mask::is_secret_name as is_secret_key;

/// The text with every secret hidden, all else byte by byte as it was.
pub fn redact_text(text: &str, tree: &Tree) -> String {
    let mut spans = Vec::new();
    secrets(&tree.root, Hide::Nothing, &mut spans);
    let stand_in = Value::from(SENTINEL).to_string();
    splice(
        text,
        spans.into_iter().map(|span| (span, stand_in.as_str())),
    )
}

/// The secrets among values whose references are resolved, for masking them in the log.
pub fn secret_values(values: &Value) -> Vec<String> {
    // One rule finds secrets, and it is written for text.
    let text = values.to_string();
    let Ok(tree) = parse_any(&text) else {
        return Vec::new();
    };
    let mut spans = Vec::new();
    secrets(&tree.root, Hide::Nothing, &mut spans);
    spans
        .into_iter()
        .filter_map(|span| serde_json::from_str::<Value>(&text[span]).ok())
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
        .collect()
}

/// Whether a document holds any secret, not only references to some.
pub fn has_secrets(tree: &Tree) -> bool {
    let mut spans = Vec::new();
    secrets(&tree.root, Hide::Nothing, &mut spans);
    !spans.is_empty()
}

/// A text that came back, with every stand-in replaced by what stands at its place in the old one.
///
/// # Errors
/// A fault for each stand-in that has nothing behind it.
pub fn restore_text(
    text: &str,
    tree: &Tree,
    old: Option<(&str, &Tree)>,
) -> Result<String, Vec<Fault>> {
    let mut restore = Restore {
        text,
        found: Vec::new(),
        faults: Vec::new(),
    };
    restore.node(&tree.root, old.map(|(_, tree)| &tree.root), "");
    if !restore.faults.is_empty() {
        return Err(restore.faults);
    }
    let old_text = old.map_or("", |(text, _)| text);
    let replacements = restore
        .found
        .into_iter()
        .map(|(span, from)| (span, &old_text[from]));
    Ok(splice(text, replacements))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hide {
    Nothing,
    /// Texts, in maps whose values may be secrets under any name.
    Texts,
    /// Texts and numbers, below a key that names a secret.
    All,
}

fn secrets(node: &Node, hide: Hide, out: &mut Vec<Range<usize>>) {
    match &node.content {
        Content::Scalar(Value::String(text)) => {
            let shown = text.is_empty() || is_reference(text) || text == SENTINEL;
            if !shown && (hide != Hide::Nothing || has_credentials(text)) {
                out.push(node.span.clone());
            }
        }
        Content::Scalar(Value::Number(_)) if hide == Hide::All => out.push(node.span.clone()),
        Content::Scalar(_) => {}
        Content::Array(items) => items.iter().for_each(|i| secrets(&i.value, hide, out)),
        Content::Object(items) => {
            for item in items {
                let hide = match item.key.as_str() {
                    key if is_secret_key(key) => Hide::All,
                    "env" | "headers" if hide == Hide::Nothing => Hide::Texts,
                    _ => hide,
                };
                secrets(&item.value, hide, out);
            }
        }
    }
}

/// Whether an address has a password before its host or a secret in its query.
fn has_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let in_authority = authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    let in_query = rest
        .split(['?', '&', '#'])
        .skip(1)
        .filter_map(|pair| pair.split_once('='))
        .any(|(key, value)| is_secret_key(key) && !value.is_empty());
    in_authority || in_query
}

struct Restore<'a> {
    text: &'a str,
    /// Where a stand-in is, and where in the old text its secret is.
    found: Vec<(Range<usize>, Range<usize>)>,
    faults: Vec<Fault>,
}

impl Restore<'_> {
    fn node(&mut self, node: &Node, old: Option<&Node>, path: &str) {
        match &node.content {
            Content::Scalar(Value::String(text)) if text == SENTINEL => match old {
                Some(old) if is_restorable(old) => {
                    self.found.push((node.span.clone(), old.span.clone()));
                }
                _ => self.fault(node, path, "nothing is known that it stands for"),
            },
            Content::Scalar(Value::String(text)) if text.contains(SENTINEL) => {
                self.fault(node, path, "it can only be the whole value");
            }
            Content::Scalar(_) => {}
            Content::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| counterpart(items, i, old));
                    self.node(&item.value, old, &format!("{path}[{i}]"));
                }
            }
            Content::Object(items) => {
                for item in items {
                    let old = old.and_then(|old| match &old.content {
                        Content::Object(_) => old.child(&item.key).map(|i| &i.value),
                        _ => None,
                    });
                    self.node(&item.value, old, &join(path, &item.key));
                }
            }
        }
    }

    fn fault(&mut self, node: &Node, path: &str, why: &str) {
        let fault = Fault::new(
            path,
            format!("is the stand-in for a hidden secret, but {why}"),
            "write the secret itself",
        );
        let place = Place::of(self.text, node.span.start);
        self.faults.push(fault.at(Some(place)));
    }
}

fn is_restorable(old: &Node) -> bool {
    match &old.content {
        Content::Scalar(Value::String(text)) => !text.contains(SENTINEL),
        Content::Scalar(Value::Number(_)) => true,
        _ => false,
    }
}

/// The old element that an element was: the one with its id, in a list without ids, or where they are hidden, the one
/// at its place while the list is as long as it was.
fn counterpart<'a>(items: &[Item], i: usize, old: &'a Node) -> Option<&'a Node> {
    let Content::Array(old_items) = &old.content else {
        return None;
    };
    let id = |item: &Item| item.value.child("id").map(|i| i.value.to_value());
    let id = |item: &Item| id(item).filter(|id| id != SENTINEL);
    if let Some(wanted) = id(&items[i]) {
        let mut same = old_items.iter().filter(|o| id(o).as_ref() == Some(&wanted));
        return match (same.next(), same.next()) {
            (Some(only), None) => Some(&only.value),
            _ => None,
        };
    }
    (items.len() == old_items.len()).then(|| &old_items[i].value)
}

/// Replaces the spans, which are in order and do not overlap.
fn splice<'a>(text: &str, parts: impl Iterator<Item = (Range<usize>, &'a str)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in parts {
        out.push_str(&text[at..span.start]);
        out.push_str(replacement);
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(text: &str) -> String {
        redact_text(text, &parse_any(text).unwrap())
    }

    fn restore(text: &str, old: &str) -> Result<String, Vec<Fault>> {
        let old_tree = parse_any(old).unwrap();
        restore_text(text, &parse_any(text).unwrap(), Some((old, &old_tree)))
    }

    const DOCUMENT: &str = r#"{
      // how to get in
      gateway: { auth: { mode: 'token', token: 'hunter2', password: "${PASSWORD}" }, port: 1 },
      models: { providers: { x: { apiKey: "sk-hunter2", headers: { "X-Any": 'hunter2' },
        models: [ { id: 'a', maxTokens: 10, contextTokens: 5 } ] } } },
      channels: { telegram: { botToken: '1:hunter2', webhookSecret: 'hunter2', proxy: 'http://u:hunter2@h' },
        googlechat: { serviceAccount: { type: 'x', private_key: 'hunter2' } } },
      env: { A: 'hunter2', vars: { B: 'hunter2' }, shellEnv: { timeoutMs: 5 } },
      odd: { access_token: 7002, url: "https://h/?a=1&token=hunter2", ok: "https://h/?a=1" },
      list: [ { id: 'p', token: 'hunter2-p' }, { id: 'q', token: "hunter2-q" } ],
    }"#;

    #[test]
    fn an_element_whose_id_is_hidden_is_found_at_its_place() {
        let old = "{ cookie: [{ id: 'a' }, { id: 'b' }] }";
        let shown = redact(old);
        assert!(!shown.contains("'a'"), "{shown}");
        assert_eq!(restore(&shown, old).as_deref(), Ok(old));
    }

    #[test]
    fn no_secret_is_shown_and_all_else_is() {
        let shown = redact(DOCUMENT);
        assert!(
            !shown.contains("hunter2") && !shown.contains("7002"),
            "{shown}"
        );
        for kept in [
            "${PASSWORD}",
            "maxTokens: 10",
            "contextTokens: 5",
            "timeoutMs: 5",
            "port: 1",
            "mode: 'token'",
            "// how",
            "https://h/?a=1",
        ] {
            assert!(shown.contains(kept), "{kept}");
        }
    }

    #[test]
    fn what_was_only_looked_at_returns_byte_by_byte() {
        assert_eq!(
            restore(&redact(DOCUMENT), DOCUMENT).as_deref(),
            Ok(DOCUMENT)
        );
    }

    #[test]
    fn secrets_of_a_list_follow_their_ids() {
        let old = "{l: [{id: 'p', token: 'one'}, {id: 'q', token: 'two'}]}";
        let new = format!("{{l: [{{id: 'q', token: '{SENTINEL}'}}]}}");
        assert_eq!(
            restore(&new, old).unwrap(),
            "{l: [{id: 'q', token: 'two'}]}"
        );
    }

    #[test]
    fn a_stand_in_with_nothing_behind_it_is_refused() {
        let faults = restore(&format!("{{a: {{token: '{SENTINEL}'}}}}"), "{}").unwrap_err();
        assert_eq!(faults[0].path, "a.token");
        let old = "{tokens: [{token: 'one'}, {token: 'two'}]}";
        let shorter = format!("{{tokens: [{{token: '{SENTINEL}'}}]}}");
        assert!(restore(&shorter, old).is_err());
        assert!(restore(&format!("{{token: 'x{SENTINEL}'}}"), "{token: 'a'}").is_err());
        let text = format!("{{token: '{SENTINEL}'}}");
        assert!(restore(&text, &text).is_err());
        assert!(restore_text(&text, &parse_any(&text).unwrap(), None).is_err());
    }

    #[test]
    fn a_stand_in_for_an_object_is_refused() {
        let text = format!("{{serviceAccount: '{SENTINEL}'}}");
        assert!(restore(&text, "{serviceAccount: {private_key: 'x'}}").is_err());
    }

    #[test]
    fn the_log_learns_what_to_mask() {
        let values = secret_values(&parse_any(DOCUMENT).unwrap().root.to_value());
        assert!(values.contains(&"hunter2".to_owned()) && values.contains(&"hunter2-q".to_owned()));
        assert!(!values.iter().any(|v| v.contains("PASSWORD")));
    }
}
