//! The system prompt: who the agent is, what its workspace says, what happened meanwhile.

use super::LiveRun;
use crate::agent::{Act, Acted, CancelToken, RunTag};
use crate::gateway::Gateway;
use crate::state::{Session, Text};
use std::sync::Arc;

/// Names and texts of an agent's files.
pub type Notes = Arc<[(&'static str, String)]>;

/// What an agent reads of its workspace before everything else, in this order.
const NAMES: &[&str] = &[
    "AGENTS.md",
    "SOUL.md",
    "TOOLS.md",
    "IDENTITY.md",
    "USER.md",
    "HEARTBEAT.md",
];

impl Gateway {
    /// Reads the notes of a run's agent, once a run.
    pub(super) fn read_notes(&mut self, tag: RunTag) {
        let Some(run) = self.runs.loading(tag) else {
            return;
        };
        let key = run.row.session_key.clone();
        let act = Act::Notes {
            folder: self.workspace_of(self.agent_of_session(&key)),
            names: NAMES,
        };
        self.act(act, &CancelToken::new(), move |gateway, _, acted| {
            let Some(run) = gateway.runs.loading(tag) else {
                return;
            };
            match acted {
                Acted::Notes(notes) => {
                    run.notes = Some(notes.into());
                    gateway.read_context(tag);
                }
                Acted::Failed(fault) => {
                    let text = format!("the agent's workspace could not be read: {fault}");
                    gateway.fail_run(tag.run, &text);
                }
                _ => {}
            }
        });
    }

    pub(super) fn system_prompt(&self, run: &LiveRun, session: &Session) -> Text {
        let agent = &*session.agent_id;
        let mut prompt = format!(
            "You are {}, the personal agent behind the gateway on {}.",
            self.agent_name(agent),
            self.identity.host
        );
        let identity = self.config().agents.get(agent).map(|it| &it.identity);
        if let Some(theme) = identity.and_then(|it| it.theme.as_deref()) {
            prompt += &format!(" Your manner: {theme}.");
        }
        prompt += &format!("\nYour workspace: {}", self.workspace_of(agent));
        if let Some(zone) = &self.config().agents.defaults.user_timezone {
            prompt += &format!("\nYour user's time zone: {zone}");
        }
        for (name, text) in run.notes.iter().flat_map(|notes| notes.iter()) {
            prompt += &format!("\n\n# {name}\n\n{text}\n");
        }
        let told = self.events_session(&session.key);
        for event in self.system_events.texts_of(&told) {
            prompt.push_str("\nSystem: ");
            prompt.push_str(event);
        }
        if let Some(extra) = &run.extra_prompt {
            prompt.push('\n');
            prompt.push_str(extra);
        }
        prompt.into()
    }
}
