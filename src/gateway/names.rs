//! Names that the configuration gives: agents, session keys, paths.

use super::{Gateway, Refusal};

impl Gateway {
    /// The agent that is meant where none is named.
    pub(super) fn default_agent(&self) -> &str {
        self.config().agents.default_id()
    }

    /// Whether the configuration has an agent.
    ///
    /// # Errors
    ///
    /// Names the agent, those that there are, and where one is added.
    pub(super) fn check_agent(&self, agent: &str) -> Result<(), Refusal> {
        let known = self.config().agents.ids();
        if known.contains(&agent) {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "unknown agent id \"{agent}\" (there are: {}; agents.list in the configuration adds one)",
            known.join(", ")
        )))
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

#[cfg(test)]
mod tests {
    use crate::driver::{Driver, Options};
    use serde_json::{Value, json};

    fn message(error: Value) -> String {
        error["message"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn nobody_answers_for_an_agent_that_is_not_there() {
        let mut driver = Driver::new(Options {
            config: "{agents: {list: [{id: 'main'}, {id: 'ops'}]}}".into(),
            ..Options::default()
        });
        let operator = driver.operator();
        let send =
            |key: &str, id: &str| json!({"sessionKey": key, "message": "hi", "idempotencyKey": id});
        driver.ok(operator, "chat.send", send("agent:ops:main", "1"));
        driver.settle();
        let nope = |driver: &mut Driver, method: &str, params: Value| {
            let fault = message(driver.err(operator, method, params));
            let word = "unknown agent id \"nope\" (there are: main, ops; agents.list";
            assert!(fault.contains(word), "{method}: {fault}");
        };
        let key = json!({"key": "agent:nope:main"});
        nope(&mut driver, "chat.send", send("agent:nope:main", "2"));
        nope(&mut driver, "agent", send("agent:nope:main", "3"));
        nope(&mut driver, "sessions.patch", key.clone());
        nope(&mut driver, "sessions.reset", key.clone());
        assert!(driver.ok(operator, "sessions.list", json!({}))["count"] == 1);
        // An agent that is taken away answers no more; what it said can be read and deleted.
        driver.reload("{}");
        let fault = message(driver.err(operator, "chat.send", send("agent:ops:main", "4")));
        assert!(fault.contains("\"ops\" (there are: main;"), "{fault}");
        let history = json!({"sessionKey": "agent:ops:main"});
        let history = driver.ok(operator, "chat.history", history);
        assert_eq!(history["messages"].as_array().unwrap().len(), 2);
        let key = json!({"key": "agent:ops:main"});
        assert_eq!(driver.ok(operator, "sessions.delete", key)["deleted"], true);
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        let mut driver = Driver::new(Options::default());
        let operator = driver.operator();
        for (method, level) in [("chat.send", "mega"), ("agent", "MEGA ")] {
            let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": method, "thinking": level});
            let fault = message(driver.err(operator, method, params));
            let start = format!(
                "invalid {method} params: thinking {level:?} is no level (there are: off, "
            );
            assert!(fault.starts_with(&start), "{fault}");
        }
        let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "d", "thinking": "default"});
        driver.ok(operator, "chat.send", params);
    }
}
