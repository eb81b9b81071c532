//! A run ends: its answer is stored, then everybody who waits is told, then the next begins.

use super::accept::append;
use super::events::Last;
use super::{LiveRun, Over, RunPhase};
use crate::agent::{ModelRef, StopReason, Usage};
use crate::gateway::commit::Key;
use crate::gateway::timers::Timer;
use crate::gateway::{Code, Gateway, Refusal};
use crate::limits::{IDEMPOTENCY_TTL_MS, UNSAVED_RETRY_MS};
use crate::state::{Idempotency, IdempotencyState, Message, Record, Run, RunState, Session, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// How a run ended.
struct End {
    state: RunState,
    text: String,
    /// Of all its steps.
    usage: Usage,
    error: Option<String>,
    /// The second answer of `agent`, and what a repeat of the key gets.
    response: Text,
}

impl Gateway {
    /// The run has its answer.
    pub(super) fn finish_run(
        &mut self,
        slot: u64,
        text: String,
        usage: Usage,
        stop: StopReason,
        model: &ModelRef,
    ) {
        let Some(run) = self.runs.by_slot.get(&slot) else {
            return;
        };
        let message = self.assistant_message(&text, model, usage, stop, self.now.unix_ms);
        let response = self.final_payload(run, &text, &run.used.plus(usage), model);
        let end = End {
            state: RunState::Ok,
            text,
            usage: run.used.plus(usage),
            error: None,
            response,
        };
        self.end_run(slot, end, message, Some(usage));
    }

    /// The run has no answer; clients and transcript are told why.
    pub(in crate::gateway) fn fail_run(&mut self, slot: u64, error: &str) {
        let Some(run) = self.runs.by_slot.get(&slot) else {
            return;
        };
        let mut response = Vec::new();
        Writer::new(&mut response).object(|w| {
            w.field_str("runId", &run.row.run_id);
            w.field_str("status", "error");
            w.field_str("summary", error);
        });
        let end = End {
            state: RunState::Error,
            text: String::new(),
            usage: run.used,
            error: Some(error.to_owned()),
            response: String::from_utf8_lossy(&response).into(),
        };
        let message = self.failed_message(error, &self.default_model(), self.now.unix_ms);
        self.end_run(slot, end, message, None);
    }

    fn end_run(&mut self, slot: u64, end: End, message: Message, used: Option<Usage>) {
        let Some(run) = self.runs.by_slot.get_mut(&slot) else {
            return;
        };
        let round = run.round.take();
        if run.phase != RunPhase::Ending {
            if matches!(run.phase, RunPhase::Loading | RunPhase::Stepping) {
                self.runs.at_work -= 1;
            }
            run.phase = RunPhase::Ending;
            run.generation += 1;
        }
        for cancel in round.into_iter().flat_map(|round| round.cancels()) {
            cancel(self);
        }
        let Some(run) = self.runs.by_slot.get(&slot) else {
            return;
        };
        let keys = run_keys(&run.row, run.origin.method());
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.end_run(slot, end, message, used);
            }));
        }
        let run = &self.runs.by_slot[&slot];
        let row = self.ended_row(run, &end);
        let mut records = vec![Record::RunPut(row.clone())];
        if let Some(session) = self.state.sessions().get(&row.session_key)
            && session.session_id == row.session_id
        {
            let session = self.session_after(session, used);
            records.push(append(&session, message));
            records.push(Record::SessionPut(Arc::new(session)));
        }
        records.extend(self.key_done(run, &end.response));
        let said = end.error.as_deref().map(failed_words);
        records.extend(self.delivery_records(&row, said.as_deref().unwrap_or(&end.text)));
        self.commit(keys, records, move |gateway, _, result| {
            gateway.on_run_ended(slot, row, &end, result);
        });
    }

    fn ended_row(&self, run: &LiveRun, end: &End) -> Arc<Run> {
        let mut row = Run::clone(&run.row);
        row.state = end.state;
        row.started_at_ms = run.started_at_ms;
        row.ended_at_ms = Some(self.now.unix_ms);
        row.error = end.error.as_deref().map(Text::from);
        Arc::new(row)
    }

    pub(super) fn session_after(&self, session: &Session, used: Option<Usage>) -> Session {
        let mut session = session.clone();
        session.updated_at_ms = self.now.unix_ms;
        session.aborted_last_run = false;
        if let Some(usage) = used {
            session.input_tokens += usage.input;
            session.output_tokens += usage.output;
            session.total_tokens = usage.total();
            session.context_tokens = self.default_context_tokens();
        }
        session
    }

    /// The run's idempotency key, with what a repeat is answered from now on.
    pub(super) fn key_done(&self, run: &LiveRun, response: &Text) -> Option<Record> {
        let method = run.origin.method()?;
        let entry = self.state.idempotency().get(method, &run.row.run_id)?;
        Some(Record::IdempotencyPut(Arc::new(Idempotency {
            state: IdempotencyState::Done,
            response: response.clone(),
            expires_at_ms: self.now.unix_ms + IDEMPOTENCY_TTL_MS,
            ..Idempotency::clone(entry)
        })))
    }

    fn on_run_ended(&mut self, slot: u64, row: Arc<Run>, end: &End, stored: Result<(), String>) {
        let lost;
        let mut row = row;
        let (text, error) = match (&stored, &end.error) {
            (Ok(()), error) => (end.text.as_str(), error.as_deref()),
            (Err(fault), _) => {
                // The answer is not in the transcript, so nobody may believe that it is.
                lost = format!("the answer could not be stored: {fault}");
                let mut unsaved = Run::clone(&row);
                unsaved.state = RunState::Error;
                unsaved.error = Some(lost.as_str().into());
                row = Arc::new(unsaved);
                self.keep_unsaved(row.clone());
                ("", Some(lost.as_str()))
            }
        };
        self.send_lifecycle_end(slot, error);
        let Some(mut run) = self.runs.remove(slot) else {
            return;
        };
        self.close_draft(slot, &row.run_id);
        self.send_chat_last(&run, &error.map_or(Last::Final(text), Last::Error));
        if let Some(call) = run.call.take() {
            match error {
                None => {
                    let json = end.response.clone();
                    self.reply_kept(&call, |_, w| w.raw(json.as_bytes()));
                }
                Some(error) => {
                    let refusal = Refusal::new(Code::Unavailable, error.to_owned());
                    self.refuse_kept_with(&call, Some(end.response.as_bytes()), &refusal);
                }
            }
        }
        if stored.is_ok() {
            self.forget_system_events(&run.row.session_key, run.events_told);
        }
        self.tell_starter(&Over {
            run: &run,
            row: &row,
            text,
            error,
            usage: end.usage,
        });
        self.on_run_known(&row);
        self.touch_health();
        self.offer_outgoing();
        self.start_runs();
        self.drain();
    }

    /// An end that the store did not take is tried again, so that a restart repeats nothing.
    pub(super) fn keep_unsaved(&mut self, row: Arc<Run>) {
        self.runs.unsaved.push(row);
        self.set_timer(UNSAVED_RETRY_MS, Timer::Unsaved);
    }

    /// Tries to store ends that the store did not take.
    pub(in crate::gateway) fn retry_unsaved(&mut self) {
        let rows = std::mem::take(&mut self.runs.unsaved);
        for row in rows {
            let keys = run_keys(&row, None);
            if keys.iter().any(|key| self.commits.is_reserved(key)) {
                self.keep_unsaved(row);
                continue;
            }
            let mut records = vec![Record::RunPut(row.clone())];
            if matches!(row.state, RunState::Error | RunState::Interrupted) {
                let said = failed_words(row.error.as_deref().unwrap_or(""));
                records.extend(self.delivery_records(&row, &said));
            }
            self.commit(keys, records, move |gateway, _, result| match result {
                Ok(()) => gateway.offer_outgoing(),
                Err(_) => gateway.keep_unsaved(row),
            });
        }
    }

    /// `{runId, status:"ok", summary, result}`, the second answer of `agent`.
    fn final_payload(&self, run: &LiveRun, text: &str, usage: &Usage, model: &ModelRef) -> Text {
        let mut out = Vec::new();
        Writer::new(&mut out).object(|w| {
            w.field_str("runId", &run.row.run_id);
            w.field_str("status", "ok");
            if run.origin == super::Origin::Chat {
                return;
            }
            write_result(w, text, |w| {
                let since = run.started_at_ms.unwrap_or(run.row.accepted_at_ms);
                w.field_u64("durationMs", self.now.unix_ms.saturating_sub(since));
                w.key("agentMeta");
                w.object(|w| {
                    w.field_str("sessionId", &run.row.session_id);
                    w.field_str("provider", model.provider());
                    w.field_str("model", model.model());
                    w.key("usage");
                    w.object(|w| {
                        w.field_u64("input", usage.input);
                        w.field_u64("output", usage.output);
                        w.field_u64("cacheRead", usage.cache_read);
                        w.field_u64("cacheWrite", usage.cache_write);
                        w.field_u64("total", usage.total());
                    });
                });
                w.field_bool("aborted", false);
            });
        });
        String::from_utf8_lossy(&out).into()
    }
}

/// `summary` and `result` of an answer to `agent`; `meta` writes what is told beside the text.
pub(in crate::gateway) fn write_result(
    w: &mut Writer<'_>,
    text: &str,
    meta: impl FnOnce(&mut Writer<'_>),
) {
    w.field_str("summary", "completed");
    w.key("result");
    w.object(|w| {
        w.key("payloads");
        w.array(|w| {
            w.object(|w| {
                w.field_str("text", text);
                w.key("mediaUrl");
                w.null();
            });
        });
        w.key("meta");
        w.object(meta);
    });
}

/// What a channel is told in the place of an answer.
pub(super) fn failed_words(error: &str) -> String {
    format!("There is no answer: {error}")
}

/// The things that a run's end changes.
pub(super) fn run_keys(row: &Run, method: Option<&'static str>) -> Vec<Key> {
    let mut keys = vec![Key::Session(row.session_key.as_ref().into())];
    keys.extend(method.map(|method| Key::Idempotency(method, row.run_id.as_ref().into())));
    keys
}
