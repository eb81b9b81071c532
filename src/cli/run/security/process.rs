//! What the process that runs lets in: its file may have changed since it began to listen.

use super::super::running;
use super::{Config, Finding, Setup, Severity, finding, of_config};

/// What is found besides `known`, which is what the file shows.
pub fn look(setup: &Setup, config: &Config, known: &[Finding]) -> Vec<Finding> {
    let running = match running::look(setup, config) {
        None => return Vec::new(),
        Some(Ok(running)) => running,
        Some(Err(failure)) => {
            let text = format!(
                "a gateway runs here, and what it listens on is not known: {}",
                failure.message
            );
            return vec![finding(
                "process.silent",
                Severity::Info,
                text,
                "clawdia doctor",
            )];
        }
    };
    // One that runs has a secret, be it that which it made itself.
    let is_new = |it: &Finding| {
        let same = |known: &Finding| known.id == it.id && known.severity <= it.severity;
        it.id != "auth.none" && !known.iter().any(same)
    };
    let found = of_config(&running.as_config(config)).into_iter();
    let found = found.filter(is_new).map(|it| Finding {
        message: format!("{running}: {}", it.message),
        mend: running.end(config).to_owned(),
        ..it
    });
    found.collect()
}
