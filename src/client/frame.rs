//! RFC 6455 frames from the client's side: we mask, the gateway does not.

use crate::limits::{CONTROL_BYTES_MAX, FRAGMENTS_MAX};

/// What a frame is for (RFC 6455 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// The head of a frame of which all bytes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Last frame of its message.
    pub fin: bool,
    /// What it is for.
    pub opcode: Opcode,
    /// Where its payload lies in the bytes that were looked at.
    pub payload: (usize, usize),
}

/// The rule that a peer broke: the close code for it, and what a person is told.
pub type Broken = (u16, &'static str);

const TOO_LONG: Broken = (1009, "a message is longer than this client takes");

/// Looks at the front of `bytes` for one whole frame of a server.
///
/// `None` means that bytes are missing; then at most `payload_max` of them will ever be.
/// The error says which rule the peer broke.
pub fn decode(bytes: &[u8], payload_max: usize) -> Result<Option<Frame>, Broken> {
    let [first, second, ..] = *bytes else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err((1002, "a reserved bit is set")); // RFC 6455 5.2: no extension was negotiated.
    }
    if second & 0x80 != 0 {
        return Err((1002, "a server's frame is masked")); // RFC 6455 5.1
    }
    let fin = first & 0x80 != 0;
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err((1002, "a reserved opcode")),
    };
    let (head, length) = match (second & 0x7f, bytes) {
        (126, [_, _, a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [_, _, long @ ..]) if long.len() >= 8 => {
            let mut octets = [0; 8];
            octets.copy_from_slice(&long[..8]);
            (10, u64::from_be_bytes(octets))
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    // RFC 6455 5.5: control frames are short and never fragmented.
    if first & 0x08 != 0 && (!fin || length > CONTROL_BYTES_MAX as u64) {
        return Err((1002, "a control frame is too long or fragmented"));
    }
    if length > payload_max as u64 {
        return Err(TOO_LONG);
    }
    let end = head + length as usize;
    Ok((bytes.len() >= end).then_some(Frame {
        fin,
        opcode,
        payload: (head, end),
    }))
}

/// Appends a final frame with `payload` to `out`, masked with `mask` (RFC 6455 5.3).
pub fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
    out.push(0x80 | opcode as u8);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
}

/// Puts the fragments of messages together.
#[derive(Debug, Default)]
pub struct Assembler {
    kind: Option<Opcode>,
    fragments: u32,
    gathered: Vec<u8>,
}

impl Assembler {
    /// Takes a data frame; a finished message comes back as its kind and bytes.
    pub fn push(
        &mut self,
        frame: Frame,
        payload: &[u8],
        message_max: usize,
    ) -> Result<Option<(Opcode, Vec<u8>)>, Broken> {
        let kind = match (self.kind, frame.opcode) {
            (None, Opcode::Continuation) => return Err((1002, "a continuation of nothing")),
            (None, kind) => kind,
            (Some(kind), Opcode::Continuation) => kind,
            (Some(_), _) => return Err((1002, "a message begins inside another")),
        };
        self.fragments += 1;
        if self.fragments > FRAGMENTS_MAX || self.gathered.len() + payload.len() > message_max {
            return Err(TOO_LONG);
        }
        self.gathered.extend_from_slice(payload);
        if !frame.fin {
            self.kind = Some(kind);
            return Ok(None);
        }
        self.kind = None;
        self.fragments = 0;
        Ok(Some((kind, std::mem::take(&mut self.gathered))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's frame: the same without the mask.
    fn server(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, Opcode::Text, payload, [0; 4]);
        let mask_at = out.len() - payload.len() - 4;
        out.drain(mask_at..mask_at + 4);
        out[0] = first;
        out[1] &= 0x7f;
        out
    }

    #[test]
    fn every_length_form_reads_back_from_any_cut() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let bytes = server(0x81, &payload);
            for cut in (0..bytes.len()).step_by(1 + length / 50) {
                assert_eq!(decode(&bytes[..cut], 1 << 20), Ok(None), "{length} {cut}");
            }
            let frame = decode(&bytes, 1 << 20).unwrap().unwrap();
            assert_eq!(&bytes[frame.payload.0..frame.payload.1], payload);
        }
    }

    #[test]
    fn a_client_frame_is_masked() {
        let mut out = Vec::new();
        encode(&mut out, Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        // The example of RFC 6455 5.7.
        let expected = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        assert!(decode(&[0x81, 0x80, 0, 0, 0, 0], 100).is_err(), "masked");
        assert!(decode(&[0xc1, 0], 100).is_err(), "RSV1");
        assert!(decode(&[0x83, 0], 100).is_err(), "opcode 3");
        assert!(decode(&[0x09, 0], 100).is_err(), "fragmented ping");
        assert!(decode(&[0x89, 126, 0, 126], 100).is_err(), "long ping");
    }

    #[test]
    fn a_declared_length_is_refused_before_its_bytes_come() {
        let huge = [0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(decode(&huge, 1 << 20), Err(TOO_LONG));
        assert_eq!(decode(&[0x81, 126, 0x01, 0x00], 255), Err(TOO_LONG));
    }

    #[test]
    fn fragments_make_one_message_within_the_bound() {
        let head = |fin, opcode| Frame {
            fin,
            opcode,
            payload: (0, 0),
        };
        let mut whole = Assembler::default();
        assert_eq!(whole.push(head(false, Opcode::Text), b"ab", 4), Ok(None));
        assert_eq!(
            whole.push(head(true, Opcode::Continuation), b"cd", 4),
            Ok(Some((Opcode::Text, b"abcd".to_vec())))
        );
        assert!(
            whole
                .push(head(true, Opcode::Continuation), b"", 4)
                .is_err()
        );
        assert_eq!(whole.push(head(false, Opcode::Text), b"abc", 4), Ok(None));
        assert!(whole.push(head(true, Opcode::Text), b"", 4).is_err());
        assert!(
            whole
                .push(head(true, Opcode::Continuation), b"de", 4)
                .is_err()
        );
    }
}
