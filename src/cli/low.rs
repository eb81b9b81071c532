//! The first look at the command line: what argh cannot do.
//!
//! argh wants an option beside its command and its value in a word of its own. People write
//! `clawdia --json health --timeout=3s`. So this pass takes the global options out wherever
//! they stand, cuts `--option=value` in two, puts in the command that is meant where one may
//! be left away, and says what was probably meant where a word is unknown.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind, Optionality};

use super::commands::Cli;
use super::globals::{GLOBAL_OPTIONS, Globals, cut, next_value};
use crate::config::suggest::nearest;
use std::slice::Iter;

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

/// The same for a line of commands, their words and global options alone, as most are, without a look at the
/// table of all commands, which takes a third of the time and memory of a short one. None where that table has to
/// be asked, and for all that is wrong.
pub fn split_plain(words: &[String]) -> Option<(Globals, Vec<String>)> {
    let (mut globals, mut high) = (Globals::default(), Vec::with_capacity(words.len() + 1));
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            high.push(word.clone());
        } else if !globals.take(word, &mut words).ok()? {
            return None;
        }
    }
    if let [group] = high.as_slice()
        && let Some(default) = default_of(group)
    {
        high.push(default.to_owned());
    }
    Some((globals, high))
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
    fn option(&mut self, word: &str, words: &mut Iter<'_, String>) -> Result<(), String> {
        if self.globals.take(word, words)? {
            return Ok(());
        }
        let (name, attached) = cut(word);
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
            (true, Some(value)) => self.high.push(value.to_owned()),
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
        let default = default_of(&self.trail);
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
        let name = super::text::printable(name);
        let last = self.command.positionals.last();
        if last.is_some_and(|it| matches!(it.optionality, Optionality::Greedy)) {
            // It may be one of the program that is to be run elsewhere.
            let after = self.with_trail(&format!("-- PROGRAM {name}"));
            return format!(
                "unknown option `{name}`: {known}; a program's own stand after --: `{after}`"
            );
        }
        format!("unknown option `{name}`: {known}")
    }

    fn with_trail(&self, word: &str) -> String {
        let blank = if self.trail.is_empty() { "" } else { " " };
        format!("clawdia {}{blank}{word}", self.trail)
    }
}

/// The command that is meant by the group alone.
fn default_of(group: &str) -> Option<&'static str> {
    let mut defaults = DEFAULT_COMMANDS.iter();
    defaults
        .find(|(name, _)| *name == group)
        .map(|(_, default)| *default)
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
        let told = error("nodes run --node x uname -a");
        assert!(
            told.ends_with("`clawdia nodes run -- PROGRAM -a`"),
            "{told}"
        );
        assert!(!error("a\u{1b}[2Jb").contains('\u{1b}'));
    }

    #[test]
    fn a_plain_line_is_split_as_any_other() {
        for (line, is_plain) in [
            ("health", true),
            ("--json health --url=ws://h:1", true),
            ("sessions --timeout 3s", true),
            ("nodes describe box --json", true),
            ("agent --message hi", false),
            ("health --timeout nonsense", false),
            ("health --json=1", false),
            ("config set a -- --json", false),
            ("-V", false),
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let plain = split_plain(&words);
            assert_eq!(plain.is_some(), is_plain, "{line}");
            if plain.is_some() {
                assert_eq!(plain, split(line).ok());
            }
        }
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
