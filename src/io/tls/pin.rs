//! The pins that a certificate has.

use ring::digest::{SHA256, digest};

use super::x509::Facts;
use crate::config::pin::{Hash, Pin, Pins};

/// Those of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    pub certificate: Pin,
    /// None where the certificate cannot be read.
    pub key: Option<Pin>,
}

impl Own {
    /// Those of this certificate, DER.
    pub fn of(der: &[u8]) -> Self {
        Self {
            certificate: Pin::Certificate(sha256(der)),
            key: Facts::read(der).map(|facts| Pin::Key(sha256(facts.public_key))),
        }
    }

    /// Whether the certificate is one of those that were pinned.
    pub fn is_one_of(&self, pins: &Pins) -> bool {
        pins.contains(&self.certificate) || self.key.is_some_and(|key| pins.contains(&key))
    }
}

fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn certificate(name: &str, key: &KeyPair) -> Own {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Own::of(params.self_signed(key).unwrap().der())
    }

    #[test]
    fn a_key_pin_survives_a_new_certificate_and_a_certificate_pin_does_not() {
        let key = KeyPair::generate().unwrap();
        let (first, renewed) = (certificate("a", &key), certificate("b", &key));
        let other = certificate("a", &KeyPair::generate().unwrap());
        let pins = |pin: Pin| Pins::parse(&pin.to_string()).unwrap();
        let by_key = pins(first.key.unwrap());
        let by_certificate = pins(first.certificate);
        assert!(first.is_one_of(&by_key) && renewed.is_one_of(&by_key));
        assert!(first.is_one_of(&by_certificate) && !renewed.is_one_of(&by_certificate));
        assert!(!other.is_one_of(&by_key) && !other.is_one_of(&by_certificate));
        let both = format!("{}, {}", first.certificate, other.certificate);
        let both = Pins::parse(&both).unwrap();
        assert!(first.is_one_of(&both) && other.is_one_of(&both));
    }
}
