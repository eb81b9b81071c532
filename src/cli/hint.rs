//! Commands to paste: each is about the profile of the command that prints it.

use std::borrow::Cow;

use argh::ArgsInfo;

use super::commands::Cli;
use super::globals::Globals;
use super::setup::variable;

/// What a command to paste needs so that it is about the same gateway as this one.
#[derive(Clone, Debug, Default)]
pub struct Hints(String);

impl Hints {
    /// The profile that was typed, or that the environment names.
    pub fn new(globals: &Globals) -> Self {
        let named = globals.profile.clone();
        Self(match (named, globals.dev) {
            (Some(name), _) => format!("clawdia --profile {name} "),
            (None, true) => "clawdia --dev ".to_owned(),
            (None, false) => match variable("CLAWDIA_PROFILE") {
                Some(name) if !name.is_empty() => format!("clawdia --profile {name} "),
                _ => String::new(),
            },
        })
    }

    /// `text` with the profile in each of its commands. One that `ssh` is to bring to another
    /// machine is left alone: its profiles are others.
    pub fn of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        const PROGRAM: &str = "clawdia ";
        if self.0.is_empty() || !text.contains(PROGRAM) {
            return Cow::Borrowed(text);
        }
        let root = Cli::get_args_info();
        let is_command = |word: &str| root.commands.iter().any(|sub| sub.name == word);
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(PROGRAM) {
            let (before, behind) = (&rest[..at], &rest[at + PROGRAM.len()..]);
            out.push_str(before);
            let word: &str = behind
                .split(|c: char| !c.is_ascii_lowercase())
                .next()
                .unwrap_or_default();
            let begins = !before.ends_with(|c: char| c.is_alphanumeric() || "/-.".contains(c));
            let goes_away = out.split_whitespace().rev().nth(1) == Some("ssh");
            out.push_str(match begins && is_command(word) && !goes_away {
                true => &self.0,
                false => PROGRAM,
            });
            rest = behind;
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_carry_the_profile_and_other_words_do_not() {
        let hints = Hints::new(&Globals {
            profile: Some("work".into()),
            ..Globals::default()
        });
        for (text, told) in [
            ("clawdia status", "clawdia --profile work status"),
            (
                "`clawdia token` or (run: clawdia config set a b)",
                "`clawdia --profile work token` or (run: clawdia --profile work config set a b)",
            ),
            ("ssh you@host clawdia token", "ssh you@host clawdia token"),
            ("a newer clawdia made it", "a newer clawdia made it"),
            ("~/.clawdia status", "~/.clawdia status"),
        ] {
            assert_eq!(hints.of(text), told);
        }
        assert_eq!(Hints::default().of("clawdia status"), "clawdia status");
        let dev = Hints::new(&Globals {
            dev: true,
            ..Globals::default()
        });
        assert_eq!(dev.of("clawdia token"), "clawdia --dev token");
    }
}
