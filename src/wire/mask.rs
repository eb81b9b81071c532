//! Removes the mask that every client puts on its frames.
//!
//! RFC 6455 5.3: byte `i` of a payload is XORed with byte `i % 4` of the frame's key.
//! The same pass notices whether the result is ASCII, so that a second look for UTF-8 is
//! needed only where it is not.
#![allow(unsafe_code)]

/// XORs `bytes` with `key` in place; true when every resulting byte is ASCII.
#[inline(always)]
pub fn unmask(bytes: &mut [u8], key: [u8; 4]) -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86_64::unmask(bytes, key);
    #[cfg(not(target_arch = "x86_64"))]
    unmask_words(bytes, key)
}

/// The key as seen by the byte that follows `done` unmasked bytes.
#[inline]
pub fn rotate(key: [u8; 4], done: usize) -> [u8; 4] {
    let key = u32::from_le_bytes(key);
    key.rotate_right(8 * (done as u32 % 4)).to_le_bytes()
}

/// Eight bytes at a time, then the last ones.
fn unmask_words(bytes: &mut [u8], key: [u8; 4]) -> bool {
    let key = u64::from(u32::from_le_bytes(key));
    let key = key << 32 | key;
    let mut seen = 0;
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_le_bytes(*word) ^ key;
        *word = plain.to_le_bytes();
        seen |= plain;
    }
    for (byte, key) in tail.iter_mut().zip(key.to_le_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & 0x8080_8080_8080_8080 == 0
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi32,
        _mm_setzero_si128, _mm_storeu_si128, _mm_xor_si128, _mm256_loadu_si256,
        _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_storeu_si256, _mm256_xor_si256,
    };

    /// From this many bytes the wider registers are worth asking for.
    const WIDE_BYTES_MIN: usize = 256;

    #[inline(always)]
    pub(super) fn unmask(bytes: &mut [u8], key: [u8; 4]) -> bool {
        if bytes.len() >= WIDE_BYTES_MIN && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just found to have AVX2, the only thing it asks for.
            return unsafe { unmask_avx2(bytes, key) };
        }
        unmask_sse2(bytes, key)
    }

    #[inline(always)]
    fn unmask_sse2(bytes: &mut [u8], key: [u8; 4]) -> bool {
        let (blocks, rest) = bytes.as_chunks_mut::<16>();
        // SAFETY: SSE2 is part of x86-64; each block is 16 bytes that may be read and written, and
        // these instructions ask for no alignment.
        let high = unsafe {
            let wide_key = _mm_set1_epi32(i32::from_le_bytes(key));
            let mut seen = _mm_setzero_si128();
            for block in blocks {
                let at = block.as_mut_ptr().cast::<__m128i>();
                let plain = _mm_xor_si128(_mm_loadu_si128(at), wide_key);
                _mm_storeu_si128(at, plain);
                seen = _mm_or_si128(seen, plain);
            }
            _mm_movemask_epi8(seen)
        };
        (rest.is_empty() || super::unmask_words(rest, key)) && high == 0
    }

    #[target_feature(enable = "avx2")]
    fn unmask_avx2(bytes: &mut [u8], key: [u8; 4]) -> bool {
        let (blocks, rest) = bytes.as_chunks_mut::<32>();
        let wide_key = _mm256_set1_epi32(i32::from_le_bytes(key));
        let mut seen = _mm256_setzero_si256();
        for block in blocks {
            let at = block.as_mut_ptr().cast::<__m256i>();
            // SAFETY: the block is 32 bytes that may be read and written; no alignment is asked for.
            unsafe {
                let plain = _mm256_xor_si256(_mm256_loadu_si256(at), wide_key);
                _mm256_storeu_si256(at, plain);
                seen = _mm256_or_si256(seen, plain);
            }
        }
        unmask_sse2(rest, key) && _mm256_movemask_epi8(seen) == 0
    }
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
                let mut bytes = masked[offset..offset + len].to_vec();
                assert_eq!(unmask_words(&mut bytes, KEY), ascii, "length {len}");
                assert_eq!(bytes, plain, "length {len}");
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
