//! `config.get`, `config.set`, `config.patch`, `config.apply`, `config.schema`.
//!
//! The file is read and written off the loop, one change at a time. A change takes effect at
//! once where it can; the answer names what waits for the next start.

use crate::config::plan::WriteKind;
use crate::config::schema::schema_payload;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Fetch, FetchResult, Gateway, Refusal};
use crate::log::iso::iso_utc;
use crate::now::Now;
use serde_json::{Value, json};

/// `config.get`: the file as it is now, secrets hidden.
pub fn get(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    let call = call.keep();
    gateway.fetch(Fetch::Config, move |gateway, _, result| match result {
        FetchResult::Config(payload) => gateway.reply_kept(&call, |_, w| w.value(&payload)),
        FetchResult::Failed(fault) => gateway.refuse_kept(&call, &Refusal::unavailable(fault)),
        _ => gateway.refuse_kept(&call, &Refusal::unavailable("the file could not be read")),
    });
    Ok(Outcome::Later)
}

/// `config.schema`: what the file may hold.
pub fn schema(gateway: &mut Gateway, now: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.value(&schema_payload(
            &gateway.identity.version,
            &iso_utc(now.unix_ms),
        ));
    });
    Ok(Outcome::Done)
}

/// `config.set`: replaces the whole document.
pub fn set(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    write(gateway, WriteKind::Set, call, params)
}

/// `config.apply`: replaces the whole document and says what becomes of it.
pub fn apply(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    write(gateway, WriteKind::Apply, call, params)
}

/// `config.patch`: merges into the document; null deletes.
pub fn patch(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    write(gateway, WriteKind::Patch, call, params)
}

fn write(
    gateway: &mut Gateway,
    kind: WriteKind,
    call: Call<'_>,
    params: Params<'_, '_>,
) -> Handled {
    if gateway.commits.is_reserved(&Key::Config) {
        return Err(Stop::Busy);
    }
    let fetch = Fetch::WriteConfig {
        kind,
        raw: params.required_text("raw").to_owned(),
        base_hash: params.text("baseHash").map(str::to_owned),
    };
    let call = call.keep();
    let note = params.text("note").map(str::to_owned);
    gateway.fetch(fetch, move |gateway, now, result| match result {
        FetchResult::ConfigWritten {
            loaded,
            mut payload,
            at_next_start,
        } => {
            if kind != WriteKind::Set {
                add_outcome(&mut payload, kind, now, note.as_deref(), &at_next_start);
            }
            gateway.reply_kept(&call, |_, w| w.value(&payload));
            gateway.apply_config(*loaded);
        }
        FetchResult::ConfigRefused(refusal) => {
            let mut told = Refusal::invalid(refusal.message());
            if let Some(details) = refusal.details() {
                told = told.with_details(|w| w.value(&details));
            }
            gateway.refuse_kept(&call, &told);
        }
        FetchResult::Failed(fault) => gateway.refuse_kept(&call, &Refusal::unavailable(fault)),
        _ => gateway.refuse_kept(
            &call,
            &Refusal::unavailable("the file could not be written"),
        ),
    });
    Ok(Outcome::Later)
}

/// Adds what clients of `config.apply` and `config.patch` look for: whether a restart follows.
/// None does by itself: connections stay, and what needs a new process is named.
fn add_outcome(
    payload: &mut Value,
    kind: WriteKind,
    now: Now,
    note: Option<&str>,
    at_next_start: &[String],
) {
    let mode = match kind {
        WriteKind::Patch => "config.patch",
        _ => "config.apply",
    };
    payload["restart"] = json!({
        "ok": at_next_start.is_empty(),
        "reason": mode,
        "mode": "none",
        "waiting": at_next_start,
    });
    payload["sentinel"] = json!({
        "payload": {
            "kind": "config-apply",
            "status": "ok",
            "ts": now.unix_ms,
            "message": note,
            "stats": { "mode": mode },
        },
    });
}
