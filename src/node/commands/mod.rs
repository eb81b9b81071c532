//! What a node does for a gateway, one file for each command. All of it runs on threads of its own
//! and may block; nothing here knows of connections.

pub mod approvals;
mod notify;
mod run;
mod which;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use super::flow::Flow;
use super::invoke::{Answer, Fault, Invoke};
pub use crate::host::browser::{BrowserControl, file_roots};
pub use approvals::ApprovalsPath;
pub use notify::is_there as can_notify;

/// What the node offers, as `connect` lists it.
pub const COMMANDS: &[&str] = &[
    "system.run",
    "system.which",
    "system.notify",
    "system.execApprovals.get",
    "system.execApprovals.set",
];
/// Offered besides, unless the configuration switches it off.
pub const BROWSER_COMMAND: &str = "browser.proxy";

/// What all commands share.
pub struct Context {
    /// What may be executed.
    pub approvals: ApprovalsPath,
    /// For `~` in patterns, and where commands are executed without a folder of their own.
    pub home: Option<PathBuf>,
    /// The browser control server; `None` where it is switched off.
    pub browser: Option<BrowserControl>,
    /// What commands print and the gateway has not taken.
    pub flow: Flow,
    /// Readable once everything has to end.
    pub stop: OwnedFd,
}

/// Told instead of an event: the payload is a piece of what a command prints, as text.
pub const PROGRESS: &str = "progress";

/// What is told while a command runs: the event's name and its payload.
pub type Tell<'a> = &'a mut dyn FnMut(&'static str, Value);

/// Does what a gateway asks for. `deadline` is when it gives the call up.
pub fn perform(
    context: &Context,
    invoke: &Invoke,
    deadline: Option<Instant>,
    tell: Tell<'_>,
) -> Answer {
    let done = invoke
        .params()
        .and_then(|params| match invoke.command.as_str() {
            "system.run" => run::run(context, &params, deadline, invoke.progress, tell),
            "system.which" => which::which(&params),
            "system.notify" => notify::notify(context, &params),
            "system.execApprovals.get" => context.approvals.get(),
            "system.execApprovals.set" => context.approvals.set(&params),
            BROWSER_COMMAND => match &context.browser {
                Some(browser) => browser.proxy(&params).map_err(Fault::from),
                None => Err(Fault::unavailable("node browser proxy disabled")),
            },
            _ => Err(Fault::unavailable("command not supported")),
        });
    Answer::of(done)
}
