//! How a command ends: one place for exit codes and error messages.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::ops::{Deref, DerefMut};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::hint::Hints;
use super::out::{Paint, code, color_unwanted};
use super::text::printable_lines;
use crate::client::{ClientError, ErrorKind};
use crate::io::config_file::WriteFault;
use crate::io::state_dir::{self, StartFault};

/// What the exit code of a failed command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was tried and failed.
    Failed = 1,
    /// The command line is wrong; nothing was tried.
    Usage = 2,
    /// The disk or the network failed for now; a supervisor may try again (EX_IOERR).
    World = state_dir::EXIT_IO as isize,
    /// The configuration or a state file is at fault (EX_CONFIG of sysexits).
    Configuration = state_dir::EXIT_CONFIG as isize,
}

/// Why a command failed, and what a person can do about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure(Box<Particulars>);

/// What a failure consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Particulars {
    /// The exit code.
    pub exit: Exit,
    /// For scripts: the gateway's error code or our own.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// The gateway's details, or null.
    pub details: Value,
    /// Facts that explain it: name and value.
    pub facts: Vec<(&'static str, String)>,
    /// Commands that mend it.
    pub mend: Vec<String>,
    /// The same, to be given on another machine.
    pub mend_there: Vec<String>,
    /// The error of the connection or the gateway, where that was it.
    pub cause: Option<ClientError>,
    /// Trying again later, unchanged, can succeed.
    pub passes: bool,
    /// Nobody reads the output any more: end without a word.
    quiet: bool,
    /// The output has said it already.
    told: bool,
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure without particulars.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Particulars {
            exit,
            code: code.to_owned(),
            message: message.into(),
            details: Value::Null,
            facts: Vec::new(),
            mend: Vec::new(),
            mend_there: Vec::new(),
            cause: None,
            passes: false,
            quiet: false,
            told: false,
        }))
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }

    /// It was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "FAILED", message)
    }

    /// The configuration or a state file is at fault.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, "CONFIGURATION", message)
    }

    /// No failure at all: the command ends here without a word.
    pub fn quiet() -> Self {
        let mut failure = Self::failed("");
        failure.quiet = true;
        failure
    }

    /// Adds a fact that explains it.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// Adds a command that mends it.
    #[must_use]
    pub fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend.push(command.into());
        self
    }

    /// Adds a command that mends it on another machine, whose profiles are others.
    #[must_use]
    pub fn mend_there(mut self, command: impl Into<String>) -> Self {
        self.mend_there.push(command.into());
        self
    }

    /// Only the exit code says it: the output has said it already.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.told = true;
        self
    }

    /// Tells the person (standard error) or the script (standard output) and gives the code.
    pub fn report(&self, as_json: bool, no_color: bool, hints: &Hints) -> ExitCode {
        if self.quiet {
            return ExitCode::SUCCESS;
        }
        if self.told {
            return ExitCode::from(self.exit as u8);
        }
        let written = if as_json {
            writeln!(io::stdout(), "{:#}", self.to_json(hints))
        } else {
            let color = io::stderr().is_terminal() && !no_color && !color_unwanted();
            io::stderr().write_all(self.to_text(color, hints).as_bytes())
        };
        // Where even the error cannot be written, the exit code still says it.
        let _ = written;
        ExitCode::from(self.exit as u8)
    }

    /// What was said here, for the profile of this command; a gateway's words are its own.
    fn told_message<'a>(&'a self, hints: &Hints) -> Cow<'a, str> {
        match &self.cause {
            None => hints.of(&self.message),
            Some(_) => Cow::Borrowed(&self.message),
        }
    }

    fn mends(&self, hints: &Hints) -> Vec<String> {
        let here = self.mend.iter().map(|it| hints.of(it).into_owned());
        here.chain(self.mend_there.iter().cloned()).collect()
    }

    fn to_json(&self, hints: &Hints) -> Value {
        let mut error = json!({"code": self.code, "message": self.told_message(hints)});
        if !self.details.is_null() {
            error["details"] = self.details.clone();
        }
        for (name, value) in &self.facts {
            error["facts"][*name] = value.as_str().into();
        }
        let mends = self.mends(hints);
        if !mends.is_empty() {
            error["mend"] = mends.into();
        }
        json!({"ok": false, "error": error})
    }

    fn to_text(&self, color: bool, hints: &Hints) -> String {
        let paint = |paint, text: &str| match code(paint) {
            Some(code) if color => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        };
        let told = self.told_message(hints);
        let message = printable_lines(&told);
        let mut text = format!("{} {message}\n", paint(Paint::Bad, "error:"));
        let mends = self.mends(hints);
        let mends = mends.iter().map(|command| ("try", command));
        let facts = self.facts.iter().map(|(name, value)| (*name, value));
        for (name, value) in facts.chain(mends) {
            let name = paint(Paint::Dim, &format!("{name:<9}"));
            text.push_str(&format!("  {name} {}\n", printable_lines(value)));
        }
        text
    }
}

impl Deref for Failure {
    type Target = Particulars;

    fn deref(&self) -> &Particulars {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Particulars {
        &mut self.0
    }
}

impl From<io::Error> for Failure {
    /// A failed print. A reader that went away (`| head`) is no failure.
    fn from(error: io::Error) -> Self {
        let mut failure = Self::failed(format!("cannot print: {error}"));
        failure.quiet = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }
}

impl From<StartFault> for Failure {
    fn from(fault: StartFault) -> Self {
        let (exit, code) = match fault.exit_code {
            state_dir::EXIT_IO => (Exit::World, "WORLD"),
            _ => (Exit::Configuration, "CONFIGURATION"),
        };
        Self::new(exit, code, fault.message)
    }
}

impl From<WriteFault> for Failure {
    fn from(fault: WriteFault) -> Self {
        match fault {
            WriteFault::Unreadable(_) => Self::configuration(fault.to_string()),
            // The file is not at fault: it is as it was.
            WriteFault::Changed => Self::failed(fault.to_string()).mend("the same command again"),
            WriteFault::Io(..) => Self::failed(fault.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error.kind {
            ErrorKind::Configuration => Exit::Configuration,
            _ => Exit::Failed,
        };
        let details = error.as_gateway().map(|error| error.details.clone());
        let mut failure = Self::new(exit, error.code(), error.message.clone());
        failure.details = details.unwrap_or(Value::Null);
        failure.passes = error.is_retryable();
        failure.cause = Some(error);
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        assert_eq!(Failure::failed("x").exit as u8, 1);
        assert_eq!(Failure::usage("x").exit as u8, 2);
        assert_eq!(Failure::configuration("x").exit as u8, 78);
        let pinned = ClientError::new(ErrorKind::Configuration, "x");
        assert_eq!(Failure::from(pinned).exit, Exit::Configuration);
        let lost = ClientError::new(ErrorKind::Unreachable, "x");
        assert_eq!(Failure::from(lost).exit, Exit::Failed);
        let refused = WriteFault::Io("write x".to_owned(), io::ErrorKind::StorageFull.into());
        assert_eq!(Failure::from(refused).exit, Exit::Failed);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(
            format!("{:?}", failure.report(false, true, &Hints::default())),
            format!("{:?}", ExitCode::SUCCESS)
        );
    }

    #[test]
    fn people_get_facts_and_commands_and_scripts_the_same_as_json() {
        let failure = Failure::failed("no\u{1b}[2J")
            .fact("gateway", "ws://h")
            .mend("clawdia x");
        let text = failure.to_text(false, &Hints::default());
        assert_eq!(
            text,
            "error: no\\u{1b}[2J\n  gateway   ws://h\n  try       clawdia x\n"
        );
        let json = failure.to_json(&Hints::default());
        assert_eq!(json["error"]["facts"]["gateway"], "ws://h");
        assert_eq!(json["error"]["mend"][0], "clawdia x");
    }

    #[test]
    fn commands_are_for_this_profile_and_those_of_another_machine_are_not() {
        let hints = Hints::new(&crate::cli::globals::Globals {
            profile: Some("work".into()),
            ..Default::default()
        });
        let failure = Failure::failed("see `clawdia status`")
            .mend("clawdia token")
            .mend_there("clawdia devices pair");
        assert_eq!(
            failure.to_text(false, &hints),
            "error: see `clawdia --profile work status`\n  try       clawdia --profile work token\n  \
             try       clawdia devices pair\n"
        );
    }
}
