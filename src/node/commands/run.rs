//! `system.run`: a command on this machine, where the approvals file or a person allows it.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::approvals::new_id;
use super::{Context, PROGRESS, Tell};
use crate::approvals::{Command, Policy, Reason, Use, Verdict};
use crate::client::random;
use crate::host::environment::{Environment, linked_folders};
use crate::host::output::{self, Tail, last_chars};
use crate::host::process::{self, Ended, Task};
use crate::limits::{
    NODE_EVENT_OUTPUT_CHARS_MAX, NODE_PROGRESS_BYTES_MAX, NODE_RESULT_BYTES_MAX,
    NODE_USE_NOTED_EVERY_MS,
};
use crate::node::flow::Flow;
use crate::node::invoke::{Fault, milliseconds};

/// Whose policy holds where a caller names no agent.
const AGENT: &str = "main";

/// Runs a command until its end, the deadline or a stop.
pub fn run(
    context: &Context,
    params: &Value,
    deadline: Option<Instant>,
    is_shown: bool,
    tell: Tell<'_>,
) -> Result<Value, Fault> {
    let request = Request::read(context, params)?;
    let program = request.allowed(context, params, tell)?;
    if params["needsScreenRecording"] == true {
        tell(
            "exec.denied",
            request.event(json!({"reason": "permission:screenRecording"})),
        );
        return Err(Fault::unavailable("PERMISSION_MISSING: screenRecording"));
    }
    tell("exec.started", request.event(json!({})));
    let own = milliseconds(&params["timeoutMs"]).map(Duration::from_millis);
    let own = own.and_then(|span| Instant::now().checked_add(span));
    let ended = match &program {
        Some(program) => {
            let task = Task {
                program,
                argv: request.command.argv(),
                cwd: Some(&request.cwd),
                environment: &request.environment,
                deadline: [own, deadline].into_iter().flatten().min(),
                stop: context.stop.as_fd(),
            };
            match is_shown {
                true => run_shown(&task, &context.flow, tell),
                false => process::run(&task),
            }
        }
        None => Ended {
            error: Some(format!(
                "{}: not found on the node",
                request.command.argv()[0]
            )),
            ..Ended::default()
        },
    };
    request.finished(ended, tell)
}

/// Executes it and tells its output as it comes, all that is kept of it before its end is.
fn run_shown(task: &Task<'_>, flow: &Flow, tell: Tell<'_>) -> Ended {
    let mut told = 0;
    let mut show = |stdout: &Tail| {
        let (text, now_told) = stdout.since(told);
        told = now_told;
        for piece in output::pieces(&text, NODE_PROGRESS_BYTES_MAX) {
            flow.told();
            tell(PROGRESS, piece.into());
        }
    };
    let ended = process::run_watched(task, &mut |stdout, _| {
        if flow.is_open() {
            show(stdout);
        }
    });
    show(&ended.stdout);
    ended
}

/// What is asked for, checked.
struct Request {
    command: Command,
    cwd: PathBuf,
    environment: Environment,
    agent: String,
    session_key: String,
    run_id: String,
}

impl Request {
    fn read(context: &Context, params: &Value) -> Result<Self, Fault> {
        let text = |name: &str| {
            let text = params[name].as_str().map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let run_id = match text("runId") {
            Some(id) => id,
            None => random::uuid().map_err(|error| Fault::unavailable(error.message))?,
        };
        Ok(Self {
            command: command(params)?,
            cwd: folder(context, text("cwd"))?,
            environment: Environment::of_this_process()
                .with(&params["env"])
                .map_err(Fault::invalid)?,
            agent: text("agentId").unwrap_or_else(|| AGENT.to_owned()),
            session_key: text("sessionKey").unwrap_or_else(|| "node".to_owned()),
            run_id,
        })
    }

    /// The program to execute; `None` where there is no such program, which is a result.
    fn allowed(
        &self,
        context: &Context,
        params: &Value,
        tell: Tell<'_>,
    ) -> Result<Option<PathBuf>, Fault> {
        let home = context.home.as_deref().and_then(Path::to_str);
        let policy = context.approvals.load()?.file.policy(&self.agent, home);
        let policy = policy.with_links(linked_folders());
        let find = |name: &str| {
            let path = self.environment.find(name, &self.cwd)?;
            path.to_str().map(str::to_owned)
        };
        let decision = params["approvalDecision"].as_str();
        let is_approved =
            params["approved"] == true || matches!(decision, Some("allow-once" | "allow-always"));
        let mut deny = |reason: &str, message: String| {
            tell("exec.denied", self.event(json!({"reason": reason})));
            Err(Fault::unavailable(message))
        };
        let program = find(&self.command.argv()[0]);
        match policy.evaluate(&self.command, find) {
            Verdict::Allow(uses) => self.note_uses(context, &policy, &uses),
            Verdict::Deny(Reason::Security) => {
                let file = context.approvals.load()?.path;
                return deny(
                    Reason::Security.as_str(),
                    format!("SYSTEM_RUN_DISABLED: security=deny in {file} on the node"),
                );
            }
            // Nobody is asked about what is not there.
            _ if program.is_none() => return Ok(None),
            Verdict::Ask(_) | Verdict::Deny(_) if is_approved => {}
            Verdict::Ask(_) => {
                let text = "SYSTEM_RUN_DENIED: approval required";
                return deny(Reason::Always.as_str(), text.to_owned());
            }
            Verdict::Deny(reason) => {
                let looked_for = program.unwrap_or_default();
                let text = format!("SYSTEM_RUN_DENIED: allowlist miss ({looked_for})");
                return deny(reason.as_str(), text);
            }
        }
        if decision == Some("allow-always") {
            self.allow_always(context, policy.to_allow(&self.command, find))?;
        }
        Ok(program.map(PathBuf::from))
    }

    /// A person's "always" is stored before the command runs.
    fn allow_always(&self, context: &Context, paths: Vec<String>) -> Result<(), Fault> {
        if paths.is_empty() {
            return Ok(());
        }
        let stored = context.approvals.change(|snapshot| {
            let mut next = snapshot.clone();
            let mut failed = None;
            for path in &paths {
                let id = new_id(&mut failed);
                next.file.allow_always(&self.agent, path, id, now_ms());
            }
            next.text = Some(next.file.to_text());
            failed.map_or(Ok(next), Err)
        });
        stored.map(drop)
    }

    /// Notes when a pattern was used, now and then. Not being able to is no reason not to run.
    fn note_uses(&self, context: &Context, policy: &Policy, uses: &[Use]) {
        let now_ms = now_ms();
        let is_due = |use_: &&Use| {
            let entry = policy
                .allowlist
                .iter()
                .find(|it| it.pattern == use_.pattern);
            let last_ms = entry.and_then(|it| it.last_used_at).unwrap_or(0);
            now_ms.saturating_sub(last_ms) >= NODE_USE_NOTED_EVERY_MS
        };
        let due: Vec<&Use> = uses.iter().filter(is_due).collect();
        if due.is_empty() {
            return;
        }
        let text = self.command.text();
        let _ = context.approvals.change(|snapshot| {
            let mut next = snapshot.clone();
            for use_ in due {
                next.file
                    .note_use(&self.agent, &use_.pattern, &text, &use_.path, now_ms);
            }
            next.text = Some(next.file.to_text());
            Ok(next)
        });
    }

    /// An event's payload: what all of them say, and `more`.
    fn event(&self, more: Value) -> Value {
        let mut payload = json!({
            "sessionKey": self.session_key,
            "runId": self.run_id,
            "host": "node",
            "command": self.command.text(),
        });
        if let Value::Object(more) = more {
            for (name, value) in more {
                payload[name] = value;
            }
        }
        payload
    }

    fn finished(&self, ended: Ended, tell: Tell<'_>) -> Result<Value, Fault> {
        if ended.stopped {
            return Err(Fault::interrupted(
                "the node host was stopped while this ran, and it was killed",
            ));
        }
        let (mut out, mut err) = (ended.stdout.into_text(), ended.stderr.into_text());
        output::fit(&mut out, &mut err, NODE_RESULT_BYTES_MAX);
        let success = ended.exit_code == Some(0) && !ended.timed_out && ended.error.is_none();
        let mut result = json!({});
        if let Some(code) = ended.exit_code {
            result["exitCode"] = code.into();
        }
        result["timedOut"] = ended.timed_out.into();
        result["success"] = success.into();
        let mut told = result.clone();
        result["stdout"] = out.marked().into();
        result["stderr"] = err.marked().into();
        result["error"] = ended.error.as_deref().into();
        if out.is_cut || err.is_cut {
            result["truncated"] = true.into();
        }
        let parts = [Some(out.marked()), Some(err.marked()), ended.error];
        let said: Vec<String> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        let said = said.join("\n");
        if !said.trim().is_empty() {
            told["output"] = last_chars(said.trim(), NODE_EVENT_OUTPUT_CHARS_MAX).into();
        }
        tell("exec.finished", self.event(told));
        Ok(result)
    }
}

/// The words to execute: `command` as words or as a text for the shell, else `rawCommand`.
fn command(params: &Value) -> Result<Command, Fault> {
    let raw = params["rawCommand"].as_str();
    let made = match &params["command"] {
        Value::Array(words) if !words.is_empty() => {
            let word = |word: &Value| match word {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let words: Option<Vec<String>> = words.iter().map(word).collect();
            let words =
                words.ok_or_else(|| Fault::invalid("command has words that are no text"))?;
            Command::new(words, raw)
        }
        Value::String(text) => Command::of_shell(text),
        _ => Command::of_shell(raw.unwrap_or("")),
    };
    made.map_err(|fault| Fault::invalid(fault.text()))
}

/// Where it is executed: the folder asked for, else the home.
fn folder(context: &Context, asked: Option<String>) -> Result<PathBuf, Fault> {
    let home = context.home.clone().unwrap_or_else(|| PathBuf::from("/"));
    let Some(asked) = asked else { return Ok(home) };
    let path = match asked.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None if asked == "~" => home,
        None => home.join(&asked),
    };
    match path.is_dir() {
        true => Ok(path),
        false => Err(Fault::invalid(format!(
            "cwd {asked} is no folder on the node"
        ))),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
