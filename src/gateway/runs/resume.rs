//! Runs that a restart found open: those whose open step had no side effect go on, the others
//! end as interrupted, and nothing is repeated.

use super::accept::{Kept, append};
use super::end::{failed_words, run_keys};
use crate::gateway::Gateway;
use crate::order;
use crate::state::{Record, Run, RunState, Text};
use std::sync::Arc;

/// What is said of a run whose tools were about to act.
const ACTED: &str = "interrupted by a restart of the gateway while a tool was at work: whether it \
    had its effect is not known, and it is not repeated";

impl Gateway {
    /// Takes up what the last process left.
    pub(in crate::gateway) fn resume_runs(&mut self) {
        let mut open: Vec<Arc<Run>> = self.state.runs().open().cloned().collect();
        order::sort_by(&mut open, |a, b| {
            a.accepted_at_ms
                .cmp(&b.accepted_at_ms)
                .then(a.run_id.cmp(&b.run_id))
        });
        for row in open {
            let kept = row
                .options
                .as_deref()
                .and_then(|json| serde_json::from_str::<Kept>(json).ok());
            match kept {
                Some(kept) if !row.open_step_has_side_effect => {
                    let live = self.revive(row, kept);
                    self.runs.insert(live);
                }
                _ => self.interrupt(row),
            }
        }
        self.start_runs();
    }

    /// Ends a run that must not be repeated; its transcript says so.
    fn interrupt(&mut self, row: Arc<Run>) {
        let keys = run_keys(&row, None);
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            return self
                .commits
                .wait(Box::new(move |gateway, _| gateway.interrupt(row)));
        }
        let text = match row.open_step_has_side_effect {
            true => ACTED,
            false => "interrupted by a restart of the gateway",
        };
        let mut ended = Run::clone(&row);
        ended.state = RunState::Interrupted;
        ended.ended_at_ms = Some(self.now.unix_ms);
        ended.error = Some(Text::from(text));
        let ended = Arc::new(ended);
        let mut records = vec![Record::RunPut(ended.clone())];
        if let Some(session) = self.state.sessions().get(&row.session_key)
            && session.session_id == row.session_id
        {
            let model = self.model_of_session(session);
            let message = self.failed_message(text, &model, self.now.unix_ms);
            records.push(append(session, message));
        }
        records.extend(self.delivery_records(&ended, &failed_words(text)));
        self.commit(keys, records, move |gateway, _, result| match result {
            Ok(()) => gateway.offer_outgoing(),
            Err(_) => gateway.keep_unsaved(ended),
        });
    }
}
