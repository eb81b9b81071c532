//! `clawdia config …`: the file itself, whether or not the gateway runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::commands::ConfigCommand;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::reading::config_faults;
use super::super::setup::{Session, Setup, variable};
use super::super::text::{count, printable_lines};
use super::{next_start, running, text, units};
use crate::approvals::quote;
use crate::client::{ClientError, ErrorKind};
use crate::config::change::{changes, needs_restart};
use crate::config::checks::{shared_secrets, told_unserved};
use crate::config::document::{Document, Loaded};
use crate::config::edit::rewrite;
use crate::config::select::{self, Step};
use crate::config::table::Shape;
use crate::config::{Config, Fault, GatewayMode, ReloadMode};
use crate::config::{redact, syntax};
use crate::io::config_file;
use crate::limits::CONFIG_TAKEN_MS;

/// Reads or changes the configuration.
pub fn run(command: ConfigCommand, setup: &Setup, out: &mut Out) -> Outcome {
    match command {
        ConfigCommand::Get(args) => get(args.path.as_deref(), setup, out),
        ConfigCommand::Set(args) => set(&args.path, &args.value, setup, out),
        ConfigCommand::Unset(args) => unset(&args.path, setup, out),
        ConfigCommand::Path(_) => path(setup, out),
        ConfigCommand::Validate(_) => validate(setup, out),
    }
}

fn get(path: Option<&str>, setup: &Setup, out: &mut Out) -> Outcome {
    let document = setup.document()?;
    let redacted = redacted(&document)?;
    let Some(path) = path else {
        match out.wants_json() {
            true => out.json(&value_of(&redacted)?)?,
            false => out.line(printable_lines(redacted.trim_end()).as_ref())?,
        }
        return Ok(());
    };
    let whole = value_of(&redacted)?;
    let Some(value) = select::get(&whole, &parse_path(path)?) else {
        return Err(not_set(path).fact("file", document.path()));
    };
    match value {
        Value::String(text) if !out.wants_json() => out.line(&printable_lines(text))?,
        value => out.json(value)?,
    }
    Ok(())
}

/// The file's text with its secrets hidden.
fn redacted(document: &Document) -> Result<String, Failure> {
    let tree = document
        .tree()
        .map_err(|fault| config_faults(document.path(), std::slice::from_ref(fault)))?;
    Ok(redact::redact_text(document.text().unwrap_or("{}"), tree))
}

fn value_of(text: &str) -> Result<Value, Failure> {
    let tree = syntax::parse(text).map_err(|fault| Failure::configuration(fault.to_string()))?;
    Ok(tree.root.to_value())
}

fn set(path: &str, typed: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let value = match syntax::parse_any(typed) {
        Ok(tree) => tree.root.to_value(),
        Err(_) => Value::String(typed.to_owned()),
    };
    let steps = parse_path(path)?;
    change(setup, out, |whole| {
        select::set(whole, &steps, value)
            .map_err(|fault| Failure::usage(fault.to_string()))
            .map(|()| format!("{path} is set"))
    })
}

fn unset(path: &str, setup: &Setup, out: &mut Out) -> Outcome {
    let steps = parse_path(path)?;
    change(setup, out, |whole| match select::unset(whole, &steps) {
        true => Ok(format!("{path} is removed")),
        false => Err(not_set(path)),
    })
}

/// With what the key means, and so what holds without it.
fn not_set(path: &str) -> Failure {
    let shape = path
        .split('.')
        .try_fold(Shape::root(), |shape, step| shape.step(step));
    let failure = Failure::failed(format!("{path} is not set"));
    match shape.and_then(|shape| shape.row) {
        Some(row) => failure.fact("meaning", row.help),
        None => failure,
    }
}

fn parse_path(path: &str) -> Result<Vec<Step>, Failure> {
    select::parse_path(path).map_err(|fault| Failure::usage(fault.to_string()))
}

fn change(
    setup: &Setup,
    out: &mut Out,
    edit: impl FnOnce(&mut Value) -> Result<String, Failure>,
) -> Outcome {
    let mut done = String::new();
    let mut applied = apply(setup, |whole| {
        done = edit(whole)?;
        Ok(())
    })?;
    let taken = taken_over(setup, &applied);
    let is_taken = taken.as_ref().is_some_and(Result::is_ok);
    let left_open = (taken.is_some() && applied.of_gateway)
        .then(|| running::left_open(setup, is_taken))
        .flatten();
    applied.remarks.extend(left_open);
    // A gateway that does not run reads everything at its start.
    let restart = applied.needs_restart && taken.is_some();
    if out.wants_json() {
        out.json(&json!({
            "ok": true,
            "path": applied.path,
            "faults": applied.faults,
            "needsRestart": restart,
            "inEffect": taken.as_ref().map(|taken| taken.is_ok() && !restart),
            "remarks": applied.remarks,
        }))?;
        return Ok(());
    }
    out.done(&done)?;
    out.field("file", Paint::Plain, &applied.path)?;
    match taken {
        None => {}
        Some(Ok(())) if restart => {
            let note =
                "at the gateway's next start: clawdia gateway restart, or gateway run --force";
            let note = out.hinted(note).into_owned();
            out.field("in effect", Paint::Warning, &note)?;
        }
        Some(Ok(())) => out.field("in effect", Paint::Good, "now")?,
        Some(Err(why)) => out.field("in effect", Paint::Warning, &format!("not yet: {why}"))?,
    }
    for remark in &applied.remarks {
        let remark = out.hinted(remark).into_owned();
        out.field("remark", Paint::Warning, &remark)?;
    }
    if applied.faults > 0 {
        let note = format!(
            "{} left: clawdia config validate",
            count(applied.faults as u64, "fault")
        );
        out.field("still", Paint::Warning, &note)?;
    }
    Ok(())
}

/// Has the gateway that runs here take the file over, and waits until it has: a patch that changes
/// nothing is answered when what is in the file is in force. None where none runs.
fn taken_over(setup: &Setup, applied: &Applied) -> Option<Result<(), String>> {
    setup.lock_holder()?;
    let taken = || -> Result<(), Failure> {
        let config = setup.client_config()?;
        if config.gateway.reload.mode == ReloadMode::Off {
            let text = "gateway.reload.mode is off: clawdia gateway restart";
            return Err(Failure::failed(text));
        }
        let deadline = Instant::now() + Duration::from_millis(CONFIG_TAKEN_MS);
        let mut session = connect_own(setup, &config, deadline)?;
        let nothing = json!({"raw": "{}", "baseHash": applied.hash});
        let taken = session.client.call("config.patch", &nothing, deadline);
        let taken = taken.map_err(|error| match error {
            ClientError {
                kind: ErrorKind::Gateway(error),
                ..
            } if error.details["issues"].is_array() => {
                let issue = &error.details["issues"][0];
                let (path, what) = (text(issue, "path"), text(issue, "message"));
                Failure::failed(format!("the gateway says that {path} {what}"))
            }
            error => session.explain(error),
        });
        session.client.close();
        taken.map(drop)
    };
    Some(taken().map_err(|failure| failure.message.replace('\n', ";")))
}

/// The gateway that runs on this machine's state.
pub(super) fn connect_own(
    setup: &Setup,
    config: &Config,
    deadline: Instant,
) -> Result<Session, Failure> {
    let mut url = setup.local_url(config)?;
    url.socket = setup.live_socket();
    let mut to = setup.destination_of(url, config)?;
    // By it also where this shell's variables name another port.
    to.url.socket = setup.live_socket();
    setup.connect_by(to, "cli", deadline)
}

/// A change that is in the file.
pub struct Applied {
    /// The file.
    pub path: String,
    /// How many faults it still has.
    pub faults: usize,
    /// The SHA-256 of its text.
    hash: String,
    /// Variables that it names and this shell has not, keys that nobody knows since the change, and what keeps a
    /// gateway from starting.
    remarks: Vec<String>,
    /// Whether a gateway that runs takes part of the change only at its next start.
    pub needs_restart: bool,
    /// Whether it is about the gateway itself.
    of_gateway: bool,
}

/// Changes the values and writes the file, with everything else in it left as it is. Faults
/// that the file had before do not stand in the way of mending it one by one.
pub fn apply(setup: &Setup, edit: impl FnOnce(&mut Value) -> Outcome) -> Result<Applied, Failure> {
    let before = setup.document()?;
    let tree = before
        .tree()
        .map_err(|fault| config_faults(before.path(), std::slice::from_ref(fault)))?;
    let mut whole = tree.root.to_value();
    edit(&mut whole)?;
    let text = match before.text() {
        Some(text) => rewrite(text, tree, &whole),
        None => rewrite("{}", tree, &whole) + "\n",
    };
    let after = Document::new(before.path(), text);
    // The variables that it names are the gateway's, which may have an environment of its own.
    let known = before.load_for_client(&variable).err().unwrap_or_default();
    let mut faults = after.load_for_client(&variable).err().unwrap_or_default();
    let remaining = faults.len();
    faults.retain(|fault| !known.iter().any(|old| old.path == fault.path));
    if !faults.is_empty() {
        return Err(not_made(before.path(), faults));
    }
    let text = after.text().unwrap_or_default();
    let made = setup.missing_state();
    config_file::write(&setup.paths, before.hash(), text)
        .map_err(|fault| Failure::from(fault).fact("file", before.path()))?;
    let loaded = after.load(&units::gateway_variables(setup));
    let unset = match (&loaded, remaining) {
        (Err(faults), 0) => faults.as_slice(),
        _ => &[],
    };
    let unset = unset
        .iter()
        .map(|fault| format!("{} {} in this shell", fault.path, fault.what));
    let known = before.warnings(&variable);
    let unknown = after.warnings(&variable).into_iter();
    let new = unknown.filter(|fault| !known.iter().any(|old| old.path == fault.path));
    let shared = |loaded: Option<&Loaded>| {
        loaded.map_or_else(Vec::new, |it| shared_with_gateway(setup, &it.config))
    };
    let known = shared(before.load_for_client(&variable).ok().as_ref());
    let now = shared(loaded.as_ref().ok()).into_iter();
    let shared = now.filter(|fault| !known.contains(fault));
    let shared = shared.map(|fault| fault.to_string());
    // A file with faults is told of in any case, and none starts here that is meant to be elsewhere.
    let is_ours = |it: &Loaded| it.config.gateway.mode != Some(GatewayMode::Remote);
    let refused = loaded
        .as_ref()
        .is_ok_and(is_ours)
        .then(|| next_start::refused(setup, true));
    let refused = refused.flatten();
    let refused = refused.map(|it| {
        let text = format!("the next start would fail: {}", it.text);
        // Some refusals name the command themselves.
        match it.text.contains("clawdia ") {
            true => text,
            false => format!("{text} ({})", it.mend),
        }
    });
    let changes = changes(&before.value(), &after.value());
    Ok(Applied {
        path: before.path().to_owned(),
        faults: remaining,
        hash: after.hash().to_owned(),
        remarks: unset
            .chain(new.map(|fault| fault.to_string()))
            .chain(made.map(|made| made_now(setup, &made)))
            .chain(shared)
            .chain(refused)
            .collect(),
        needs_restart: needs_restart(&changes),
        of_gateway: changes.iter().any(|it| it.path.starts_with("gateway.")),
    })
}

/// That there was no such profile or state directory until now: its name may be misspelt.
fn made_now(setup: &Setup, made: &Failure) -> String {
    let dir = quote(&setup.paths.state_dir.to_string_lossy());
    let meant = made.facts.iter().find(|(name, _)| *name == "meant");
    let meant = meant.map_or(String::new(), |(_, meant)| format!(", {meant} was meant"));
    format!("there was none of that name until now{meant}; to take it back: rm -r {dir}")
}

/// The change would bring these faults. Their places are those of a text that nobody has.
fn not_made(path: &str, faults: Vec<Fault>) -> Failure {
    let faults: Vec<String> = faults
        .into_iter()
        .map(|fault| fault.at(None).to_string())
        .collect();
    Failure::configuration(faults.join("\n  ")).fact("unchanged", path)
}

fn path(setup: &Setup, out: &mut Out) -> Outcome {
    let document = setup.document()?;
    let exists = document.text().is_some();
    if out.wants_json() {
        out.json(&json!({"path": document.path(), "exists": exists}))?;
    } else {
        out.line(document.path())?;
    }
    Ok(())
}

/// Secrets for one thing alone that are what the local gateway asks for.
pub fn shared_with_gateway(setup: &Setup, config: &Config) -> Vec<Fault> {
    let own = setup.local_secrets(config).unwrap_or_default();
    let own = [own.token, own.password];
    shared_secrets(config, |secret| {
        own.iter().flatten().any(|own| own.value == secret)
    })
}

fn validate(setup: &Setup, out: &mut Out) -> Outcome {
    let document = setup.document()?;
    let config = setup.config().map_err(|mut failure| {
        // What is only remarked on would be found at the next try otherwise.
        let remarks = document.warnings(&variable).into_iter();
        failure
            .facts
            .extend(remarks.map(|it| ("remark", it.to_string())));
        failure
    })?;
    let loaded = document.load(&units::gateway_variables(setup));
    let loaded = loaded.map_err(|faults| config_faults(document.path(), &faults))?;
    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let shared = shared_with_gateway(setup, &config);
    warnings.extend(shared.iter().map(ToString::to_string));
    warnings.extend(config_file::check_mode(&document));
    warnings.extend(setup.missing_config(&variable)?);
    if config.gateway.mode != Some(GatewayMode::Remote)
        && let Some(refused) = next_start::refused(setup, true)
    {
        return Err(refused.failure("the gateway does not start: "));
    }
    let unserved = told_unserved(&loaded.unserved);
    if out.wants_json() {
        out.json(
            &json!({"ok": true, "path": document.path(), "warnings": warnings,
            "unserved": loaded.unserved}),
        )?;
        return Ok(());
    }
    match document.text() {
        Some(_) => out.done(&format!("{} is valid", document.path()))?,
        None => out.done(&format!(
            "{} does not exist: defaults are used",
            document.path()
        ))?,
    }
    for warning in warnings {
        out.field("remark", Paint::Warning, &warning)?;
    }
    if let Some(unserved) = unserved {
        out.field("note", Paint::Dim, &unserved)?;
    }
    Ok(())
}
