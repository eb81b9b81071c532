//! The built-in agent: a provider that needs no network and no model.
//!
//! It recognises by key words what an operator asks about this gateway (`intent`, `keys`,
//! `words`), answers from the step's [`Facts`] (`answers`, `guide`, `overview`), and
//! streams the answer a few words at a time as any other provider does, so that the whole path
//! can be seen on a bare machine. What is to be done with a node (`errand`) it asks the `nodes`
//! tool for, and tells what came of it (`told`).

mod answers;
mod errand;
mod guide;
mod intent;
mod keys;
mod overview;
mod text;
mod told;
mod words;

pub use overview::{help_text, status_text};

use self::intent::Reading;
use super::{
    ChatMessage, Facts, ModelInfo, ModelRef, Provider, Reply, Speaker, Step, StepError, StepSink,
    StopReason, ToolCall, Usage,
};

/// The provider's name.
pub const PROVIDER: &str = "builtin";
/// Its only model; the whole reference is `builtin/clawdia`.
pub const MODEL: &str = "clawdia";
/// The pause between two pieces of an answer that reads well and does not keep anybody waiting.
pub const PACING_MS: u64 = 15;

/// Words of a delta, for a short answer.
const WORDS_PER_DELTA: usize = 3;
/// A longer answer has larger deltas, so that its pauses stay under a second together.
const DELTAS_MAX: usize = 60;

/// The built-in agent as a provider.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    pacing_ms: u64,
}

impl Builtin {
    /// With a pause of `pacing_ms` between deltas, [`PACING_MS`] or 0 in tests.
    pub const fn new(pacing_ms: u64) -> Self {
        Self { pacing_ms }
    }
}

impl Provider for Builtin {
    fn name(&self) -> &str {
        PROVIDER
    }

    fn models(&self) -> Vec<ModelInfo> {
        vec![ModelInfo {
            model: ModelRef::new(PROVIDER, MODEL),
            name: "Built-in agent".to_owned(),
            context_window: None,
            reasoning: false,
        }]
    }

    fn step(&self, step: &Step, out: &mut dyn StepSink) -> Result<Reply, StepError> {
        let (asked, since) = last_asked(&step.messages);
        let text = match told_of(since) {
            Some(text) => text,
            None if asked.contains(HEARTBEAT_OK) => at_heartbeat(&step.system_prompt),
            None => match errand::read(asked, &step.facts, &step.tools, step.seed) {
                Some(call) => return Ok(asks(call)),
                None => reply_to(asked, &step.facts),
            },
        };
        let mut first = true;
        for piece in pieces(&text) {
            if !first {
                out.pause(self.pacing_ms)?;
            }
            out.delta(piece)?;
            first = false;
        }
        // No model was asked, so no token was used.
        Ok(Reply {
            calls: Vec::new(),
            usage: Usage::default(),
            stop_reason: StopReason::Stop,
        })
    }
}

/// What an agent answers at a heartbeat when there is nothing to do.
const HEARTBEAT_OK: &str = "HEARTBEAT_OK";

/// The lines that wait for the session, word for word, or that there is nothing.
fn at_heartbeat(system_prompt: &str) -> String {
    let lines = system_prompt.lines();
    let told: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("System: "))
        .collect();
    match told.is_empty() {
        true => HEARTBEAT_OK.to_owned(),
        false => told.join("\n"),
    }
}

/// The last message of the user, and what was said since.
fn last_asked(messages: &[ChatMessage]) -> (&str, &[ChatMessage]) {
    let is_users = |message: &ChatMessage| message.speaker == Speaker::User;
    match messages.iter().rposition(is_users) {
        Some(at) => (&messages[at].text, &messages[at + 1..]),
        None => ("", messages),
    }
}

/// What the tools found that were asked for; None where none was.
fn told_of(since: &[ChatMessage]) -> Option<String> {
    let calls = since.iter().find_map(|message| match &message.speaker {
        Speaker::Assistant { calls } if !calls.is_empty() => Some(calls),
        _ => None,
    })?;
    let told = calls.iter().filter_map(|call| {
        let answers = |message: &&ChatMessage| match &message.speaker {
            Speaker::Tool(answered) => answered.call_id == call.id,
            _ => false,
        };
        let result = since.iter().find(answers)?;
        Some(told::tell(call, result))
    });
    Some(told.collect::<Vec<_>>().join("\n\n"))
}

fn asks(call: ToolCall) -> Reply {
    Reply {
        calls: vec![call],
        usage: Usage::default(),
        stop_reason: StopReason::ToolUse,
    }
}

/// The whole answer to one message.
fn reply_to(message: &str, facts: &Facts) -> String {
    match intent::read(message) {
        Reading::Echo(words) => words.to_owned(),
        Reading::Unknown => answers::unknown(facts),
        Reading::Answer(intents) => {
            let all: Vec<String> = intents
                .into_iter()
                .map(|intent| answers::answer(intent, facts))
                .collect();
            all.join("\n\n")
        }
    }
}

/// The text in pieces of a few words, each with the blanks behind it; together they are the text.
fn pieces(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let size = WORDS_PER_DELTA.max(words.len().div_ceil(DELTAS_MAX));
    let mut rest = text;
    words
        .chunks(size)
        .map(|chunk| {
            let (piece, after) = rest.split_at(chunk.iter().map(|word| word.len()).sum());
            rest = after;
            piece
        })
        .collect()
}

#[cfg(test)]
mod tests;
