//! What `clawdia gateway` and `clawdia node` do alike with their units.

use std::cell::OnceCell;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::{Setup, variable};
use super::gateway_service;
use crate::service::systemd::{self, Manager};
use crate::service::{Unit, environment};

/// A unit's file that is there.
pub struct Installed {
    /// Whose it is.
    pub manager: Manager,
    name: String,
    path: PathBuf,
}

/// What is told once a unit runs.
pub struct Told<'a> {
    /// What it does from now on.
    pub done: &'a str,
    /// What else helps, if anything does.
    pub hint: Option<&'a str>,
}

/// Writes the unit and starts it; without a systemd to ask, prints it.
///
/// # Errors
///
/// When the unit has no text, the disk does not take it, or systemd refuses.
pub fn install(manager: Manager, unit: &Unit, told: &Told<'_>, out: &mut Out) -> Outcome {
    if !manager.is_there() {
        let text = unit.to_text().map_err(Failure::failed)?;
        let why = "no systemd can be asked here: start the unit's ExecStart in another way, \
                   or use this unit elsewhere";
        if out.wants_json() {
            out.json(&json!({"installed": false, "reason": why, "unit": text}))?;
        } else {
            out.line(&format!("# {why}"))?;
            out.part(&text)?;
        }
        return Ok(());
    }
    let path = systemd::write(unit, &folder(manager)?).map_err(failed)?;
    let name = unit.file_name();
    // A unit that runs already takes the new words only when it is started again.
    for words in [
        &["daemon-reload"][..],
        &["enable", &name],
        &["restart", &name],
    ] {
        manager.ask(words).map_err(failed)?;
    }
    let answer = json!({"installed": true, "unit": name, "path": path});
    tell(&format!("{name} {}", told.done), &answer, out)?;
    match told.hint {
        Some(hint) if !out.wants_json() => Ok(out.line(&format!("  {hint}"))?),
        _ => Ok(()),
    }
}

/// The unit of that name, of the first of `managers` that has it.
pub fn find(managers: &[Manager], name: &str) -> Option<Installed> {
    managers.iter().find_map(|manager| {
        let path = folder(*manager).ok()?.join(name);
        path.exists().then(|| Installed {
            manager: *manager,
            name: name.to_owned(),
            path,
        })
    })
}

impl Installed {
    /// Asks systemd to start, stop or restart it.
    pub fn ask(&self, what: &str, out: &mut Out) -> Outcome {
        self.manager.ask(&[what, &self.name]).map_err(failed)?;
        let answer = json!({"ok": true, "unit": self.name});
        tell(&format!("{}: {what}", self.name), &answer, out)
    }

    /// Stops it and removes its file; `stays` says what is left.
    pub fn remove(&self, stays: &str, out: &mut Out) -> Outcome {
        let is_there = self.manager.is_there();
        if is_there {
            let words = ["disable", "--now", &self.name];
            self.manager.ask(&words).map_err(failed)?;
        }
        std::fs::remove_file(&self.path).map_err(|error| {
            Failure::failed(format!("cannot remove {}: {error}", self.path.display()))
        })?;
        if is_there {
            self.manager.ask(&["daemon-reload"]).map_err(failed)?;
        }
        let answer = json!({"ok": true, "unit": self.name});
        tell(&format!("{} is gone; {stays}", self.name), &answer, out)
    }
}

/// The variables that this profile's gateway has: this shell's, else those that its unit sets.
pub fn gateway_variables(setup: &Setup) -> impl Fn(&str) -> Option<String> + use<> {
    let name = gateway_service::name(setup);
    let of_unit = OnceCell::new();
    move |variable_name| {
        let own = variable(variable_name).filter(|value| !value.is_empty());
        own.or_else(|| {
            let set = of_unit.get_or_init(|| {
                let unit = find(&gateway_service::MANAGERS, &name);
                let home = std::env::home_dir();
                unit.map(|unit| environment::of_unit(&unit.path, home.as_deref()))
                    .unwrap_or_default()
            });
            set.get(variable_name).cloned()
        })
    }
}

/// The command by which a variable that only the gateway has is seen by those that look at its configuration.
pub fn how_to_show_variables(setup: &Setup) -> String {
    let name = gateway_service::name(setup);
    match find(&gateway_service::MANAGERS, &name) {
        Some(unit) => {
            let user = if unit.manager == Manager::User {
                "--user "
            } else {
                ""
            };
            format!(
                "systemctl {user}edit {name}   # EnvironmentFile=FILE under [Service] is read here too"
            )
        }
        None => "NAME=VALUE clawdia config validate   # with what the gateway is started with"
            .to_owned(),
    }
}

/// The words that start this program again with the same profile.
///
/// # Errors
///
/// When nobody knows where it is.
pub fn own_command(setup: &Setup) -> Result<Vec<String>, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("where this program is: {error}")))?;
    let mut command = vec![program.to_string_lossy().into_owned()];
    if let Some(profile) = &setup.paths.profile {
        command.extend(["--profile".to_owned(), profile.clone()]);
    }
    Ok(command)
}

/// The variables that say where its state and configuration are.
pub fn places() -> Vec<(String, String)> {
    let set = |name: &str| Some((name.to_owned(), variable(name)?));
    ["CLAWDIA_STATE_DIR", "CLAWDIA_CONFIG_PATH"]
        .into_iter()
        .filter_map(set)
        .collect()
}

/// Says what was done, to a person or a script.
pub fn tell(text: &str, answer: &Value, out: &mut Out) -> Outcome {
    match out.wants_json() {
        true => out.json(answer)?,
        false => out.done(text)?,
    }
    Ok(())
}

fn folder(manager: Manager) -> Result<PathBuf, Failure> {
    let config_home = variable("XDG_CONFIG_HOME");
    let home = std::env::home_dir();
    manager
        .unit_dir(config_home.as_deref(), home.as_deref())
        .ok_or_else(|| Failure::failed("HOME is not set, so there is no place for units"))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn failed(error: std::io::Error) -> Failure {
    Failure::failed(error.to_string())
}
