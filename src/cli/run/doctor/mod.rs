//! `clawdia doctor`: looks at everything that a working gateway needs, in the order in which it
//! is needed, and names the command that mends each fault.

mod gateway;
mod reach;
mod settings;

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::text::count;
use super::troubles::{self, Trouble};
use crate::config::GatewayMode;

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Remark,
    Fault,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    state: State,
    message: String,
    mend: Vec<String>,
}

/// All that was looked at so far.
#[derive(Default)]
struct Findings(Vec<Check>);

impl Findings {
    fn add(&mut self, name: &'static str, state: State, message: impl Into<String>, mend: &[&str]) {
        self.0.push(Check {
            name,
            state,
            message: message.into(),
            mend: mend.iter().map(|command| (*command).to_owned()).collect(),
        });
    }

    fn good(&mut self, name: &'static str, message: impl Into<String>) {
        self.add(name, State::Good, message, &[]);
    }

    /// What a failed command would say.
    fn failed(&mut self, name: &'static str, failure: &Failure) {
        let facts = failure
            .facts
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let whole: Vec<String> = std::iter::once(failure.message.clone())
            .chain(facts)
            .collect();
        let mend: Vec<&str> = failure.mend.iter().map(String::as_str).collect();
        self.add(name, State::Fault, whole.join("; "), &mend);
    }
}

/// Looks, prints, and fails where something is at fault.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let mut found = Findings::default();
    look(setup, &mut found);
    let faults = found
        .0
        .iter()
        .filter(|check| check.state == State::Fault)
        .count();
    if out.wants_json() {
        out.json(
            &json!({"ok": faults == 0, "checks": found.0.iter().map(row).collect::<Vec<_>>()}),
        )?;
    } else {
        for check in &found.0 {
            print(check, out)?;
        }
    }
    out.flush()?;
    match faults {
        0 => Ok(()),
        _ if out.wants_json() => Err(Failure::failed("").told()),
        faults => Err(Failure::failed(format!(
            "{} found",
            count(faults as u64, "fault")
        ))),
    }
}

fn row(check: &Check) -> Value {
    let state = match check.state {
        State::Good => "ok",
        State::Remark => "remark",
        State::Fault => "fault",
    };
    json!({"name": check.name, "status": state, "message": check.message, "mend": check.mend})
}

fn print(check: &Check, out: &mut Out) -> Outcome {
    let (sign, paint) = match check.state {
        State::Good => ("✓", Paint::Good),
        State::Remark => ("!", Paint::Warning),
        State::Fault => ("✗", Paint::Bad),
    };
    let line = format!(
        "{} {:<14} {}",
        out.paint(paint, sign),
        check.name,
        check.message
    );
    out.line(&line)?;
    for command in &check.mend {
        let line = format!("    mend: {}", out.hinted(command));
        out.line(&line)?;
    }
    Ok(())
}

fn look(setup: &Setup, found: &mut Findings) {
    // Nothing is looked for in what is not there, unless the gateway is elsewhere.
    let names_another = setup.globals.url.is_some() || setup.globals.ssh.is_some();
    if let Some(missing) = setup.missing_state()
        && !names_another
    {
        return found.failed("state", &missing);
    }
    let config = settings::configuration(setup, found);
    settings::state(setup, found);
    let Some(config) = config else {
        // Which gateway is meant cannot be known without it.
        return;
    };
    let elsewhere = setup.globals.url.is_some() || config.gateway.mode == Some(GatewayMode::Remote);
    if !elsewhere {
        settings::secret(setup, &config, found);
        settings::certificate(setup, &config, found);
        settings::discovery(&config, found);
        troubled(troubles::of_settings(setup, &config), found);
        reach::models(&config, found);
        if !reach::process(setup, &config, found) {
            return;
        }
    }
    reach::browser(&config, found);
    if let Some(session) = reach::ways_in(setup, &config, elsewhere, found) {
        gateway::talk(session, found);
    }
}

fn troubled(troubles: Vec<Trouble>, found: &mut Findings) {
    for trouble in troubles {
        found.add(
            trouble.name,
            State::Fault,
            trouble.message,
            &[&trouble.mend],
        );
    }
}
