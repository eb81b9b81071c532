//! `logs.tail`: the log file by cursor.

use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Fetch, FetchResult, Gateway, Refusal};
use crate::limits::{LOG_TAIL_BYTES, LOG_TAIL_LINES};
use crate::now::Now;

/// Answers with the newest lines, or those behind a cursor.
pub fn tail(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let count = |name: &str, default: usize| {
        params
            .u64(name)
            .map_or(default, |value| usize::try_from(value).unwrap_or(default))
    };
    let fetch = Fetch::LogTail {
        cursor: params.u64("cursor"),
        limit: count("limit", LOG_TAIL_LINES.0),
        max_bytes: count("maxBytes", LOG_TAIL_BYTES.0),
    };
    let call = call.keep();
    gateway.fetch(fetch, move |gateway, _, result| match result {
        FetchResult::LogTail(tail) => gateway.reply_kept(&call, |_, w| {
            w.object(|w| {
                w.field_str("file", &tail.file);
                w.field_u64("cursor", tail.cursor);
                w.field_u64("size", tail.size);
                w.field_strs("lines", tail.lines.iter().map(String::as_str));
                w.field_bool("truncated", tail.truncated);
                w.field_bool("reset", tail.reset);
            });
        }),
        FetchResult::Failed(fault) => gateway.refuse_kept(&call, &Refusal::unavailable(fault)),
        _ => gateway.refuse_kept(&call, &Refusal::unavailable("the log could not be read")),
    });
    Ok(Outcome::Later)
}
