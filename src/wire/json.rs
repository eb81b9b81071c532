//! JSON as it is written and read on the hot path: a writer that appends to one buffer, and a
//! view over the tape that `simd-json` leaves.

use simd_json::{Node, StaticNode};

pub use super::place::{PLACE_DIGITS, fill_place};

/// Appends JSON to a byte buffer; commas come by themselves.
///
/// The writer trusts its caller to open and close in order; it owns no memory and never fails.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    /// Writes behind what `out` already holds.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Bytes written so far.
    pub fn written_len(&self) -> usize {
        self.out.len() - self.start
    }

    fn separate(&mut self) {
        if self.out.len() > self.start && !matches!(self.out.last(), Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    /// Opens an object, as a value.
    pub fn begin_object(&mut self) {
        self.separate();
        self.out.push(b'{');
    }

    /// Closes the innermost object.
    pub fn end_object(&mut self) {
        self.out.push(b'}');
    }

    /// Opens an array, as a value.
    pub fn begin_array(&mut self) {
        self.separate();
        self.out.push(b'[');
    }

    /// Closes the innermost array.
    pub fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// An object whose members `f` writes.
    pub fn object(&mut self, f: impl FnOnce(&mut Self)) {
        self.begin_object();
        f(self);
        self.end_object();
    }

    /// An array whose elements `f` writes.
    pub fn array(&mut self, f: impl FnOnce(&mut Self)) {
        self.begin_array();
        f(self);
        self.end_array();
    }

    /// A member's name; its value must follow.
    pub fn key(&mut self, name: &str) {
        self.separate();
        write_string(self.out, name);
        self.out.push(b':');
    }

    /// A string value.
    pub fn str(&mut self, value: &str) {
        self.separate();
        write_string(self.out, value);
    }

    /// An unsigned number.
    pub fn u64(&mut self, value: u64) {
        self.separate();
        write_u64(self.out, value);
    }

    /// A signed number.
    pub fn i64(&mut self, value: i64) {
        self.separate();
        if value < 0 {
            self.out.push(b'-');
        }
        write_u64(self.out, value.unsigned_abs());
    }

    /// A floating-point number; what JSON cannot say becomes null.
    pub fn f64(&mut self, value: f64) {
        self.separate();
        if value.is_finite() {
            let text = if value == value.trunc() && value.abs() < 1e15 {
                format!("{}", value as i64)
            } else if (1e-7..1e15).contains(&value.abs()) {
                format!("{value}")
            } else {
                // Without an exponent it would be some three hundred digits long.
                format!("{value:e}")
            };
            self.out.extend_from_slice(text.as_bytes());
        } else {
            self.out.extend_from_slice(b"null");
        }
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.separate();
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// `null`.
    pub fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(b"null");
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &[u8]) {
        self.separate();
        self.out.extend_from_slice(json);
    }

    /// A blank place of [`PLACE_DIGITS`] for a number, to be filled by [`fill_place`].
    ///
    /// Returns its offset in the buffer.
    pub fn place(&mut self) -> usize {
        self.separate();
        let at = self.out.len();
        self.out.extend_from_slice(&[b' '; PLACE_DIGITS]);
        at
    }

    /// A value read from a peer's message.
    pub fn json(&mut self, value: Json<'_, '_>) {
        match value.nodes[0] {
            Node::String(text) => self.str(text),
            Node::Static(StaticNode::Null) => self.null(),
            Node::Static(StaticNode::Bool(flag)) => self.bool(flag),
            Node::Static(StaticNode::I64(number)) => self.i64(number),
            Node::Static(StaticNode::U64(number)) => self.u64(number),
            Node::Static(StaticNode::F64(number)) => self.f64(number),
            Node::Object { .. } => self.object(|w| {
                for (name, member) in value.members() {
                    w.key(name);
                    w.json(member);
                }
            }),
            Node::Array { .. } => self.array(|w| {
                for element in value.elements() {
                    w.json(element);
                }
            }),
        }
    }

    /// A value of the cold paths: configuration, stored documents.
    pub fn value(&mut self, value: &serde_json::Value) {
        self.separate();
        // Writing to a Vec cannot fail, and a Value holds nothing that JSON cannot say.
        let _ = serde_json::to_writer(&mut *self.out, value);
    }

    /// `"name": "value"`.
    pub fn field_str(&mut self, name: &str, value: &str) {
        self.key(name);
        self.str(value);
    }

    /// `"name": value`.
    pub fn field_u64(&mut self, name: &str, value: u64) {
        self.key(name);
        self.u64(value);
    }

    /// `"name": true` or `false`.
    pub fn field_bool(&mut self, name: &str, value: bool) {
        self.key(name);
        self.bool(value);
    }

    /// `"name": "value"`, or nothing: absent fields are left out, never null.
    pub fn field_opt_str(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field_str(name, value);
        }
    }

    /// `"name": value`, or nothing.
    pub fn field_opt_u64(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.field_u64(name, value);
        }
    }

    /// `"name": [ … ]` of strings.
    pub fn field_strs<'s>(&mut self, name: &str, values: impl IntoIterator<Item = &'s str>) {
        self.key(name);
        self.array(|w| {
            for value in values {
                w.str(value);
            }
        });
    }
}

fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// RFC 8259 7: quote, backslash and the control characters must be escaped.
fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    // Once for what needs no escape, which is nearly every text.
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, behind) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = behind.split_first() else {
            break;
        };
        rest = behind;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
    out.push(b'"');
}

/// How many bytes at the start stand in a string as they are; looked at eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut len = 0;
    while let Some(eight) = bytes[len..].first_chunk() {
        let word = u64::from_ne_bytes(*eight);
        // The high bit of a byte that is below `n` borrows; one that is set in the byte itself does not count.
        let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
        let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
        let slashes = below(word ^ (ONES * u64::from(b'\\')), 1);
        if (below(word, 0x20) | quotes | slashes) & HIGH != 0 {
            break;
        }
        len += 8;
    }
    let is_plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    len + bytes[len..].iter().take_while(is_plain).count()
}

/// One value of a parsed message: a view over the tape, nothing of its own.
#[derive(Clone, Copy, Debug)]
pub struct Json<'t, 'i> {
    nodes: &'t [Node<'i>],
}

impl<'t, 'i> Json<'t, 'i> {
    /// The value that starts a tape; None for an empty one.
    pub fn from_tape(nodes: &'t [Node<'i>]) -> Option<Self> {
        (!nodes.is_empty()).then_some(Self { nodes })
    }

    /// The member `name` of an object.
    pub fn get(self, name: &str) -> Option<Self> {
        self.members()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'i str> {
        match self.nodes[0] {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative; `3.0` is one, `3.5` is not.
    pub fn as_u64(self) -> Option<u64> {
        match self.nodes[0] {
            Node::Static(StaticNode::U64(number)) => Some(number),
            Node::Static(StaticNode::I64(number)) => u64::try_from(number).ok(),
            Node::Static(StaticNode::F64(number))
                if number >= 0.0 && number.fract() == 0.0 && number < 9_007_199_254_740_992.0 =>
            {
                Some(number as u64)
            }
            _ => None,
        }
    }

    /// Any number.
    pub fn as_f64(self) -> Option<f64> {
        match self.nodes[0] {
            Node::Static(StaticNode::U64(number)) => Some(number as f64),
            Node::Static(StaticNode::I64(number)) => Some(number as f64),
            Node::Static(StaticNode::F64(number)) => Some(number),
            _ => None,
        }
    }

    /// `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        match self.nodes[0] {
            Node::Static(StaticNode::Bool(flag)) => Some(flag),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.nodes[0], Node::Static(StaticNode::Null))
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        matches!(self.nodes[0], Node::Object { .. })
    }

    /// Whether this is an array.
    pub fn is_array(self) -> bool {
        matches!(self.nodes[0], Node::Array { .. })
    }

    /// The members of an object in the order they were sent; nothing for any other value.
    pub fn members(self) -> impl Iterator<Item = (&'i str, Json<'t, 'i>)> {
        let (mut left, mut at) = match self.nodes[0] {
            Node::Object { len, .. } => (len, 1),
            _ => (0, 1),
        };
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let Node::String(name) = *self.nodes.get(at)? else {
                return None;
            };
            let value = self.slice_at(at + 1)?;
            at += 1 + value.nodes.len();
            Some((name, value))
        })
    }

    /// The elements of an array; nothing for any other value.
    pub fn elements(self) -> impl Iterator<Item = Json<'t, 'i>> {
        let (mut left, mut at) = match self.nodes[0] {
            Node::Array { len, .. } => (len, 1),
            _ => (0, 1),
        };
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let value = self.slice_at(at)?;
            at += value.nodes.len();
            Some(value)
        })
    }

    /// How many members or elements there are; 0 for any other value.
    pub fn len(self) -> usize {
        match self.nodes[0] {
            Node::Object { len, .. } | Node::Array { len, .. } => len,
            _ => 0,
        }
    }

    /// Whether there is no member and no element.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The same as an owned document, for the cold paths.
    pub fn to_value(self) -> serde_json::Value {
        let mut text = Vec::new();
        Writer::new(&mut text).json(self);
        // The writer's output is JSON by construction.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn slice_at(self, at: usize) -> Option<Json<'t, 'i>> {
        let span = match self.nodes.get(at)? {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            _ => 1,
        };
        Some(Json {
            nodes: self.nodes.get(at..at + span)?,
        })
    }
}

#[cfg(test)]
mod tests;
