//! `clawdia approvals get`, `set` and `allowlist`: the file of the gateway or of a node.

use std::io::Read;

use serde_json::{Value, json};

use super::super::super::commands::{AllowlistCommand, ApprovalsGet, ApprovalsSet};
use super::super::super::exit::{Failure, Outcome};
use super::super::super::out::Out;
use super::super::super::setup::Session;
use super::super::super::table::Table;
use super::place::Place;
use super::{list, text, unix_ms};
use crate::approvals::{ApprovalsFile, Ask, Security};
use crate::config::syntax;
use crate::limits::APPROVALS_FILE_BYTES_MAX;

/// Shows what may be executed.
pub fn get(args: &ApprovalsGet, session: &mut Session, out: &mut Out) -> Outcome {
    let place = Place::of(args.node.as_deref(), args.gateway, session)?;
    let snapshot = place.read(session)?;
    print(&snapshot, &place, out)
}

/// Puts a file in place of what there is.
pub fn set(args: &ApprovalsSet, session: &mut Session, out: &mut Out) -> Outcome {
    let mut file = parse(&args.file, &read(&args.file)?)?;
    file["version"] = 1.into();
    let place = Place::of(args.node.as_deref(), args.gateway, session)?;
    let before = place.read(session)?;
    let stored = place.write(&file, text(&before, "hash"), session)?;
    print(&stored, &place, out)
}

/// Adds or removes one pattern; the rest of the file stays as it is.
pub fn allowlist(command: &AllowlistCommand, session: &mut Session, out: &mut Out) -> Outcome {
    let (pattern, agent, node, gateway) = match command {
        AllowlistCommand::Add(args) => (&args.pattern, &args.agent, &args.node, args.gateway),
        AllowlistCommand::Remove(args) => (&args.pattern, &args.agent, &args.node, args.gateway),
    };
    let pattern = pattern.trim();
    let adds = matches!(command, AllowlistCommand::Add(_));
    if adds && !(pattern.starts_with(['/', '*', '~']) && pattern.contains('/')) {
        let fault = format!("{pattern:?} is no path: a bare name could be anything of that name");
        return Err(Failure::usage(fault).mend(format!("command -v {pattern}   # shows the path")));
    }
    let place = Place::of(node.as_deref(), gateway, session)?;
    let mut snapshot = place.read(session)?;
    let hash = text(&snapshot, "hash").to_owned();
    let mut file = snapshot["file"].take();
    let changed = change(&mut file, agent, pattern, adds);
    let begins = adds && begin_to_allow(&mut file, agent);
    snapshot = match changed || begins {
        true => place.write(&file, &hash, session)?,
        false if adds => place.read(session)?,
        false => {
            let fault = format!(
                "{pattern} is no pattern of agent {agent} on {}",
                place.name()
            );
            return Err(
                Failure::failed(fault).mend(format!("clawdia approvals get{}", place.option()))
            );
        }
    };
    print(&snapshot, &place, out)?;
    if begins && !out.wants_json() {
        out.line("Nobody had said what may run: now programs of the list do, and a person is asked about others.")?;
    }
    if adds && security(&snapshot["file"], agent) == "deny" && !out.wants_json() {
        out.hint("security is deny, so the pattern lets nothing run; clawdia approvals set --file FILE changes that")?;
    }
    Ok(())
}

/// What an agent may run, if anybody said so.
fn security<'a>(file: &'a Value, agent: &str) -> &'a str {
    let own = text(&file["agents"][agent], "security");
    match own {
        "" => text(&file["defaults"], "security"),
        own => own,
    }
}

/// A pattern would change nothing where nobody has said what may run, for then nothing may. Whether
/// it was said now.
fn begin_to_allow(file: &mut Value, agent: &str) -> bool {
    if !security(file, agent).is_empty() {
        return false;
    }
    match agent {
        "*" => file["defaults"]["security"] = "allowlist".into(),
        agent => file["agents"][agent]["security"] = "allowlist".into(),
    }
    true
}

/// Whether anything was added or removed.
fn change(file: &mut Value, agent: &str, pattern: &str, adds: bool) -> bool {
    let is_it = |entry: &Value| text(entry, "pattern").trim() == pattern;
    let entries = &file["agents"][agent]["allowlist"];
    let has_it = entries.as_array().is_some_and(|all| all.iter().any(is_it));
    if has_it == adds {
        return false;
    }
    let entries = &mut file["agents"][agent]["allowlist"];
    if !entries.is_array() {
        *entries = json!([]);
    }
    if let Some(entries) = entries.as_array_mut() {
        match adds {
            true => entries.push(json!({ "pattern": pattern })),
            false => entries.retain(|entry| !is_it(entry)),
        }
    }
    true
}

fn read(path: &str) -> Result<String, Failure> {
    let fault = |error| Failure::failed(format!("{path}: {error}"));
    let mut text = String::new();
    let most = APPROVALS_FILE_BYTES_MAX as u64;
    let read = match path {
        "-" => std::io::stdin().take(most + 1).read_to_string(&mut text),
        path => {
            let file = std::fs::File::open(path).map_err(fault)?;
            file.take(most + 1).read_to_string(&mut text)
        }
    };
    read.map_err(fault)?;
    Ok(text)
}

/// A person's file, JSON5, checked before it is sent so that its faults are told with their place.
fn parse(path: &str, typed: &str) -> Result<Value, Failure> {
    let tree = syntax::parse(typed).map_err(|fault| Failure::failed(format!("{path}: {fault}")))?;
    let mut file = tree.root.to_value();
    if let Some(members) = file.as_object_mut() {
        members.entry("version").or_insert(1.into());
    }
    match ApprovalsFile::parse(&file.to_string()) {
        Ok(_) => Ok(file),
        Err(fault) => Err(Failure::failed(format!("{path}: the file {fault}"))),
    }
}

fn print(snapshot: &Value, place: &Place, out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(snapshot)?;
        return Ok(());
    }
    out.heading(&format!("What may be executed on {}", place.name()))?;
    let file = &snapshot["file"];
    let mut rules = Table::new(&["AGENT", "MAY RUN", "ASKS", "WITHOUT ANSWER"]);
    let defaults = &file["defaults"];
    rules.row([
        "(default)".into(),
        word(defaults, "security", Security::default().as_str()).into(),
        word(defaults, "ask", Ask::default().as_str()).into(),
        word(defaults, "askFallback", Security::default().as_str()).into(),
    ]);
    let agents = file["agents"].as_object();
    let agents = || agents.into_iter().flatten();
    for (id, agent) in agents() {
        rules.row([
            id.into(),
            word(agent, "security", "-").into(),
            word(agent, "ask", "-").into(),
            word(agent, "askFallback", "-").into(),
        ]);
    }
    rules.print(out, 2)?;
    let now_ms = unix_ms();
    let mut patterns = Table::new(&["AGENT", "PATTERN", "USED", "LAST FOR"]);
    let mut any = false;
    for (id, agent) in agents() {
        for entry in list(agent, "allowlist") {
            any = true;
            patterns.row([
                id.into(),
                text(entry, "pattern").into(),
                super::super::age(entry, "lastUsedAt", now_ms).into(),
                super::super::or_dash(text(entry, "lastUsedCommand")).into(),
            ]);
        }
    }
    if any {
        out.line("")?;
        patterns.print(out, 2)?;
    } else {
        let hint = format!(
            "There is no pattern; to allow a program: clawdia approvals allowlist add PATH{}",
            place.option()
        );
        out.hint(&hint)?;
    }
    Ok(())
}

fn word<'a>(of: &'a Value, key: &str, absent: &'a str) -> &'a str {
    match text(of, key) {
        "" => absent,
        word => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_pattern_has_an_effect_and_a_word_that_was_said_stays() {
        let mut file = json!({"version": 1});
        assert!(change(&mut file, "main", "/a", true) && begin_to_allow(&mut file, "main"));
        assert_eq!(security(&file, "main"), "allowlist");
        assert_eq!(security(&file, "other"), "");
        assert!(begin_to_allow(&mut file, "*"));
        assert_eq!(file["defaults"]["security"], "allowlist");
        let mut denied = json!({"defaults": {"security": "deny"}});
        assert!(!begin_to_allow(&mut denied, "main"));
        assert_eq!(security(&denied, "main"), "deny");
    }

    #[test]
    fn one_pattern_changes_and_the_rest_stays() {
        let mut file = json!({"version": 1, "agents": {"main": {"ask": "always",
            "allowlist": [{"id": "1", "pattern": "/a"}]}}});
        assert!(!change(&mut file, "main", "/a", true));
        assert!(change(&mut file, "main", "/b", true));
        assert!(change(&mut file, "*", "/c", true));
        assert!(!change(&mut file, "main", "/c", false));
        assert!(change(&mut file, "main", "/a", false));
        let expected = json!({"version": 1, "agents": {
            "main": {"ask": "always", "allowlist": [{"pattern": "/b"}]},
            "*": {"allowlist": [{"pattern": "/c"}]}}});
        assert_eq!(file, expected);
    }

    #[test]
    fn a_file_is_checked_before_it_is_sent() {
        let good = parse("f", "{defaults: {security: 'full'}, // all\n}").unwrap();
        assert_eq!(
            good,
            json!({"defaults": {"security": "full"}, "version": 1})
        );
        for text in ["", "[", "{version: 2}", "{defaults: {security: 'no'}}"] {
            assert!(parse("f", text).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_and_patterns_are_shown() {
        let snapshot = json!({"file": {"defaults": {"ask": "always"},
            "agents": {"main": {"security": "allowlist", "allowlist": [{"pattern": "/usr/bin/id"}]}}}});
        let (mut out, buffer) = Out::buffer(false);
        let place = Place {
            node: Some(("0123456789".into(), "kitchen".into())),
        };
        print(&snapshot, &place, &mut out).unwrap();
        drop(out);
        let shown = buffer.text();
        assert!(
            shown.contains("(default)  deny       always  deny"),
            "{shown}"
        );
        assert!(shown.contains("main   /usr/bin/id"), "{shown}");
    }
}
