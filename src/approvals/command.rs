//! A command as it will be executed.

use super::programs::{CMD, shell_text};
use super::shell;
use crate::limits::{APPROVAL_COMMAND_BYTES_MAX, APPROVAL_WORDS_MAX};

/// Words to execute, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    argv: Vec<String>,
}

/// Why a command cannot be held against a policy, nor be shown to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandFault {
    /// There is no program.
    Empty,
    /// Longer than can be shown as a whole.
    TooLong,
    /// A NUL ends words where they are executed.
    Nul,
    /// The text that would be shown is not what would be executed.
    Disagrees,
}

impl CommandFault {
    /// What is wrong, as a sentence without its full stop.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "command required",
            Self::TooLong => "the command is too long",
            Self::Nul => "the command has a NUL character",
            Self::Disagrees => "rawCommand does not match command",
        }
    }
}

impl std::fmt::Display for CommandFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for CommandFault {}

impl Command {
    /// A command from its words, and the text that a caller sent beside them. The words are what is
    /// executed, so the text has to say the same: it is either what a shell is given behind `-c`,
    /// or the words in a row.
    ///
    /// # Errors
    ///
    /// See [`CommandFault`].
    pub fn new(argv: Vec<String>, raw: Option<&str>) -> Result<Self, CommandFault> {
        if argv.first().is_none_or(|program| program.is_empty()) {
            return Err(CommandFault::Empty);
        }
        let bytes: usize = argv.iter().map(|word| word.len() + 1).sum();
        if bytes > APPROVAL_COMMAND_BYTES_MAX || argv.len() > APPROVAL_WORDS_MAX {
            return Err(CommandFault::TooLong);
        }
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(CommandFault::Nul);
        }
        let command = Self { argv };
        let agrees = |raw: &str| match shell_text(&command.argv) {
            Some(text) => raw == text,
            None => command.is_written(raw),
        };
        // Blanks around a text start nothing else, but an empty text says nothing.
        match raw.filter(|raw| !raw.is_empty()) {
            Some(raw) if !agrees(raw) => Err(CommandFault::Disagrees),
            _ => Ok(command),
        }
    }

    /// What `sh` is to execute.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of_shell(text: &str) -> Result<Self, CommandFault> {
        if text.trim().is_empty() {
            return Err(CommandFault::Empty);
        }
        let words = ["/bin/sh", "-lc", text];
        Self::new(words.map(str::to_owned).to_vec(), None)
    }

    /// The words to execute.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// The command as one text, for people and for comparing: what a shell is given, or the words
    /// with quotes where they need them. Different commands have different texts.
    pub fn text(&self) -> String {
        match shell_text(&self.argv) {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => self
                .argv
                .iter()
                .map(|word| quote(word))
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// Whether a text of a client means these words: with our quotes, with double quotes as older
    /// nodes write them, or with none at all.
    pub fn is_written(&self, text: &str) -> bool {
        let double = |word: &String| match word.is_empty() || word.contains([' ', '"']) {
            true => format!("\"{}\"", word.replace('"', "\\\"")),
            false => word.clone(),
        };
        text == self.text()
            || text == self.argv.join(" ")
            || text == self.argv.iter().map(double).collect::<Vec<_>>().join(" ")
    }

    /// The names of all programs that have to be looked up to judge and to execute it.
    pub fn names(&self) -> Vec<String> {
        let inner = self.programs().unwrap_or_default();
        let inner = inner.iter().filter_map(|words| words.first());
        inner.chain(self.argv.first()).cloned().collect()
    }

    /// The words of each program that this starts; None where that is not certain.
    pub(super) fn programs(&self) -> Option<Vec<Vec<String>>> {
        match shell_text(&self.argv) {
            Some(_) if self.argv[0] == CMD => None,
            Some(text) => shell::programs(text).ok(),
            None => Some(vec![self.argv.clone()]),
        }
    }
}

/// A word as a shell would take it for one.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+-,:@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(words: &[&str], raw: Option<&str>) -> Result<Command, CommandFault> {
        Command::new(words.iter().map(|it| (*it).to_owned()).collect(), raw)
    }

    #[test]
    fn the_text_has_to_say_what_the_words_do() {
        assert!(new(&["/bin/sh", "-lc", "ls -l"], Some("ls -l")).is_ok());
        assert!(new(&["echo", "a b"], Some("echo a b")).is_ok());
        assert!(new(&["echo", "a b"], Some("echo \"a b\"")).is_ok());
        assert!(new(&["echo", "a b"], Some("echo 'a b'")).is_ok());
        for (words, raw) in [
            (&["rm", "-rf", "/"][..], "ls"),
            (&["/bin/sh", "-lc", "rm x"], "ls"),
            (&["/bin/sh", "-lc", "ls "], "ls"),
            (&["ls"], "ls "),
            (&["./sh", "-lc", "ls"], "ls"),
            (&["env", "sh", "-c", "ls"], "ls"),
        ] {
            assert_eq!(
                new(words, Some(raw)),
                Err(CommandFault::Disagrees),
                "{words:?}"
            );
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(new(&[], None), Err(CommandFault::Empty));
        assert_eq!(new(&[""], None), Err(CommandFault::Empty));
        assert_eq!(new(&["ls", "a\0b"], None), Err(CommandFault::Nul));
        assert_eq!(Command::of_shell(" "), Err(CommandFault::Empty));
        let long = "x".repeat(APPROVAL_COMMAND_BYTES_MAX);
        assert_eq!(new(&["echo", &long], None), Err(CommandFault::TooLong));
        let many = vec!["x"; APPROVAL_WORDS_MAX + 1];
        assert_eq!(new(&many, None), Err(CommandFault::TooLong));
    }

    #[test]
    fn different_words_have_different_texts() {
        let texts: Vec<String> = [
            &["echo", "a b"][..],
            &["echo", "a", "b"],
            &["echo", "a", "b "],
            &["echo", "'a", "b'"],
            &["echo a", "b"],
            &["echo", "a b", ""],
        ]
        .into_iter()
        .map(|words| new(words, None).unwrap().text())
        .collect();
        assert_eq!(texts[0], "echo 'a b'");
        let mut unique = texts.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), texts.len());
        assert_eq!(Command::of_shell("ls | wc").unwrap().text(), "ls | wc");
    }
}
