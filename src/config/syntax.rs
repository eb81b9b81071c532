//! JSON5 text as a tree whose every part knows where in the text it stands.
//!
//! Single tokens (strings, numbers, names) are decoded by the `json5` crate; this module finds
//! where they begin and end, so that an edit can leave all other bytes as they are.

use super::fault::{Fault, Place};
use crate::limits::{CONFIG_ENTRIES_MAX, JSON_DEPTH_MAX};
use serde_json::{Map, Value};
use std::ops::Range;

/// A value and where it stands, in bytes.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Range<usize>,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Scalar(Value),
    Array(Vec<Item>),
    Object(Vec<Item>),
}

/// An entry of an object, or an element of an array.
#[derive(Clone, Debug)]
pub struct Item {
    /// Decoded; empty in an array.
    pub key: String,
    /// From the key, in an array from the value, to the end of the value.
    pub span: Range<usize>,
    pub value: Node,
    /// Where the comma behind it stands.
    pub comma: Option<usize>,
}

/// A whole document.
#[derive(Clone, Debug)]
pub struct Tree {
    pub root: Node,
    /// The comments, with their marks, in order.
    pub comments: Vec<Range<usize>>,
}

impl Node {
    /// The value without places.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Array(items) => items.iter().map(|i| i.value.to_value()).collect(),
            Content::Object(items) => Value::Object(
                items
                    .iter()
                    .map(|i| (i.key.clone(), i.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The child of that name, in an array of that number.
    pub fn child(&self, step: &str) -> Option<&Item> {
        match &self.content {
            Content::Scalar(_) => None,
            Content::Array(items) => items.get(step.parse::<usize>().ok()?),
            Content::Object(items) => items.iter().find(|i| i.key == step),
        }
    }

    /// The descendant at a path of names and numbers.
    pub fn find<'a>(&self, steps: impl IntoIterator<Item = &'a str>) -> Option<&Node> {
        let mut node = self;
        for step in steps {
            node = &node.child(step)?.value;
        }
        Some(node)
    }
}

/// Reads a document whose root is an object.
///
/// # Errors
/// The first fault in the text, with its place: not JSON5, nested too deep, a key given twice,
/// a number without a finite value, or a root that is no object.
pub fn parse(text: &str) -> Result<Tree, Fault> {
    let tree = parse_any(text)?;
    if !matches!(tree.root.content, Content::Object(_)) {
        let fault = Fault::new("", "is not an object", "put the settings between { and }");
        return Err(fault.at(Some(Place::of(text, tree.root.span.start))));
    }
    Ok(tree)
}

/// As `parse`, with any value at the root.
///
/// # Errors
/// As `parse`.
pub fn parse_any(text: &str) -> Result<Tree, Fault> {
    let mut scanner = Scanner {
        text,
        at: 0,
        comments: Vec::new(),
    };
    let result = scanner.document();
    match result {
        Ok(root) => Ok(Tree {
            root,
            comments: scanner.comments,
        }),
        Err(Stop { at, what, instead }) => {
            Err(Fault::new("", what, instead).at(Some(Place::of(text, at))))
        }
    }
}

struct Stop {
    at: usize,
    what: String,
    instead: &'static str,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    comments: Vec<Range<usize>>,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<Node, Stop> {
        self.trivia()?;
        let root = self.value(0)?;
        self.trivia()?;
        match self.peek() {
            None => Ok(root),
            Some(c) => Err(self.stop(
                format!("has {c:?} after the end of the document"),
                "one object is the whole file",
            )),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Stop> {
        if depth > JSON_DEPTH_MAX {
            return Err(self.stop("is nested too deep".into(), "use at most 64 levels"));
        }
        let start = self.at;
        let content = match self.peek() {
            Some('{') => Content::Object(self.items('}', depth)?),
            Some('[') => Content::Array(self.items(']', depth)?),
            Some('"' | '\'') => Content::Scalar(Value::String(self.string()?)),
            _ => Content::Scalar(self.word()?),
        };
        Ok(Node {
            span: start..self.at,
            content,
        })
    }

    fn items(&mut self, close: char, depth: usize) -> Result<Vec<Item>, Stop> {
        let open = self.at;
        self.bump();
        let mut items: Vec<Item> = Vec::new();
        let mut names = std::collections::HashSet::new();
        loop {
            self.trivia()?;
            if self.peek() == Some(close) {
                self.bump();
                return Ok(items);
            }
            if let met @ (None | Some('}' | ']')) = self.peek() {
                // The place is where it begins: where it should have ended nobody knows.
                self.at = open;
                let instead = if close == '}' {
                    "add its }"
                } else {
                    "add its ]"
                };
                let before = met.map_or(String::new(), |met| {
                    format!(" before a {met:?} that is not its own")
                });
                return Err(self.stop(format!("has no end to what begins here{before}"), instead));
            }
            if items.last().is_some_and(|last| last.comma.is_none()) {
                return Err(self.unexpected("put a comma between two entries"));
            }
            let start = self.at;
            let key = if close == '}' {
                self.key()?
            } else {
                String::new()
            };
            if close == '}' && !names.insert(key.clone()) {
                self.at = start;
                return Err(self.stop(format!("has the key {key:?} twice"), "keep one of them"));
            }
            let value = self.value(depth + 1)?;
            let end = self.at;
            self.trivia()?;
            let comma = (self.peek() == Some(',')).then_some(self.at);
            if comma.is_some() {
                self.bump();
            }
            if items.len() == CONFIG_ENTRIES_MAX {
                self.at = start;
                let what = format!("has more than {CONFIG_ENTRIES_MAX} entries in one place");
                return Err(self.stop(what, "use fewer"));
            }
            items.push(Item {
                key,
                span: start..end,
                value,
                comma,
            });
        }
    }

    fn key(&mut self) -> Result<String, Stop> {
        let key = match self.peek() {
            Some('"' | '\'') => self.string()?,
            _ => self.name()?,
        };
        self.trivia()?;
        if self.peek() != Some(':') {
            return Err(self.unexpected("put a colon between key and value"));
        }
        self.bump();
        self.trivia()?;
        Ok(key)
    }

    fn name(&mut self) -> Result<String, Stop> {
        let start = self.at;
        let token = self.take_while(|c| {
            c.is_alphanumeric() || "_$\\\u{200c}\u{200d}".contains(c) || is_mark(c)
        });
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        if token.starts_with(|c: char| !c.is_ascii_digit()) && token.chars().all(plain) {
            return Ok(token.to_owned());
        }
        let decoded = json5::from_str::<Map<String, Value>>(&format!("{{{token}:0}}"));
        match decoded.ok().and_then(|map| map.into_iter().next()) {
            Some((name, _)) if !token.is_empty() => Ok(name),
            _ => {
                self.at = start;
                Err(self.unexpected("put a key here, in quotes where it is not a plain word"))
            }
        }
    }

    fn string(&mut self) -> Result<String, Stop> {
        let start = self.at;
        let quote = self.bump();
        loop {
            match self.bump() {
                None | Some('\n' | '\r') => {
                    self.at = start;
                    return Err(self.stop("has a text without its end".into(), "close the quotes"));
                }
                Some('\\') => {
                    // A line that goes on may end as lines do on Windows.
                    if self.bump() == Some('\r') && self.peek() == Some('\n') {
                        self.bump();
                    }
                }
                c if c == quote => break,
                Some(_) => {}
            }
        }
        let token = &self.text[start..self.at];
        json5::from_str(token).map_err(|_| Stop {
            at: start,
            what: "has a text with an escape that does not exist".into(),
            instead: "write \\\\ for a backslash",
        })
    }

    fn word(&mut self) -> Result<Value, Stop> {
        let start = self.at;
        let token = self.take_while(|c| c.is_ascii_alphanumeric() || "+-._$".contains(c));
        let value = match token {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "" => None,
            // Infinity and NaN decode to null, which no number is.
            _ => json5::from_str::<Value>(token)
                .ok()
                .filter(Value::is_number),
        };
        let token = token.to_owned();
        value.ok_or_else(|| {
            self.at = start;
            if token.is_empty() {
                return self.unexpected("put a value here");
            }
            self.stop(
                format!("has {token} where a value should be"),
                "put texts in quotes; numbers must be finite",
            )
        })
    }

    fn trivia(&mut self) -> Result<(), Stop> {
        loop {
            self.take_while(is_blank);
            let start = self.at;
            let rest = &self.text[start..];
            let end = if rest.starts_with("//") {
                rest.find(is_line_end).unwrap_or(rest.len())
            } else if let Some(body) = rest.strip_prefix("/*") {
                match body.find("*/") {
                    Some(end) => end + 4,
                    None => {
                        return Err(self.stop("has a comment without its end".into(), "add */"));
                    }
                }
            } else {
                return Ok(());
            };
            self.comments.push(start..start + end);
            self.at += end;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let rest = &self.text[start..];
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    fn unexpected(&self, instead: &'static str) -> Stop {
        let what = match self.peek() {
            Some(c) => format!("has {c:?} in a wrong place"),
            None => "ends too early".to_owned(),
        };
        self.stop(what, instead)
    }

    fn stop(&self, what: String, instead: &'static str) -> Stop {
        Stop {
            at: self.at,
            what,
            instead,
        }
    }
}

/// What may stand between two tokens.
fn is_blank(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

/// What ends a `//` comment.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Combining marks and connectors that may go on in a name; the json5 crate judges the rest.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && !is_blank(c)
}

#[cfg(test)]
#[path = "syntax_tests.rs"]
mod tests;
