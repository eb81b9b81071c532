//! What the core gives to a worker, and what comes back.

use std::fmt;
use std::sync::Arc;

use super::{CancelToken, ChatMessage, Endpoint, Facts, ToolCall, ToolSpec};

/// Names one step of one run, so that what comes late is recognised.
///
/// `run` is the slot of the core's run table, `generation` grows with each use of the slot and
/// with each step of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunTag {
    pub run: u64,
    pub generation: u32,
}

/// One provider request: everything a worker needs, and nothing it could change.
#[derive(Clone, Debug)]
pub struct Step {
    pub tag: RunTag,
    pub model: ModelRef,
    /// Where the model is, unless it is built in.
    pub endpoint: Option<Arc<Endpoint>>,
    pub system_prompt: Arc<str>,
    /// Oldest first; the last one is the user's, or a tool's result.
    pub messages: Vec<ChatMessage>,
    /// What the model may ask for.
    pub tools: Arc<[ToolSpec]>,
    pub thinking: Thinking,
    pub session_key: Arc<str>,
    pub facts: Arc<Facts>,
    /// On the clock that the pool was started with.
    pub deadline_mono_ms: u64,
    pub cancel: CancelToken,
    /// The step's own entropy, given by the core so that a simulation can repeat it.
    pub seed: u64,
}

/// A model as the configuration writes it: `provider/model`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRef {
    provider: Box<str>,
    model: Box<str>,
}

impl ModelRef {
    /// From its two parts.
    pub fn new(provider: &str, model: &str) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
        }
    }

    /// Splits at the first slash, since a model's own name may hold more of them.
    /// `None` if a part is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.trim().split_once('/')?;
        (!provider.is_empty() && !model.is_empty()).then(|| Self::new(provider, model))
    }

    /// The part before the first slash.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The part after the first slash.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// How much a model may think before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thinking {
    #[default]
    Off,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
}

impl Thinking {
    /// All levels, lowest first.
    pub const ALL: [Self; 6] = [
        Self::Off,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::XHigh,
    ];

    /// As it stands in requests and sessions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
        }
    }

    /// What a client asks for. None leaves it to the session, which clients say in several words.
    ///
    /// # Errors
    ///
    /// Names the levels.
    pub fn asked(text: &str) -> Result<Option<Self>, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "default" | "adaptive" => Ok(None),
            "max" => Ok(Some(Self::XHigh)),
            level => Self::parse(level).map(Some).ok_or_else(|| {
                let levels = Self::ALL.map(Self::as_str).join(", ");
                format!("thinking {text:?} is no level (there are: {levels})")
            }),
        }
    }

    /// The inverse of [`Thinking::as_str`], whatever the case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

/// How much of a run's tool work its session shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verbosity {
    #[default]
    Off,
    On,
    Full,
}

impl Verbosity {
    /// All settings, quietest first.
    pub const ALL: [Self; 3] = [Self::Off, Self::On, Self::Full];

    /// As it stands in requests and sessions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Full => "full",
        }
    }

    /// The inverse of [`Verbosity::as_str`], whatever the case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

/// What a worker sends to the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutput {
    pub tag: RunTag,
    pub event: StepEvent,
}

/// The life of a step, in this order: `Started` at most once, `Delta` any number of times, and
/// exactly one `Done` or `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepEvent {
    /// A worker took the step up.
    Started,
    /// More of the answer: what is new, not what there is so far.
    Delta(String),
    /// The whole answer; `text` is what the deltas made together. With `calls` it is none yet:
    /// the model wants to see their results first.
    Done {
        text: String,
        calls: Vec<ToolCall>,
        usage: Usage,
        stop_reason: StopReason,
        model: ModelRef,
    },
    /// The step ended without an answer. `message` is for the operator.
    Failed {
        kind: FailureKind,
        message: String,
        retryable: bool,
    },
}

/// Tokens that a step used, as its provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

impl Usage {
    /// Of two steps together.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
        }
    }

    /// All four together.
    pub const fn total(self) -> u64 {
        self.input
            .saturating_add(self.output)
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }
}

/// Why a provider stopped writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It had said what it wanted to say.
    Stop,
    /// It met the length limit of its request.
    Length,
    /// It asks for tools.
    ToolUse,
}

impl StopReason {
    /// As it stands in a transcript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolUse => "toolUse",
        }
    }
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It was cancelled, or the pool stopped.
    Cancelled,
    /// Its deadline passed.
    Deadline,
    /// It panicked; what it said is in no message and in no log.
    Panic,
    /// No provider has its model.
    UnknownModel,
    /// Its answer grew past the limit.
    TooLong,
    /// The provider refused the credentials.
    Auth,
    /// The provider said to come back later.
    RateLimited,
    /// The provider could not be reached or broke off.
    Network,
    /// The provider refused the request.
    Refused,
}

impl FailureKind {
    /// For logs and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
            Self::Panic => "panic",
            Self::UnknownModel => "unknown-model",
            Self::TooLong => "too-long",
            Self::Auth => "auth",
            Self::RateLimited => "rate-limited",
            Self::Network => "network",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_reference_splits_at_its_first_slash() {
        let model = ModelRef::parse(" openrouter/vendor/model-1 ").unwrap();
        assert_eq!(
            (model.provider(), model.model()),
            ("openrouter", "vendor/model-1")
        );
        assert_eq!(model.to_string(), "openrouter/vendor/model-1");
        for bad in ["", "model", "/model", "provider/"] {
            assert_eq!(ModelRef::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn levels_are_read_as_they_are_written() {
        for level in Thinking::ALL {
            assert_eq!(Thinking::parse(&level.as_str().to_uppercase()), Some(level));
        }
        for level in Verbosity::ALL {
            assert_eq!(Verbosity::parse(level.as_str()), Some(level));
        }
        assert_eq!(Thinking::parse("bogus"), None);
        for (text, level) in [
            ("default", None),
            ("max", Some(Thinking::XHigh)),
            ("LOW", Some(Thinking::Low)),
        ] {
            assert_eq!(Thinking::asked(text), Ok(level), "{text}");
        }
        let fault = Thinking::asked("mega").unwrap_err();
        assert!(
            fault.contains("mega") && fault.contains("medium, high, xhigh"),
            "{fault}"
        );
        assert_eq!(Verbosity::parse(""), None);
    }

    #[test]
    fn a_total_of_tokens_does_not_overflow() {
        let usage = Usage {
            input: u64::MAX,
            output: 1,
            cache_read: 2,
            cache_write: 3,
        };
        assert_eq!(usage.total(), u64::MAX);
    }
}
