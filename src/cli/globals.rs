//! The options that every command has, wherever they stand.

use crate::limits::CLIENT_TIMEOUT_MS_MAX;
use std::slice::Iter;

/// An option that every command has.
pub struct GlobalOption {
    /// With its dashes.
    pub long: &'static str,
    /// What stands for its value in the help; empty for a switch.
    pub value: &'static str,
    /// For the help.
    pub description: &'static str,
}

/// The options that may stand anywhere.
pub const GLOBAL_OPTIONS: [GlobalOption; 12] = [
    option(
        "--url",
        "address",
        "the gateway, for example ws://127.0.0.1:18789",
    ),
    option(
        "--ssh",
        "target",
        "the gateway of you@host[:port], through an SSH tunnel",
    ),
    option(
        "--token",
        "token",
        "the gateway's token (better: --token-file)",
    ),
    option(
        "--token-file",
        "file",
        "a file whose first line is the token",
    ),
    option("--password", "password", "the gateway's password"),
    option(
        "--tls-fingerprint",
        "pin",
        "the certificate of a wss:// gateway: SHA-256, or spki: and its key's",
    ),
    option(
        "--timeout",
        "duration",
        "how long to wait: 500ms, 2m (default: 10s, where a command names no other)",
    ),
    option(
        "--profile",
        "name",
        "use the state and configuration of this profile",
    ),
    option("--dev", "", "the same as --profile dev"),
    option("--json", "", "print JSON"),
    option("--no-color", "", "print no colours (also: NO_COLOR=1)"),
    option("--insecure", "", "send secrets over an unencrypted network"),
];

const fn option(
    long: &'static str,
    value: &'static str,
    description: &'static str,
) -> GlobalOption {
    GlobalOption {
        long,
        value,
        description,
    }
}

/// The global options as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globals {
    pub url: Option<String>,
    pub ssh: Option<String>,
    pub token: Option<String>,
    pub token_file: Option<String>,
    pub password: Option<String>,
    pub tls_fingerprint: Option<String>,
    pub timeout_ms: Option<u64>,
    pub profile: Option<String>,
    pub dev: bool,
    pub json: bool,
    pub no_color: bool,
    pub insecure: bool,
}

impl Globals {
    /// Takes the option `word`, with its value from `words` where it is not attached; whether it was a global one.
    pub fn take(&mut self, word: &str, words: &mut Iter<'_, String>) -> Result<bool, String> {
        let (name, attached) = cut(word);
        let Some(global) = GLOBAL_OPTIONS.iter().find(|option| option.long == name) else {
            return Ok(false);
        };
        let value = match (global.value.is_empty(), attached) {
            (true, Some(_)) => return Err(format!("{name} takes no value")),
            (true, None) => String::new(),
            (false, Some(value)) => value.to_owned(),
            (false, None) => next_value(name, words)?,
        };
        self.set(name, value)?;
        Ok(true)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--url" => self.url = Some(value),
            "--ssh" => self.ssh = Some(value),
            "--token" => self.token = Some(value),
            "--token-file" => self.token_file = Some(value),
            "--password" => self.password = Some(value),
            "--tls-fingerprint" => self.tls_fingerprint = Some(value),
            "--timeout" => self.timeout_ms = Some(duration_ms(&value)?),
            "--profile" => self.profile = Some(value),
            "--dev" => self.dev = true,
            "--json" => self.json = true,
            "--no-color" => self.no_color = true,
            _ => self.insecure = true,
        }
        Ok(())
    }
}

/// An option's name, and the value that is attached to it.
pub fn cut(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (word, None),
    }
}

/// Reads `500ms`, `10s`, `2m`, `1h`, or a bare number of seconds.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let fault = || {
        format!(
            "`{}` is no duration: write 500ms, 10s or 2m (at most 24h)",
            super::text::printable(text)
        )
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(fault()),
    };
    match number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
    {
        Some(ms) if (1..=CLIENT_TIMEOUT_MS_MAX).contains(&ms) => Ok(ms),
        _ => Err(fault()),
    }
}

pub fn next_value(name: &str, words: &mut Iter<'_, String>) -> Result<String, String> {
    words
        .next()
        .cloned()
        .ok_or_else(|| format!("{name} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("10", 10_000),
            ("10s", 10_000),
            ("2m", 120_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms));
        }
    }
}
