//! Removes the mask that every client puts on its frames.
//!
//! RFC 6455 5.3: byte `i` of a payload is XORed with byte `i % 4` of the frame's key.
//! The same pass notices whether the result is ASCII, so that a second look for UTF-8 is
//! needed only where it is not.
#![allow(unsafe_code)]

/// From this many bytes the wider registers are worth asking for.
const WIDE_BYTES_MIN: usize = 128;

/// XORs `bytes` with `key` in place; true when every resulting byte is ASCII.
#[inline]
pub fn unmask(bytes: &mut [u8], key: [u8; 4]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_BYTES_MIN && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just found to have AVX2, the only thing the function asks for.
        return unsafe { unmask_avx2(bytes, key) };
    }
    unmask_blocks::<2>(bytes, key)
}

/// The key as seen by the byte that follows `done` unmasked bytes.
#[inline]
pub fn rotate(key: [u8; 4], done: usize) -> [u8; 4] {
    let key = u32::from_le_bytes(key);
    key.rotate_right(8 * (done as u32 % 4)).to_le_bytes()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn unmask_avx2(bytes: &mut [u8], key: [u8; 4]) -> bool {
    unmask_blocks::<8>(bytes, key)
}

/// Works in blocks of `WORDS` 64-bit words, which the compiler turns into vector registers of
/// whatever width the caller was compiled for; what is left over goes in ever smaller steps.
#[inline(always)]
fn unmask_blocks<const WORDS: usize>(bytes: &mut [u8], key: [u8; 4]) -> bool {
    let key_word = u64::from(u32::from_le_bytes(key));
    let key_word = key_word << 32 | key_word;
    let mut seen = [0_u64; WORDS];
    let (words, tail) = bytes.as_chunks_mut::<8>();
    let (blocks, words) = words.as_chunks_mut::<WORDS>();
    for block in blocks {
        for (word, seen) in block.iter_mut().zip(&mut seen) {
            let plain = u64::from_le_bytes(*word) ^ key_word;
            *word = plain.to_le_bytes();
            *seen |= plain;
        }
    }
    let mut all = seen.iter().fold(0, |all, word| all | word);
    for word in words {
        let plain = u64::from_le_bytes(*word) ^ key_word;
        *word = plain.to_le_bytes();
        all |= plain;
    }
    for (index, byte) in tail.iter_mut().enumerate() {
        *byte ^= key[index % 4];
        all |= u64::from(*byte);
    }
    all & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn unmasks_every_length_and_offset_as_the_rfc_defines_it() {
        let masked: Vec<u8> = (0..700_u32).map(|i| (i * 31 % 251) as u8).collect();
        for len in 0..600 {
            for offset in [0, 1, 3, 7] {
                let mut bytes = masked[offset..offset + len].to_vec();
                let plain: Vec<u8> = bytes
                    .iter()
                    .enumerate()
                    .map(|(i, b)| b ^ KEY[i % 4])
                    .collect();
                let ascii = unmask(&mut bytes, KEY);
                assert_eq!(bytes, plain, "length {len}");
                assert_eq!(ascii, plain.is_ascii(), "length {len}");
            }
        }
    }

    #[test]
    fn one_high_bit_anywhere_is_not_ascii() {
        for len in 1..300 {
            for high in 0..len {
                let mut bytes = vec![b'a'; len];
                bytes[high] = 0x80;
                unmask(&mut bytes, KEY);
                assert!(!unmask(&mut bytes, KEY), "byte {high} of {len}");
            }
        }
    }

    #[test]
    fn a_cut_payload_goes_on_with_the_rotated_key() {
        let whole: Vec<u8> = (0..97).collect();
        for cut in 0..whole.len() {
            let mut left = whole[..cut].to_vec();
            let mut right = whole[cut..].to_vec();
            unmask(&mut left, KEY);
            unmask(&mut right, rotate(KEY, cut));
            left.extend(right);
            let mut expected = whole.clone();
            unmask(&mut expected, KEY);
            assert_eq!(left, expected, "cut at {cut}");
        }
    }
}
