//! A step that asks for tools: they are executed while the run holds no worker, several at once,
//! and the next step reads their results.
//!
//! ```text
//! Done with calls ──> tooling ────────────────────────────────> waiting ──> the next step
//!                     acts:  commit calls, open_step_has_side_effect ──> tools ──> commit results
//!                     reads: tools ──> commit calls and results
//! ```
//!
//! So a crash finds either no trace of a round, which is made again, or a round that may have
//! acted, which never is (see `resume`).

use super::accept::{Kept, append};
use super::{LiveRun, RunPhase};
use crate::agent::{ModelRef, ToolCall, Usage};
use crate::gateway::commit::Key;
use crate::gateway::timers::Timer;
use crate::gateway::tools::{CallTag, Cancel, Known, Ran, ToolResult, Use};
use crate::gateway::{Gateway, transcript};
use crate::limits::{STEP_CALLS_MAX, TOOL_DEADLINE_MS, TOOL_ROUNDS_MAX};
use crate::state::{Message, Record, Run, Session, Text};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The tools of one step.
pub struct Round {
    /// The assistant's message that asks for them, until it is stored.
    message: Option<Message>,
    usage: Usage,
    uses: Vec<ToolUse>,
}

struct ToolUse {
    call: ToolCall,
    /// An object; empty where the model wrote nonsense.
    arguments: Value,
    /// Why it is not even tried.
    fault: Option<String>,
    cancel: Option<Cancel>,
    result: Option<ToolResult>,
}

impl Round {
    fn acts(&self, tool_of: impl Fn(&str) -> Option<Known>) -> bool {
        self.uses.iter().any(|it| {
            let tool = tool_of(&it.call.name);
            it.fault.is_none() && tool.is_some_and(|tool| tool.acts(&it.arguments))
        })
    }

    /// What stops the tools that are at work.
    pub(super) fn cancels(self) -> impl Iterator<Item = Cancel> {
        let open = self.uses.into_iter().filter(|it| it.result.is_none());
        open.filter_map(|it| it.cancel)
    }
}

impl ToolUse {
    fn new(call: ToolCall, is_too_many: bool) -> Self {
        let arguments = match call.arguments.trim() {
            "" => Ok(Value::Object(Map::new())),
            text => serde_json::from_str::<Value>(text).map_err(|fault| fault.to_string()),
        };
        let (arguments, fault) = match arguments {
            Ok(Value::Object(members)) => (members, None),
            Ok(_) => (Map::new(), Some("not an object".to_owned())),
            Err(fault) => (Map::new(), Some(fault)),
        };
        let fault = fault.map(|fault| format!("the arguments are no JSON object: {fault}"));
        let too_many = || format!("not done: at most {STEP_CALLS_MAX} tools run at once");
        Self {
            call,
            arguments: Value::Object(arguments),
            fault: fault.or_else(|| is_too_many.then(too_many)),
            cancel: None,
            result: None,
        }
    }
}

impl Gateway {
    /// A step ended by asking for tools.
    pub(super) fn begin_round(
        &mut self,
        slot: u64,
        text: &str,
        calls: Vec<ToolCall>,
        usage: Usage,
        model: &ModelRef,
    ) {
        let Some(run) = self.runs.by_slot.get(&slot) else {
            return;
        };
        if run.rounds >= TOOL_ROUNDS_MAX {
            let text = format!("the agent asked for tools {TOOL_ROUNDS_MAX} times without an end");
            return self.fail_run(slot, &text);
        }
        let calls = calls.into_iter().enumerate();
        let uses: Vec<ToolUse> = calls
            .map(|(at, call)| ToolUse::new(call, at >= STEP_CALLS_MAX))
            .collect();
        let asked = uses.iter().map(|it| (&it.call, &it.arguments));
        let message = self.calls_message(text, asked, model, usage, self.now.unix_ms);
        let round = Round {
            message: Some(message),
            usage,
            uses,
        };
        let agent = self.agent_of_session(&run.row.session_key);
        let acts = round.acts(|name| self.tool_of(agent, name));
        let tag = self.runs.enter_round(slot, round);
        match tag {
            Some(tag) if acts => self.store_round(tag, true),
            Some(tag) => self.start_tools(tag),
            None => {}
        }
        self.start_runs();
    }

    fn start_tools(&mut self, tag: CallTag) {
        let len = self.runs.uses_of(tag).map_or(0, <[ToolUse]>::len);
        for index in 0..len {
            self.start_tool(CallTag { index, ..tag });
        }
    }

    fn start_tool(&mut self, tag: CallTag) {
        let now = self.now;
        let Some(run) = self.runs.in_round(tag) else {
            return;
        };
        let deadline_ms = run
            .deadline_mono_ms
            .min(now.mono_ms.saturating_add(TOOL_DEADLINE_MS));
        let (session_key, origin) = (run.row.session_key.clone(), run.origin);
        let Some(it) = self.runs.use_of(tag) else {
            return;
        };
        let (call, arguments) = (it.call.clone(), it.arguments.clone());
        let fault = it.fault.take();
        self.send_tool_start(tag.run, &call, &arguments);
        let agent = self.agent_of_session(&session_key).to_owned();
        let tool = self.tool_of(&agent, &call.name);
        let ran = match (fault, tool) {
            (Some(fault), _) => Ran::Done(ToolResult::error(fault)),
            (None, Some(tool)) => {
                let it = Use {
                    tag,
                    arguments: &arguments,
                    session_key: &session_key,
                    origin,
                };
                let ran = self.use_tool(&tool, &it);
                ran.unwrap_or_else(|fault| Ran::Done(ToolResult::error(fault)))
            }
            (None, None) => Ran::Done(self.unknown_tool(&agent, &call.name)),
        };
        match ran {
            Ran::Done(result) => self.on_tool_done(tag, result),
            Ran::Later(cancel) => {
                if self.wait_for_tool(tag, cancel) {
                    self.timers.set(deadline_ms, Timer::Tool(tag));
                }
            }
        }
    }

    fn unknown_tool(&self, agent: &str, name: &str) -> ToolResult {
        let tools: Vec<Known> = self.tools_of(agent).collect();
        let names: Vec<&str> = tools.iter().map(Known::name).collect();
        ToolResult::error(format!(
            "there is no tool {name:?}; there are: {}",
            names.join(", ")
        ))
    }

    /// What stops a tool that is at work, from now on; whether it still is.
    pub(in crate::gateway) fn wait_for_tool(&mut self, tag: CallTag, cancel: Cancel) -> bool {
        match self.runs.use_of(tag) {
            Some(it) if it.result.is_none() => it.cancel = Some(cancel),
            Some(_) => return false,
            None => return self.invokes.put_cancel(tag, cancel).is_none(),
        }
        true
    }

    /// Whether somebody still waits for a tool's result.
    pub(in crate::gateway) fn is_tool_open(&mut self, tag: CallTag) -> bool {
        match self.runs.use_of(tag) {
            Some(it) => it.result.is_none(),
            None => self.invokes.is_open(tag),
        }
    }

    /// Takes out what stops a tool that is at work.
    pub(in crate::gateway) fn take_cancel(&mut self, tag: CallTag) -> Option<Cancel> {
        match self.runs.use_of(tag) {
            Some(it) => it.cancel.take(),
            None => self.invokes.take_cancel(tag),
        }
    }

    /// A tool has its result. One that comes too late is dropped.
    pub(in crate::gateway) fn on_tool_done(&mut self, tag: CallTag, result: ToolResult) {
        let result = result.cut();
        if self.answer_invoke(tag, &result) {
            return;
        }
        let Some(it) = self.runs.use_of(tag).filter(|it| it.result.is_none()) else {
            return;
        };
        it.cancel = None;
        it.result = Some(result.clone());
        let call = it.call.clone();
        self.timers.clear(Timer::Tool(tag));
        self.send_tool_result(tag.run, &call, &result);
        let uses = self.runs.uses_of(tag).unwrap_or_default();
        if uses.iter().all(|it| it.result.is_some()) {
            self.store_round(tag, false);
        }
    }

    /// Writes what of a round is not stored: the message that asks for the tools and, unless
    /// they are still to act, their results.
    fn store_round(&mut self, tag: CallTag, will_act: bool) {
        let Some(run) = self.runs.in_round(tag) else {
            return;
        };
        let key = Key::Session(run.row.session_key.as_ref().into());
        if self.commits.is_reserved(&key) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.store_round(tag, will_act);
            }));
        }
        let run = &self.runs.by_slot[&tag.run];
        let Some(session) = self
            .session(&run.row.session_key)
            .filter(|session| session.session_id == run.row.session_id)
        else {
            return self.fail_run(tag.run, "the session is gone");
        };
        let Some(round) = &run.round else {
            return;
        };
        let mut messages: Vec<Message> = round.message.iter().cloned().collect();
        let mut session = Session::clone(session);
        if round.message.is_some() {
            session = self.session_after(&session, Some(round.usage));
        }
        if !will_act {
            let answered = round.uses.iter().filter_map(|it| {
                let result = it.result.as_ref()?;
                Some(transcript::result_message(
                    &it.call,
                    result,
                    self.now.unix_ms,
                ))
            });
            messages.extend(answered);
        }
        let first = self.state.transcript(&session.session_id).last_seq + 1;
        let own = own_after(run, first, messages.len());
        let row = Arc::new(open_row(run, will_act, &own));
        let mut records: Vec<Record> = messages
            .into_iter()
            .map(|message| append(&session, message))
            .collect();
        records.push(Record::RunPut(row.clone()));
        records.push(Record::SessionPut(Arc::new(session)));
        self.commit(vec![key], records, move |gateway, _, result| {
            gateway.on_round_stored(tag, row, own, result);
        });
    }

    fn on_round_stored(
        &mut self,
        tag: CallTag,
        row: Arc<Run>,
        own: Vec<(u64, u64)>,
        result: Result<(), String>,
    ) {
        let Some(run) = self.runs.in_round(tag) else {
            return;
        };
        if let Err(fault) = result {
            let text = format!("the work of the agent's tools could not be stored: {fault}");
            return self.fail_run(tag.run, &text);
        }
        let will_act = row.open_step_has_side_effect;
        run.row = row;
        run.own = own;
        if let (true, Some(round)) = (will_act, &mut run.round) {
            round.message = None;
            return self.start_tools(tag);
        }
        self.runs.leave_round(tag.run);
        self.start_runs();
    }
}

impl super::Runs {
    /// A worker is done with the run; its tools are next. Names the round.
    fn enter_round(&mut self, slot: u64, round: Round) -> Option<CallTag> {
        let run = self.by_slot.get_mut(&slot)?;
        run.phase = RunPhase::Tooling;
        run.generation += 1;
        run.rounds += 1;
        run.used = run.used.plus(round.usage);
        run.text.clear();
        run.round = Some(Box::new(round));
        self.at_work -= 1;
        Some(CallTag {
            run: slot,
            generation: run.generation,
            index: 0,
        })
    }

    /// The tools are done; the run waits for its next step behind the others.
    fn leave_round(&mut self, slot: u64) {
        if let Some(run) = self.by_slot.get_mut(&slot) {
            run.phase = RunPhase::Waiting;
            run.round = None;
            self.ready.push_back(slot);
        }
    }

    /// The run, if this round is the one that it is in.
    fn in_round(&mut self, tag: CallTag) -> Option<&mut LiveRun> {
        let run = self.by_slot.get_mut(&tag.run)?;
        let is_it = run.generation == tag.generation && run.phase == RunPhase::Tooling;
        is_it.then_some(run)
    }

    fn uses_of(&mut self, tag: CallTag) -> Option<&[ToolUse]> {
        let run = self.in_round(tag)?;
        run.round.as_ref().map(|round| &*round.uses)
    }

    fn use_of(&mut self, tag: CallTag) -> Option<&mut ToolUse> {
        let run = self.in_round(tag)?;
        run.round.as_mut()?.uses.get_mut(tag.index)
    }
}

/// The numbers of the run's own messages once `len` more are stored.
fn own_after(run: &LiveRun, first: u64, len: usize) -> Vec<(u64, u64)> {
    let mut own = run.own.clone();
    let last = first + (len as u64).saturating_sub(1);
    match own.last_mut() {
        _ if len == 0 => {}
        Some(former) if former.1 + 1 == first => former.1 = last,
        _ => own.push((first, last)),
    }
    own
}

/// The run's row as a restart has to find it.
pub(super) fn open_row(run: &LiveRun, will_act: bool, own: &[(u64, u64)]) -> Run {
    let mut row = Run::clone(&run.row);
    row.open_step_has_side_effect = will_act;
    let kept = row
        .options
        .as_deref()
        .and_then(|json| serde_json::from_str::<Kept>(json).ok());
    if let Some(mut kept) = kept {
        kept.own = own.to_vec();
        kept.rounds = run.rounds;
        row.options = serde_json::to_string(&kept).ok().map(Text::from);
    }
    row
}

#[cfg(test)]
mod tests;
