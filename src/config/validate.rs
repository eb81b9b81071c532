//! A document against the table: all faults at once, and the values with references resolved.

use super::ecosystem::unserved;
use super::env::{self, expand};
use super::fault::{Fault, Place, UNSET_VARIABLE};
use super::kinds;
use super::paths::Lookup;
use super::suggest::{elsewhere, nearest};
use super::syntax::{Content, Item, Node};
use super::table::{Kind, STRICT_SECTION, Shape};
use crate::limits::CONFIG_FAULTS_MAX;
use serde_json::{Map, Value};

/// What reading a document against the table gives.
#[derive(Debug, Default)]
pub struct Checked {
    /// The document, references resolved in all that the program reads.
    pub values: Value,
    pub faults: Vec<Fault>,
    /// Keys that nobody knows; they are kept.
    pub warnings: Vec<Fault>,
    /// The paths of keys that other programs read; they are kept and not used.
    pub unserved: Vec<String>,
    /// Whether a value counts as not written, its variable being unset.
    pub is_partial: bool,
}

/// What becomes of a value that refers to a variable which is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// A fault: whoever reads this uses all of it.
    IsFault,
    /// The value counts as not written, but for the settings of a client: the others are the
    /// gateway's, which may well have an environment of its own.
    IsLeftOut,
}

impl Unset {
    fn is_fault(self, path: &str) -> bool {
        self == Self::IsFault || path.starts_with(CLIENT_SECTION)
    }
}

/// Kept, and nobody expects anything of them, or used by another way: `env` and how drafts are shown.
const BOOKKEEPING: [&str; 5] = [
    "env",
    "meta",
    "wizard",
    "channels.telegram.streaming",
    "channels.telegram.accounts.*.streaming",
];

/// What a client itself uses.
const CLIENT_SECTION: &str = "gateway.remote.";

/// Checks each key by itself; `checks` looks at what belongs together.
pub fn validate(text: &str, root: &Node, env: Lookup<'_>, unset: Unset) -> Checked {
    let document = root.to_value();
    let with_document = |name: &str| {
        env(name)
            .filter(|value| !value.is_empty())
            .or_else(|| env::of_document(&document, name).map(str::to_owned))
    };
    let mut walk = Walk {
        text,
        env: &with_document,
        unset,
        out: Checked::default(),
    };
    let values = walk.object(root, Shape::root(), "");
    let mut out = walk.out;
    out.values = values;
    out.faults.truncate(CONFIG_FAULTS_MAX);
    out.warnings.truncate(CONFIG_FAULTS_MAX);
    out.unserved.truncate(CONFIG_FAULTS_MAX);
    out
}

struct Walk<'a> {
    text: &'a str,
    env: Lookup<'a>,
    unset: Unset,
    out: Checked,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, shape: &Shape, path: &str) -> Value {
        if let Some(row) = shape.row {
            return self.leaf(node, row.kind, path);
        }
        match (&shape.element, &node.content) {
            (None, _) => self.object(node, shape, path),
            (Some(element), Content::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(i, item)| self.node(&item.value, element, &format!("{path}[{i}]")))
                .collect(),
            (Some(_), _) => {
                self.fault(node, path, describe(node), "use a list: [ … ]");
                Value::Null
            }
        }
    }

    fn object(&mut self, node: &Node, shape: &Shape, path: &str) -> Value {
        let Content::Object(items) = &node.content else {
            self.fault(node, path, describe(node), "use an object: { … }");
            return Value::Object(Map::new());
        };
        let mut map = Map::new();
        for item in items {
            let child_path = join(path, &item.key);
            let value = match shape.key(&item.key) {
                Some(child) => {
                    self.tell_unserved(item, shape, child, &child_path);
                    self.node(&item.value, child, &child_path)
                }
                None => {
                    self.unknown(item, shape, &child_path);
                    item.value.to_value()
                }
            };
            let is_written_null = matches!(item.value.content, Content::Scalar(Value::Null));
            if !value.is_null() || is_written_null {
                map.insert(item.key.clone(), value);
            }
        }
        Value::Object(map)
    }

    /// A key that is kept and not used: another program's, or a typing error in a section that
    /// takes any key.
    fn tell_unserved(&mut self, item: &Item, shape: &Shape, child: &Shape, path: &str) {
        let Some(row) = child.row else { return };
        if path == "hooks.presets" {
            let place = Place::of(self.text, item.value.span.start);
            let what = "names mappings that this gateway does not bring";
            let instead = "write what you need of them into hooks.mappings";
            self.out
                .warnings
                .push(Fault::new(path, what, instead).at(Some(place)));
            return;
        }
        let is_open = row.path.ends_with(".*");
        let is_kept = matches!(row.kind, Kind::Kept | Kind::KeptAs(_));
        if is_open && !unserved(row.path).any(|word| word == item.key) {
            self.unknown(item, shape, path);
        } else if is_open || is_kept && !BOOKKEEPING.contains(&row.path) {
            self.out.unserved.push(path.to_owned());
        }
    }

    fn unknown(&mut self, item: &Item, shape: &Shape, path: &str) {
        let place = Some(Place::of(self.text, item.span.start));
        let others = shape.any_key.as_ref().and_then(|any| any.row);
        let names = shape.keys.iter().map(|(name, _)| *name);
        let names = names.chain(unserved(others.map_or("", |row| row.path)));
        let strict = path.split('.').next() == Some(STRICT_SECTION);
        let better = nearest(&item.key, names.clone())
            .map(|name| join(path.rsplit_once('.').map_or("", |(parent, _)| parent), name))
            .or_else(|| {
                strict
                    .then(|| elsewhere(&item.key).map(str::to_owned))
                    .flatten()
            });
        let what = "is not a known key";
        if item.key == "$include" {
            let fault = Fault::new(
                path,
                "includes another file, which is not supported",
                "copy that file's settings into this one",
            );
            self.out.faults.push(fault.at(place));
        } else if strict {
            let instead = match better {
                Some(better) => format!("did you mean {better}?"),
                None => format!("known here: {}", names.collect::<Vec<_>>().join(", ")),
            };
            self.out
                .faults
                .push(Fault::new(path, what, instead).at(place));
        } else if item.key != "$schema" {
            let instead = match better {
                Some(better) => format!("it is kept and not used; did you mean {better}?"),
                None => "it is kept and not used".to_owned(),
            };
            self.out
                .warnings
                .push(Fault::new(path, what, instead).at(place));
        }
    }

    fn leaf(&mut self, node: &Node, kind: Kind, path: &str) -> Value {
        match (kind, &node.content) {
            (Kind::Kept | Kind::KeptAs(_), _) => node.to_value(),
            (Kind::Open, _) => self.open(node, path),
            (Kind::List(kind), Content::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(i, item)| self.leaf(&item.value, *kind, &format!("{path}[{i}]")))
                .filter(|value| !value.is_null())
                .collect(),
            (Kind::Map(kind), Content::Object(items)) => Value::Object(
                items
                    .iter()
                    .map(|item| {
                        let value = self.leaf(&item.value, *kind, &join(path, &item.key));
                        (item.key.clone(), value)
                    })
                    .filter(|(_, value)| !value.is_null())
                    .collect(),
            ),
            (Kind::Model, Content::Object(items)) => self.model(items, path),
            (_, Content::Scalar(scalar)) => {
                let Some(resolved) = self.resolve(node, scalar, path) else {
                    return Value::Null;
                };
                match kinds::check(kind, &resolved) {
                    Ok(value) => value,
                    Err((what, instead)) => {
                        self.fault(node, path, what, instead);
                        Value::Null
                    }
                }
            }
            _ => {
                self.fault(node, path, describe(node), kinds::expected(kind));
                Value::Null
            }
        }
    }

    fn model(&mut self, items: &[Item], path: &str) -> Value {
        let mut map = Map::new();
        for item in items {
            let kind = match item.key.as_str() {
                "primary" => Kind::Text,
                "fallbacks" => Kind::List(&Kind::Text),
                _ => Kind::Kept,
            };
            let value = self.leaf(&item.value, kind, &join(path, &item.key));
            if !value.is_null() || matches!(kind, Kind::Kept) {
                map.insert(item.key.clone(), value);
            }
        }
        Value::Object(map)
    }

    fn open(&mut self, node: &Node, path: &str) -> Value {
        match &node.content {
            Content::Scalar(scalar) => self.resolve(node, scalar, path).unwrap_or_default(),
            Content::Array(items) => items
                .iter()
                .enumerate()
                .map(|(i, item)| self.open(&item.value, &format!("{path}[{i}]")))
                .collect(),
            Content::Object(items) => Value::Object(
                items
                    .iter()
                    .map(|item| {
                        let value = self.open(&item.value, &join(path, &item.key));
                        (item.key.clone(), value)
                    })
                    .collect(),
            ),
        }
    }

    /// None, and a fault for each, where variables are not set.
    fn resolve(&mut self, node: &Node, scalar: &Value, path: &str) -> Option<Value> {
        let Value::String(text) = scalar else {
            return Some(scalar.clone());
        };
        match expand(text, self.env) {
            Ok(text) => Some(Value::String(text)),
            Err(names) => {
                if !self.unset.is_fault(path) {
                    self.out.is_partial = true;
                    return None;
                }
                for name in names {
                    let what = format!("{UNSET_VARIABLE} {name}, which is not set");
                    self.fault(
                        node,
                        path,
                        what,
                        format!("set {name} or write the value here"),
                    );
                }
                None
            }
        }
    }

    fn fault(
        &mut self,
        node: &Node,
        path: &str,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let place = Place::of(self.text, node.span.start);
        self.out
            .faults
            .push(Fault::new(path, what, instead).at(Some(place)));
    }
}

fn describe(node: &Node) -> &'static str {
    match &node.content {
        Content::Scalar(value) => kinds::describe(value),
        Content::Array(_) => "is a list",
        Content::Object(_) => "is an object",
    }
}

/// A path with one key more; a key that is no plain word stands in brackets.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", Value::String(key.to_owned())),
    }
}
