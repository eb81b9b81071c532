//! `nodes invoke-many`: one command on many nodes; what each says is printed as it comes, the sum last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::super::commands::NodesInvokeMany;
use super::super::super::exit::{Failure, Outcome};
use super::super::super::out::{Out, Paint};
use super::super::super::setup::{Session, Setup};
use super::super::super::text::{printable, printable_lines};
use super::super::{list, text};
use super::choose::{Node, pick, told_apart};
use crate::client::{ClientError, Incoming, random};
use crate::limits::{CLIENT_INVOKE_GRACE_MS, INVOKE_MANY_AT_ONCE, INVOKE_TIMEOUT_MS};

/// What is done and how often it worked.
struct Tally<'a> {
    names: BTreeMap<String, String>,
    /// Whether what nodes answer is what a command printed.
    is_run: bool,
    /// Nodes that did it, by their own word.
    good: usize,
    out: &'a mut Out,
}

pub fn run(args: &NodesInvokeMany, setup: &Setup, session: &mut Session, out: &mut Out) -> Outcome {
    let (command, params) = what(args)?;
    let timeout_ms = setup.globals.timeout_ms.unwrap_or(INVOKE_TIMEOUT_MS);
    let rows = session.call("node.list", &json!({}))?;
    let rows = list(&rows, "nodes");
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => random::uuid()?,
    };
    let at_once = args.parallelism.unwrap_or(INVOKE_MANY_AT_ONCE).max(1);
    let request = json!({
        "selector": selector(args, rows)?,
        "command": command,
        "params": params,
        "timeoutMs": timeout_ms,
        "parallelism": at_once,
        "idempotencyKey": key,
    });
    // Each turn of so many nodes may take as long as one of them may.
    let turns = (rows.len() as u64).div_ceil(at_once).max(1);
    let wait_ms = timeout_ms
        .saturating_mul(turns)
        .saturating_add(CLIENT_INVOKE_GRACE_MS);
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    let nodes: Vec<Node> = rows.iter().map(Node::new).collect();
    let named = told_apart(&nodes).into_iter().zip(&nodes);
    let mut tally = Tally {
        names: named
            .map(|((name, start), node)| {
                let start = start.map_or_else(String::new, |start| format!(" ({start})"));
                (node.id.clone(), format!("{name}{start}"))
            })
            .collect(),
        is_run: command == "system.run",
        good: 0,
        out,
    };
    let sum = tally.listen(&request, session, deadline)?;
    tally.end(&sum)
}

/// The command and its parameters: those given, or a program after `--`.
fn what(args: &NodesInvokeMany) -> Result<(String, Value), Failure> {
    let params = match &args.params {
        Some(text) => serde_json::from_str::<Value>(text)
            .map_err(|fault| Failure::usage(format!("--params is no JSON: {fault}")))?,
        None => Value::Object(Map::new()),
    };
    match (&args.command, args.words.as_slice()) {
        (Some(command), []) => Ok((command.clone(), params)),
        (None, words @ [_, ..]) if args.params.is_none() => {
            Ok(("system.run".to_owned(), json!({"command": words})))
        }
        (None, []) => {
            Err(Failure::usage("what is to be done?")
                .mend("clawdia nodes invoke-many --all -- uptime"))
        }
        _ => Err(Failure::usage(
            "--command with --params, and a program after --, exclude each other",
        )),
    }
}

/// Whom it is for. Everybody has to be asked for by name, so that nobody means it by mistake.
fn selector(args: &NodesInvokeMany, rows: &[Value]) -> Result<Value, Failure> {
    let mut selector = Map::new();
    if !args.node.is_empty() {
        let ids = args.node.iter().map(|typed| Ok(pick(typed, rows)?.id));
        selector.insert(
            "ids".into(),
            ids.collect::<Result<Vec<_>, Failure>>()?.into(),
        );
    }
    if let Some(platform) = &args.platform {
        selector.insert("platform".into(), platform.as_str().into());
    }
    if !args.cap.is_empty() {
        selector.insert("caps".into(), args.cap.clone().into());
    }
    if let Some(name) = &args.name {
        selector.insert("name".into(), name.as_str().into());
    }
    let is_more = selector.len() > 1;
    match (args.all, selector.is_empty(), args.node.is_empty()) {
        (false, true, _) => Err(Failure::usage("which nodes?")
            .mend("--node NAME, --platform linux, --cap camera, --name 'box-*', or --all")),
        (true, false, _) => Err(Failure::usage("--all and a choice exclude each other")),
        (_, _, false) if is_more => Err(Failure::usage(
            "--node names nodes; --platform, --cap and --name choose among all: not both",
        )),
        _ => Ok(selector.into()),
    }
}

impl Tally<'_> {
    /// Asks, and prints each outcome; gives the sum.
    fn listen(
        &mut self,
        request: &Value,
        session: &mut Session,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let sent = session.client.send("node.invokeMany", request, deadline);
        let number = sent.map_err(|error| session.explain(error))?;
        loop {
            let incoming = session.client.next(deadline);
            match incoming.map_err(|error| session.explain(error))? {
                Incoming::Response(answered, Ok(sum)) if answered == number => return Ok(sum),
                Incoming::Response(answered, Err(error)) if answered == number => {
                    return Err(session.explain(ClientError::gateway(error)));
                }
                Incoming::Event(event)
                    if event.name == "node.invokeMany.result"
                        && event.payload["idempotencyKey"] == request["idempotencyKey"] =>
                {
                    self.tell(&event.payload)?;
                }
                _ => {}
            }
        }
    }

    /// One node's outcome.
    fn tell(&mut self, one: &Value) -> Result<(), Failure> {
        let payload = &one["payload"];
        let failed_there = self.is_run && payload["exitCode"].as_i64() != Some(0);
        let is_good = one["ok"] == true && !failed_there;
        self.good += usize::from(is_good);
        if self.out.wants_json() {
            self.out.json_line(one)?;
            return Ok(self.out.flush()?);
        }
        let id = text(one, "nodeId");
        let name = printable(self.names.get(id).map_or(id, String::as_str)).into_owned();
        let bad = |why: &str| format!("✗ {name}: {}", printable(why));
        if one["ok"] != true {
            let line = bad(text(&one["error"], "message"));
            let line = self.out.paint(Paint::Bad, &line).into_owned();
            self.out.line(&line)?;
        } else if self.is_run {
            let said = [text(payload, "stdout"), text(payload, "stderr")].concat();
            for line in printable_lines(&said).lines() {
                self.out.line(&format!("{name}: {line}"))?;
            }
            if !is_good {
                let why = match payload["exitCode"].as_i64() {
                    Some(code) => format!("exit code {code}"),
                    None => "it did not end by itself".to_owned(),
                };
                let line = self.out.paint(Paint::Bad, &bad(&why)).into_owned();
                self.out.line(&line)?;
            }
        } else if payload.is_null() {
            self.out.done(&name)?;
        } else {
            let answer = payload.to_string();
            self.out.line(&format!("{name}: {}", printable(&answer)))?;
        }
        Ok(self.out.flush()?)
    }

    /// The sum; ends well only where every node did it.
    fn end(self, sum: &Value) -> Outcome {
        let total = sum["total"].as_u64().unwrap_or(0) as usize;
        let is_good = total > 0 && self.good == total;
        if self.out.wants_json() {
            self.out.json_line(sum)?;
            return match is_good {
                true => Ok(()),
                false => Err(Failure::failed("not every node did it").told()),
            };
        }
        if total == 0 {
            let failure = Failure::failed("no connected node is meant by that");
            return Err(failure.mend("clawdia nodes status"));
        }
        let told = format!("{} of {total} nodes did it", self.good);
        match is_good {
            true => Ok(self.out.done(&told)?),
            false => Err(Failure::failed(told)),
        }
    }
}
