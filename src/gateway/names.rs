//! Names that the configuration gives: agents, session keys, paths.

use super::Gateway;

impl Gateway {
    /// The agent that is meant where none is named.
    pub(super) fn default_agent(&self) -> &str {
        self.config().agents.default_id()
    }

    /// The name of an agent's main session.
    pub(super) fn main_key(&self) -> &str {
        &self.config().session.main_key
    }

    /// The key of the default agent's main session.
    pub(super) fn main_session_key(&self) -> String {
        self.session_key_of(self.default_agent())
    }

    /// The key of an agent's main session.
    pub(super) fn session_key_of(&self, agent: &str) -> String {
        format!("agent:{agent}:{}", self.main_key())
    }

    /// How sessions are kept apart.
    pub(super) fn session_scope(&self) -> &'static str {
        self.config().session.scope.as_str()
    }

    /// The full key of what a client calls a session: `main` is the default agent's main
    /// session, a bare name is one of the default agent's.
    pub(super) fn canonical_session_key(&self, key: &str) -> String {
        let key = key.trim();
        if key == "main" || key == self.main_key() {
            return self.main_session_key();
        }
        if key.starts_with("agent:") || matches!(key, "global" | "unknown") {
            return key.to_owned();
        }
        format!("agent:{}:{key}", self.default_agent())
    }

    /// The directory that an agent works in.
    pub(super) fn workspace_of(&self, agent: &str) -> String {
        let agents = &self.config().agents;
        agents.workspace_of(agent).unwrap_or_else(|| {
            let common = format!("{}/workspace", self.identity.state_dir);
            agents.workspace_below(&common, agent)
        })
    }

    /// Where sessions are kept, for people.
    pub(super) fn database_path(&self) -> String {
        format!("{}/clawdia.db", self.identity.state_dir)
    }
}
