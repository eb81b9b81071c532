//! Steps of runs without worker threads.

use super::Driver;
use crate::agent::builtin::{Builtin, MODEL, PROVIDER};
use crate::agent::{
    FailureKind, ModelRef, Provider, RunTag, Step, StepError, StepEvent, StepOutput, StepSink,
    Stop, StopReason, Usage,
};
use crate::gateway::Input;

/// Who answers steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steps {
    /// The built-in agent, at once.
    Builtin,
    /// These pieces of text, then the end.
    Says(Vec<String>),
    /// A failure with these words.
    Fails(String),
    /// They wait in [`Driver::steps`] for [`Driver::step`].
    Held,
}

impl Driver {
    /// Reports one event of a step.
    pub fn step(&mut self, tag: RunTag, event: StepEvent) {
        self.handle(Input::Step(StepOutput { tag, event }));
    }

    /// Answers a step as [`Driver::steps_by`] says; a held one waits on.
    pub(super) fn run_step(&mut self, step: Box<Step>) {
        let tag = step.tag;
        for event in events(&self.steps_by, &step) {
            self.step(tag, event);
        }
    }
}

/// All that a step reports, in order.
fn events(by: &Steps, step: &Step) -> Vec<StepEvent> {
    let mut sink = Collected {
        step,
        pieces: Vec::new(),
    };
    let mut calls = Vec::new();
    let outcome = match by {
        _ if step.cancel.is_cancelled() => Err(StepError::from(Stop::Cancelled)),
        Steps::Builtin | Steps::Held => Builtin::new(0)
            .step(step, &mut sink)
            .map(|reply| calls = reply.calls),
        Steps::Says(pieces) => pieces
            .iter()
            .try_for_each(|piece| sink.delta(piece))
            .map_err(StepError::from),
        Steps::Fails(message) => Err(StepError::Failed {
            kind: FailureKind::Refused,
            message: message.clone(),
            retryable: false,
        }),
    };
    let text = sink.pieces.concat();
    let mut events = vec![StepEvent::Started];
    events.extend(sink.pieces.into_iter().map(StepEvent::Delta));
    events.push(match outcome {
        Ok(()) => StepEvent::Done {
            text,
            stop_reason: match calls.is_empty() {
                true => StopReason::Stop,
                false => StopReason::ToolUse,
            },
            calls,
            usage: Usage::default(),
            model: ModelRef::new(PROVIDER, MODEL),
        },
        Err(StepError::Stopped(_)) => StepEvent::Failed {
            kind: FailureKind::Cancelled,
            message: "cancelled".into(),
            retryable: false,
        },
        Err(StepError::Failed {
            kind,
            message,
            retryable,
        }) => StepEvent::Failed {
            kind,
            message,
            retryable,
        },
    });
    events
}

struct Collected<'a> {
    step: &'a Step,
    pieces: Vec<String>,
}

impl StepSink for Collected<'_> {
    fn delta(&mut self, text: &str) -> Result<(), Stop> {
        if self.step.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        self.pieces.push(text.to_owned());
        Ok(())
    }

    fn pause(&mut self, _: u64) -> Result<(), Stop> {
        Ok(())
    }

    fn remaining_ms(&self) -> u64 {
        u64::MAX
    }
}
