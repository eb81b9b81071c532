//! `system.notify`: a notification for whoever sits at this machine.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Context;
use crate::host::environment::Environment;
use crate::host::process::{self, Task};
use crate::limits::{NODE_NOTIFY_BYTES_MAX, NODE_NOTIFY_MS};
use crate::node::invoke::Fault;

/// The freedesktop program that shows one.
const PROGRAM: &str = "notify-send";

/// Whether this machine can show notifications.
pub fn is_there() -> bool {
    find(&Environment::of_this_process()).is_some()
}

fn find(environment: &Environment) -> Option<PathBuf> {
    environment.find(PROGRAM, Path::new("/"))
}

/// `{title?, body?, priority?}`; at least one of the first two says something.
pub fn notify(context: &Context, params: &Value) -> Result<Value, Fault> {
    let text = |name: &str| params[name].as_str().unwrap_or("").trim().to_owned();
    let (title, body) = (text("title"), text("body"));
    if title.is_empty() && body.is_empty() {
        return Err(Fault::invalid("title or body required"));
    }
    if title.len() + body.len() > NODE_NOTIFY_BYTES_MAX || (title + &body).contains('\0') {
        let fault = format!("a notification has at most {NODE_NOTIFY_BYTES_MAX} bytes of text");
        return Err(Fault::invalid(fault));
    }
    let environment = Environment::of_this_process();
    let Some(program) = find(&environment) else {
        let fault = format!("this node shows no notifications: {PROGRAM} is not installed on it");
        return Err(Fault::unavailable(fault));
    };
    let argv = words(params);
    let ended = process::run(&Task {
        program: &program,
        argv: &argv,
        cwd: None,
        environment: &environment,
        deadline: Some(Instant::now() + Duration::from_millis(NODE_NOTIFY_MS)),
        stop: context.stop.as_fd(),
    });
    if ended.exit_code == Some(0) {
        return Ok(Value::Null);
    }
    let said = ended.stderr.into_text().text;
    let fault = match (ended.error, said.trim()) {
        (Some(error), _) => error,
        (None, "") => format!("{PROGRAM} failed"),
        (None, said) => format!("{PROGRAM}: {said}"),
    };
    Err(Fault::unavailable(fault))
}

fn words(params: &Value) -> Vec<String> {
    let text = |name: &str| params[name].as_str().unwrap_or("").trim().to_owned();
    let urgency = match params["priority"].as_str() {
        Some("passive") => "low",
        Some("timeSensitive") => "critical",
        _ => "normal",
    };
    let (mut title, mut body) = (text("title"), text("body"));
    if title.is_empty() {
        title = std::mem::take(&mut body);
    }
    let mut words = vec![
        PROGRAM.to_owned(),
        "--app-name=Clawdia".to_owned(),
        format!("--urgency={urgency}"),
        "--".to_owned(),
        title,
    ];
    if !body.is_empty() {
        words.push(body);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_is_never_an_option() {
        let words = words(&json!({"title": "--help", "body": "b", "priority": "passive"}));
        assert_eq!(words[2..], ["--urgency=low", "--", "--help", "b"]);
        let alone = super::words(&json!({"body": "b"}));
        assert_eq!(alone[3..], ["--", "b"]);
    }
}
