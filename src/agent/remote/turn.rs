//! What a stream has said so far.

use super::failed;
use crate::agent::{FailureKind, Reply, StepError, StopReason, ToolCall, Usage};
use crate::limits::{STEP_CALLS_BYTES_MAX, STEP_CALLS_SENT_MAX};
use std::collections::BTreeMap;

/// An answer that is being put together.
pub struct Turn {
    /// The server said that it is done.
    pub is_ended: bool,
    /// Why it stopped writing, once it said so.
    pub stop_reason: Option<StopReason>,
    pub usage: Usage,
    calls: BTreeMap<u64, Call>,
    calls_len: usize,
    seed: u64,
}

#[derive(Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Turn {
    pub fn new(seed: u64) -> Self {
        Self {
            is_ended: false,
            stop_reason: None,
            usage: Usage::default(),
            calls: BTreeMap::new(),
            calls_len: 0,
            seed,
        }
    }

    /// More of the call at this place.
    ///
    /// # Errors
    ///
    /// There are more calls, or more of them, than anybody needs.
    pub fn call(
        &mut self,
        place: u64,
        id: &str,
        name: &str,
        arguments: &str,
    ) -> Result<(), StepError> {
        self.calls_len += id.len() + name.len() + arguments.len();
        let is_new = !self.calls.contains_key(&place);
        if self.calls_len > STEP_CALLS_BYTES_MAX
            || is_new && self.calls.len() >= STEP_CALLS_SENT_MAX
        {
            let text = "it asked for more tools than can be run".to_owned();
            return Err(failed(FailureKind::TooLong, text));
        }
        let call = self.calls.entry(place).or_default();
        // Some servers repeat the id and the name with every piece.
        if call.id.is_empty() {
            call.id.push_str(id);
        }
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        call.arguments.push_str(arguments);
        Ok(())
    }

    /// The whole answer.
    ///
    /// # Errors
    ///
    /// The stream ended before it was whole.
    pub fn finish(self) -> Result<Reply, StepError> {
        if !self.is_ended && self.stop_reason.is_none() {
            let text = "the stream broke off before its end".to_owned();
            return Err(failed(FailureKind::Network, text));
        }
        let mut calls: Vec<ToolCall> = Vec::with_capacity(self.calls.len());
        for (place, call) in self.calls {
            let is_used = calls.iter().any(|other| *other.id == *call.id);
            // An id is needed to answer it, and some servers give none.
            let id = match call.id.is_empty() || is_used {
                true => format!("call_{:016x}_{place}", self.seed),
                false => call.id,
            };
            calls.push(ToolCall {
                id: id.into(),
                name: call.name.into(),
                arguments: call.arguments.into(),
            });
        }
        let stop_reason = match calls.is_empty() {
            true => self.stop_reason.unwrap_or(StopReason::Stop),
            false => StopReason::ToolUse,
        };
        Ok(Reply {
            calls,
            usage: self.usage,
            stop_reason,
        })
    }
}
