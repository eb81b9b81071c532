//! Close codes: which may travel, and what each failure of a peer is called on the wire.

use crate::limits::CLOSE_REASON_BYTES_MAX;

use super::utf8;

/// The purpose is fulfilled.
pub const NORMAL: u16 = 1000;
/// An endpoint goes away.
pub const GOING_AWAY: u16 = 1001;
/// A rule of RFC 6455 was broken.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A kind of data that is not taken here.
pub const UNSUPPORTED_DATA: u16 = 1003;
/// What RFC 6455 7.1.5 calls a close without a code; never sent.
pub const NO_STATUS: u16 = 1005;
/// A text that is not UTF-8.
pub const BAD_TEXT: u16 = 1007;
/// Refused for a reason of our own.
pub const POLICY: u16 = 1008;
/// A message longer than the limit.
pub const TOO_BIG: u16 = 1009;
/// A fault of ours.
pub const INTERNAL_ERROR: u16 = 1011;
/// The service restarts.
pub const RESTART: u16 = 1012;

/// Why a peer's frames cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// A frame that was not masked (RFC 6455 5.1).
    Unmasked,
    /// A reserved bit, and no extension was agreed on (5.2).
    ReservedBit,
    /// An opcode without meaning (5.2).
    ReservedOpcode,
    /// A length not written in the fewest bytes, or with its highest bit set (5.2).
    BadLength,
    /// A control frame over 125 bytes or in fragments (5.5).
    BadControl,
    /// A continuation of nothing, or a new message inside an unfinished one (5.4).
    BadFragment,
    /// A close frame with one byte, a code that may not travel, or a reason that is no text (5.5.1).
    BadClose,
    /// A text that is not UTF-8 (8.1).
    BadText,
    /// Binary where only text is taken.
    Binary,
    /// Longer than the limit, or in more fragments.
    TooBig,
}

impl Fail {
    /// The code that the peer is told.
    pub fn code(self) -> u16 {
        match self {
            Self::BadText => BAD_TEXT,
            Self::Binary => UNSUPPORTED_DATA,
            Self::TooBig => TOO_BIG,
            _ => PROTOCOL_ERROR,
        }
    }

    /// The reason that the peer is told.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unmasked => "frame not masked",
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::BadLength => "bad frame length",
            Self::BadControl => "bad control frame",
            Self::BadFragment => "bad fragment",
            Self::BadClose => "bad close frame",
            Self::BadText => "text is not UTF-8",
            Self::Binary => "binary not supported",
            Self::TooBig => "message too big",
        }
    }
}

/// RFC 6455 7.4: the codes that an endpoint may put into a close frame.
pub fn may_travel(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The code and reason of a close frame's payload; no payload is [`NO_STATUS`].
pub fn decode(payload: &[u8]) -> Result<(u16, &str), Fail> {
    match payload {
        [] => Ok((NO_STATUS, "")),
        [_] => Err(Fail::BadClose),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_travel(code) {
                return Err(Fail::BadClose);
            }
            utf8::check(reason).map_err(|_| Fail::BadText)?;
            Ok((code, std::str::from_utf8(reason).unwrap_or("")))
        }
    }
}

/// A close frame's payload.
pub struct Payload {
    bytes: [u8; 2 + CLOSE_REASON_BYTES_MAX],
    len: usize,
}

impl Payload {
    /// A code and as much of the reason, whole characters, as a control frame takes;
    /// [`NO_STATUS`] gives the empty payload.
    pub fn new(code: u16, reason: &str) -> Self {
        let mut bytes = [0; 2 + CLOSE_REASON_BYTES_MAX];
        if code == NO_STATUS {
            return Self { bytes, len: 0 };
        }
        let mut cut = reason.len().min(CLOSE_REASON_BYTES_MAX);
        while !reason.is_char_boundary(cut) {
            cut -= 1;
        }
        let reason = &reason[..cut];
        bytes[..2].copy_from_slice(&code.to_be_bytes());
        bytes[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
        Self {
            bytes,
            len: 2 + reason.len(),
        }
    }

    /// The bytes for the frame.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_travel_are_taken() {
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ] {
            assert_eq!(decode(&u16::to_be_bytes(code)), Ok((code, "")), "{code}");
        }
        for code in [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
        ] {
            assert_eq!(
                decode(&u16::to_be_bytes(code)),
                Err(Fail::BadClose),
                "{code}"
            );
        }
    }

    #[test]
    fn a_close_payload_is_nothing_or_a_code_and_a_text() {
        assert_eq!(decode(b""), Ok((NO_STATUS, "")));
        assert_eq!(decode(b"\x03"), Err(Fail::BadClose));
        assert_eq!(decode(b"\x03\xe8bye"), Ok((1000, "bye")));
        assert_eq!(decode(b"\x03\xe8\xce"), Err(Fail::BadText));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = format!("{}{}", "a".repeat(122), "é");
        let payload = Payload::new(POLICY, &reason);
        assert_eq!(payload.as_bytes().len(), 124);
        assert!(decode(payload.as_bytes()).is_ok());
        assert_eq!(Payload::new(NO_STATUS, "ignored").as_bytes(), b"");
    }
}
