//! A value that no log, error or debug output may show.

use serde::Deserialize;

/// A token, password or key. `Debug` shows only that there is one.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret as it is, without trimming.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for comparing and sending, never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a text cannot be meant as a secret: empty, or what a script leaves behind
/// when its variable was not set.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["undefined", "null"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_secret() {
        assert!(!format!("{:?}", Secret::new("hunter2")).contains("hunter2"));
    }

    #[test]
    fn what_a_script_leaves_behind_is_no_secret() {
        for text in ["", "  ", "undefined", "null", "NULL", " Undefined "] {
            assert!(is_placeholder(text), "{text:?}");
        }
        assert!(!is_placeholder("nullify"));
    }
}
