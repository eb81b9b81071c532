//! `clawdia import`

use std::path::PathBuf;

use serde_json::json;

use super::super::commands::Import;
use super::super::exit::Outcome;
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::text::count;
use super::unix_ms;
use crate::config::paths::expand_home;
use crate::io::import;

/// Takes over another installation's state directory.
pub fn run(args: Import, setup: &Setup, out: &mut Out) -> Outcome {
    let from: PathBuf = expand_home(&args.dir, std::env::home_dir().as_deref());
    let taken = import::import(&from, &setup.paths, unix_ms(), args.dry_run)?;
    let config = taken.config.as_ref().map(|path| path.display().to_string());
    if out.wants_json() {
        out.json(&json!({
            "dryRun": args.dry_run,
            "config": config,
            "devices": taken.devices,
            "sessions": taken.sessions,
            "messages": taken.messages,
            "notes": taken.notes,
        }))?;
        return Ok(());
    }
    let verb = match args.dry_run {
        true => "would be taken over",
        false => "is taken over",
    };
    out.done(&format!("{} {verb}", from.display()))?;
    if let Some(path) = config {
        out.field("settings", Paint::Plain, &path)?;
    }
    let devices = format!(
        "{} with their tokens",
        count(taken.devices as u64, "device")
    );
    out.field("devices", Paint::Plain, &devices)?;
    let sessions = format!(
        "{} with {}",
        count(taken.sessions as u64, "session"),
        count(taken.messages as u64, "message")
    );
    out.field("sessions", Paint::Plain, &sessions)?;
    for note in &taken.notes {
        out.field("note", Paint::Warning, note)?;
    }
    if !args.dry_run {
        out.hint("  Stop the old gateway, then: clawdia doctor && clawdia gateway run")?;
    }
    Ok(())
}
