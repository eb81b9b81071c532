//! Pins: which certificate, or which key, a gateway elsewhere is known by.

use core::fmt;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What a gateway's certificate has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The hash of the certificate, as the clients of the ecosystem have it.
    Certificate(Hash),
    /// The hash of its public key (SubjectPublicKeyInfo): survives a certificate that is renewed
    /// for the same key.
    Key(Hash),
}

/// The pins of one gateway, of which one has to match: a second one may be that of the key which
/// will be used next. Printed, they are written in one way only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins(Vec<Pin>);

impl Pins {
    /// Reads pins with commas between them: 64 hexadecimal digits in any case, with or without
    /// colons, bare or behind `sha256:` or `spki:`.
    ///
    /// # Errors
    ///
    /// A sentence that names the pin which is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pins = text.split(',').map(Pin::parse).collect::<Result<_, _>>();
        pins.map(Self)
    }

    /// Whether this is one of them.
    pub fn contains(&self, pin: &Pin) -> bool {
        self.0.contains(pin)
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pin) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{pin}")?;
        }
        Ok(())
    }
}

impl Pin {
    fn parse(word: &str) -> Result<Self, String> {
        let lower = word.trim().to_ascii_lowercase();
        let (make, digits): (fn(Hash) -> Self, &str) = match lower.split_once(':') {
            Some(("spki", digits)) => (Self::Key, digits),
            Some(("sha256" | "sha-256", digits)) => (Self::Certificate, digits),
            _ => (Self::Certificate, &lower),
        };
        match unhex(&digits.replace([':', ' '], "")) {
            Some(hash) => Ok(make(hash)),
            None => Err(format!(
                "{word:?} is no SHA-256 fingerprint: 64 hexadecimal digits"
            )),
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, hash) = match self {
            Self::Certificate(hash) => ("", hash),
            Self::Key(hash) => ("spki:", hash),
        };
        f.write_str(prefix)?;
        hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn unhex(digits: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if digits.len() != hash.len() * 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_fingerprint_is_the_same_pin() {
        let plain = "ab".repeat(32);
        let pairs = ["AB"; 32].join(":");
        let pin = Pins::parse(&plain).unwrap();
        for text in [
            plain.to_uppercase(),
            pairs.clone(),
            ["ab"; 32].join(" "),
            format!("sha256:{plain}"),
            format!("SHA256:{pairs}"),
            format!("sha-256: {plain}"),
            format!(" {plain} "),
        ] {
            assert_eq!(Pins::parse(&text).unwrap(), pin, "{text}");
        }
        assert_eq!(pin.to_string(), plain);
        let both = format!("{plain},spki:{plain}");
        assert_ne!(Pins::parse(&both).unwrap(), pin);
        assert_eq!(
            Pins::parse(&format!("{pairs}, SPKI:{pairs}"))
                .unwrap()
                .to_string(),
            both
        );
    }

    #[test]
    fn what_is_no_fingerprint_is_refused_and_never_ignored() {
        let plain = "ab".repeat(32);
        for text in [
            "",
            " ,",
            "ab",
            &plain[1..],
            &format!("{plain}0"),
            &format!("md5:{plain}"),
            &"é".repeat(32),
            &"zz".repeat(32),
            &format!("{plain},"),
            &format!("{plain},ab"),
        ] {
            assert!(Pins::parse(text).is_err(), "{text}");
        }
    }
}
