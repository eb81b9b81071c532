//! Which model answers a step, and which one where that fails.

use super::{LiveRun, RunPhase};
use crate::agent::{Api, Endpoint, FailureKind, KeySource, ModelRef};
use crate::config::types::ProviderConfig;
use crate::gateway::Gateway;
use crate::log::{Level, LogLine};
use crate::state::Session;
use std::sync::Arc;

impl Gateway {
    /// The model of a run's next step: the session's, or the fallback that the run has come to.
    pub(super) fn model_of_run(&self, run: &LiveRun, session: &Session) -> ModelRef {
        match run.fallbacks_tried.checked_sub(1) {
            Some(at) => self.fallback(session, at),
            None => None,
        }
        .unwrap_or_else(|| self.model_of_session(session))
    }

    /// The fallbacks of a session's agent, in order. A model that was chosen for the session has
    /// none: who chose it wants to know that it fails.
    fn fallback(&self, session: &Session, at: usize) -> Option<ModelRef> {
        if session.model.is_some() {
            return None;
        }
        let models = self.config().agents.model_of(&session.agent_id)?;
        models
            .fallbacks
            .get(at)
            .and_then(|text| ModelRef::parse(text))
    }

    /// Gives the step to the next model, where the failure was the model's own and there is one.
    pub(super) fn try_fallback(&mut self, slot: u64, kind: FailureKind, message: &str) -> bool {
        let is_its_own = match kind {
            FailureKind::Auth
            | FailureKind::RateLimited
            | FailureKind::Network
            | FailureKind::Refused
            | FailureKind::UnknownModel
            | FailureKind::TooLong => true,
            FailureKind::Cancelled | FailureKind::Deadline | FailureKind::Panic => false,
        };
        let Some(run) = self.runs.by_slot.get(&slot).filter(|_| is_its_own) else {
            return false;
        };
        let Some(session) = self.session(&run.row.session_key) else {
            return false;
        };
        let Some(next) = self.fallback(session, run.fallbacks_tried) else {
            return false;
        };
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Warn,
            "gateway/runs",
            "a model failed; the next one is asked",
        );
        self.log_with(line.with("fault", message).with("next", next.to_string()));
        self.runs.step_again(slot);
        self.start_runs();
        true
    }

    /// How a person gets a session going whose chosen model is not there any more. It is not gone
    /// back on by itself: what was said there was for that model, and maybe for no other provider.
    pub(super) fn way_back(&self, slot: u64, kind: FailureKind) -> Option<String> {
        let run = self.runs.by_slot.get(&slot)?;
        let session = self.session(&run.row.session_key)?;
        let chosen = session
            .model
            .as_ref()
            .filter(|_| kind == FailureKind::UnknownModel)?;
        let own = self.model_of(&session.agent_id);
        Some(format!(
            " ({chosen} was chosen for this session: /model default goes back to {own}, or add it to models.providers)"
        ))
    }

    /// Where the configuration says that a model is.
    pub(super) fn endpoint_of(&self, model: &ModelRef) -> Option<Arc<Endpoint>> {
        let provider = self.config().models.providers.get(model.provider())?;
        let entry = self.model_config(model);
        let api = entry
            .and_then(|entry| entry.api.as_deref())
            .or(provider.api.as_deref());
        let api = match api {
            Some(api) => Api::parse(api)?,
            None if model.provider() == "anthropic" => Api::AnthropicMessages,
            None => Api::OpenAiCompletions,
        };
        let base_url = provider.place(model.provider())?;
        let headers = provider.headers.iter();
        let own = entry.into_iter().flat_map(|entry| &entry.headers);
        Some(Arc::new(Endpoint {
            api,
            base_url: base_url.to_owned(),
            key: provider.api_key.clone(),
            key_source: key_source(provider),
            is_bearer: provider.auth_header == Some(true),
            headers: headers
                .chain(own)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            max_tokens: entry.and_then(|entry| entry.max_tokens),
            reasoning: entry.and_then(|entry| entry.reasoning) == Some(true),
        }))
    }
}

/// Where a provider's key is, if the configuration does not hold it.
fn key_source(provider: &ProviderConfig) -> Option<KeySource> {
    if provider.api_key.is_some() {
        return None;
    }
    let file = provider.api_key_file.clone().map(KeySource::File);
    let command =
        || (!provider.api_key_command.is_empty()).then(|| provider.api_key_command.clone());
    file.or_else(|| command().map(KeySource::Command))
}

impl super::Runs {
    /// The step that is under way came to nothing and is made again, by another model.
    fn step_again(&mut self, slot: u64) {
        let Some(run) = self.by_slot.get_mut(&slot) else {
            return;
        };
        if run.phase == RunPhase::Stepping {
            self.at_work -= 1;
        }
        run.phase = RunPhase::Waiting;
        run.generation += 1;
        run.fallbacks_tried += 1;
        run.text.clear();
        self.ready.push_back(slot);
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::{FailureKind, StepEvent};
    use crate::driver::{Driver, Options, Steps};
    use serde_json::json;

    #[test]
    fn a_session_whose_model_was_taken_away_says_how_to_go_on() {
        let config =
            "{models: {providers: {p: {baseUrl: 'http://127.0.0.1:1/v1', models: [{id: 'm'}]}}}}";
        let mut driver = Driver::new(Options {
            config: config.to_owned(),
            steps: Steps::Held,
            ..Options::default()
        });
        let operator = driver.operator();
        let say = |driver: &mut Driver, message: &str| {
            let params =
                json!({"sessionKey": "main", "message": message, "idempotencyKey": message});
            driver.ok(operator, "chat.send", params);
            driver.settle();
        };
        say(&mut driver, "/model p/m");
        driver.reload("{}");
        say(&mut driver, "hello");
        let step = driver.steps.pop_front().expect("a step");
        assert_eq!(step.model.to_string(), "p/m", "nobody else is told");
        let event = StepEvent::Failed {
            kind: FailureKind::UnknownModel,
            message: "the model p/m is not configured".into(),
            retryable: false,
        };
        driver.step(step.tag, event);
        driver.settle();
        let shown = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
        let shown = shown["messages"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .to_string();
        for word in [
            "p/m is not configured",
            "/model default",
            "builtin/clawdia",
            "models.providers",
        ] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        say(&mut driver, "/model default");
        say(&mut driver, "hello again");
        let step = driver.steps.pop_front().expect("a step");
        assert_eq!(step.model.to_string(), "builtin/clawdia");
    }
}
