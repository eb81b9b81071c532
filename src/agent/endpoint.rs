//! Where a configured model is reached, and with what.

use super::KeySource;
use crate::config::Secret;
use std::fmt;

/// The protocol that a provider speaks: the values of `models.providers.*.api` that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions, as many servers offer them.
    OpenAiCompletions,
    /// Anthropic's messages.
    AnthropicMessages,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::OpenAiCompletions, Self::AnthropicMessages];

    /// The word in the configuration, and the name of the provider that speaks it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiCompletions => "openai-completions",
            Self::AnthropicMessages => "anthropic-messages",
        }
    }

    /// The inverse of [`Api::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.as_str() == text)
    }
}

/// A configured model's place, as it was when its step was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub api: Api,
    /// Without a slash at its end.
    pub base_url: String,
    pub key: Option<Secret>,
    /// Where the key is, if it is not here.
    pub key_source: Option<KeySource>,
    /// The key goes as a bearer token where the protocol has another header for it.
    pub is_bearer: bool,
    /// Sent with every request; values may be keys.
    pub headers: Vec<(String, Secret)>,
    /// Tokens of one answer.
    pub max_tokens: Option<u64>,
    /// Whether the model thinks before it answers.
    pub reasoning: bool,
}

impl Endpoint {
    /// A provider's words without our secrets, should it repeat them.
    pub fn without_secrets(&self, text: &str) -> String {
        let headers = self.headers.iter().map(|(_, value)| value);
        let mut text = text.to_owned();
        for secret in self.key.iter().chain(headers) {
            if !secret.expose().is_empty() {
                text = text.replace(secret.expose(), "…");
            }
        }
        text
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("api", &self.api)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
