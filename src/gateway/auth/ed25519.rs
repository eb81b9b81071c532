//! Strict Ed25519: one spelling for a key, and no key under which anybody can sign.
//!
//! Key and signature are accepted as base64url without padding only, with zero trailing
//! bits. `ring` refuses an S that is not below the group order; it takes keys of small
//! order and coordinates that are not reduced, so those are refused here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::secret::sha256;

/// A raw public key that nobody but the holder of its private key can sign under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Not 32 bytes of base64url, not reduced, or of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyError;

impl Key {
    /// Reads `device.publicKey`.
    pub fn decode(text: &str) -> Result<Self, KeyError> {
        let key = decode(text).ok_or(KeyError)?;
        if is_sound(&key) {
            Ok(Self(key))
        } else {
            Err(KeyError)
        }
    }

    /// The id of the device with this key: lower-case hex SHA-256 of its bytes.
    pub fn device_id(&self) -> String {
        let mut id = String::with_capacity(64);
        for byte in sha256(&self.0) {
            for digit in [byte >> 4, byte & 0xf] {
                id.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        id
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(message, signature).is_ok()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

/// Reads `device.signature`.
pub fn decode_signature(text: &str) -> Option<[u8; 64]> {
    decode(text)
}

/// Writes bytes as clients write keys and signatures.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    // The length is checked first: a long text is not worth decoding.
    if text.len() != (LEN * 4).div_ceil(3) {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// RFC 8032 5.1.3: y has to be below p = 2^255 - 19. The order must not divide 8.
fn is_sound(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7f;
    let not_below_p = y[31] == 0x7f && y[1..31].iter().all(|b| *b == 0xff) && y[0] >= 0xed;
    !not_below_p && !SMALL_ORDER_Y.contains(&y)
}

/// The y coordinates of the eight points of small order, without the sign bit of x.
#[rustfmt::skip]
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    // 0, of order 4.
    [0; 32],
    // 1, the neutral element.
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // p - 1, of order 2.
    [0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    // The two of order 8.
    [0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05],
    [0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a],
];

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    /// The group order L, little endian.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    fn pair() -> (Ed25519KeyPair, Key) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let key = Key::decode(&encode(pair.public_key().as_ref())).unwrap();
        (pair, key)
    }

    fn sign(pair: &Ed25519KeyPair, message: &[u8]) -> [u8; 64] {
        pair.sign(message).as_ref().try_into().unwrap()
    }

    /// All spellings of the points of small order: reduced or not, with either sign bit.
    fn small_order_spellings() -> Vec<[u8; 32]> {
        let mut p = SMALL_ORDER_Y[2];
        p[0] += 1;
        let mut p_plus_1 = p;
        p_plus_1[0] += 1;
        let mut all: Vec<_> = SMALL_ORDER_Y.into_iter().chain([p, p_plus_1]).collect();
        for at in 0..all.len() {
            let mut negative = all[at];
            negative[31] |= 0x80;
            all.push(negative);
        }
        all
    }

    /// A signature that no private key made: R the neutral element, S zero. It holds for
    /// every message whose hash the order of the key divides.
    fn signature_of_nobody() -> [u8; 64] {
        let mut signature = [0; 64];
        signature[0] = 1;
        signature
    }

    #[test]
    fn the_first_vector_of_rfc_8032_verifies() {
        let hex = |text: &str| -> Vec<u8> {
            let digits = text.as_bytes().chunks(2);
            digits
                .map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap())
                .collect()
        };
        let key = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signature = hex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac\
             c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        );
        let key = Key::decode(&encode(&key)).unwrap();
        let signature = decode_signature(&encode(&signature)).unwrap();
        assert!(key.verifies(b"", &signature));
        assert!(!key.verifies(b"x", &signature));
    }

    #[test]
    fn keys_of_small_order_are_refused_in_every_spelling() {
        let spellings = small_order_spellings();
        assert_eq!(spellings.len(), 14);
        for key in &spellings {
            assert_eq!(Key::decode(&encode(key)), Err(KeyError), "{key:02x?}");
        }
    }

    #[test]
    fn without_that_refusal_anybody_could_sign() {
        let signature = signature_of_nobody();
        let forged = small_order_spellings().into_iter().filter(|key| {
            let key = Key(*key);
            (0..=255u8).any(|message| key.verifies(&[message], &signature))
        });
        assert!(
            forged.count() >= 8,
            "the library has become strict: drop the list"
        );
    }

    #[test]
    fn keys_that_are_not_reduced_are_refused() {
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                let mut key = [0xff; 32];
                key[0] = low;
                key[31] = high;
                assert_eq!(Key::decode(&encode(&key)), Err(KeyError));
            }
        }
    }

    #[test]
    fn an_s_that_is_not_below_the_order_is_refused() {
        let (pair, key) = pair();
        let good = sign(&pair, b"message");
        assert!(key.verifies(b"message", &good));
        let mut raised = good;
        let mut carry = 0;
        for (byte, l) in raised[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(l) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!key.verifies(b"message", &raised), "S + L");
        for top in [0x20, 0x40, 0x80] {
            let mut high = good;
            high[63] |= top;
            assert!(!key.verifies(b"message", &high), "bit {top:#x} of S");
        }
    }

    #[test]
    fn no_single_flipped_bit_verifies() {
        let (pair, key) = pair();
        let good = sign(&pair, b"message");
        for bit in 0..512 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifies(b"message", &bad), "bit {bit}");
        }
        assert!(!key.verifies(b"message", &[0; 64]));
        assert!(!key.verifies(b"message", &signature_of_nobody()));
    }

    #[test]
    fn a_key_has_one_spelling() {
        let (pair, _) = pair();
        let text = encode(pair.public_key().as_ref());
        assert_eq!(text.len(), 43);
        let last = text.as_bytes()[42];
        let mut refused = vec![format!("{text}="), format!(" {text}"), text[..42].into()];
        refused.extend([
            String::new(),
            "-----BEGIN PUBLIC KEY-----".into(),
            "A".repeat(100_000),
        ]);
        refused.push("+/".to_owned() + &text[2..]);
        // The last digit carries four bits of the key; the other two have to be zero.
        refused.push(text[..42].to_owned() + &char::from(last + 1).to_string());
        for text in refused {
            assert_eq!(Key::decode(&text), Err(KeyError), "{text:.60}");
        }
        assert_eq!(decode_signature(&"A".repeat(85)), None);
        assert_eq!(decode_signature(&"A".repeat(86)), Some([0; 64]));
        assert_eq!(decode_signature(&("A".repeat(86) + "==")), None);
    }
}
