//! The built-in agent: a provider that needs no network and no model.
//!
//! It recognises by key words what an operator asks about this gateway (`intent`, `keys`,
//! `words`), answers from the step's [`Facts`] (`answers`, `guide`, `overview`), and
//! streams the answer a few words at a time as any other provider does, so that the whole path
//! can be seen on a bare machine.

mod answers;
mod guide;
mod intent;
mod keys;
mod overview;
mod text;
mod words;

pub use overview::{help_text, status_text};

use self::intent::Reading;
use super::{
    Facts, ModelInfo, ModelRef, Provider, Reply, Speaker, Step, StepError, StepSink, StopReason,
    Usage,
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
        let asked = step
            .messages
            .iter()
            .rev()
            .find(|message| message.speaker == Speaker::User);
        let text = reply_to(asked.map_or("", |message| &message.text), &step.facts);
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
