//! How much of a model's window a step may fill. Tokens are estimated: models cut texts in ways
//! of their own, so the estimate is on the safe side.

use super::context::Place;
use crate::agent::{ChatMessage, ModelRef, Speaker, ToolSpec};
use crate::gateway::Gateway;
use crate::limits::PICTURE_TOKENS;
use crate::state::{StoredMessage, picture_bytes, picture_count};

/// Most texts have more bytes a token than this.
const BYTES_A_TOKEN: u64 = 3;
/// What surrounds each message.
const TOKENS_A_MESSAGE: u64 = 8;
/// Of the window: the answer gets at most this part, and the conversation at least.
const PART: u64 = 4;
/// Tokens of an answer where the configuration names no number.
const ANSWER_TOKENS: u64 = 8_192;

/// About how many tokens a text is.
pub fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_A_TOKEN)
}

/// About how many tokens a message is.
pub fn tokens_of(message: &ChatMessage) -> u64 {
    let calls = match &message.speaker {
        Speaker::Assistant { calls } => calls.as_slice(),
        _ => &[],
    };
    let calls = calls
        .iter()
        .map(|call| tokens(&call.name) + tokens(&call.arguments) + TOKENS_A_MESSAGE);
    let images = message.images.len() as u64 * PICTURE_TOKENS;
    TOKENS_A_MESSAGE + tokens(&message.text) + images + calls.sum::<u64>()
}

/// About how many tokens a row of a transcript is.
pub fn tokens_of_row(row: &StoredMessage) -> u64 {
    let body = &row.message.body;
    let (pictures, count) = (picture_bytes(body), picture_count(body) as u64);
    let text = (body.len() - pictures) as u64;
    TOKENS_A_MESSAGE + text.div_ceil(BYTES_A_TOKEN) + count * PICTURE_TOKENS
}

/// Whether a row is from before the run, and nobody else's.
pub fn is_before(row: &StoredMessage, place: &Place<'_>) -> bool {
    row.seq < place.message_seq && !place.is_own(row.seq) && !place.waiting.contains(&row.seq)
}

impl Gateway {
    /// Tokens that a conversation may have beside the prompt, the tools and the answer.
    pub(super) fn conversation_tokens(
        &self,
        model: &ModelRef,
        prompt: &str,
        tools: &[ToolSpec],
    ) -> u64 {
        let window = self.context_tokens_of(model);
        let answer = self.model_config(model).and_then(|entry| entry.max_tokens);
        let answer = answer.unwrap_or(ANSWER_TOKENS).min(window / PART);
        let tools = tools
            .iter()
            .map(|tool| tokens(&tool.name) + tokens(&tool.description) + tokens(&tool.schema));
        let left = window.saturating_sub(answer + tokens(prompt) + tools.sum::<u64>());
        left.max(window / PART)
    }
}
