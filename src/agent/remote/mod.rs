//! Providers behind HTTP: one request a step, answered by a stream of events.
//!
//! `http` sends and tries again, `sse` cuts the stream into events, a file for each protocol
//! writes requests and reads events. What a server sends is never believed: every line, text and
//! count is bounded, and nonsense ends the step with words that say what came.

pub mod anthropic;
mod http;
pub mod openai;
mod sse;
mod turn;

use super::{Api, Endpoint, FailureKind, ModelInfo, Provider, Reply, Step, StepError, StepSink};
use crate::agent::{ChatMessage, Image, key};
pub use http::tls_config;
use serde_json::{Value, json};
pub use sse::Events;
use std::io::Read;
use turn::Turn;

/// A message's text, or a list where there are pictures, each written by `picture`.
fn content(message: &ChatMessage, picture: fn(&Image) -> Value) -> Value {
    if message.images.is_empty() {
        return (&*message.text).into();
    }
    let text = (!message.text.is_empty()).then(|| json!({"type": "text", "text": &*message.text}));
    text.into_iter()
        .chain(message.images.iter().map(picture))
        .collect()
}

/// A protocol: how a step becomes a request, and its events an answer.
trait Protocol: Send + Sync {
    const API: Api;

    /// The path behind the base URL.
    const PATH: &'static str;

    /// Headers of the protocol, the key among them.
    fn headers(endpoint: &Endpoint) -> Vec<(&'static str, String)>;

    /// The request's body.
    fn body(step: &Step, endpoint: &Endpoint) -> serde_json::Value;

    /// Takes one event of the stream.
    ///
    /// # Errors
    ///
    /// The server says that it failed, or nonsense.
    fn event(
        turn: &mut Turn,
        data: &serde_json::Value,
        out: &mut dyn StepSink,
    ) -> Result<(), StepError>;
}

/// A protocol as a provider: its models are those of the configuration.
pub struct Remote<P>(std::marker::PhantomData<P>);

impl<P> Default for Remote<P> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<P: Protocol> Provider for Remote<P> {
    fn name(&self) -> &str {
        P::API.as_str()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    fn step(&self, step: &Step, out: &mut dyn StepSink) -> Result<Reply, StepError> {
        let Some(endpoint) = &step.endpoint else {
            return Err(failed(
                FailureKind::UnknownModel,
                format!("{} has no entry in models.providers", step.model),
            ));
        };
        let endpoint =
            &key::with_key(endpoint, out).map_err(|error| told_by(error, step, endpoint))?;
        let request = http::Request {
            url: format!("{}{}", endpoint.base_url, P::PATH),
            headers: P::headers(endpoint),
            body: P::body(step, endpoint).to_string(),
        };
        let answer = http::send(&request, step, endpoint, out)?;
        read::<P>(answer, step.seed, out).map_err(|error| told_by(error, step, endpoint))
    }
}

/// Reads the answer that a server of this protocol streams, to its end; text goes to `out`. The
/// seed makes ids of calls that were given none.
///
/// # Errors
///
/// The step was stopped; the stream broke off, is nonsense or never ends; the server failed.
pub fn read_stream(
    api: Api,
    stream: impl Read,
    seed: u64,
    out: &mut dyn StepSink,
) -> Result<Reply, StepError> {
    match api {
        Api::OpenAiCompletions => read::<openai::OpenAi>(stream, seed, out),
        Api::AnthropicMessages => read::<anthropic::Anthropic>(stream, seed, out),
    }
}

fn read<P: Protocol>(
    stream: impl Read,
    seed: u64,
    out: &mut dyn StepSink,
) -> Result<Reply, StepError> {
    let mut turn = Turn::new(seed);
    read_events::<P>(stream, &mut turn, out)?;
    turn.finish()
}

fn read_events<P: Protocol>(
    stream: impl Read,
    turn: &mut Turn,
    out: &mut dyn StepSink,
) -> Result<(), StepError> {
    let mut events = sse::Events::new(stream);
    while let Some(data) = events.next(out)? {
        if data.trim() == "[DONE]" {
            turn.is_ended = true;
            return Ok(());
        }
        let data = serde_json::from_str(&data).map_err(|_| {
            failed(
                FailureKind::Network,
                format!("it sent an event that is no JSON: {}", excerpt(&data)),
            )
        })?;
        P::event(turn, &data, out)?;
        if turn.is_ended {
            return Ok(());
        }
    }
    Ok(())
}

/// Says whose fault it was, without our secrets.
fn told_by(error: StepError, step: &Step, endpoint: &Endpoint) -> StepError {
    match error {
        StepError::Failed {
            kind,
            message,
            retryable,
        } => StepError::Failed {
            kind,
            message: format!("{}: {}", step.model, endpoint.without_secrets(&message)),
            retryable,
        },
        stopped => stopped,
    }
}

fn failed(kind: FailureKind, message: String) -> StepError {
    let retryable = matches!(kind, FailureKind::Network | FailureKind::RateLimited);
    StepError::Failed {
        kind,
        message,
        retryable,
    }
}

/// The start of what a server said, on one line.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.chars().filter(|c| !c.is_control());
    match plain.clone().count() > CHARS_MAX {
        true => plain.take(CHARS_MAX).chain(['…']).collect(),
        false => plain.collect(),
    }
}

#[cfg(test)]
mod tests;
