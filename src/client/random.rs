//! Random bytes from the operating system, and the names made of them.

use super::error::{ClientError, ErrorKind};
use crate::io::entropy;

/// `N` unpredictable bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], ClientError> {
    let mut out = [0; N];
    entropy::fill(&mut out)
        .map_err(|error| ClientError::new(ErrorKind::Unsupported, error.to_string()))?;
    Ok(out)
}

/// An unpredictable integer.
pub fn number() -> Result<u64, ClientError> {
    Ok(u64::from_le_bytes(bytes()?))
}

/// A random UUID (RFC 9562 version 4), for idempotency keys and instance ids.
pub fn uuid() -> Result<String, ClientError> {
    let mut raw: [u8; 16] = bytes()?;
    raw[6] = (raw[6] & 0x0f) | 0x40;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    let hex = hex(&raw);
    Ok([
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-"))
}

/// Lower-case hexadecimal digits of `data`.
pub fn hex(data: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    data.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_version_and_differ() {
        let (a, b) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.len(), 36);
        assert_eq!(a.as_bytes()[14], b'4');
        assert!(matches!(a.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
