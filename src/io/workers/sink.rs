//! What a running step writes to.

use std::time::Duration;

use crossbeam_channel::{TrySendError, select};

use super::Shared;
use crate::agent::{Step, StepEvent, StepOutput, StepSink, Stop};
use crate::limits;

/// Sends on what a provider writes, and tells it to stop. Once it said so it says so for ever.
pub(super) struct Sink<'a> {
    step: &'a Step,
    shared: &'a Shared,
    text: String,
    stop: Option<Stop>,
}

impl<'a> Sink<'a> {
    /// The sink of a step that has not started.
    pub(super) const fn new(step: &'a Step, shared: &'a Shared) -> Self {
        Self {
            step,
            shared,
            text: String::new(),
            stop: None,
        }
    }

    /// Announces the step, unless it must not even start.
    pub(super) fn started(&mut self) -> Result<(), Stop> {
        self.send(StepEvent::Started)
    }

    /// The whole text, and why the step had to stop if it had to.
    pub(super) fn finish(self) -> (String, Option<Stop>) {
        (self.text, self.stop)
    }

    fn check(&mut self) -> Result<(), Stop> {
        if self.stop.is_none() {
            if self.step.cancel.is_cancelled() {
                self.stop = Some(Stop::Cancelled);
            } else if self.remaining_ms() == 0 {
                self.stop = Some(Stop::DeadlinePassed);
            }
        }
        self.stop.map_or(Ok(()), Err)
    }

    /// Sends `event`. A full channel is waited for, as long as the step may live.
    fn send(&mut self, event: StepEvent) -> Result<(), Stop> {
        self.check()?;
        let output = StepOutput {
            tag: self.step.tag,
            event,
        };
        let sent = match self.shared.out.try_send(output) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(Stop::Cancelled),
            Err(TrySendError::Full(output)) => self.send_slowly(output),
        };
        (self.shared.wake)();
        self.stop = sent.err();
        sent
    }

    fn send_slowly(&self, output: StepOutput) -> Result<(), Stop> {
        (self.shared.wake)();
        select! {
            send(self.shared.out, output) -> sent => sent.map_err(|_| Stop::Cancelled),
            recv(self.step.cancel.signal()) -> _ => Err(Stop::Cancelled),
            recv(self.shared.stop) -> _ => Err(Stop::Cancelled),
            default(Duration::from_millis(self.remaining_ms())) => Err(Stop::DeadlinePassed),
        }
    }
}

impl StepSink for Sink<'_> {
    fn delta(&mut self, text: &str) -> Result<(), Stop> {
        self.check()?;
        if text.is_empty() {
            return Ok(());
        }
        if self.text.len() + text.len() > limits::STEP_TEXT_BYTES_MAX {
            self.stop = Some(Stop::TooLong);
            return Err(Stop::TooLong);
        }
        self.send(StepEvent::Delta(text.to_owned()))?;
        self.text.push_str(text);
        Ok(())
    }

    fn pause(&mut self, time_ms: u64) -> Result<(), Stop> {
        self.check()?;
        let time_ms = time_ms.min(self.remaining_ms());
        if time_ms > 0 {
            self.step.cancel.wait(Duration::from_millis(time_ms));
        }
        self.check()
    }

    fn remaining_ms(&self) -> u64 {
        self.shared.remaining_ms(self.step)
    }
}
