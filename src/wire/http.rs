//! HTTP request heads, read strictly: what two parsers could understand differently is refused.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_LINE_BYTES_MAX};

/// Why a request is not served, as a status and a text for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub why: &'static str,
    pub shape: Shape,
}

/// How a refusal is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A line of text.
    #[default]
    Text,
    /// `{"error": {message, type, param, code}}`, as OpenAI's clients read it.
    OpenAi,
    /// `{"ok": false, "error": {type, message}}`, as the ecosystem's programs read it.
    Tool,
    /// `{"ok": false, "error": message}`, as those that call webhooks read it.
    Hook,
}

impl Refusal {
    /// A refusal with its status code.
    pub const fn new(status: u16, why: &'static str) -> Self {
        Self {
            status,
            why,
            shape: Shape::Text,
        }
    }

    /// The same in another shape.
    #[must_use]
    pub const fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// A request that breaks the grammar.
    pub const fn bad(why: &'static str) -> Self {
        Self::new(400, why)
    }
}

/// Room for the header fields of one head; on the stack, never cleared.
pub struct HeaderSpace<'a>([MaybeUninit<Header<'a>>; HTTP_HEADERS_MAX]);

impl HeaderSpace<'_> {
    /// Empty room.
    pub fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; HTTP_HEADERS_MAX])
    }
}

impl Default for HeaderSpace<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The head of a request, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a str,
    /// Path and query as sent, beginning with a slash.
    pub target: &'a str,
    /// HTTP/1.1; otherwise 1.0.
    pub is_1_1: bool,
    fields: &'a [Header<'a>],
}

/// Where the head at the start of `bytes` ends; `None` when it is cut. The first `scanned` bytes
/// were searched before.
///
/// # Errors
///
/// A head that is too long, or that began with something no request begins with.
pub fn find_end(bytes: &[u8], scanned: usize) -> Result<Option<usize>, Refusal> {
    // A head ends with an empty line. A bare line feed ends one too, so that it is refused by
    // `parse` at once instead of waiting for more.
    let from = scanned.saturating_sub(3);
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        if *byte != b'\n' {
            continue;
        }
        if matches!(bytes[..at], [.., b'\n'] | [.., b'\n', b'\r']) {
            let end = at + 1;
            return if end > HTTP_HEAD_BYTES_MAX {
                Err(TOO_LONG)
            } else {
                Ok(Some(end))
            };
        }
    }
    if bytes.len() > HTTP_HEAD_BYTES_MAX {
        return Err(TOO_LONG);
    }
    match bytes.first() {
        Some(first) if !first.is_ascii_alphabetic() => Err(Refusal::bad("not a request")),
        _ => Ok(None),
    }
}

const TOO_LONG: Refusal = Refusal::new(431, "request head too long");

/// Reads a whole head, its empty line included.
///
/// # Errors
///
/// 400 for whatever RFC 9112 does not allow or allows to be read in two ways, 414 and 431 for lines
/// that are too long or too many, 411 for a body without a length, 505 for another version.
pub fn parse<'a>(bytes: &'a [u8], space: &'a mut HeaderSpace<'a>) -> Result<Head<'a>, Refusal> {
    check_lines(bytes)?;
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(bytes, &mut space.0) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Err(Refusal::bad("unfinished head")),
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LONG),
        Err(httparse::Error::Version) => {
            return Err(Refusal::new(505, "only HTTP/1.1 is spoken here"));
        }
        Err(_) => return Err(Refusal::bad("malformed head")),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Refusal::bad("malformed request line"));
    };
    let head = Head {
        method,
        target,
        is_1_1: version == 1,
        fields: request.headers,
    };
    if len != bytes.len() {
        return Err(Refusal::bad("malformed head"));
    }
    head.check()?;
    Ok(head)
}

fn check_lines(bytes: &[u8]) -> Result<(), Refusal> {
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(Refusal::bad("not a request"));
    }
    let mut line_start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            // RFC 9112 2.2 lets a recipient take a bare line feed; one that does not agrees with
            // every proxy in front of it.
            b'\n' if at == 0 || bytes[at - 1] != b'\r' => {
                return Err(Refusal::bad("bare line feed"));
            }
            b'\n' if at - line_start > HTTP_LINE_BYTES_MAX => {
                return Err(if line_start == 0 {
                    Refusal::new(414, "request line too long")
                } else {
                    TOO_LONG
                });
            }
            b'\n' => line_start = at + 1,
            0 => return Err(Refusal::bad("NUL byte")),
            _ => {}
        }
    }
    Ok(())
}

impl<'a> Head<'a> {
    /// The values of every field with this name, in any case of letters.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The value of a field that may be there once.
    ///
    /// # Errors
    ///
    /// 400 when it is there twice or is no text.
    pub fn only(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.all(name);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refusal::bad("field sent twice"));
        }
        std::str::from_utf8(value)
            .map(Some)
            .map_err(|_| Refusal::bad("field is no text"))
    }

    /// Names and values in the order they came.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// Whether one of the comma-separated values of `name` is `token`, in any case of letters.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Bytes of body that follow the head.
    ///
    /// # Errors
    ///
    /// 400 for a length that is not one plain number.
    pub fn content_len(&self) -> Result<u64, Refusal> {
        let Some(value) = self.only("content-length")? else {
            return Ok(0);
        };
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::bad("bad content length"));
        }
        value
            .parse()
            .map_err(|_| Refusal::bad("bad content length"))
    }

    /// Whether the connection serves another request after this one (RFC 9112 9.3).
    pub fn keeps_alive(&self) -> bool {
        self.is_1_1 && !self.has_token("connection", "close")
    }

    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.is_1_1 && self.has_token("expect", "100-continue")
    }

    fn check(&self) -> Result<(), Refusal> {
        let host = self.only("host")?;
        if host.is_none() && self.is_1_1 {
            return Err(Refusal::bad("no Host"));
        }
        let is_server_wide = self.target == "*" && self.method == "OPTIONS";
        if !self.target.starts_with('/') && !is_server_wide {
            return Err(Refusal::bad("target is not a path"));
        }
        let has_len = self.all("content-length").next().is_some();
        if self.all("transfer-encoding").next().is_some() {
            // RFC 9112 6.3: a message with both was made to be understood in two ways.
            return Err(if has_len || !self.is_1_1 {
                Refusal::bad("both a length and a transfer encoding")
            } else {
                Refusal::new(411, "a body needs a content length")
            });
        }
        self.content_len().map(|_| ())
    }
}
