//! `exec.approvals.*`: what may be executed here and on nodes. `exec.approval.*`: commands that
//! wait for a person.

pub mod node;
pub mod pending;

use crate::approvals::{ApprovalsFile, BaseFault, FileFault, Snapshot};
use crate::gateway::approvals::LOCK;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;

/// `exec.approvals.get`.
pub fn get(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    let payload = gateway.approvals_snapshot().map_err(damaged)?.payload();
    gateway.reply(call, |_, w| w.value(&payload));
    Ok(Outcome::Done)
}

/// `exec.approvals.set`: puts another file in place of the one that the caller has read.
pub fn set(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    if gateway.commits.is_reserved(&LOCK) {
        return Err(Stop::Busy);
    }
    let file = file_of(params, call.method.name)?;
    let snapshot: Snapshot = gateway.approvals_snapshot().map_err(damaged)?;
    snapshot
        .check_base(params.text("baseHash"))
        .map_err(stale)?;
    let call = call.keep();
    gateway.store_approvals(&snapshot, file, move |gateway, _, stored| match stored {
        Ok(snapshot) => gateway.reply_kept(&call, |_, w| w.value(&snapshot.payload())),
        Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
    });
    Ok(Outcome::Later)
}

/// The file that a caller sends. What is not understood is refused: it might be meant to limit
/// something.
fn file_of(params: Params<'_, '_>, method: &str) -> Result<ApprovalsFile, Refusal> {
    let text = params.get("file").map(|file| file.to_value().to_string());
    let invalid =
        |what: String| Refusal::invalid(format!("invalid {method} params: at /file: {what}"));
    let file = ApprovalsFile::parse(&text.unwrap_or_default())
        .map_err(|fault| invalid(fault.to_string()))?;
    match file.unknown_key() {
        Some(key) => Err(invalid(format!("unexpected property '{key}'"))),
        None => Ok(file),
    }
}

fn damaged(fault: FileFault) -> Refusal {
    Refusal::unavailable(format!(
        "the stored exec approvals are damaged, nothing may be executed: the file {fault} \
         (bring back a backup with: clawdia restore FILE)"
    ))
}

fn stale(fault: BaseFault) -> Refusal {
    Refusal::invalid(format!(
        "{}; re-run exec.approvals.get and retry",
        fault.text()
    ))
}
