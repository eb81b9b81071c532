//! `mcp.list`: the servers of tools, how they are, and their tools.

use crate::gateway::Gateway;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::now::Now;

/// Answers with all of them.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.object(|w| gateway.write_mcp(w, true));
    });
    Ok(Outcome::Done)
}
