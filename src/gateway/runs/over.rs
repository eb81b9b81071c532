//! Who started a run hears how it ended.

use super::{LiveRun, Origin};
use crate::agent::Usage;
use crate::gateway::Gateway;
use crate::state::Run;

/// A run that has ended.
pub struct Over<'a> {
    /// As it was.
    pub run: &'a LiveRun,
    /// As it is stored, or is being stored where it was stopped.
    pub row: &'a Run,
    /// Its answer; empty where there is none.
    pub text: &'a str,
    /// Why there is none.
    pub error: Option<&'a str>,
    /// Tokens of all its steps.
    pub usage: Usage,
}

impl Gateway {
    /// Tells whoever waits for more than an event.
    pub(super) fn tell_starter(&mut self, over: &Over<'_>) {
        match over.run.origin {
            Origin::Http => self.on_http_run_over(over),
            Origin::Hook => self.on_hook_run_over(over),
            Origin::Cron => self.on_cron_run_over(over),
            Origin::Heartbeat => self.on_heartbeat_over(over),
            Origin::Chat | Origin::Agent | Origin::Tool | Origin::Node | Origin::Channel => {}
        }
    }
}
