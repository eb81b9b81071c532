//! Whoever waits for an answer sees that it is being written.

use crate::channels::{Job, Place};
use crate::gateway::Gateway;
use crate::gateway::timers::Timer;
use crate::limits::CHANNEL_TYPING_MS;
use crate::state::Run;
use std::sync::Arc;

impl Gateway {
    /// Shows it in the chat that a run's answer goes to, if it goes to one.
    pub(in crate::gateway) fn show_typing(&mut self, run: &Run) {
        let Some(to) = self.receiver_of_run(run) else {
            return;
        };
        if let Some(slot) = self.channels.slot(&to.channel, &to.account_id) {
            let place = Place {
                chat: self.id_in_use(&to.channel, &to.chat),
                thread: to.thread,
            };
            // What comes of it is of no interest.
            self.call_channel(slot, Job::Typing(place));
            self.set_timer(CHANNEL_TYPING_MS, Timer::Typing);
        }
    }

    /// Shows it again as long as runs are under way.
    pub(in crate::gateway) fn show_typing_again(&mut self) {
        let rows: Vec<Arc<Run>> = self.runs.under_way().cloned().collect();
        rows.iter().for_each(|row| self.show_typing(row));
    }
}
