//! The command line: what was typed, and printing.
//!
//! [`low`] takes the words apart, [`commands`] is the table that argh parses and the help and
//! the completion scripts are made of, [`setup`] finds the gateway and the secret that it may
//! get, [`run`] has a file for each command, [`exit`] turns how it ended into an exit code.

pub mod commands;
pub mod completion;
pub mod exit;
pub mod far;
pub mod globals;
mod hidden;
pub mod hint;
pub mod low;
pub mod out;
pub mod reading;
pub mod refusal;
pub mod run;
pub mod setup;
pub mod table;
pub mod text;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use argh::{EarlyExit, FromArgs};

use commands::Cli;
use exit::{Exit, Failure};
use globals::{GLOBAL_OPTIONS, Globals};
use hint::Hints;
use out::Out;
use setup::Setup;

/// Does what `words` (without the program's name) say.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let mut typed = Vec::new();
    for word in words {
        match word.into_string() {
            Ok(word) => typed.push(word),
            Err(_) => {
                let failure = Failure::usage("the command line is not UTF-8");
                return failure.report(false, false, &Hints::default());
            }
        }
    }
    let (globals, parsed) = match parse(&typed) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let (json, no_color) = (globals.json, globals.no_color);
    let hints = Hints::new(&globals);
    let mut out = Out::stdout(json, no_color, hints.clone());
    let outcome = Setup::new(globals)
        .and_then(|setup| run::command(parsed.command, &setup, &mut out))
        .and_then(|()| Ok(out.flush()?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(mut failure) => {
            if failure.exit == Exit::Usage && failure.mend.is_empty() {
                failure = failure.mend(low::help_for(&typed));
            }
            // What was printed before the failure belongs above it.
            let flushed = out.flush();
            drop(flushed);
            failure.report(json, no_color, &hints)
        }
    }
}

/// Reads a command line. The error is how the process ends: it has printed what there is to say.
fn parse(typed: &[String]) -> Result<(Globals, Cli), ExitCode> {
    let plain = low::split_plain(typed);
    if let Some((globals, Ok(parsed))) = plain.map(|(globals, high)| (globals, from_args(&high))) {
        return Ok((globals, parsed));
    }
    let (globals, high) = low::split(typed).map_err(|message| {
        let asked = |option: &str| typed.iter().any(|word| word == option);
        Failure::usage(message).mend(low::help_for(typed)).report(
            asked("--json"),
            asked("--no-color"),
            &Hints::default(),
        )
    })?;
    match from_args(&high) {
        Ok(parsed) => Ok((globals, parsed)),
        Err(early) if early.status.is_ok() => Err(print_help(&early.output)),
        Err(early) => {
            let failure = Failure::usage(usage_text(&early.output));
            let failure = match surplus_message(&high, &early.output) {
                Some(command) => failure.mend(command),
                None => failure,
            };
            Err(failure.mend(low::help_for(typed)).report(
                globals.json,
                globals.no_color,
                &Hints::new(&globals),
            ))
        }
    }
}

/// The command that was meant where a message stands in `agent` without its option.
fn surplus_message(words: &[String], output: &str) -> Option<String> {
    let word = output.trim().strip_prefix("Unrecognized argument: ")?;
    let is_message = words.first().is_some_and(|it| it == "agent") && !word.starts_with('-');
    is_message.then(|| "clawdia agent --message \"…\"   # the message in quotes".to_owned())
}

/// What another process of ours was told, as far as it can be read.
fn reread(words: &[String]) -> Option<(Globals, Cli)> {
    let (globals, high) = low::split(words).ok()?;
    Some((globals, from_args(&high).ok()?))
}

fn from_args(words: &[String]) -> Result<Cli, EarlyExit> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Cli::from_args(&["clawdia"], &words)
}

/// argh's complaint as one paragraph, in words for people where it is about a number.
fn usage_text(output: &str) -> String {
    if let Some(text) = number_text(output.trim()) {
        return text;
    }
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    lines.join("\n  ").trim().to_owned()
}

/// Every option that argh reads itself is a number.
fn number_text(output: &str) -> Option<String> {
    let rest = output.strip_prefix("Error parsing option '")?;
    let (option, rest) = rest.split_once("' with value '")?;
    let (value, why) = rest.rsplit_once("': ")?;
    let value = text::printable(value);
    Some(
        match (why.contains("too large"), option.ends_with("port")) {
            (_, true) => format!("{option} {value}: a port is a number from 0 to 65535"),
            (true, false) => format!("{option} {value}: the number is too large"),
            (false, false) => format!("{option} {value}: it is no whole number"),
        },
    )
}

fn print_help(output: &str) -> ExitCode {
    let mut text = output.trim_end().to_owned();
    text.push_str("\n\nGlobal options, anywhere on the line:\n");
    for option in &GLOBAL_OPTIONS {
        let name = match option.value {
            "" => option.long.to_owned(),
            value => format!("{} <{value}>", option.long),
        };
        text.push_str(&format!("  {name:<22} {}\n", option.description));
    }
    // A reader that went away has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_is_told_in_words() {
        let told = |option: &str, value: &str, why: &str| {
            let output = format!("Error parsing option '{option}' with value '{value}': {why}\n");
            usage_text(&output)
        };
        let digit = "invalid digit found in string";
        let port = "--port a'b: a port is a number from 0 to 65535";
        assert_eq!(told("--port", "a'b", digit), port);
        assert_eq!(told("--ttl", "x", digit), "--ttl x: it is no whole number");
        let large = "number too large to fit in target type";
        assert_eq!(told("-n", "9", large), "-n 9: the number is too large");
        assert_eq!(
            usage_text("Required option not provided\n"),
            "Required option not provided"
        );
    }
}
