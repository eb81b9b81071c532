//! The few facts of a certificate that we need, read from its DER (RFC 5280 4.1).

/// What a certificate says about its time and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'c> {
    /// Seconds since 1970 before which it means nothing.
    pub not_before_s: u64,
    /// Seconds since 1970 after which it means nothing.
    pub not_after_s: u64,
    /// The public key with its algorithm (SubjectPublicKeyInfo), DER.
    pub public_key: &'c [u8],
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which a certificate of version 1 leaves away.
const VERSION: u8 = 0xa0;

impl<'c> Facts<'c> {
    /// Reads a certificate; None where it is not one.
    pub fn read(der: &'c [u8]) -> Option<Self> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (mut rest, _) = expect(certificate, SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = element(rest)?.behind;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            rest = element(rest)?.behind;
        }
        let (validity, rest) = expect(rest, SEQUENCE)?;
        let not_before = element(validity)?;
        let not_after = element(not_before.behind)?;
        // Subject.
        let rest = element(rest)?.behind;
        let key = element(rest)?;
        (key.tag == SEQUENCE).then_some(())?;
        Some(Self {
            not_before_s: seconds(&not_before)?,
            not_after_s: seconds(&not_after)?,
            public_key: &rest[..rest.len() - key.behind.len()],
        })
    }
}

struct Element<'c> {
    tag: u8,
    content: &'c [u8],
    behind: &'c [u8],
}

/// X.690 8.1: tag, length, content.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        // Up to 3 bytes of length: no certificate has 16 MiB.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let len = digits
                .iter()
                .fold(0, |len, digit| len << 8 | usize::from(*digit));
            (len, rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(len)?;
    Some(Element {
        tag,
        content,
        behind,
    })
}

/// The content of an element of this kind, and what is behind it.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let element = element(bytes)?;
    (element.tag == tag).then_some((element.content, element.behind))
}

/// RFC 5280 4.1.2.5: `YYMMDDHHMMSSZ`, or with four digits of the year, always in UTC.
fn seconds(time: &Element<'_>) -> Option<u64> {
    let digits = time.content.strip_suffix(b"Z")?;
    let number = |at: usize| -> Option<u64> {
        match digits.get(at..at + 2)? {
            [a @ b'0'..=b'9', b @ b'0'..=b'9'] => {
                Some(u64::from(a - b'0') * 10 + u64::from(b - b'0'))
            }
            _ => None,
        }
    };
    let (year, at) = match (time.tag, digits.len()) {
        (UTC_TIME, 12) => match number(0)? {
            year @ 0..50 => (2000 + year, 2),
            year => (1900 + year, 2),
        },
        (GENERALIZED_TIME, 14) => (number(0)? * 100 + number(2)?, 4),
        _ => return None,
    };
    let (month, day) = (number(at)?, number(at + 2)?);
    let (hour, minute, second) = (number(at + 4)?, number(at + 6)?, number(at + 8)?);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    valid.then_some(())?;
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second.min(59))
}

/// Days since 1970; 0 before. Years are taken to begin in March, so that the leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    const DAYS_TO_1970: u64 = 719_468;
    let (year, from_march) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400;
    (days + (153 * from_march + 2) / 5 + day - 1).saturating_sub(DAYS_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::pki_types::CertificateDer;

    #[test]
    fn a_certificate_tells_its_time_and_key() {
        let key = KeyPair::generate().unwrap();
        for (year, after) in [(2031, 1_935_532_800), (2062, 2_913_840_000)] {
            let mut params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2024, 2, 29);
            params.not_after = date_time_ymd(year, 5, 3);
            let certificate = params.self_signed(&key).unwrap();
            let facts = Facts::read(certificate.der()).unwrap();
            assert_eq!(facts.not_before_s, 1_709_164_800);
            assert_eq!(facts.not_after_s, after);
            // What the verifier of handshakes takes for the key.
            let der = CertificateDer::from(certificate.der().to_vec());
            let parsed = rustls::server::ParsedCertificate::try_from(&der).unwrap();
            assert_eq!(facts.public_key, parsed.subject_public_key_info().as_ref());
        }
    }

    #[test]
    fn half_a_certificate_is_none() {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        for len in 0..der.len() {
            assert_eq!(Facts::read(&der[..len]), None, "{len}");
        }
        assert_eq!(Facts::read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
