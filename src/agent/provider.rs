//! The seam for models: what a provider is asked, and how it answers.

use std::fmt;
use std::sync::Arc;

use super::{Api, FailureKind, ModelRef, Step, StopReason, ToolCall, Usage};

/// Something that can answer a step. Called on worker threads, several at a time.
pub trait Provider: Send + Sync {
    /// The part of a model reference before the slash.
    fn name(&self) -> &str;

    /// The models it offers, best first.
    fn models(&self) -> Vec<ModelInfo>;

    /// Answers `step`, blocking, streaming through `out` (the module's page has the rules).
    fn step(&self, step: &Step, out: &mut dyn StepSink) -> Result<Reply, StepError>;
}

/// Where a running step writes to, and what tells it to stop.
pub trait StepSink {
    /// Sends on what is new of the answer.
    fn delta(&mut self, text: &str) -> Result<(), Stop>;

    /// Waits `time_ms`, or until the step must stop.
    fn pause(&mut self, time_ms: u64) -> Result<(), Stop>;

    /// Time until the deadline, for the timeouts of sockets; 0 once it has passed.
    fn remaining_ms(&self) -> u64;
}

/// What a step that came to its end reports beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the model asks for before it goes on; none where this was its answer.
    pub calls: Vec<ToolCall>,
    pub usage: Usage,
    pub stop_reason: StopReason,
}

/// Why a step must stop now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Cancelled,
    DeadlinePassed,
    /// The answer met `limits::STEP_TEXT_BYTES_MAX`.
    TooLong,
}

/// Why a step gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// It was told to stop.
    Stopped(Stop),
    /// It failed by itself; `message` is for the operator and holds no secret.
    Failed {
        kind: FailureKind,
        message: String,
        retryable: bool,
    },
}

impl From<Stop> for StepError {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// The values of `models.providers.*.api` that this build can speak, for the built-in agent's
/// honest answer.
pub const MODEL_APIS: &[&str] = &[
    Api::OpenAiCompletions.as_str(),
    Api::AnthropicMessages.as_str(),
];

/// One model of a provider, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    pub model: ModelRef,
    /// For people.
    pub name: String,
    /// In tokens, where there is such a limit.
    pub context_window: Option<u64>,
    pub reasoning: bool,
}

/// The providers by name. Shared with the workers; a changed configuration makes a new one.
#[derive(Clone, Default)]
pub struct Providers {
    list: Vec<Arc<dyn Provider>>,
}

impl Providers {
    /// No provider at all.
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Adds a provider, in place of an earlier one of the same name.
    pub fn add(&mut self, provider: Arc<dyn Provider>) {
        self.list.retain(|other| other.name() != provider.name());
        self.list.push(provider);
    }

    /// The provider of a model, if that name is known. Whether it has the model is its own
    /// affair, since a list of models can be incomplete.
    pub fn get(&self, model: &ModelRef) -> Option<&Arc<dyn Provider>> {
        self.list
            .iter()
            .find(|provider| provider.name() == model.provider())
    }

    /// The provider that answers a step: by the model's own name, or by the protocol that its
    /// configured place speaks.
    pub fn of_step(&self, step: &Step) -> Option<&Arc<dyn Provider>> {
        let of_api = || {
            let api = step.endpoint.as_ref()?.api.as_str();
            self.list.iter().find(|provider| provider.name() == api)
        };
        self.get(&step.model).or_else(of_api)
    }

    /// All models of all providers, in the order in which the providers were added.
    pub fn models(&self) -> Vec<ModelInfo> {
        self.list
            .iter()
            .flat_map(|provider| provider.models())
            .collect()
    }

    /// The providers' names, in the same order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|provider| provider.name())
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str, &'static str);

    impl Provider for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn models(&self) -> Vec<ModelInfo> {
            let model = ModelRef::new(self.0, self.1);
            vec![ModelInfo {
                name: model.to_string(),
                model,
                context_window: None,
                reasoning: false,
            }]
        }

        fn step(&self, _: &Step, _: &mut dyn StepSink) -> Result<Reply, StepError> {
            Ok(Reply {
                calls: Vec::new(),
                usage: Usage::default(),
                stop_reason: StopReason::Stop,
            })
        }
    }

    #[test]
    fn a_provider_is_found_by_the_name_before_the_slash() {
        let mut providers = Providers::new();
        providers.add(Arc::new(Named("a", "old")));
        providers.add(Arc::new(Named("b", "one")));
        providers.add(Arc::new(Named("a", "new")));
        assert_eq!(providers.names().collect::<Vec<_>>(), ["b", "a"]);
        let models: Vec<String> = providers
            .models()
            .into_iter()
            .map(|info| info.name)
            .collect();
        assert_eq!(models, ["b/one", "a/new"]);
        assert!(providers.get(&ModelRef::new("a", "anything")).is_some());
        assert!(providers.get(&ModelRef::new("c", "one")).is_none());
    }
}
