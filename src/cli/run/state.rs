//! `clawdia backup` and `clawdia restore`

use std::path::Path;

use serde_json::json;

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::unix_ms;
use crate::io::backup::{self, Places};

/// Copies the whole state into one file.
pub fn backup(file: &str, setup: &Setup, out: &mut Out) -> Outcome {
    if Path::new(file).symlink_metadata().is_ok() {
        let fault = format!("{file} exists already: give the backup another name");
        return Err(Failure::failed(fault));
    }
    let folder = Path::new(file).parent().filter(|it| *it != Path::new(""));
    if let Some(folder) = folder.filter(|it| !it.is_dir()) {
        let fault = format!("there is no folder {}", folder.display());
        return Err(Failure::failed(fault));
    }
    let document = setup.document()?;
    let places = Places {
        state_dir: &setup.paths.state_dir,
        config: Path::new(document.path()),
    };
    if !places.database().exists() {
        let dir = setup.paths.state_dir.display();
        let fault = format!("there is nothing to back up: no gateway has run with {dir} yet");
        return Err(Failure::failed(fault).mend("clawdia gateway list   # shows the profiles"));
    }
    let names = backup::back_up(&places, Path::new(file), unix_ms())?;
    if out.wants_json() {
        out.json(&json!({"file": file, "contains": names}))?;
    } else {
        out.done(&format!("{file} holds {}", names.join(", ")))?;
        let note = "  It holds secrets: keep it as safe as the gateway itself.";
        let note = out.paint(Paint::Dim, note).into_owned();
        out.line(&note)?;
    }
    Ok(())
}

/// Brings the state back from a file that `clawdia backup` wrote.
pub fn restore(file: &str, setup: &Setup, out: &mut Out) -> Outcome {
    if !Path::new(file).exists() {
        return Err(Failure::failed(format!("there is no file {file}")));
    }
    let document = setup.document()?;
    let places = Places {
        state_dir: &setup.paths.state_dir,
        config: Path::new(document.path()),
    };
    let now_ms = unix_ms();
    // Nobody has to stop a gateway for a file that is of no use.
    backup::check(Path::new(file)).map_err(|fault| {
        Failure::from(fault).mend("clawdia restore FILE   # another backup; all here is as it was")
    })?;
    if let Some(holder) = setup.lock_holder() {
        let fault = format!(
            "the gateway runs (process {}): its state is replaced while it is stopped",
            holder.pid
        );
        return Err(Failure::configuration(fault)
            .mend("clawdia gateway stop   # or end `clawdia gateway run`")
            .mend(format!("clawdia restore {file}")));
    }
    let restored = backup::restore(&places, Path::new(file), now_ms)?;
    let about = restored.about;
    let kept = restored.kept_in.map(|kept| kept.display().to_string());
    if out.wants_json() {
        out.json(&json!({"createdAtMs": about.created_at_ms, "checked": about.has_digests, "keptIn": kept}))?;
    } else {
        let age = super::super::text::ago(now_ms, about.created_at_ms);
        out.done(&format!("the state of {age} is back"))?;
        if !about.has_digests {
            let remark = "an earlier version made this backup, without checksums: damage to its values was not looked for";
            out.field("remark", Paint::Warning, remark)?;
        }
        if let Some(kept) = kept {
            let what = format!("what was here before, in {kept}");
            out.field("kept", Paint::Plain, &what)?;
        }
        let next = out
            .hinted("clawdia gateway run   # or: clawdia gateway start")
            .into_owned();
        out.field("next", Paint::Plain, &next)?;
    }
    Ok(())
}
