//! Frame heads, both ways. The head is judged before a single byte of the payload is kept.

use crate::limits::CONTROL_BYTES_MAX;

use super::close::Fail;

/// What a frame carries (RFC 6455 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    /// Control frames have the highest bit of the opcode set (RFC 6455 5.5).
    #[inline]
    pub fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }
}

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub fin: bool,
    pub opcode: Opcode,
    pub mask: [u8; 4],
    /// Bytes of payload that follow.
    pub payload_len: u64,
    /// Bytes of the head itself, 6 to 14.
    pub head_len: usize,
}

/// The head of a whole data message of less than 126 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHead {
    pub binary: bool,
    pub payload_len: usize,
    pub mask: [u8; 4],
}

/// Two bytes and the key.
pub const SHORT_HEAD_BYTES: usize = 6;
/// Longest head that a client sends: two bytes, 64 bits of length, the key.
pub const CLIENT_HEAD_BYTES_MAX: usize = 14;
/// Longest head that we send: no key.
pub const SERVER_HEAD_BYTES_MAX: usize = 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Reads the head at the start of `bytes`; `None` when it is cut. Whatever is wrong with the part
/// that is there is an error at once.
#[inline]
pub fn decode(bytes: &[u8]) -> Result<Option<Head>, Fail> {
    let [first, second, rest @ ..] = bytes else {
        return bytes
            .first()
            .map_or(Ok(None), |first| opcode(*first).map(|_| None));
    };
    let opcode = opcode(*first)?;
    let fin = first & FIN != 0;
    if second & MASKED == 0 {
        return Err(Fail::Unmasked);
    }
    let short = second & !MASKED;
    if opcode.is_control() && (!fin || usize::from(short) > CONTROL_BYTES_MAX) {
        return Err(Fail::BadControl);
    }
    let (payload_len, mask, head_len) = match short {
        126 => {
            let Some((len, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            let len = u16::from_be_bytes(*len);
            if len < 126 {
                return Err(Fail::BadLength);
            }
            (u64::from(len), rest.first_chunk(), 8)
        }
        127 => {
            let Some((len, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(*len);
            if len <= u64::from(u16::MAX) || len >> 63 != 0 {
                return Err(Fail::BadLength);
            }
            (len, rest.first_chunk(), 14)
        }
        short => (u64::from(short), rest.first_chunk(), 6),
    };
    Ok(mask.map(|mask| Head {
        fin,
        opcode,
        mask: *mask,
        payload_len,
        head_len,
    }))
}

/// The head at the start of `bytes`, of [`SHORT_HEAD_BYTES`], if it is the commonest one: a whole data message of
/// less than 126 bytes. `None` says nothing about others; [`decode`] does.
#[inline(always)]
pub fn decode_short_message(bytes: &[u8]) -> Option<ShortHead> {
    let [first, second, a, b, c, d, ..] = bytes else {
        return None;
    };
    let payload_len = second.wrapping_sub(MASKED);
    if !matches!(first, 0x81 | 0x82) || payload_len >= 126 {
        return None;
    }
    Some(ShortHead {
        binary: *first == 0x82,
        payload_len: usize::from(payload_len),
        mask: [*a, *b, *c, *d],
    })
}

/// A head of ours: one whole frame, never masked (RFC 6455 5.1). Its bytes and how many they are.
#[inline]
pub fn encode(opcode: Opcode, payload_len: usize) -> ([u8; SERVER_HEAD_BYTES_MAX], usize) {
    let mut head = [0; SERVER_HEAD_BYTES_MAX];
    head[0] = FIN | opcode as u8;
    if payload_len < 126 {
        head[1] = payload_len as u8;
        (head, 2)
    } else if let Ok(len) = u16::try_from(payload_len) {
        head[1] = 126;
        head[2..4].copy_from_slice(&len.to_be_bytes());
        (head, 4)
    } else {
        head[1] = 127;
        head[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        (head, 10)
    }
}

#[inline]
fn opcode(first: u8) -> Result<Opcode, Fail> {
    if first & RESERVED != 0 {
        return Err(Fail::ReservedBit);
    }
    Ok(match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(Fail::ReservedOpcode),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(first: u8, payload_len: usize) -> Vec<u8> {
        let (head, len) = encode(Opcode::Text, payload_len);
        let mut bytes = head[..len].to_vec();
        bytes[0] = first;
        bytes[1] |= MASKED;
        bytes.extend([1, 2, 3, 4]);
        bytes
    }

    #[test]
    fn reads_what_it_writes_at_every_border() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 40] {
            let bytes = client(0x81, len);
            let head = decode(&bytes).unwrap().unwrap();
            assert_eq!(head.payload_len, len as u64);
            assert_eq!(
                (head.fin, head.opcode, head.mask),
                (true, Opcode::Text, [1, 2, 3, 4])
            );
            assert_eq!(head.head_len, bytes.len());
            let short = (len < 126).then_some(ShortHead {
                binary: false,
                payload_len: len,
                mask: [1, 2, 3, 4],
            });
            assert_eq!(decode_short_message(&bytes), short);
            for cut in 0..bytes.len() {
                assert_eq!(decode_short_message(&bytes[..cut]), None);
                assert_eq!(decode(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_bad_first_byte_is_an_error_before_the_second_came() {
        for (first, fail) in [
            (0xc1, Fail::ReservedBit),
            (0xa1, Fail::ReservedBit),
            (0x91, Fail::ReservedBit),
            (0x83, Fail::ReservedOpcode),
            (0x87, Fail::ReservedOpcode),
            (0x8b, Fail::ReservedOpcode),
            (0x8f, Fail::ReservedOpcode),
        ] {
            assert_eq!(decode(&[first]), Err(fail), "{first:x}");
            assert_eq!(decode(&client(first, 3)), Err(fail), "{first:x}");
            assert_eq!(decode_short_message(&client(first, 3)), None, "{first:x}");
        }
    }

    #[test]
    fn unmasked_frames_and_bad_control_frames_are_errors_at_the_second_byte() {
        assert_eq!(decode(&[0x81, 5]), Err(Fail::Unmasked));
        assert_eq!(decode_short_message(&[0x81, 5, 0, 0, 0, 0]), None);
        assert_eq!(decode(&[0x89, 0x80 | 126]), Err(Fail::BadControl));
        assert_eq!(decode(&[0x88, 0x80 | 127]), Err(Fail::BadControl));
        assert_eq!(decode(&[0x09, 0x80]), Err(Fail::BadControl));
    }

    #[test]
    fn lengths_must_be_minimal_and_positive() {
        assert_eq!(decode(&[0x81, 0xfe, 0, 125]), Err(Fail::BadLength));
        assert_eq!(
            decode(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            Err(Fail::BadLength)
        );
        assert_eq!(
            decode(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Err(Fail::BadLength)
        );
    }
}
