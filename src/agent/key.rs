//! A model's key that is not in the configuration: read from a file, or printed by a command, at
//! each step, so that a new key needs no restart.

use super::provider::StepSink;
use super::{Endpoint, FailureKind, StepError};
use crate::config::Secret;
use crate::limits::{KEY_BYTES_MAX, KEY_COMMAND_MS};
use std::io::Read;
use std::process::{Command, Stdio};

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The first line of this file; `~` is the home.
    File(String),
    /// The first line that these words print; no shell reads them.
    Command(Vec<String>),
}

/// How long one look at the command takes.
const LOOK_MS: u64 = 10;

/// The endpoint with its key.
///
/// # Errors
///
/// The step was stopped, or there is no key there; what was there is in no message.
pub fn with_key(endpoint: &Endpoint, out: &mut dyn StepSink) -> Result<Endpoint, StepError> {
    let key = match &endpoint.key_source {
        None => return Ok(endpoint.clone()),
        Some(KeySource::File(path)) => of_file(path),
        Some(KeySource::Command(words)) => of_command(words, out)?,
    };
    let key = key.and_then(|text| {
        let line = text.lines().next().unwrap_or("").trim().to_owned();
        match line.is_empty() {
            true => Err("it is empty".to_owned()),
            false => Ok(Secret::new(line)),
        }
    });
    match key {
        Ok(key) => Ok(Endpoint {
            key: Some(key),
            ..endpoint.clone()
        }),
        Err(fault) => {
            let place = match &endpoint.key_source {
                Some(KeySource::File(path)) => format!("apiKeyFile {path}"),
                Some(KeySource::Command(words)) => {
                    format!("apiKeyCommand {}", words.first().map_or("", String::as_str))
                }
                None => String::new(),
            };
            Err(StepError::Failed {
                kind: FailureKind::Auth,
                message: format!("the key of {place} cannot be had: {fault}"),
                retryable: false,
            })
        }
    }
}

fn of_file(path: &str) -> Result<String, String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let path = match path.strip_prefix("~/") {
        Some(rest) => format!("{home}/{rest}"),
        None => path.to_owned(),
    };
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(KEY_BYTES_MAX as u64)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

fn of_command(
    words: &[String],
    out: &mut dyn StepSink,
) -> Result<Result<String, String>, StepError> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(Err("it has no words".into()));
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut waited_ms = 0;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if waited_ms < KEY_COMMAND_MS => {}
            Ok(None) => {
                end(&mut child);
                return Ok(Err(format!("it did not end in {KEY_COMMAND_MS} ms")));
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
        if let Err(stop) = out.pause(LOOK_MS) {
            end(&mut child);
            return Err(stop.into());
        }
        waited_ms += LOOK_MS;
    };
    if !status.success() {
        return Ok(Err(format!("it failed ({status})")));
    }
    // It has ended, so all that it printed is there; one read does not wait for whom it left.
    let mut bytes = vec![0; KEY_BYTES_MAX];
    let read = child
        .stdout
        .as_mut()
        .map_or(Ok(0), |it| it.read(&mut bytes));
    Ok(read
        .map(|len| String::from_utf8_lossy(&bytes[..len]).into_owned())
        .map_err(|error| error.to_string()))
}

fn end(child: &mut std::process::Child) {
    // One that has ended meanwhile cannot be killed, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}
