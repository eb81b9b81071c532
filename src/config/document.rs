//! One state of the configuration file: its text, and what it means.

use super::checks;
use super::fault::{Fault, Place};
use super::paths::Lookup;
use super::syntax::{self, Tree};
use super::types::Config;
use super::validate::{Unset, validate};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The file as it was read, valid or not. An absent file is a document too.
#[derive(Clone, Debug)]
pub struct Document {
    path: String,
    /// None where there is no file.
    text: Option<String>,
    tree: Result<Tree, Fault>,
    hash: String,
}

/// A valid configuration, ready for use.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Arc<Config>,
    /// The document with references resolved; holds secrets.
    pub values: Arc<Value>,
    /// Keys that nobody knows; they are kept.
    pub warnings: Vec<Fault>,
    /// The paths of keys that other programs read; they are kept and not used.
    pub unserved: Vec<String>,
}

impl Document {
    /// The document of a file that does not exist: all defaults.
    pub fn absent(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: None,
            tree: syntax::parse("{}"),
            hash: hash_of(""),
        }
    }

    /// The document of a file's text. An empty text is damaged, not empty settings.
    pub fn new(path: impl Into<String>, text: String) -> Self {
        Self {
            path: path.into(),
            tree: syntax::parse(&text),
            hash: hash_of(&text),
            text: Some(text),
        }
    }

    /// Where the file is or would be.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file's text; none where there is no file.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The parsed text.
    ///
    /// # Errors
    /// The first fault, where the text is not JSON5.
    pub fn tree(&self) -> Result<&Tree, &Fault> {
        self.tree.as_ref()
    }

    /// SHA-256 of the file's bytes in hex; of no bytes where there is no file.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The values as written, references unresolved; an empty object where the text is damaged.
    pub fn value(&self) -> Value {
        match &self.tree {
            Ok(tree) => tree.root.to_value(),
            Err(_) => Value::Object(Map::new()),
        }
    }

    /// Checks everything and resolves references.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(&self, env: Lookup<'_>) -> Result<Loaded, Vec<Fault>> {
        self.load_with(env, Unset::IsFault)
    }

    /// The same for who only talks to the gateway: a reference to a variable that only the gateway
    /// has counts as not written, but in `gateway.remote`, which is the client's own.
    ///
    /// # Errors
    /// All other faults at once.
    pub fn load_for_client(&self, env: Lookup<'_>) -> Result<Loaded, Vec<Fault>> {
        self.load_with(env, Unset::IsLeftOut)
    }

    /// Keys that nobody knows, also beside faults, and what was probably meant otherwise.
    pub fn warnings(&self, env: Lookup<'_>) -> Vec<Fault> {
        let Ok(tree) = &self.tree else {
            return Vec::new();
        };
        let text = self.text.as_deref().unwrap_or("{}");
        let mut warnings = validate(text, &tree.root, env, Unset::IsLeftOut).warnings;
        let config = self.without_faults(env);
        warnings.extend(config.as_ref().map(checks::remarks).unwrap_or_default());
        warnings
    }

    /// What is left where each faulty value counts as not written; None where the text is damaged.
    pub fn without_faults(&self, env: Lookup<'_>) -> Option<Config> {
        let tree = self.tree.as_ref().ok()?;
        let text = self.text.as_deref().unwrap_or("{}");
        let checked = validate(text, &tree.root, env, Unset::IsLeftOut);
        serde_json::from_value(checked.values).ok()
    }

    fn load_with(&self, env: Lookup<'_>, unset: Unset) -> Result<Loaded, Vec<Fault>> {
        let tree = self.tree.as_ref().map_err(|fault| vec![fault.clone()])?;
        let text = self.text.as_deref().unwrap_or("{}");
        let checked = validate(text, &tree.root, env, unset);
        if !checked.faults.is_empty() {
            return Err(checked.faults);
        }
        let config: Config = serde_json::from_value(checked.values.clone()).map_err(|error| {
            // The table admits nothing that the types refuse; a test walks every row.
            vec![Fault::new("", error.to_string(), "")]
        })?;
        let placed = |fault: Fault| {
            let place = place_of(text, tree, &fault.path);
            fault.at(place)
        };
        let faults: Vec<Fault> = checks::check(&config).into_iter().map(placed).collect();
        // What is left out may be what another value asks for.
        if !faults.is_empty() && !checked.is_partial {
            return Err(faults);
        }
        let mut warnings = checked.warnings;
        warnings.extend(checks::remarks(&config).into_iter().map(placed));
        Ok(Loaded {
            config: Arc::new(config),
            values: Arc::new(checked.values),
            warnings,
            unserved: checked.unserved,
        })
    }
}

/// The place of the longest part of a path that the document has.
fn place_of(text: &str, tree: &Tree, path: &str) -> Option<Place> {
    let mut node = &tree.root;
    let mut place = None;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let Some(item) = node.child(step) else {
            break;
        };
        place = Some(Place::of(text, item.value.span.start));
        node = &item.value;
    }
    place
}

/// Lower-case hex SHA-256.
fn hash_of(text: &str) -> String {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
