//! The JSON envelope of the protocol: requests read in place, responses and events written.
//!
//! A text message is parsed where it lies in the receive buffer: strings are unescaped over
//! themselves, the tape and its buffers are used again for the next message.

use crate::limits::{JSON_DEPTH_MAX, JSON_PADDING_BYTES, REQUEST_ID_BYTES_MAX};
use crate::wire::json::{Json, Writer};
use simd_json::{Buffers, Node, StaticNode, Tape};

const _: () = assert!(JSON_PADDING_BYTES >= simd_json::INPUT_PADDING);

/// What was wrong with a text that should have been JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Not JSON, or nested deeper than the limit, or a number out of range.
    Syntax,
    /// An object names a member twice.
    DuplicateKey,
}

impl JsonFault {
    /// What the peer is told.
    pub fn text(self) -> &'static str {
        match self {
            Self::Syntax => "invalid JSON",
            Self::DuplicateKey => "invalid JSON: duplicate key",
        }
    }
}

/// Parses messages one after the other, keeping its buffers.
pub struct Parser {
    buffers: Buffers,
    tape: Vec<Node<'static>>,
    keys: Vec<(usize, usize)>,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            buffers: Buffers::with_max_depth(1024, JSON_DEPTH_MAX),
            tape: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// A parsed message that borrows the bytes it was parsed from.
pub struct Document<'i> {
    tape: Tape<'i>,
}

impl<'i> Document<'i> {
    /// The outermost value.
    pub fn root(&self) -> Option<Json<'_, 'i>> {
        Json::from_tape(&self.tape.0)
    }
}

impl Parser {
    /// Parses `padded[..len]` in place.
    ///
    /// `padded` has [`JSON_PADDING_BYTES`] readable bytes behind `len`, of any content; they
    /// are unchanged afterwards. Give the document back with [`Parser::recycle`].
    ///
    /// # Errors
    ///
    /// [`JsonFault`] for everything that RFC 8259 does not allow, and for duplicate keys.
    pub fn parse<'i>(
        &mut self,
        padded: &'i mut [u8],
        len: usize,
    ) -> Result<Document<'i>, JsonFault> {
        let mut tape = Tape(std::mem::take(&mut self.tape)).reset();
        let filled = simd_json::fill_tape_padded(padded, len, &mut self.buffers, &mut tape);
        let fault = match filled.map(|()| self.fault_in(&tape.0)) {
            Ok(None) => return Ok(Document { tape }),
            Ok(Some(fault)) => fault,
            Err(_) => JsonFault::Syntax,
        };
        self.tape = tape.reset().0;
        Err(fault)
    }

    /// Takes the tape's memory back for the next message.
    pub fn recycle(&mut self, document: Document<'_>) {
        self.tape = document.tape.reset().0;
    }

    /// What the grammar allows and the protocol does not: a key twice, a number that came out
    /// infinite. Small objects are compared key by key, large ones sorted: hostile input stays
    /// O(n log n).
    fn fault_in(&mut self, nodes: &[Node<'_>]) -> Option<JsonFault> {
        const COMPARE_EACH_MAX: usize = 12;
        for (at, node) in nodes.iter().enumerate() {
            let len = match *node {
                Node::Object { len, .. } => len,
                Node::Static(StaticNode::F64(number)) if !number.is_finite() => {
                    return Some(JsonFault::Syntax);
                }
                _ => continue,
            };
            self.keys.clear();
            let mut key_at = at + 1;
            for _ in 0..len {
                let value_at = key_at + 1;
                self.keys.push((key_at, value_at));
                key_at = value_at
                    + match nodes[value_at] {
                        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
                        _ => 1,
                    };
            }
            let text = |(key, _): &(usize, usize)| match nodes[*key] {
                Node::String(text) => text,
                _ => "",
            };
            let twice = if len <= COMPARE_EACH_MAX {
                (1..len).any(|i| (0..i).any(|j| text(&self.keys[i]) == text(&self.keys[j])))
            } else {
                self.keys.sort_unstable_by(|a, b| text(a).cmp(text(b)));
                self.keys
                    .windows(2)
                    .any(|two| text(&two[0]) == text(&two[1]))
            };
            if twice {
                return Some(JsonFault::DuplicateKey);
            }
        }
        None
    }
}

/// A request: `{"type":"req","id":…,"method":…,"params":…}`.
#[derive(Clone, Copy, Debug)]
pub struct Request<'t, 'i> {
    /// As the peer chose it, 1 to 256 bytes.
    pub id: &'i str,
    /// The method's name.
    pub method: &'i str,
    /// Absent where the peer sent none or null.
    pub params: Option<Json<'t, 'i>>,
    /// A top-level key that the envelope does not have: version 3 refuses it, version 4 does not.
    pub unknown_key: Option<&'i str>,
}

/// Why a message is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARequest<'i> {
    /// The id, where there was a usable one.
    pub id: Option<&'i str>,
    /// What is wrong, in the words that the peer is told.
    pub text: &'static str,
}

/// Reads the envelope of a parsed message.
///
/// # Errors
///
/// [`NotARequest`] names the first thing that is wrong, and the id where there is one.
pub fn request<'t, 'i>(root: Json<'t, 'i>) -> Result<Request<'t, 'i>, NotARequest<'i>> {
    let (mut kind, mut id, mut method, mut params, mut unknown_key) =
        (None, None, None, None, None);
    for (key, value) in root.members() {
        match key {
            "type" => kind = value.as_str(),
            "id" => id = value.as_str(),
            "method" => method = value.as_str(),
            "params" => params = (!value.is_null()).then_some(value),
            _ => unknown_key = unknown_key.or(Some(key)),
        }
    }
    let id = id.filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()));
    let fault = |text| Err(NotARequest { id, text });
    if !root.is_object() {
        return fault("must be object");
    }
    if kind != Some("req") {
        return fault("type must be \"req\"");
    }
    let Some(request_id) = id else {
        return fault("id must be a string of 1 to 256 bytes");
    };
    match method {
        Some(method) if !method.is_empty() => Ok(Request {
            id: request_id,
            method,
            params,
            unknown_key,
        }),
        _ => fault("method must be a non-empty string"),
    }
}

/// Writes `{"type":"res","id":…,"ok":true,"payload":…}`.
pub fn write_response(w: &mut Writer<'_>, id: &str, payload: impl FnOnce(&mut Writer<'_>)) {
    w.object(|w| {
        w.field_str("type", "res");
        w.field_str("id", id);
        w.field_bool("ok", true);
        w.key("payload");
        payload(w);
    });
}

/// The parts of an error response's `error`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorShape<'a> {
    /// One of the protocol's codes, such as `INVALID_REQUEST`.
    pub code: &'a str,
    /// What is wrong and how to mend it.
    pub message: &'a str,
    /// JSON for machines, already encoded.
    pub details: Option<&'a [u8]>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// When to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// Writes `{"type":"res","id":…,"ok":false,"error":{…}}`; `payload` only where there is one.
pub fn write_error(w: &mut Writer<'_>, id: &str, payload: Option<&[u8]>, error: &ErrorShape<'_>) {
    w.object(|w| {
        w.field_str("type", "res");
        w.field_str("id", id);
        w.field_bool("ok", false);
        if let Some(payload) = payload {
            w.key("payload");
            w.raw(payload);
        }
        w.key("error");
        w.object(|w| {
            w.field_str("code", error.code);
            w.field_str("message", error.message);
            if let Some(details) = error.details {
                w.key("details");
                w.raw(details);
            }
            if error.retryable {
                w.field_bool("retryable", true);
            }
            w.field_opt_u64("retryAfterMs", error.retry_after_ms);
        });
    });
}

/// Versions of the two coalesced lists, sent along with events that change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateVersion {
    /// Counts changes of the presence list.
    pub presence: u64,
    /// Counts health snapshots.
    pub health: u64,
}

impl StateVersion {
    /// Writes `{"presence":…,"health":…}`.
    pub fn write(self, w: &mut Writer<'_>) {
        w.object(|w| {
            w.field_u64("presence", self.presence);
            w.field_u64("health", self.health);
        });
    }
}

/// Writes an event and leaves a place for `seq` where `numbered`; returns the place's offset.
pub fn write_event(
    w: &mut Writer<'_>,
    event: &str,
    numbered: bool,
    state_version: Option<StateVersion>,
    payload: impl FnOnce(&mut Writer<'_>),
) -> Option<usize> {
    let mut place = None;
    w.object(|w| {
        w.field_str("type", "event");
        w.field_str("event", event);
        w.key("payload");
        payload(w);
        if numbered {
            w.key("seq");
            place = Some(w.place());
        }
        if let Some(version) = state_version {
            w.key("stateVersion");
            version.write(w);
        }
    });
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        bytes.resize(text.len() + JSON_PADDING_BYTES, b'}');
        bytes
    }

    fn parse(text: &[u8]) -> Result<serde_json::Value, JsonFault> {
        let mut parser = Parser::default();
        let mut bytes = padded(text);
        let document = parser.parse(&mut bytes, text.len())?;
        Ok(document.root().map(Json::to_value).unwrap_or_default())
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep_ok = [
            vec![b'['; JSON_DEPTH_MAX - 1],
            vec![b']'; JSON_DEPTH_MAX - 1],
        ]
        .concat();
        assert!(parse(&deep_ok).is_ok());
        let deep = vec![b'['; 64 * 1024];
        for bad in [
            &b""[..],
            b" ",
            b"{",
            b"{}x",
            b"{} {}",
            b"{\"a\":1\0}",
            b"1\0",
            b"true\0",
            b"[NaN]",
            b"[Infinity]",
            b"[1e400]",
            b"[-1e400]",
            b"[01]",
            b"[1.]",
            b"[\"\\ud800\"]",
            b"[\"\\udc00x\"]",
            b"[\"\\u12x4\"]",
            b"[\"a\nb\"]",
            b"[\"\xff\"]",
            b"[\"\xed\xa0\x80\"]",
            b"\xef\xbb\xbf{}",
            &deep,
        ] {
            assert_eq!(
                parse(bad),
                Err(JsonFault::Syntax),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_in_small_and_large_objects() {
        for bad in [
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"{"a":1,"\u0061":2}"#.to_owned(),
            r#"[{"x":{"b":[],"c":{},"b":1}}]"#.to_owned(),
            format!(
                "{{{}}}",
                (0..500)
                    .map(|i| format!("\"k{}\":{i}", i % 499))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(JsonFault::DuplicateKey), "{bad}");
        }
        assert!(parse(br#"{"a":{"a":1},"b":{"a":2}}"#).is_ok());
    }

    #[test]
    fn the_envelope_names_its_first_fault() {
        for (text, expected) in [
            (
                r#"{"type":"req","id":"1","method":"health","x":1}"#,
                Ok(("1", Some("x"))),
            ),
            (
                r#"{"type":"req","id":"1","method":"health","params":null}"#,
                Ok(("1", None)),
            ),
            (r#"[1]"#, Err((None, "must be object"))),
            (
                r#"{"type":"res","id":"1"}"#,
                Err((Some("1"), "type must be \"req\"")),
            ),
            (
                r#"{"type":"req","id":1,"method":"health"}"#,
                Err((None, "id must be a string of 1 to 256 bytes")),
            ),
            (
                r#"{"type":"req","id":"1"}"#,
                Err((Some("1"), "method must be a non-empty string")),
            ),
        ] {
            let mut parser = Parser::default();
            let mut bytes = padded(text.as_bytes());
            let document = parser.parse(&mut bytes, text.len()).unwrap();
            let got = request(document.root().unwrap());
            assert_eq!(
                got.map(|r| (r.id, r.unknown_key))
                    .map_err(|f| (f.id, f.text)),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn the_tape_is_used_again() {
        let mut parser = Parser::default();
        for round in 0..3 {
            let text = format!(r#"{{"type":"req","id":"{round}","method":"m"}}"#);
            let mut bytes = padded(text.as_bytes());
            let document = parser.parse(&mut bytes, text.len()).unwrap();
            assert_eq!(
                request(document.root().unwrap()).unwrap().id,
                round.to_string()
            );
            parser.recycle(document);
            assert!(parser.tape.capacity() > 0);
        }
    }
}
