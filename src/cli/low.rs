//! The first look at the command line: what argh cannot do.
//!
//! argh wants an option beside its command and its value in a word of its own. People write
//! `clawdia --json health --timeout=3s`. So this pass takes the global options out wherever
//! they stand, cuts `--option=value` in two, puts in the command that is meant where one may
//! be left away, and says what was probably meant where a word is unknown.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind};

use super::commands::Cli;
use crate::config::suggest::nearest;
use crate::limits::CLIENT_TIMEOUT_MS_MAX;

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
        "how long to wait: 500ms, 10s (default), 2m",
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

/// What a command group means when no command of it is named.
const DEFAULT_COMMANDS: [(&str, &str); 11] = [
    ("gateway", "run"),
    ("sessions", "list"),
    ("devices", "list"),
    ("nodes", "status"),
    ("approvals", "list"),
    ("channels", "status"),
    ("pairing", "list"),
    ("models", "list"),
    ("mcp", "list"),
    ("remote", "list"),
    ("security", "audit"),
];

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

/// Splits the words of a command line (without the program's name) into the global options
/// and the words for argh. The error is a sentence for people.
pub fn split(words: &[String]) -> Result<(Globals, Vec<String>), String> {
    let root = Cli::get_args_info();
    let mut pass = Pass {
        globals: Globals::default(),
        high: Vec::with_capacity(words.len() + 1),
        command: &root,
        trail: String::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            pass.default_command();
            pass.high.push(word.clone());
            pass.high.extend(words.by_ref().cloned());
        } else if word.len() > 1 && word.starts_with('-') {
            pass.option(word, &mut words)?;
        } else {
            pass.word(word)?;
        }
    }
    pass.default_command();
    if !pass.command.commands.is_empty() && !pass.asks_for_help() {
        // A group alone: its help says what it has.
        pass.high.push("--help".into());
    }
    Ok((pass.globals, pass.high))
}

/// The command that shows the help of what was typed, as far as it names a command.
pub fn help_for(words: &[String]) -> String {
    let root = Cli::get_args_info();
    let mut command = &root;
    let mut help = "clawdia ".to_owned();
    for word in words {
        if let Some(found) = command.commands.iter().find(|sub| sub.name == word) {
            command = &found.command;
            help.push_str(found.name);
            help.push(' ');
        }
    }
    help + "--help"
}

struct Pass<'a> {
    globals: Globals,
    high: Vec<String>,
    /// The command that the words so far have named.
    command: &'a CommandInfoWithArgs,
    /// Its name with those above it.
    trail: String,
}

impl<'a> Pass<'a> {
    fn option(
        &mut self,
        word: &str,
        words: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), String> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word, None),
        };
        if let Some(global) = GLOBAL_OPTIONS.iter().find(|option| option.long == name) {
            let value = match (global.value.is_empty(), attached) {
                (true, Some(_)) => return Err(format!("{name} takes no value")),
                (true, None) => String::new(),
                (false, Some(value)) => value,
                (false, None) => next_value(name, words)?,
            };
            return self.globals.set(name, value);
        }
        match name {
            "--help" | "-h" => {
                self.high.push("--help".into());
                return Ok(());
            }
            "--version" | "-V" if self.trail.is_empty() => {
                return self.word("version");
            }
            _ => {}
        }
        self.default_command();
        let Some(takes_value) = flag_takes_value(self.command, name) else {
            return Err(self.unknown_option(name));
        };
        self.high.push(name.to_owned());
        match (takes_value, attached) {
            (true, Some(value)) => self.high.push(value),
            (true, None) => self.high.push(next_value(name, words)?),
            (false, Some(_)) => return Err(format!("{name} takes no value")),
            (false, None) => {}
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let command = self.command;
        if command.commands.is_empty() || word == "help" {
            self.high.push(word.to_owned());
            return Ok(());
        }
        let Some(found) = command.commands.iter().find(|sub| sub.name == word) else {
            return Err(self.unknown_command(word));
        };
        self.enter(found.name, &found.command);
        Ok(())
    }

    /// Before an option, or at the end: the command that is meant without being named.
    fn default_command(&mut self) {
        let default = DEFAULT_COMMANDS
            .iter()
            .find(|(group, _)| *group == self.trail)
            .map(|(_, command)| *command);
        let command = self.command;
        let found = command
            .commands
            .iter()
            .find(|sub| Some(sub.name) == default);
        if let (Some(found), false) = (found, self.asks_for_help()) {
            self.enter(found.name, &found.command);
        }
    }

    fn asks_for_help(&self) -> bool {
        let last = self.high.last();
        last.is_some_and(|word| word == "--help" || word == "help")
    }

    fn enter(&mut self, name: &str, command: &'a CommandInfoWithArgs) {
        self.high.push(name.to_owned());
        if !self.trail.is_empty() {
            self.trail.push(' ');
        }
        self.trail.push_str(name);
        self.command = command;
    }

    fn unknown_command(&self, word: &str) -> String {
        let names = self.command.commands.iter().map(|sub| sub.name);
        let known = match nearest(word, names) {
            Some(near) => format!("did you mean `{}`?", self.with_trail(near)),
            None => format!("`{}` lists all", self.with_trail("--help")),
        };
        format!(
            "unknown command `{}`: {known}",
            super::text::printable(word)
        )
    }

    fn unknown_option(&self, name: &str) -> String {
        let own = self.command.flags.iter().map(|flag| flag.long);
        let known = match nearest(name, own.chain(GLOBAL_OPTIONS.iter().map(|o| o.long))) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`{}` lists all", self.with_trail("--help")),
        };
        format!("unknown option `{}`: {known}", super::text::printable(name))
    }

    fn with_trail(&self, word: &str) -> String {
        let blank = if self.trail.is_empty() { "" } else { " " };
        format!("clawdia {}{blank}{word}", self.trail)
    }
}

impl Globals {
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

fn next_value(name: &str, words: &mut std::slice::Iter<'_, String>) -> Result<String, String> {
    words
        .next()
        .cloned()
        .ok_or_else(|| format!("{name} needs a value"))
}

fn flag_takes_value(command: &CommandInfoWithArgs, name: &str) -> Option<bool> {
    let mut flags = command.flags.iter();
    let short = name
        .strip_prefix('-')
        .filter(|rest| rest.chars().count() == 1);
    let flag = flags.find(|flag| {
        flag.long == name
            || flag
                .short
                .is_some_and(|s| short == Some(s.encode_utf8(&mut [0; 4])))
    })?;
    Some(matches!(flag.kind, FlagInfoKind::Option { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Result<(Globals, Vec<String>), String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        super::split(&words)
    }

    fn high(line: &str) -> String {
        split(line).unwrap().1.join(" ")
    }

    #[test]
    fn global_options_may_stand_anywhere_in_both_forms() {
        let expected = Globals {
            url: Some("ws://h:1".into()),
            json: true,
            timeout_ms: Some(3_000),
            ..Globals::default()
        };
        for line in [
            "--url ws://h:1 --json --timeout 3s health",
            "health --url=ws://h:1 --timeout=3s --json",
            "--json health --url ws://h:1 --timeout=3000ms",
        ] {
            assert_eq!(
                split(line).unwrap(),
                (expected.clone(), vec!["health".into()])
            );
        }
    }

    #[test]
    fn an_attached_value_is_cut_off_once() {
        assert_eq!(high("agent --message=a=b"), "agent --message a=b");
        assert_eq!(high("gateway run --port=1"), "gateway run --port 1");
    }

    #[test]
    fn the_value_of_an_option_is_left_alone() {
        assert_eq!(high("agent --message --json"), "agent --message --json");
        assert_eq!(high("agent -m --url=x"), "agent -m --url=x");
        assert!(!split("agent --message --json").unwrap().0.json);
    }

    #[test]
    fn nothing_after_two_dashes_is_an_option() {
        assert_eq!(
            high("config set a -- --json --x=1"),
            "config set a -- --json --x=1"
        );
    }

    #[test]
    fn a_group_alone_means_its_default() {
        assert_eq!(high("gateway"), "gateway run");
        assert_eq!(high("gateway --port 1"), "gateway run --port 1");
        assert_eq!(high("gateway --json --force"), "gateway run --force");
        assert_eq!(high("sessions -n 3"), "sessions list -n 3");
        assert_eq!(high("devices"), "devices list");
        assert_eq!(high("gateway --help"), "gateway --help");
        assert_eq!(high("gateway help"), "gateway help");
        assert_eq!(high("config"), "config --help");
        assert_eq!(high(""), "--help");
    }

    #[test]
    fn the_version_has_its_usual_spellings() {
        assert_eq!(high("--version"), "version");
        assert_eq!(high("-V"), "version");
        assert_eq!(high("-h"), "--help");
    }

    #[test]
    fn an_unknown_word_is_answered_with_a_suggestion() {
        let error = |line| split(line).unwrap_err();
        assert!(error("helth").contains("`clawdia health`"));
        assert!(error("devices aprove").contains("`clawdia devices approve`"));
        assert!(error("gateway run --prot 1").contains("`--port`"));
        assert!(error("health --jsn").contains("`--json`"));
        assert!(error("xyzzy").contains("clawdia --help"));
        assert!(!error("a\u{1b}[2Jb").contains('\u{1b}'));
    }

    #[test]
    fn missing_and_surplus_values_are_errors() {
        for line in [
            "health --url",
            "health --json=1",
            "gateway run --port",
            "gateway run --force=yes",
            "health --timeout 0",
            "health --timeout 5x",
            "health --timeout 25h",
            "health --timeout 99999999999999999999",
        ] {
            assert!(split(line).is_err(), "{line}");
        }
    }

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

    #[test]
    fn no_command_has_an_option_of_a_global_name() {
        fn check(command: &CommandInfoWithArgs) {
            for flag in command.flags {
                let global = GLOBAL_OPTIONS.iter().any(|option| option.long == flag.long);
                assert!(!global, "{} {}", command.name, flag.long);
            }
            for sub in &command.commands {
                check(&sub.command);
            }
        }
        check(&Cli::get_args_info());
    }

    #[test]
    fn every_default_command_exists() {
        let root = Cli::get_args_info();
        for (group, default) in DEFAULT_COMMANDS {
            let group = root.commands.iter().find(|sub| sub.name == group).unwrap();
            assert!(group.command.commands.iter().any(|sub| sub.name == default));
        }
    }
}
