//! A document's text changed to mean something else, with all that need not change left as it is:
//! comments, order, quotes, blank lines.

use super::syntax::{Content, Item, Node, Tree};
use crate::order;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::ops::Range;

/// The text of a document that means `new`, as near to the old text as can be.
///
/// A comment goes only together with the value that it stands in.
pub fn rewrite(text: &str, tree: &Tree, new: &Value) -> String {
    let mut rewriter = Rewriter::new(text, tree);
    rewriter.node(&tree.root, new);
    let mut edits = rewriter.edits;
    // Insertions come before a removal that begins at their place. The sort is stable, so two
    // insertions at one place keep the order in which they were found.
    order::sort_by_key(&mut edits, |(span, _)| (span.start, span.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (span, replacement) in edits {
        out.push_str(&text[at..span.start]);
        out.push_str(&replacement);
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

struct Rewriter<'a> {
    text: &'a str,
    comments: &'a [Range<usize>],
    newline: &'static str,
    /// One level of indentation.
    indent_unit: String,
    /// Whether the document puts its keys in quotes.
    quoted: bool,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Rewriter<'a> {
    fn new(text: &'a str, tree: &'a Tree) -> Self {
        let mut rewriter = Self {
            text,
            comments: &tree.comments,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
            indent_unit: "  ".to_owned(),
            quoted: true,
            edits: Vec::new(),
        };
        if let Content::Object(items) = &tree.root.content
            && let Some(first) = items.first()
        {
            rewriter.quoted = text[first.span.start..].starts_with(['"', '\'']);
            let indent = rewriter.blank_before(first.span.start);
            if let Some(indent) = indent.filter(|indent| !indent.is_empty()) {
                rewriter.indent_unit = indent.to_owned();
            }
        }
        rewriter
    }

    fn node(&mut self, node: &Node, new: &Value) {
        match (&node.content, new) {
            (Content::Object(items), Value::Object(map)) => self.object(node, items, map),
            (Content::Array(items), Value::Array(list)) => self.array(node, items, list),
            _ if node.to_value() == *new => {}
            _ => {
                let indent = self.indent_of_line(node.span.start).to_owned();
                let rendered = self.render(new, &indent);
                self.edits.push((node.span.clone(), rendered));
            }
        }
    }

    fn object(&mut self, node: &Node, items: &[Item], new: &Map<String, Value>) {
        let mut removed = vec![false; items.len()];
        for (i, item) in items.iter().enumerate() {
            match new.get(&item.key) {
                Some(value) => self.node(&item.value, value),
                None => removed[i] = true,
            }
        }
        let style = self.style(node, items);
        let known: HashSet<&str> = items.iter().map(|item| item.key.as_str()).collect();
        let added: Vec<String> = new
            .iter()
            .filter(|(key, _)| !known.contains(key.as_str()))
            .map(|(key, value)| format!("{}: {}", self.key(key), self.render(value, &style.indent)))
            .collect();
        self.remove(items, &removed, added.is_empty());
        self.append(node, items, &removed, &added, &style);
    }

    /// Elements in front and at the end that stay are left alone; those between are changed one
    /// by one, and the difference in number is added or removed behind them.
    fn array(&mut self, node: &Node, items: &[Item], new: &[Value]) {
        let old: Vec<Value> = items.iter().map(|item| item.value.to_value()).collect();
        let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let end = old[front..]
            .iter()
            .rev()
            .zip(new[front..].iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let (old_end, new_end) = (old.len() - end, new.len() - end);
        let pairs = (old_end - front).min(new_end - front);
        for i in front..front + pairs {
            self.node(&items[i].value, &new[i]);
        }
        let mut removed = vec![false; items.len()];
        removed[front + pairs..old_end].fill(true);
        let style = self.style(node, items);
        let added: Vec<String> = new[front + pairs..new_end]
            .iter()
            .map(|value| self.render(value, &style.indent))
            .collect();
        match items.get(old_end) {
            Some(next) if !added.is_empty() => {
                let gap = style.gap(self.newline);
                let inserted = added.iter().map(|a| format!("{a},{gap}")).collect();
                self.edits
                    .push((next.span.start..next.span.start, inserted));
            }
            _ => {
                self.remove(items, &removed, added.is_empty());
                self.append(node, items, &removed, &added, &style);
            }
        }
    }

    /// Takes items away together with the comma behind each. Where `to_the_end`, nothing follows
    /// what stays last, which then has no comma unless the document likes a last comma.
    fn remove(&mut self, items: &[Item], removed: &[bool], to_the_end: bool) {
        for (item, _) in items.iter().zip(removed).filter(|(_, gone)| **gone) {
            let mut span = item.span.clone();
            if let Some(comma) = item.comma {
                if self.text[span.end..comma].trim().is_empty() {
                    span.end = comma + 1;
                } else {
                    self.edits.push((comma..comma + 1, String::new()));
                }
            }
            self.edits.push((self.with_blanks(span), String::new()));
        }
        let last_kept = removed.iter().rposition(|gone| !gone);
        let (Some(kept), Some(last)) = (last_kept, items.last()) else {
            return;
        };
        if to_the_end
            && kept + 1 < items.len()
            && last.comma.is_none()
            && let Some(comma) = items[kept].comma
        {
            self.edits.push((comma..comma + 1, String::new()));
        }
    }

    fn append(
        &mut self,
        node: &Node,
        items: &[Item],
        removed: &[bool],
        added: &[String],
        style: &Style,
    ) {
        if added.is_empty() {
            return;
        }
        let gap = style.gap(self.newline);
        let mut inserted: String = added
            .iter()
            .map(|item| format!("{gap}{item}"))
            .collect::<Vec<_>>()
            .join(",");
        let Some(kept) = removed.iter().rposition(|gone| !gone) else {
            self.fill(node, items, inserted, style);
            return;
        };
        if items.last().is_some_and(|last| last.comma.is_some()) {
            inserted.push(',');
        }
        let mut at = match items[kept].comma {
            Some(comma) => comma + 1,
            None => {
                let end = items[kept].span.end;
                self.edits.push((end..end, ",".to_owned()));
                end
            }
        };
        if style.lines {
            at = self.behind_comments_of_line(at);
        }
        self.edits.push((at..at, inserted));
    }

    /// Puts the first items into an object or array that has none, or none that stay.
    fn fill(&mut self, node: &Node, items: &[Item], mut inserted: String, style: &Style) {
        let inside = node.span.start + 1..node.span.end - 1;
        let interior = &self.text[inside.clone()];
        if style.lines && !interior.contains('\n') {
            inserted.push_str(self.newline);
            inserted.push_str(&style.outer_indent);
        }
        let blank = items.is_empty() && interior.trim().is_empty();
        let span = if blank {
            inside
        } else {
            inside.start..inside.start
        };
        if blank && style.lines && interior.contains('\n') {
            inserted.push_str(self.newline);
            inserted.push_str(&style.outer_indent);
        }
        self.edits.push((span, inserted));
    }

    fn style(&self, node: &Node, items: &[Item]) -> Style {
        let outer_indent = self.indent_of_line(node.span.start).to_owned();
        let lines = match items.first() {
            Some(first) => self.text[node.span.start..first.span.start].contains('\n'),
            None => true,
        };
        let indent = items
            .first()
            .and_then(|first| self.blank_before(first.span.start))
            .filter(|_| lines)
            .map_or_else(
                || {
                    format!(
                        "{outer_indent}{}",
                        if lines { &self.indent_unit } else { "" }
                    )
                },
                str::to_owned,
            );
        Style {
            lines,
            indent,
            outer_indent,
        }
    }

    /// Widens a span that goes: to its whole lines where it fills them, else to the blanks
    /// behind it.
    fn with_blanks(&self, span: Range<usize>) -> Range<usize> {
        let after = &self.text[span.end..];
        let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
        let behind = &after[blanks..];
        let line_end = ["\r\n", "\n"]
            .into_iter()
            .find(|end| behind.starts_with(end));
        match (self.blank_before(span.start), line_end) {
            (Some(indent), Some(end)) => span.start - indent.len()..span.end + blanks + end.len(),
            (_, Some(_)) => span,
            _ => span.start..span.end + blanks,
        }
    }

    /// Behind the comments that begin and end on the line of a place.
    fn behind_comments_of_line(&self, place: usize) -> usize {
        let mut at = place;
        loop {
            let rest = &self.text[at..];
            let next = at + rest.len() - rest.trim_start_matches([' ', '\t']).len();
            match self.comments.iter().find(|comment| comment.start == next) {
                Some(comment) if !self.text[comment.clone()].contains('\n') => at = comment.end,
                _ => return at,
            }
        }
    }

    /// The blanks from the line's beginning to a place, if there is nothing else.
    fn blank_before(&self, place: usize) -> Option<&'a str> {
        let start = self.text[..place].rfind('\n').map_or(0, |i| i + 1);
        let before = &self.text[start..place];
        before
            .bytes()
            .all(|b| b == b' ' || b == b'\t')
            .then_some(before)
    }

    fn indent_of_line(&self, place: usize) -> &'a str {
        let start = self.text[..place].rfind('\n').map_or(0, |i| i + 1);
        let line = &self.text[start..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    fn key(&self, key: &str) -> String {
        let plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$');
        if plain && !self.quoted {
            key.to_owned()
        } else {
            Value::from(key).to_string()
        }
    }

    fn render(&self, value: &Value, indent: &str) -> String {
        let inner = format!("{indent}{}", self.indent_unit);
        let (open, close, parts): (_, _, Vec<String>) = match value {
            Value::Object(map) if !map.is_empty() => {
                let part = |(k, v): (&String, &Value)| {
                    format!("{}: {}", self.key(k), self.render(v, &inner))
                };
                ('{', '}', map.iter().map(part).collect())
            }
            Value::Array(list) if list.iter().any(|v| v.is_object() || v.is_array()) => {
                let parts = list.iter().map(|v| self.render(v, &inner)).collect();
                ('[', ']', parts)
            }
            Value::Array(list) => {
                let parts: Vec<String> = list.iter().map(Value::to_string).collect();
                return format!("[{}]", parts.join(", "));
            }
            scalar => return scalar.to_string(),
        };
        let newline = self.newline;
        let between = format!(",{newline}{inner}");
        format!(
            "{open}{newline}{inner}{}{newline}{indent}{close}",
            parts.join(&between)
        )
    }
}

/// How an object or array is laid out.
struct Style {
    /// Each item on a line of its own.
    lines: bool,
    indent: String,
    outer_indent: String,
}

impl Style {
    fn gap(&self, newline: &str) -> String {
        if self.lines {
            format!("{newline}{}", self.indent)
        } else {
            " ".to_owned()
        }
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
