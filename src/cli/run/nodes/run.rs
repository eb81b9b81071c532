//! `nodes run`: a command on a node, with a person's approval where the node wants one.

use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

use super::super::super::commands::NodesRun;
use super::super::super::exit::{Failure, Outcome};
use super::super::super::out::Out;
use super::super::super::setup::{Session, Setup};
use super::super::super::text::{printable, printable_lines, short_id};
use super::super::text;
use super::choose::{Node, choose, only};
use super::{Call, node_error};
use crate::approvals::Command;
use crate::client::{Incoming, random};
use crate::limits::{APPROVAL_TIMEOUT_MS, CLIENT_INVOKE_GRACE_MS, INVOKE_TIMEOUT_MS};

/// What a node says when a person has to be asked first; it did nothing then.
const WANTS_APPROVAL: &str = "SYSTEM_RUN_DENIED: approval required";

/// What is wrong with the command line, whatever nodes there are.
pub fn check(args: &NodesRun) -> Outcome {
    if args.raw.is_none() && args.words.is_empty() {
        let failure = Failure::usage("what is to be run?");
        return Err(failure.mend("clawdia nodes run --node NODE -- uptime"));
    }
    if args.raw.is_some() && !args.words.is_empty() {
        return Err(Failure::usage("--raw and a command exclude each other"));
    }
    variables(&args.env).map(drop)
}

pub fn run(args: &NodesRun, setup: &Setup, session: &mut Session, out: &mut Out) -> Outcome {
    let env = variables(&args.env)?;
    let node = match &args.node {
        Some(typed) => choose(typed, session)?,
        None => only(
            "system.run",
            args.words.first().map(String::as_str),
            session,
        )?,
    };
    let command = command_of(args, text(&node.row, "platform"))?;
    let timeout_ms = setup.globals.timeout_ms.unwrap_or(INVOKE_TIMEOUT_MS);
    let mut params = json!({
        "command": command.argv(),
        "timeoutMs": timeout_ms,
        "needsScreenRecording": false,
        "agentId": "main",
    });
    if let Some(line) = &args.raw {
        params["rawCommand"] = line.as_str().into();
    }
    if let Some(cwd) = &args.cwd {
        params["cwd"] = cwd.as_str().into();
    }
    if !env.is_empty() {
        params["env"] = Value::Object(env);
    }
    let mut shown = Shown::default();
    let mut send = |params: Value, session: &mut Session, out: &mut Out| {
        let call = Call {
            command: "system.run",
            params,
            queue: None,
            timeout_ms: timeout_ms.saturating_add(CLIENT_INVOKE_GRACE_MS),
            idempotency_key: random::uuid()?,
        };
        if out.wants_json() {
            return call.send(&node, session);
        }
        call.send_and_hear(
            &node,
            session,
            Some(&mut |seq, piece| shown.show(seq, piece, out)),
        )
    };
    let answer = match send(params.clone(), session, out) {
        Err(failure) if node_error(&failure).starts_with(WANTS_APPROVAL) => {
            let decision = approve(&node, &command, &params, session, out)?;
            params["approved"] = true.into();
            params["approvalDecision"] = decision.into();
            send(params, session, out)
        }
        answer => answer,
    };
    let answer = answer.map_err(|failure| denied(&node, failure))?;
    print(&node, &answer, &shown, out)
}

/// What was printed while the command ran.
#[derive(Default)]
struct Shown {
    pieces: u64,
    bytes: usize,
    /// A piece did not come: the rest is printed at the end.
    has_gap: bool,
}

impl Shown {
    fn show(&mut self, seq: u64, piece: &str, out: &mut Out) -> Outcome {
        self.has_gap |= seq != self.pieces;
        if self.has_gap {
            return Ok(());
        }
        self.pieces += 1;
        self.bytes += piece.len();
        out.part(&printable_lines(piece))?;
        Ok(out.flush()?)
    }

    /// What is left of the whole output, or of its end.
    fn rest<'a>(&self, payload: &'a Value) -> &'a str {
        let all = text(payload, "stdout");
        match payload["truncated"] == true && self.pieces > 0 && !self.has_gap {
            // Our node tells everything before the end of it.
            true => "",
            false => all.get(self.bytes..).unwrap_or(all),
        }
    }
}

fn command_of(args: &NodesRun, platform: &str) -> Result<Command, Failure> {
    let is_windows = platform.to_lowercase().starts_with("win");
    let command = match &args.raw {
        Some(line) if is_windows => {
            let words = ["cmd.exe", "/d", "/s", "/c", line];
            Command::new(words.map(str::to_owned).to_vec(), None)
        }
        Some(line) => Command::of_shell(line),
        None => Command::new(args.words.clone(), None),
    };
    command.map_err(|fault| Failure::usage(fault.to_string()))
}

fn variables(typed: &[String]) -> Result<Map<String, Value>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.into())),
        _ => Err(Failure::usage(format!("--env {text}: write NAME=VALUE"))),
    };
    typed.iter().map(pair).collect()
}

/// Asks the operators, and says meanwhile where they are asked.
fn approve(
    node: &Node,
    command: &Command,
    params: &Value,
    session: &mut Session,
    out: &Out,
) -> Result<String, Failure> {
    let mut request = json!({
        "command": command.text(),
        "commandArgv": command.argv(),
        "host": "node",
        "nodeId": node.id,
        "agentId": params["agentId"],
        "timeoutMs": APPROVAL_TIMEOUT_MS,
        "twoPhase": true,
    });
    for name in ["cwd", "env"] {
        if !params[name].is_null() {
            request[name] = params[name].clone();
        }
    }
    let deadline =
        Instant::now() + Duration::from_millis(APPROVAL_TIMEOUT_MS + CLIENT_INVOKE_GRACE_MS);
    let sent = session
        .client
        .send("exec.approval.request", &request, deadline);
    let number = sent.map_err(|error| session.explain(error))?;
    loop {
        let incoming = session.client.next(deadline);
        let payload = match incoming.map_err(|error| session.explain(error))? {
            Incoming::Response(answered, Ok(payload)) if answered == number => payload,
            Incoming::Response(answered, Err(error)) if answered == number => {
                return Err(session.explain(crate::client::ClientError::gateway(error)));
            }
            _ => continue,
        };
        if payload["status"] == "accepted" {
            let id = printable(text(&payload, "id")).into_owned();
            let approve = format!("clawdia approvals approve {id}   # or: deny {id}");
            eprintln!(
                "{} wants a person's approval for: {}\nIn another terminal: {}",
                printable(&node.name),
                printable(&command.text()),
                out.hinted(&approve)
            );
            continue;
        }
        let refused = |why: &str| Failure::failed(format!("{why}, so nothing was run"));
        return match text(&payload, "decision") {
            "deny" => Err(refused("the command was not approved")),
            "" => Err(refused("nobody approved the command in time")),
            decision => Ok(decision.to_owned()),
        };
    }
}

/// A node's own refusal, with where its rules stand.
fn denied(node: &Node, mut failure: Failure) -> Failure {
    let said = node_error(&failure).to_owned();
    if !said.starts_with("SYSTEM_RUN_D") {
        return failure;
    }
    failure.message = format!("{} may not run it: {said}", node.name);
    // A name that has blanks is no word.
    let id = match node.name.contains(char::is_whitespace) {
        true => short_id(&node.id),
        false => node.name.as_str().into(),
    };
    failure
        .mend(format!(
            "clawdia approvals allowlist add PROGRAM --node {id}   # by its path there"
        ))
        .mend(format!("clawdia approvals get --node {id}"))
}

/// What the command printed; ends well only where the command did.
fn print(node: &Node, answer: &Value, shown: &Shown, out: &mut Out) -> Outcome {
    let payload = &answer["payload"];
    let exit_code = payload["exitCode"].as_i64();
    let is_ok = exit_code == Some(0) && payload["timedOut"] != true;
    if out.wants_json() {
        out.json(answer)?;
        return match is_ok {
            true => Ok(()),
            false => Err(Failure::failed("the command failed").told()),
        };
    }
    out.part(&printable_lines(shown.rest(payload)))?;
    out.flush()?;
    eprint!("{}", printable_lines(text(payload, "stderr")));
    if is_ok {
        return Ok(());
    }
    let why = match (payload["timedOut"] == true, exit_code) {
        (true, _) => "took too long and was stopped".to_owned(),
        (false, Some(code)) => format!("ended with exit code {code}"),
        (false, None) => match text(payload, "error") {
            "" => "ended without an exit code".to_owned(),
            error => format!("failed: {error}"),
        },
    };
    Err(Failure::failed(format!("the command {why}")).fact("node", node.name.as_str()))
}
