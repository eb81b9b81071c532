//! `clawdia logs`

use std::time::Duration;

use serde_json::{Value, json};

use super::super::commands::Logs;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::reading::warn_once;
use super::super::setup::{Session, Setup};
use super::super::text::printable;
use super::{list, text};
use crate::client::backoff::Backoff;
use crate::client::secret::Target;
use crate::client::{ClientError, ErrorKind, random};
use crate::io::log::tail;
use crate::limits::{LOG_FOLLOW_INTERVAL_MS, LOG_TAIL_BYTES, LOG_TAIL_LINES};

const LEVELS: [&str; 6] = ["fatal", "error", "warn", "info", "debug", "trace"];
const LINES_DEFAULT: u32 = 200;

/// Prints the end of the log, and with `--follow` what comes after it.
pub fn run(args: Logs, setup: &Setup, out: &mut Out) -> Outcome {
    let level = match &args.level {
        None => LEVELS.len() - 1,
        Some(level) => rank(level).ok_or_else(|| {
            Failure::usage(format!(
                "--level {level}: it is one of {}",
                LEVELS.join(", ")
            ))
        })?,
    };
    let limit = args.limit.unwrap_or(LINES_DEFAULT);
    if limit == 0 || limit as usize > LOG_TAIL_LINES.1 {
        let fault = format!("--limit is between 1 and {}", LOG_TAIL_LINES.1);
        return Err(Failure::usage(fault));
    }
    let mut session = match setup.connect() {
        Ok(session) => session,
        Err(failure) if !args.follow && lies_here(&failure, setup) => {
            // The file tells what a gateway said whose configuration tells nothing.
            if failure.exit == Exit::Configuration {
                warn_once(&failure.message);
            }
            return print_file(limit as usize, level, setup, out);
        }
        Err(failure) => return Err(failure),
    };
    let mut params = json!({"limit": limit});
    let mut cursor = print_page(&mut session, &params, level, out)?;
    if !args.follow {
        session.client.close();
        return Ok(());
    }
    loop {
        std::thread::sleep(Duration::from_millis(LOG_FOLLOW_INTERVAL_MS));
        params = json!({"cursor": cursor, "limit": LOG_TAIL_LINES.1});
        session.deadline = setup.deadline();
        match print_page(&mut session, &params, level, out) {
            Ok(next) => cursor = next,
            Err(failure) if is_transient(&failure) => session = reconnect(setup, failure, out)?,
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether no gateway runs here, and its last words lie in the file.
fn lies_here(failure: &Failure, setup: &Setup) -> bool {
    let cause = failure.cause.as_ref();
    let is_away = cause.is_some_and(|cause| cause.kind == ErrorKind::Unreachable);
    let asks_here = setup.globals.url.is_none() && setup.globals.ssh.is_none();
    let is_ours = || match setup.destination() {
        Ok(to) => to.target != Target::Remote,
        Err(_) => setup.lock_holder().is_none() && !setup.is_remote(),
    };
    let is_unread = cause.is_none() && failure.exit == Exit::Configuration;
    asks_here && (is_away || is_unread) && is_ours() && setup.paths.log_file().exists()
}

/// Prints the end of the file that a gateway which does not run has left.
fn print_file(limit: usize, level: usize, setup: &Setup, out: &mut Out) -> Outcome {
    let path = setup.paths.log_file();
    let tail = tail(&path, None, limit, LOG_TAIL_BYTES.1)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    if !out.wants_json() {
        let note = format!("— no gateway runs; the end of {} —", path.display());
        let note = out.paint(Paint::Dim, &note).into_owned();
        out.line(&note)?;
    }
    for line in &tail.lines {
        print_line(line, level, out)?;
    }
    Ok(())
}

/// Prints one page; returns where the next begins.
fn print_page(
    session: &mut Session,
    params: &Value,
    level: usize,
    out: &mut Out,
) -> Result<u64, Failure> {
    let page = session.call("logs.tail", params)?;
    if page["reset"] == true && params.get("cursor").is_some() && !out.wants_json() {
        let note = out.paint(Paint::Dim, "— a new log file —").into_owned();
        out.line(&note)?;
    }
    for line in list(&page, "lines").iter().filter_map(Value::as_str) {
        print_line(line, level, out)?;
    }
    out.flush()?;
    Ok(page["cursor"].as_u64().unwrap_or(0))
}

fn print_line(line: &str, level: usize, out: &mut Out) -> Outcome {
    let Ok(entry) = serde_json::from_str::<Value>(line) else {
        // Not one of ours: shown as it is, at every level.
        match out.wants_json() {
            true => out.json_line(&json!({"raw": line}))?,
            false => out.line(&printable(line))?,
        }
        return Ok(());
    };
    let name = level_of(&entry);
    if rank(&name).is_some_and(|rank| rank > level) {
        return Ok(());
    }
    match out.wants_json() {
        true => out.json_line(&entry)?,
        false => {
            let text = human(&entry, &name, out);
            out.line(&text)?;
        }
    }
    Ok(())
}

fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

fn level_of(entry: &Value) -> String {
    let name = match text(entry, "level") {
        "" => text(&entry["_meta"], "logLevelName"),
        name => name,
    };
    name.to_ascii_lowercase()
}

/// `12:03:04 info   gateway/ws  peer connected  conn=3.1`
fn human(entry: &Value, level: &str, out: &Out) -> String {
    let time = text(entry, "time");
    let clock = time.split_once('T').map_or(time, |(_, clock)| clock);
    let clock = clock.get(..8).unwrap_or(clock);
    let paint = match level {
        "fatal" | "error" => Paint::Bad,
        "warn" => Paint::Warning,
        "debug" | "trace" => Paint::Dim,
        _ => Paint::Plain,
    };
    let message = match text(entry, "message") {
        "" => match text(entry, "1") {
            "" => text(entry, "0"),
            second => second,
        },
        message => message,
    };
    let mut line = format!(
        "{} {}",
        out.paint(Paint::Dim, &printable(clock)),
        out.paint(paint, &format!("{:<5}", printable(level)))
    );
    if let subsystem @ [_, ..] = text(entry, "subsystem").as_bytes() {
        let subsystem = String::from_utf8_lossy(subsystem);
        line.push_str(&format!(
            " {}",
            out.paint(Paint::Dim, &format!("{:<12}", printable(&subsystem)))
        ));
    }
    line.push(' ');
    line.push_str(&printable(message));
    for (name, value) in entry.as_object().into_iter().flatten() {
        if matches!(
            name.as_str(),
            "time" | "level" | "subsystem" | "message" | "_meta" | "0" | "1" | "2"
        ) {
            continue;
        }
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let field = format!(" {}={}", printable(name), printable(&value));
        line.push_str(&out.paint(Paint::Dim, &field));
    }
    line
}

/// The same gateway again, with the pauses that a restarting one needs.
fn reconnect(setup: &Setup, mut failure: Failure, out: &mut Out) -> Result<Session, Failure> {
    let mut backoff = Backoff::default();
    if !out.wants_json() {
        let note = out
            .paint(Paint::Warning, "— the gateway is gone, trying again —")
            .into_owned();
        out.line(&note)?;
        out.flush()?;
    }
    loop {
        let Some(error) = failure.cause.as_ref() else {
            return Err(failure);
        };
        let Some(ms) = backoff.delay_ms(error, random::number()?) else {
            return Err(failure);
        };
        std::thread::sleep(Duration::from_millis(ms));
        match setup.connect() {
            Ok(session) => return Ok(session),
            Err(next) => failure = next,
        }
    }
}

fn is_transient(failure: &Failure) -> bool {
    failure.exit == Exit::Failed
        && failure
            .cause
            .as_ref()
            .is_some_and(ClientError::is_retryable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, level: &str) -> String {
        let (mut out, buffer) = Out::buffer(false);
        print_line(line, rank(level).unwrap(), &mut out).unwrap();
        drop(out);
        buffer.text()
    }

    #[test]
    fn a_line_is_time_level_origin_message_and_fields() {
        let line = r#"{"time":"2026-11-22T12:03:04.567Z","level":"info","subsystem":"gateway/ws","message":"peer connected","conn":"3.1","bytes":7}"#;
        assert_eq!(
            shown(line, "info"),
            "12:03:04 info  gateway/ws   peer connected conn=3.1 bytes=7\n"
        );
    }

    #[test]
    fn what_matters_less_is_left_out() {
        let line = r#"{"level":"debug","message":"x"}"#;
        assert_eq!(shown(line, "info"), "");
        assert_ne!(shown(line, "debug"), "");
        assert_ne!(
            shown(r#"{"_meta":{"logLevelName":"WARN"},"0":"x"}"#, "warn"),
            ""
        );
    }

    #[test]
    fn a_line_that_is_no_json_is_shown_and_harmless() {
        assert_eq!(shown("panic\u{1b}[2J", "error"), "panic\\u{1b}[2J\n");
        let hostile = r#"{"level":"info","message":"a\u001b]0;x\u0007","\u001b[1m":"\r\n"}"#;
        assert!(!shown(hostile, "info").trim_end().contains(char::is_control));
    }
}
