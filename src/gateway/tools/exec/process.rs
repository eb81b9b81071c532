//! Commands that run on this machine, and the `process` tool that looks after those in the
//! background. A command belongs to the session that started it.

use crate::agent::{Act, Acted, CancelToken, Ended, Order, Printed};
use crate::gateway::Gateway;
use crate::gateway::timers::Timer;
use crate::gateway::tools::{CallTag, Ran, Tool, ToolResult, Use};
use crate::limits::{PROCESSES_MAX, TOOL_DEADLINE_MS};
use crate::log::iso::iso_utc;
use crate::now::Now;
use crate::state::Text;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const PROCESS: Tool = Tool {
    name: "process",
    description: "Commands that exec left running in the background. list: all of this session. \
        poll: what one has printed, and whether it still runs; waitMs waits for its end. kill: \
        ends one.",
    schema: r#"{
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["list", "poll", "kill"]},
            "process": {"type": "string", "description": "poll, kill: its id"},
            "waitMs": {"type": "integer", "minimum": 0, "maximum": 300000}
        },
        "required": ["action"],
        "additionalProperties": false
    }"#,
    acts: |arguments| arguments["action"] == "kill",
    run,
};

/// Commands by ticket: those that run, and the last of those that ended in the background.
#[derive(Default)]
pub struct Processes {
    by_ticket: BTreeMap<u64, Process>,
}

struct Process {
    id: String,
    session_key: Text,
    text: String,
    started_at_ms: u64,
    cancel: CancelToken,
    /// The tool that waits for its end.
    waiting: Option<CallTag>,
    /// Nobody was told of it, so nobody asks for it once it has ended.
    is_foreground: bool,
    printed: Printed,
    ended: Option<Ended>,
}

impl Processes {
    /// Whether one more may run; the oldest that has ended makes room.
    pub(super) fn check_place(&mut self) -> Result<(), String> {
        if self.by_ticket.len() < PROCESSES_MAX {
            return Ok(());
        }
        let ended = self.by_ticket.iter().find(|(_, it)| it.ended.is_some());
        match ended.map(|(ticket, _)| *ticket) {
            Some(ticket) => {
                self.by_ticket.remove(&ticket);
                Ok(())
            }
            None => Err(format!(
                "{PROCESSES_MAX} commands run already; wait for one, or end one with the tool process"
            )),
        }
    }

    /// What a command has printed so far.
    pub fn printed(&mut self, ticket: u64, printed: Printed) {
        if let Some(process) = self.by_ticket.get_mut(&ticket) {
            process.printed = printed;
        }
    }

    fn find(&self, session_key: &str, id: &str) -> Option<u64> {
        let is_it = |it: &Process| it.id == id && *it.session_key == *session_key;
        let mut all = self.by_ticket.iter();
        all.find_map(|(ticket, it)| is_it(it).then_some(*ticket))
    }
}

fn run(gateway: &mut Gateway, _: Now, it: &Use<'_>) -> Result<Ran, String> {
    let action = it.action(&["list", "poll", "kill"])?;
    if action == "list" {
        let all = gateway.processes.by_ticket.values();
        let own = all.filter(|process| process.session_key == *it.session_key);
        let rows: Vec<Value> = own.map(Process::row).collect();
        return Ok(Ran::Done(ToolResult::json(json!({"processes": rows}))));
    }
    let id = it.required("process")?;
    let Some(ticket) = gateway.processes.find(it.session_key, id) else {
        return Err(format!(
            "there is no process {id:?}; the action list shows them"
        ));
    };
    let wait_ms = match action {
        "kill" => TOOL_DEADLINE_MS,
        _ => it.arguments["waitMs"].as_u64().unwrap_or(0),
    };
    let process = &gateway.processes.by_ticket[&ticket];
    if process.ended.is_some() || wait_ms == 0 {
        return Ok(Ran::Done(process.result()));
    }
    if process.waiting.is_some() {
        return Err(format!("another call waits for {id} already"));
    }
    if action == "kill" {
        process.cancel.cancel();
    }
    Ok(gateway.wait_for_process(it.tag, ticket, Some(wait_ms)))
}

impl Gateway {
    /// Executes a command; the tool gets its end, or after `yield_ms` what there is by then.
    pub(super) fn start_process(
        &mut self,
        tag: CallTag,
        order: Order,
        session_key: &Text,
        text: String,
        yield_ms: Option<u64>,
    ) {
        let cancel = CancelToken::new();
        let id = self.random_hex()[..8].to_owned();
        let act = Act::Run(Box::new(order));
        let ticket = self.act(act, &cancel, |gateway, ticket, acted| {
            let ended = match acted {
                Acted::Ended(ended) => ended,
                Acted::Failed(fault) => Ended {
                    error: Some(fault),
                    ..Ended::default()
                },
                _ => return,
            };
            gateway.on_process_ended(ticket, ended);
        });
        let process = Process {
            id,
            session_key: session_key.clone(),
            text,
            started_at_ms: self.now.unix_ms,
            cancel,
            waiting: None,
            is_foreground: yield_ms.is_none(),
            printed: Printed::default(),
            ended: None,
        };
        self.processes.by_ticket.insert(ticket, process);
        if yield_ms == Some(0) {
            let result = self.processes.by_ticket[&ticket].result();
            return self.on_tool_done(tag, result);
        }
        if let Ran::Later(cancel) = self.wait_for_process(tag, ticket, yield_ms) {
            self.wait_for_tool(tag, cancel);
        }
    }

    /// The tool waits for a command's end, at most so long.
    fn wait_for_process(&mut self, tag: CallTag, ticket: u64, wait_ms: Option<u64>) -> Ran {
        if let Some(process) = self.processes.by_ticket.get_mut(&ticket) {
            process.waiting = Some(tag);
        }
        if let Some(wait_ms) = wait_ms {
            let at_ms = self.now.mono_ms.saturating_add(wait_ms);
            self.timers.set(at_ms, Timer::Process(ticket));
        }
        Ran::Later(Box::new(move |gateway| gateway.leave_process(ticket)))
    }

    /// Whoever waited for a command was stopped: what nobody knows of is stopped with it.
    fn leave_process(&mut self, ticket: u64) {
        self.timers.clear(Timer::Process(ticket));
        if let Some(process) = self.processes.by_ticket.get_mut(&ticket) {
            process.waiting = None;
            if process.is_foreground {
                process.cancel.cancel();
            }
        }
    }

    /// A tool has waited long enough for a command, which goes on.
    pub(in crate::gateway) fn on_process_wait_over(&mut self, ticket: u64) {
        let Some(process) = self.processes.by_ticket.get_mut(&ticket) else {
            return;
        };
        if let Some(tag) = process.waiting.take() {
            let result = process.result();
            self.on_tool_done(tag, result);
        }
    }

    fn on_process_ended(&mut self, ticket: u64, ended: Ended) {
        self.timers.clear(Timer::Process(ticket));
        let Some(process) = self.processes.by_ticket.get_mut(&ticket) else {
            return;
        };
        process.printed = ended.printed.clone();
        process.ended = Some(ended);
        let (waiting, result) = (process.waiting.take(), process.result());
        let told = format!(
            "The command {:?} in the background has ended (process {}).",
            process.text, process.id
        );
        if process.is_foreground {
            self.processes.by_ticket.remove(&ticket);
        }
        match waiting {
            Some(tag) => self.on_tool_done(tag, result),
            None if self.processes.by_ticket.contains_key(&ticket) => {
                self.queue_system_event(&told);
            }
            None => {}
        }
    }
}

impl Process {
    fn row(&self) -> Value {
        json!({
            "process": self.id,
            "command": self.text,
            "started": iso_utc(self.started_at_ms),
            "running": self.ended.is_none(),
        })
    }

    fn result(&self) -> ToolResult {
        let mut shown = json!({});
        match &self.ended {
            None => {
                shown["process"] = self.id.as_str().into();
                shown["running"] = true.into();
            }
            Some(ended) => {
                if let Some(code) = ended.exit_code {
                    shown["exitCode"] = code.into();
                }
                for (name, value) in [("timedOut", ended.timed_out), ("killed", ended.stopped)] {
                    if value {
                        shown[name] = true.into();
                    }
                }
                if let Some(error) = &ended.error {
                    shown["error"] = error.as_str().into();
                }
            }
        }
        for (name, text) in [
            ("stdout", &self.printed.stdout),
            ("stderr", &self.printed.stderr),
        ] {
            if !text.is_empty() {
                shown[name] = text.as_str().into();
            }
        }
        ToolResult::json(shown)
    }
}
