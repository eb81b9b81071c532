//! The gateway's shared secret, kept as its hash and compared in constant time.

use std::fmt;
use std::hint::black_box;

use crate::config::secret::is_placeholder;
use crate::limits::CLOSE_REASON_BYTES_MAX;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Compares two secrets of any bytes and length in a time that tells nothing about either
/// but the length of the longer: their hashes are compared without an early exit.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    SecretHash::of(one) == SecretHash::of(other)
}

/// A secret that can be compared, not read. Equality takes the same time for all values.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of a secret's bytes.
    pub fn of(secret: &[u8]) -> Self {
        Self(sha256(secret))
    }

    /// Whether `presented` is the secret.
    pub fn matches(&self, presented: &[u8]) -> bool {
        *self == Self::of(presented)
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        let differing = |sum, (a, b)| black_box(sum | (a ^ b));
        let pairs = self.0.iter().zip(other.0.iter());
        black_box(pairs.fold(0u8, differing)) == 0
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// Why a configured secret cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// Nothing, or what a script leaves behind when its variable was not set.
    Placeholder,
    /// A token with `|` or a control character, which no device could sign.
    Unsignable,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placeholder => "is empty or the word for a missing value",
            Self::Unsignable => "must not contain '|' or control characters",
        })
    }
}

/// What a client has to present, as resolved from configuration and environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewaySecret {
    /// `gateway.auth.token`.
    Token(SecretHash),
    /// `gateway.auth.password`.
    Password(SecretHash),
    /// No shared secret: only other identities get in.
    None,
}

impl GatewaySecret {
    /// Takes a configured token as it stands.
    pub fn token(text: &str) -> Result<Self, SecretError> {
        if is_placeholder(text) {
            return Err(SecretError::Placeholder);
        }
        if text.contains('|') || text.contains(char::is_control) {
            return Err(SecretError::Unsignable);
        }
        Ok(Self::Token(SecretHash::of(text.as_bytes())))
    }

    /// Takes a configured password as it stands.
    pub fn password(text: &str) -> Result<Self, SecretError> {
        if is_placeholder(text) {
            return Err(SecretError::Placeholder);
        }
        Ok(Self::Password(SecretHash::of(text.as_bytes())))
    }

    /// What a client has to show, in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Password(_) => "password",
            Self::None => "nothing",
        }
    }

    /// Compares what a `connect` or an `Authorization` header presented.
    pub fn check(&self, token: Option<&str>, password: Option<&str>) -> Result<(), SecretFault> {
        let (name, hash, presented) = match self {
            Self::Token(hash) => (SecretName::Token, hash, token),
            Self::Password(hash) => (SecretName::Password, hash, password),
            Self::None => return Err(SecretFault::NotConfigured),
        };
        match presented {
            None | Some("") => Err(SecretFault::Missing(name)),
            Some(text) if hash.matches(text.as_bytes()) => Ok(()),
            Some(_) => Err(SecretFault::Mismatch(name)),
        }
    }
}

/// Which secret the gateway asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretName {
    /// `auth.token`.
    Token,
    /// `auth.password`.
    Password,
}

/// Why a presented secret does not let anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// Nothing was presented: this is no guess.
    Missing(SecretName),
    /// Something else was presented: this is a guess.
    Mismatch(SecretName),
    /// The gateway has no shared secret, so nothing could match.
    NotConfigured,
}

impl SecretFault {
    /// Whether the guess limiter counts it.
    pub const fn is_guess(self) -> bool {
        matches!(self, Self::Mismatch(_))
    }

    /// What the peer is told, short enough for a close reason: what is wrong, and the
    /// command that mends it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Missing(SecretName::Token) => TOKEN_MISSING,
            Self::Mismatch(SecretName::Token) => TOKEN_MISMATCH,
            Self::Missing(SecretName::Password) => PASSWORD_MISSING,
            Self::Mismatch(SecretName::Password) => PASSWORD_MISMATCH,
            Self::NotConfigured => NOT_CONFIGURED,
        }
    }
}

const TOKEN_MISSING: &str = "unauthorized: gateway token missing \
    (run: clawdia token, then pass --token or set gateway.remote.token)";
const TOKEN_MISMATCH: &str = "unauthorized: gateway token mismatch \
    (run: clawdia token, then pass --token or set gateway.remote.token)";
const PASSWORD_MISSING: &str = "unauthorized: gateway password missing \
    (pass --password or set gateway.remote.password)";
const PASSWORD_MISMATCH: &str = "unauthorized: gateway password mismatch \
    (pass --password or set gateway.remote.password)";
const NOT_CONFIGURED: &str = "unauthorized: gateway token not configured \
    (run: clawdia token, then restart the gateway)";

const _: () = {
    let texts = [
        TOKEN_MISSING,
        TOKEN_MISMATCH,
        PASSWORD_MISSING,
        PASSWORD_MISMATCH,
        NOT_CONFIGURED,
    ];
    let mut at = 0;
    while at < texts.len() {
        assert!(texts[at].len() <= CLOSE_REASON_BYTES_MAX);
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_of_any_length_compare() {
        let long = vec![0x80; 64 * 1024];
        let mut other = long.clone();
        other[65_535] = 0x81;
        assert!(equal(&long, &long.clone()));
        assert!(!equal(&long, &other));
        assert!(!equal(&long, b""));
        // The same number of UTF-16 units, not of bytes.
        assert!(!equal("aé".as_bytes(), "a€".as_bytes()));
        assert!(equal("a€🦞".as_bytes(), "a€🦞".as_bytes()));
        assert!(!equal(b"secret", b"secret\0"));
        assert!(equal(b"", b""));
    }

    #[test]
    fn every_byte_of_the_hash_is_compared() {
        let hash = SecretHash::of(b"secret");
        for bit in 0..256 {
            let mut other = hash;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash, other, "bit {bit}");
        }
        assert_eq!(hash, SecretHash::of(b"secret"));
    }

    #[test]
    fn words_for_a_missing_value_are_no_secrets() {
        for text in ["", " ", "\t\n", "undefined", "null", "NULL", " undefined\n"] {
            assert_eq!(GatewaySecret::token(text), Err(SecretError::Placeholder));
            assert_eq!(GatewaySecret::password(text), Err(SecretError::Placeholder));
        }
        assert!(GatewaySecret::token("nullable").is_ok());
    }

    #[test]
    fn a_token_that_no_device_could_sign_is_refused_at_start() {
        for text in ["a|b", "a\nb", "a\0b"] {
            assert_eq!(GatewaySecret::token(text), Err(SecretError::Unsignable));
            assert!(GatewaySecret::password(text).is_ok());
        }
        assert!(GatewaySecret::token("a,b").is_ok());
    }

    #[test]
    fn only_the_secret_itself_matches() {
        let token = GatewaySecret::token("s3cret").unwrap();
        assert_eq!(token.check(Some("s3cret"), None), Ok(()));
        let long = "x".repeat(64 * 1024);
        for wrong in ["s3cre", "s3cret ", "S3CRET", "undefined", &long] {
            let fault = token.check(Some(wrong), None).unwrap_err();
            assert_eq!(fault, SecretFault::Mismatch(SecretName::Token));
            assert!(fault.is_guess());
        }
        let password = GatewaySecret::password("s3cret").unwrap();
        assert_eq!(password.check(Some("wrong"), Some("s3cret")), Ok(()));
        let fault = password.check(None, Some("wrong")).unwrap_err();
        assert_eq!(fault, SecretFault::Mismatch(SecretName::Password));
    }

    #[test]
    fn a_missing_secret_is_no_guess() {
        let token = GatewaySecret::token("s3cret").unwrap();
        for presented in [(None, None), (Some(""), None), (None, Some("s3cret"))] {
            let fault = token.check(presented.0, presented.1).unwrap_err();
            assert_eq!(fault, SecretFault::Missing(SecretName::Token));
            assert!(!fault.is_guess());
        }
    }

    #[test]
    fn without_a_secret_nothing_matches() {
        for presented in [None, Some(""), Some("undefined"), Some("x")] {
            let fault = GatewaySecret::None.check(presented, presented).unwrap_err();
            assert_eq!(fault, SecretFault::NotConfigured);
            assert!(!fault.is_guess());
        }
    }

    #[test]
    fn refusals_name_the_secret_and_the_command() {
        let token = SecretFault::Missing(SecretName::Token).text();
        assert!(token.starts_with("unauthorized: gateway token missing ("));
        assert!(token.contains("clawdia token"));
        let token = SecretFault::Mismatch(SecretName::Token).text();
        assert!(token.starts_with("unauthorized: gateway token mismatch ("));
        let password = SecretFault::Missing(SecretName::Password).text();
        assert!(password.starts_with("unauthorized: gateway password missing ("));
        let password = SecretFault::Mismatch(SecretName::Password).text();
        assert!(password.starts_with("unauthorized: gateway password mismatch ("));
        assert!(password.contains("--password"));
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = GatewaySecret::token("s3cret").unwrap();
        assert_eq!(format!("{secret:?}"), "Token(SecretHash(..))");
    }
}
