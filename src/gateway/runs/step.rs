//! A run at work: its transcript is read, a worker answers, text streams to clients.

use super::RunPhase;
use super::context::{Place, conversation};
use crate::agent::{RunTag, Step, StepEvent, StepOutput};
use crate::gateway::{Effect, Gateway};
use crate::limits::{CONTEXT_BYTES_MAX, CONTEXT_MESSAGES_MAX, CONTEXT_PICTURES_BYTES_MAX};
use crate::state::{Page, StoreFault, StoredMessage};
use std::sync::Arc;

/// Bytes of a page of a transcript that a model reads, and of its pictures.
const CONTEXT_PAGE: (usize, usize) = (CONTEXT_BYTES_MAX, CONTEXT_PICTURES_BYTES_MAX);

impl Gateway {
    /// Puts ready runs to work, as many as may work at a time.
    pub(in crate::gateway) fn start_runs(&mut self) {
        let at_work_max = self.config().agents.runs_max();
        while self.runs.at_work < at_work_max && !self.stopping {
            let Some(slot) = self.runs.ready.pop_front() else {
                return;
            };
            self.load_context(slot);
        }
    }

    fn load_context(&mut self, slot: u64) {
        if self.absorb(slot) {
            return;
        }
        let Some(run) = self.runs.by_slot.get_mut(&slot) else {
            return;
        };
        run.phase = RunPhase::Loading;
        run.generation += 1;
        self.runs.at_work += 1;
        let tag = RunTag {
            run: slot,
            generation: run.generation,
        };
        match run.notes {
            Some(_) => self.read_context(tag),
            None => self.read_notes(tag),
        }
    }

    pub(super) fn read_context(&mut self, tag: RunTag) {
        let Some(run) = self.runs.loading(tag) else {
            return;
        };
        let session_id = run.row.session_id.clone();
        self.read_messages(
            session_id,
            None,
            CONTEXT_MESSAGES_MAX,
            CONTEXT_PAGE,
            move |gateway, _, page| gateway.on_context(tag, page),
        );
    }

    fn on_context(&mut self, tag: RunTag, page: Result<Page, StoreFault>) {
        let Some(run) = self.runs.loading(tag) else {
            return;
        };
        let seq = run.message_seq;
        let is_there = |page: &Page| page.messages.iter().any(|row| row.seq == seq);
        match page {
            Ok(page) if !is_there(&page) && page.has_older => {
                // Its tools said so much that its own message is on an older page.
                let session_id = run.row.session_id.clone();
                self.read_messages(
                    session_id,
                    Some(seq + 1),
                    1,
                    CONTEXT_PAGE,
                    move |gateway, _, older| {
                        let rows = older.map(|mut older| {
                            older.messages.extend(page.messages);
                            older.messages
                        });
                        gateway.on_rows(tag, rows);
                    },
                );
            }
            page => self.on_rows(tag, page.map(|page| page.messages)),
        }
    }

    fn on_rows(&mut self, tag: RunTag, rows: Result<Vec<StoredMessage>, StoreFault>) {
        let Some(run) = self.runs.loading(tag) else {
            return;
        };
        run.phase = RunPhase::Stepping;
        let rows = match rows {
            Ok(rows) => rows,
            Err(fault) => {
                let text = format!("the transcript could not be read: {}", fault.message);
                return self.fail_run(tag.run, &text);
            }
        };
        run.started_at_ms.get_or_insert(self.now.unix_ms);
        let first = run.seq == 0;
        let step = self.step(tag, &rows);
        if first {
            self.send_lifecycle_start(tag.run);
            if let Some(row) = self.runs.by_slot.get(&tag.run).map(|run| run.row.clone()) {
                self.show_typing(&row);
            }
        }
        match step {
            Some(step) => {
                self.counters.steps += 1;
                self.effects.push_back(Effect::Step(Box::new(step)));
            }
            None => self.fail_run(tag.run, "the session is gone"),
        }
    }

    fn step(&mut self, tag: RunTag, rows: &[StoredMessage]) -> Option<Step> {
        let mut seed = [0u8; 8];
        self.entropy.fill(&mut seed);
        let events_told = self.system_events.last();
        self.runs.by_slot.get_mut(&tag.run)?.events_told = events_told;
        let run = self.runs.by_slot.get(&tag.run)?;
        let session = self.state.sessions().get(&run.row.session_key)?.clone();
        let place = Place {
            message_seq: run.message_seq,
            own: &run.own,
            waiting: &self.runs.waiting_messages(&session.key),
        };
        let facts = Arc::new(self.facts(&session));
        let model = self.model_of_run(run, &session);
        let system_prompt = self.system_prompt(run, &session);
        let tools = self.tool_specs(&session.agent_id);
        let tokens_max = self.conversation_tokens(&model, &system_prompt, &tools);
        let mut messages = conversation(rows, &place, tokens_max);
        self.show_pictures(&model, &mut messages);
        let mut step = Step {
            tag,
            endpoint: self.endpoint_of(&model),
            model,
            system_prompt,
            messages,
            tools,
            thinking: run.thinking.unwrap_or_else(|| self.thinking_of(&session)),
            session_key: session.key.clone(),
            facts,
            deadline_mono_ms: run.deadline_mono_ms,
            cancel: run.cancel.clone(),
            seed: u64::from_le_bytes(seed),
        };
        self.compact_first(&mut step, rows, tokens_max);
        Some(step)
    }

    /// A worker's output.
    pub(in crate::gateway) fn on_step(&mut self, output: StepOutput) {
        let slot = output.tag.run;
        if self.runs.tagged(output.tag).is_none() {
            return;
        }
        if let Some(made) = self.compacting(output.tag) {
            return match output.event {
                StepEvent::Started | StepEvent::Delta(_) => {}
                StepEvent::Done { text, usage, .. } => self.on_summary(slot, made, &text, usage),
                StepEvent::Failed { message, .. } => self.go_on_uncompacted(slot, &message),
            };
        }
        match output.event {
            StepEvent::Started => {}
            StepEvent::Delta(delta) => self.on_delta(slot, &delta),
            StepEvent::Done {
                text,
                calls,
                usage,
                stop_reason,
                model,
            } => match calls.is_empty() {
                true => self.finish_run(slot, text, usage, stop_reason, &model),
                false => self.begin_round(slot, &text, calls, usage, &model),
            },
            StepEvent::Failed { kind, message, .. } => {
                if !self.try_fallback(slot, kind, &message) {
                    let way = self.way_back(slot, kind).unwrap_or_default();
                    self.fail_run(slot, &format!("{message}{way}"));
                }
            }
        }
    }

    /// The pool had no place for a step.
    pub(in crate::gateway) fn on_step_refused(&mut self, tag: RunTag, message: &str) {
        if self.runs.tagged(tag).is_some() {
            self.fail_run(tag.run, message);
        }
    }
}
