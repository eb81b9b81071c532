//! What differs between two configurations, and whether it can take effect at once.

use super::table::{Reload, Shape};
use super::validate::join;
use serde_json::Value;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Down to the key, or to the list that differs in any element.
    pub path: String,
    pub reload: Reload,
}

/// All differences between two documents' values (`Loaded::values`), in the order of the keys.
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut out = Vec::new();
    compare(Some(old), Some(new), Some(Shape::root()), "", &mut out);
    out
}

/// Whether any of them takes effect only at the next start.
pub fn needs_restart(changes: &[Change]) -> bool {
    changes.iter().any(|c| c.reload == Reload::Restart)
}

fn compare(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Option<&Shape>,
    path: &str,
    out: &mut Vec<Change>,
) {
    if old == new {
        return;
    }
    let (old_map, new_map) = (
        old.and_then(Value::as_object),
        new.and_then(Value::as_object),
    );
    // A section that came or went differs in its keys, not as a whole.
    let comparable = (old_map.is_some() || old.is_none()) && (new_map.is_some() || new.is_none());
    let has_keys = shape.is_some_and(|shape| shape.row.is_none() && shape.element.is_none());
    if comparable && has_keys {
        let old_keys = old_map.into_iter().flat_map(|map| map.keys());
        let new_keys = new_map.into_iter().flat_map(|map| map.keys());
        let added = new_keys.filter(|key| old_map.is_none_or(|map| !map.contains_key(*key)));
        for key in old_keys.chain(added) {
            compare(
                old_map.and_then(|map| map.get(key)),
                new_map.and_then(|map| map.get(key)),
                shape.and_then(|shape| shape.key(key)),
                &join(path, key),
                out,
            );
        }
        return;
    }
    out.push(Change {
        path: path.to_owned(),
        reload: shape.map_or(Reload::Live, reload_of),
    });
}

/// A part of the table is live when all of it is; what the table does not know, nothing reads.
fn reload_of(shape: &Shape) -> Reload {
    let own = shape.row.map(|row| row.reload);
    let keys = shape.keys.iter().map(|(_, child)| child);
    let restart = own == Some(Reload::Restart)
        || keys
            .chain(shape.any_key.as_deref())
            .chain(shape.element.as_deref())
            .any(|child| reload_of(child) == Reload::Restart);
    if restart {
        Reload::Restart
    } else {
        Reload::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(old: Value, new: Value) -> Vec<(String, bool)> {
        changes(&old, &new)
            .into_iter()
            .map(|c| (c.path, c.reload == Reload::Restart))
            .collect()
    }

    #[test]
    fn differences_are_named_down_to_the_key() {
        let old = json!({"gateway": {"port": 1, "nodes": {"allowCommands": ["a"]}}, "x": 1});
        let new = json!({"gateway": {"port": 2, "nodes": {"allowCommands": ["a", "b"]}}, "y": {"z": 1},
            "session": {"mainKey": "m"}});
        assert_eq!(
            named(old, new),
            [
                ("gateway.port".into(), true),
                ("gateway.nodes.allowCommands".into(), false),
                ("x".into(), false),
                ("y".into(), false),
                ("session.mainKey".into(), true),
            ]
        );
    }

    #[test]
    fn lists_differ_as_a_whole() {
        let old = json!({"agents": {"list": [{"id": "a"}]}});
        let new = json!({"agents": {"list": [{"id": "a", "name": "A"}]}});
        assert_eq!(named(old, new), [("agents.list".into(), false)]);
    }

    #[test]
    fn equal_documents_have_no_differences_whatever_their_order() {
        let changes = changes(
            &json!({"a": 1, "b": {"c": 2, "d": 3}}),
            &json!({"b": {"d": 3, "c": 2}, "a": 1}),
        );
        assert_eq!(changes, []);
        assert!(!needs_restart(&changes));
    }

    #[test]
    fn a_section_that_is_no_object_any_more_needs_what_it_held() {
        let changes = changes(&json!({"gateway": {"port": 1}}), &json!({"gateway": 5}));
        assert!(needs_restart(&changes));
    }
}
