//! Secrets that must not reach the log: those that are known, and what looks like one.

use crate::order;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// Shorter texts stand in too many innocent words.
const SECRET_BYTES_MIN: usize = 6;

/// Whether something of that name is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(|c| *c != '_' && *c != '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    [
        "token",
        "password",
        "passphrase",
        "secret",
        "apikey",
        "privatekey",
        "accesskey",
        "secretkey",
        "credential",
        "credentials",
        "serviceaccount",
        "authorization",
        "cookie",
    ]
    .iter()
    .any(|ending| folded.ends_with(ending))
}

/// The secrets that are known.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Vec<String>,
}

impl Mask {
    /// Secrets to look for from now on, besides those known already.
    pub fn learn(&mut self, secrets: impl IntoIterator<Item = String>) {
        let fits = |secret: &String| secret.len() >= SECRET_BYTES_MIN;
        for secret in secrets.into_iter().filter(fits) {
            if !self.secrets.contains(&secret) {
                self.secrets.push(secret);
            }
        }
        // A secret that another one begins with must not hide the rest of it.
        order::sort_by_key(&mut self.secrets, |secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without secrets.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        mask_patterns(&text)
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} secrets)", self.secrets.len())
    }
}

/// Hides `Bearer X`, `token=X`, `"token":"X"`, `://user:X@`, and keys by their look.
fn mask_patterns(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let word = word_len(rest);
        if word == 0 {
            let user_info = rest.strip_prefix("://").and_then(password);
            if let Some(range) = user_info {
                out.push_str(&rest[..range.start + 3]);
                out.push_str(MASK);
                at += range.end + 3;
                continue;
            }
            let c = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..c]);
            at += c;
            continue;
        }
        let (name, behind) = rest.split_at(word);
        if looks_like_key(name, behind) {
            out.push_str(MASK);
            // A bot token goes on behind its colon.
            at += word
                + behind
                    .strip_prefix(':')
                    .map_or(0, |more| 1 + word_len(more));
            continue;
        }
        out.push_str(name);
        at += word;
        if let Some(gap) = value_start(name, behind) {
            let value = value_len(&behind[gap..]);
            if value > 0 {
                out.push_str(&behind[..gap]);
                out.push_str(MASK);
                at += gap + value;
            }
        }
    }
    out
}

/// How far behind a name its secret value begins, if it names one.
fn value_start(name: &str, behind: &str) -> Option<usize> {
    if ["bearer", "basic"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word))
    {
        return behind.starts_with(' ').then_some(1);
    }
    if !is_secret_name(name) {
        return None;
    }
    let unquoted = behind.trim_start_matches(['\\', '"', '\'']);
    let separator = unquoted.trim_start_matches(' ');
    let value = separator.strip_prefix('=').or_else(|| {
        separator
            .strip_prefix(':')
            .filter(|v| is_assignment(behind, v))
    })?;
    let value = value.trim_start_matches([' ', '\\', '"', '\'']);
    // `Authorization: Bearer X`: the word in between is no secret, the next round finds X.
    let scheme = value.split(' ').next().unwrap_or("");
    let is_scheme = ["bearer", "basic"]
        .iter()
        .any(|word| scheme.eq_ignore_ascii_case(word));
    (!is_scheme).then_some(behind.len() - value.len())
}

/// A colon belongs to a sentence as often as to a value; quotes or a header tell them apart.
fn is_assignment(behind: &str, value: &str) -> bool {
    behind.starts_with(['"', '\'', '\\']) || value.trim_start_matches(' ').starts_with(['"', '\''])
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        .unwrap_or(text.len())
}

fn value_len(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || "&\"'\\#;,)}]<>".contains(c))
        .unwrap_or(text.len())
}

/// The place of a password in `user:password@host`.
fn password(authority: &str) -> Option<std::ops::Range<usize>> {
    let end = authority
        .find(|c: char| c.is_whitespace() || "/?#\"'".contains(c))
        .unwrap_or(authority.len());
    let at_sign = authority[..end].rfind('@')?;
    let colon = authority[..at_sign].find(':')?;
    Some(colon + 1..at_sign)
}

/// Keys of providers begin with `sk-`, bot tokens are digits, a colon and 30 characters or more.
fn looks_like_key(word: &str, behind: &str) -> bool {
    let provider = word.starts_with("sk-") && word.len() >= 20;
    let digits = word.strip_prefix("bot").unwrap_or(word);
    let bot = digits.len() >= 6
        && digits.bytes().all(|b| b.is_ascii_digit())
        && behind
            .strip_prefix(':')
            .is_some_and(|more| word_len(more) >= 30);
    provider || bot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        let bot = format!("https://api.example/bot123456789:{}/getMe", "A".repeat(35));
        for text in [
            "Authorization: Bearer hunter2",
            "authorization: bearer hunter2, x",
            "GET /ws?token=hunter2&x=1 HTTP/1.1",
            "?access_token=hunter2",
            "password='hunter2'",
            "{\"apiKey\":\"hunter2\",\"x\":1}",
            "{\\\"token\\\": \\\"hunter2\\\"}",
            "wss://user:hunter2@host/path",
            "key sk-hunter2hunter2hunter2",
            "Authorization: Basic hunter2==",
        ] {
            let masked = Mask::default().apply(text);
            assert!(
                !masked.contains("hunter2") && masked.contains(MASK),
                "{masked}"
            );
        }
        assert!(!Mask::default().apply(&bot).contains("AAAA"));
    }

    #[test]
    fn sentences_stay_as_they_are() {
        for text in [
            "unauthorized: gateway token missing (set gateway.auth.token)",
            "unauthorized: device token mismatch",
            "token: none was sent",
            "maxTokens=5 contextTokens: 10",
            "closed code=1008 reason=pairing required",
            "ws://127.0.0.1:18789/x@y",
            "üñí ¢ 😀",
            "",
        ] {
            assert_eq!(Mask::default().apply(text), text);
        }
    }

    #[test]
    fn known_secrets_are_masked_wherever_they_are() {
        let mut mask = Mask::default();
        mask.learn(["hunter2", "hunter2-longer", "abc", ""].map(str::to_owned));
        assert_eq!(mask.apply("xhunter2y hunter2-longer abc"), "x***y *** abc");
    }
}
