//! Taking over the state directory of an existing installation of the ecosystem.
//!
//! Everything is read and checked before anything is written; what is taken goes into the
//! database as one transaction. The directory it comes from is never written to, so an import
//! can be repeated: what is here already stays as it is.

mod devices;
mod sessions;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::atomic;
use super::lock::{LockHolder, StateLock};
use super::state_dir::{self, StartFault};
use super::store;
use crate::config::document::Document;
use crate::config::paths::Paths;
use crate::limits::IMPORT_FILE_BYTES_MAX;
use crate::state::{Record, State, StoreAnswer, StoreRequest};

/// The names that the configuration has had in the ecosystem, newest first.
const CONFIG_NAMES: [&str; 4] = [
    "openclaw.json",
    "moltbot.json",
    "clawdbot.json",
    "clawdia.json",
];
/// What else such a directory holds that matters to people, and that is left where it is.
const NOT_TAKEN: [(&str, &str); 4] = [
    ("cron/jobs.json", "scheduled runs"),
    ("credentials", "logins of channels"),
    ("exec-approvals.json", "approved commands"),
    ("memory", "the agents' memory index"),
];

/// What was taken over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Where the configuration is now; None where it was not taken.
    pub config: Option<PathBuf>,
    pub devices: usize,
    pub sessions: usize,
    pub messages: usize,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// What a part of the directory gave.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    devices: usize,
    sessions: usize,
    messages: usize,
    notes: Vec<String>,
}

/// Takes over what is in `from`. With `dry`, says what would be taken and writes nothing.
///
/// # Errors
///
/// A directory that is none of the ecosystem's, a file in it that is damaged, a configuration
/// with faults, a gateway that runs here: nothing was changed then.
pub fn import(from: &Path, paths: &Paths, now_ms: u64, dry: bool) -> Result<Imported, StartFault> {
    let config = find_config(from)?;
    let has_state = ["devices", "agents"]
        .iter()
        .any(|name| from.join(name).is_dir());
    if config.is_none() && !has_state {
        return Err(StartFault::refused(format!(
            "{} holds no configuration, devices or sessions (such a directory is ~/.clawdbot)",
            from.display()
        )));
    }
    if same_place(from, &paths.state_dir) {
        return Err(StartFault::refused(format!(
            "{} is this gateway's own state directory",
            from.display()
        )));
    }
    if from.join(store::DATABASE_FILE).exists() {
        return Err(StartFault::refused(format!(
            "{} is another clawdia's state directory: clawdia backup FILE there, clawdia restore FILE here",
            from.display()
        )));
    }
    if dry && !paths.state_dir.join(store::DATABASE_FILE).exists() {
        let found = find(from, &State::default(), now_ms)?;
        return Ok(told(found, placed(config, paths).1.map(|(path, _)| path)));
    }
    state_dir::prepare(&paths.state_dir)?;
    let lock = StateLock::acquire(&paths.state_dir, LockHolder::this_process(now_ms))?;
    let opened = store::open(&lock, Arc::new(|| {}))?;
    let mut found = find(from, &opened.state, now_ms)?;
    let (note, config) = placed(config, paths);
    found.notes.extend(note);
    if !dry {
        commit(&opened.store, std::mem::take(&mut found.records))?;
        if let Some((path, text)) = &config {
            write(path, text)?;
        }
    }
    opened.store.close();
    drop(lock);
    Ok(told(found, config.map(|(path, _)| path)))
}

fn find(from: &Path, state: &State, now_ms: u64) -> Result<Found, StartFault> {
    let mut found = Found::default();
    devices::find(from, state, now_ms, &mut found)?;
    sessions::find(from, state, &mut found)?;
    for (name, what) in NOT_TAKEN {
        if from.join(name).exists() {
            found
                .notes
                .push(format!("{name}: {what} are not taken over"));
        }
    }
    Ok(found)
}

fn told(found: Found, config: Option<PathBuf>) -> Imported {
    Imported {
        config,
        devices: found.devices,
        sessions: found.sessions,
        messages: found.messages,
        notes: found.notes,
    }
}

/// The configuration, which has to be one that would start a gateway here.
fn find_config(from: &Path) -> Result<Option<String>, StartFault> {
    for name in CONFIG_NAMES {
        let path = from.join(name);
        let Some(text) = read(&path)? else { continue };
        let document = Document::new(path.display().to_string(), text.clone());
        // References to the environment are looked up where the gateway runs, not here.
        let anything = |_: &str| Some("0".repeat(32));
        if let Err(faults) = document.load(&anything) {
            let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            return Err(StartFault::refused(format!(
                "{} cannot be taken over as it is; mend a copy:{}",
                path.display(),
                lines.concat()
            )));
        }
        return Ok(Some(text));
    }
    Ok(None)
}

/// Where the configuration goes: a note where it stays, and path and text where it is taken.
fn placed(config: Option<String>, paths: &Paths) -> (Option<String>, Option<(PathBuf, String)>) {
    let Some(text) = config else {
        return (None, None);
    };
    let there = super::config_file::path_of(paths);
    if there.exists() {
        let note = format!("{} is there already and stays as it is", there.display());
        return (Some(note), None);
    }
    let path = paths.config_candidates.first().cloned().unwrap_or(there);
    (None, Some((path, text)))
}

fn commit(store: &store::Store, records: Vec<Record>) -> Result<(), StartFault> {
    let request = StoreRequest::Commit {
        batch: 0,
        records,
        durable: true,
    };
    let answer = match store.submit(request) {
        Ok(()) => store.wait_answer(),
        Err(answer) => Some(answer),
    };
    match answer {
        Some(StoreAnswer::Committed { result: Ok(()), .. }) => Ok(()),
        Some(StoreAnswer::Committed {
            result: Err(fault), ..
        }) => Err(StartFault::io(
            "write to",
            Path::new("the database"),
            fault.message,
        )),
        _ => Err(StartFault::io(
            "write to",
            Path::new("the database"),
            "it does not answer",
        )),
    }
}

fn write(path: &Path, text: &str) -> Result<(), StartFault> {
    let dir = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(atomic::parent(path));
    dir.and_then(|()| atomic::replace(path, text.as_bytes()))
        .map_err(|fault| StartFault::io("write", path, fault))
}

/// A file's text; None where there is none.
fn read(path: &Path) -> Result<Option<String>, StartFault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(StartFault::io("read", path, fault)),
    };
    let mut text = String::new();
    file.take(IMPORT_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|fault| StartFault::io("read", path, fault))?;
    if text.len() as u64 > IMPORT_FILE_BYTES_MAX {
        let most = IMPORT_FILE_BYTES_MAX >> 20;
        let shown = path.display();
        return Err(StartFault::refused(format!(
            "{shown} is longer than {most} MiB"
        )));
    }
    Ok(Some(text))
}

/// A file of one JSON object; None where there is none. A damaged one is never taken as empty.
fn read_object(path: &Path) -> Result<Option<serde_json::Map<String, Value>>, StartFault> {
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(StartFault::refused(format!(
            "{} is no object",
            path.display()
        ))),
        Err(fault) => Err(StartFault::refused(format!(
            "{} is damaged ({fault}): mend it, or move it away to do without it",
            path.display()
        ))),
    }
}

fn same_place(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests;
