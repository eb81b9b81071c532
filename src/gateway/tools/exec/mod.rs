//! The `exec` tool: a command on the gateway's own machine, where its approvals file or a person
//! allows it. Nothing stored means that nothing runs.
//!
//! ```text
//! arguments ──> find (folder, programs) ──> policy ──> person ──> process ──> result
//!                                             └── deny ─────┴── deny: an error for the model
//! ```

mod process;

pub use process::{PROCESS, Processes};

use super::{CallTag, Ran, Tool, ToolResult, Use};
use crate::agent::{Act, Acted, CancelToken, Find, Found, Order};
use crate::approvals::{Binding, Command, Policy, Reason, Verdict, env_hash};
use crate::gateway::Gateway;
use crate::gateway::approvals::{ApprovalRequest, Decision, LOCK};
use crate::limits::{
    TOOL_APPROVAL_MS, TOOL_BACKGROUND_MS, TOOL_COMMAND_GRACE_MS, TOOL_COMMAND_MS,
    TOOL_COMMAND_MS_MAX, TOOL_DEADLINE_MS,
};
use crate::now::Now;
use crate::state::Text;
use serde_json::Value;
use std::collections::BTreeMap;

pub const TOOL: Tool = Tool {
    name: "exec",
    description: "Runs a command on the gateway's own machine, in your workspace unless cwd says \
        otherwise. Its owner decides what may run, so a call can wait for a person or be refused. \
        Give command for words, or shell for a line with pipes. A long one: background true, then \
        look after it with the tool process.",
    schema: r#"{
        "type": "object",
        "properties": {
            "command": {"type": "array", "items": {"type": "string"}, "description": "program and arguments; no shell reads them"},
            "shell": {"type": "string", "description": "instead of command: a line for sh"},
            "cwd": {"type": "string"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "timeoutMs": {"type": "integer", "minimum": 1, "description": "when it is killed; 60000, or 1800000 in the background"},
            "background": {"type": "boolean", "description": "answer at once while it runs on"},
            "yieldMs": {"type": "integer", "minimum": 0, "description": "answer after so long while it runs on"}
        },
        "additionalProperties": false
    }"#,
    acts: |_| true,
    run,
};

/// What the owner does about a gateway that runs nothing.
const MEND: &str = "clawdia approvals allowlist add PROGRAM";

/// The shape of a call.
const EXAMPLE: &str =
    "write {\"command\": [\"ls\", \"-l\"]}, or {\"shell\": \"ls -l | wc -l\"} for a line of sh";
const WORDS: &str = "the argument \"command\" is a list of texts, such as [\"ls\", \"-l\"]; a line of sh \
    is the argument \"shell\"";

/// A command on its way to being executed.
struct Wanted {
    tag: CallTag,
    command: Command,
    cwd: Option<String>,
    env: BTreeMap<String, String>,
    timeout_ms: u64,
    /// When the model is answered though it still runs.
    yield_ms: Option<u64>,
    session_key: Text,
    agent_id: String,
}

fn run(gateway: &mut Gateway, _: Now, it: &Use<'_>) -> Result<Ran, String> {
    let wanted = wanted(gateway, it)?;
    gateway.processes.check_place()?;
    let find = Find {
        workspace: gateway.workspace_of(&wanted.agent_id),
        cwd: wanted.cwd.clone(),
        env: wanted.env.clone(),
        programs: wanted.command.names(),
    };
    let cancel = CancelToken::new();
    gateway.act(
        Act::Find(find),
        &cancel,
        move |gateway, _, acted| match acted {
            Acted::Found(found) => gateway.judge_command(wanted, found),
            Acted::Failed(fault) => gateway.on_tool_done(wanted.tag, ToolResult::error(fault)),
            _ => {}
        },
    );
    Ok(Ran::Later(Box::new(move |_| cancel.cancel())))
}

fn wanted(gateway: &Gateway, it: &Use<'_>) -> Result<Wanted, String> {
    let words = it.arguments["command"].as_array();
    let command = match (words, it.text("shell")) {
        (Some(words), None) => {
            let words = words.iter().map(|word| word.as_str().map(str::to_owned));
            let words: Option<Vec<String>> = words.collect();
            Command::new(words.ok_or(WORDS)?, None)
        }
        (None, Some(line)) => Command::of_shell(line),
        (Some(_), Some(_)) => return Err("give command or shell, not both".into()),
        (None, None) if !it.arguments["command"].is_null() => return Err(WORDS.into()),
        (None, None) => return Err(format!("the argument \"command\" is missing: {EXAMPLE}")),
    };
    let env = match &it.arguments["env"] {
        Value::Null => BTreeMap::new(),
        env => serde_json::from_value(env.clone())
            .map_err(|_| "the argument \"env\" has to be an object of texts")?,
    };
    let yield_ms = match it.arguments["background"] == true {
        true => Some(0),
        false => it.arguments["yieldMs"].as_u64(),
    };
    let (usual_ms, max_ms) = match yield_ms {
        Some(_) => (TOOL_BACKGROUND_MS, TOOL_COMMAND_MS_MAX),
        // A tool that has to wait for its command has no more time than any other one.
        None => (TOOL_COMMAND_MS, TOOL_DEADLINE_MS - TOOL_COMMAND_GRACE_MS),
    };
    let timeout_ms = it.arguments["timeoutMs"].as_u64().unwrap_or(usual_ms);
    Ok(Wanted {
        tag: it.tag,
        command: command.map_err(|fault| fault.to_string())?,
        cwd: it.text("cwd").map(str::to_owned),
        env,
        timeout_ms: timeout_ms.clamp(1, max_ms),
        yield_ms,
        session_key: it.session_key.clone(),
        agent_id: gateway.agent_of_session(it.session_key).to_owned(),
    })
}

impl Gateway {
    /// Holds a command against the gateway's own approvals file.
    fn judge_command(&mut self, wanted: Wanted, found: Found) {
        let tag = wanted.tag;
        if !self.is_tool_open(tag) {
            return;
        }
        let snapshot = match self.approvals_snapshot() {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                let text = format!("nothing may run here: the approvals cannot be used: {fault}");
                return self.on_tool_done(tag, ToolResult::error(text));
            }
        };
        let policy = snapshot
            .file
            .policy(&wanted.agent_id, found.home.as_deref())
            .with_links(found.links.clone());
        let find = |name: &str| found.programs.get(name).cloned();
        let fault = match policy.evaluate(&wanted.command, find) {
            Verdict::Allow(_) => return self.start_command(wanted, &found),
            Verdict::Ask(reason) => return self.ask_for_command(wanted, found, policy, reason),
            Verdict::Deny(Reason::Security) => format!(
                "this gateway runs no commands: security is deny in its approvals. Its owner can \
                 change that: {MEND}"
            ),
            Verdict::Deny(_) => format!(
                "the approvals of this gateway do not allow {} ({}). Its owner can change that: {MEND}",
                wanted.command.text(),
                find(&wanted.command.argv()[0]).unwrap_or_else(|| "not found".to_owned()),
            ),
        };
        self.on_tool_done(tag, ToolResult::error(fault));
    }

    fn ask_for_command(&mut self, wanted: Wanted, found: Found, policy: Policy, reason: Reason) {
        let tag = wanted.tag;
        let request = ApprovalRequest {
            id: None,
            binding: Binding {
                argv: wanted.command.argv().to_vec(),
                text: wanted.command.text(),
                cwd: Some(found.folder.clone()),
                env_hash: env_hash(pairs(&wanted.env)),
                agent_id: Some(wanted.agent_id.clone()),
                session_key: Some(wanted.session_key.to_string()),
                node_id: None,
            },
            host: Some("gateway".into()),
            security: Some(policy.security.as_str().into()),
            ask: Some(reason.as_str().into()),
            resolved_path: found
                .programs
                .get(&wanted.command.argv()[0])
                .map(|it| it.as_str().into()),
            env_keys: wanted.env.keys().map(|name| name.as_str().into()).collect(),
            timeout_ms: TOOL_APPROVAL_MS,
            conn: None,
        };
        let asked = self.request_approval(request, move |gateway, _, decision, _| {
            if gateway.is_tool_open(tag) {
                gateway.on_command_decided(wanted, found, &policy, decision);
            }
        });
        match asked {
            Ok(asked) => {
                let cancel = move |gateway: &mut Gateway| {
                    gateway.decide_approval(&asked.id, None, None);
                };
                self.wait_for_tool(tag, Box::new(cancel));
            }
            Err(refusal) => {
                let text = format!("no approval can be asked for: {}", refusal.message);
                self.on_tool_done(tag, ToolResult::error(text));
            }
        }
    }

    fn on_command_decided(
        &mut self,
        wanted: Wanted,
        found: Found,
        policy: &Policy,
        decision: Option<Decision>,
    ) {
        let find = |name: &str| found.programs.get(name).cloned();
        let fault = match decision {
            Some(Decision::AllowOnce) => return self.start_command(wanted, &found),
            Some(Decision::AllowAlways) => {
                let paths = policy.to_allow(&wanted.command, find);
                return self.allow_always(wanted, found, paths);
            }
            None if policy.without_answer(&wanted.command, find) => {
                return self.start_command(wanted, &found);
            }
            Some(Decision::Deny) => "an operator said no to this command".to_owned(),
            None => format!(
                "nobody approved the command in time, so it was not run. Approve the next one with \
                 clawdia approvals, or allow its program for good: {MEND}"
            ),
        };
        self.on_tool_done(wanted.tag, ToolResult::error(fault));
    }

    /// A person's "always" is stored before the command runs.
    fn allow_always(&mut self, wanted: Wanted, found: Found, paths: Vec<String>) {
        if paths.is_empty() {
            return self.start_command(wanted, &found);
        }
        if self.commits.is_reserved(&LOCK) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.allow_always(wanted, found, paths);
            }));
        }
        let tag = wanted.tag;
        let snapshot = match self.approvals_snapshot() {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                let text = format!("the approvals cannot be used: {fault}");
                return self.on_tool_done(tag, ToolResult::error(text));
            }
        };
        let mut file = snapshot.file.clone();
        for path in &paths {
            let id = self.uuid();
            file.allow_always(&wanted.agent_id, path, id, self.now.unix_ms);
        }
        self.store_approvals(&snapshot, file, move |gateway, _, stored| match stored {
            Ok(_) => gateway.start_command(wanted, &found),
            Err(fault) => {
                let text = format!("the approval could not be stored: {fault}");
                gateway.on_tool_done(tag, ToolResult::error(text));
            }
        });
    }

    fn start_command(&mut self, wanted: Wanted, found: &Found) {
        let tag = wanted.tag;
        if !self.is_tool_open(tag) {
            return;
        }
        let name = &wanted.command.argv()[0];
        let Some(program) = found.programs.get(name) else {
            let text = format!("{name}: there is no such program on this machine");
            return self.on_tool_done(tag, ToolResult::error(text));
        };
        let order = Order {
            program: program.clone(),
            argv: wanted.command.argv().to_vec(),
            folder: found.folder.clone(),
            env: wanted.env.clone(),
            timeout_ms: wanted.timeout_ms,
        };
        if let Err(fault) = self.processes.check_place() {
            return self.on_tool_done(tag, ToolResult::error(fault));
        }
        self.start_process(
            tag,
            order,
            &wanted.session_key,
            wanted.command.text(),
            wanted.yield_ms,
        );
    }
}

fn pairs(env: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    env.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests;
