//! The opening handshake of RFC 6455: which requests ask for it, and what they are answered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1_smol::Sha1;

use super::http::{Head, Refusal};

/// RFC 6455 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of an accept value: 20 bytes of SHA-1 in base64.
const ACCEPT_BYTES: usize = 28;

/// A request for the WebSocket protocol that keeps the RFC's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    accept: [u8; ACCEPT_BYTES],
}

impl Upgrade {
    /// Reads the request; `None` when it does not ask for WebSocket.
    ///
    /// # Errors
    ///
    /// 426 for another version of the protocol, 400 for whatever else RFC 6455 4.2.1 does not allow.
    pub fn read(head: &Head<'_>) -> Result<Option<Self>, Refusal> {
        if !head.has_token("upgrade", "websocket") {
            return Ok(None);
        }
        if head.method != "GET" || !head.is_1_1 || head.only("host")?.is_none() {
            return Err(Refusal::bad("an upgrade is a GET of HTTP/1.1"));
        }
        if !head.has_token("connection", "upgrade") {
            return Err(Refusal::bad("no Connection: Upgrade"));
        }
        // A body would be bytes that a proxy counts to this request and we to the first frame.
        if head.all("content-length").next().is_some() {
            return Err(Refusal::bad("an upgrade has no body"));
        }
        match head.only("sec-websocket-version")? {
            Some("13") => {}
            _ => return Err(WRONG_VERSION),
        }
        let key = head.only("sec-websocket-key")?.ok_or(BAD_KEY)?;
        let mut raw = [0; 18];
        if key.len() != 24 || STANDARD.decode_slice(key, &mut raw) != Ok(16) {
            return Err(BAD_KEY);
        }
        Ok(Some(Self {
            accept: accept(key.as_bytes()),
        }))
    }

    /// The bytes of the answer; frames follow it.
    pub fn response(&self) -> [u8; RESPONSE_START.len() + ACCEPT_BYTES + 4] {
        let mut response = [0; RESPONSE_START.len() + ACCEPT_BYTES + 4];
        let (start, rest) = response.split_at_mut(RESPONSE_START.len());
        start.copy_from_slice(RESPONSE_START);
        rest[..ACCEPT_BYTES].copy_from_slice(&self.accept);
        rest[ACCEPT_BYTES..].copy_from_slice(b"\r\n\r\n");
        response
    }
}

// No extension is named: compression is never agreed on.
const RESPONSE_START: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: ";

const WRONG_VERSION: Refusal = Refusal::new(426, "only WebSocket version 13 is spoken here");
const BAD_KEY: Refusal = Refusal::bad("bad Sec-WebSocket-Key");

fn accept(key: &[u8]) -> [u8; ACCEPT_BYTES] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let mut accept = [0; ACCEPT_BYTES];
    let written = STANDARD.encode_slice(hash.digest().bytes(), &mut accept);
    debug_assert_eq!(written, Ok(ACCEPT_BYTES));
    accept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_the_one_of_the_rfc() {
        assert_eq!(
            &accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
