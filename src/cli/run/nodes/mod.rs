//! `clawdia nodes …`

pub mod choose;
mod many;
mod pairing;
mod run;
mod show;

use serde_json::{Map, Value, json};

use super::super::commands::{NodesCommand, NodesInvoke, NodesNotify, NodesRename};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::{printable, short_id};
use super::{list, text};
use crate::client::{ClientError, Incoming, random};
use crate::limits::{CLIENT_INVOKE_GRACE_MS, INVOKE_TIMEOUT_MS};
use choose::{Node, choose};
use std::time::{Duration, Instant};

/// Does what was asked with nodes.
pub fn run(command: NodesCommand, setup: &Setup, out: &mut Out) -> Outcome {
    if let NodesCommand::Run(args) = &command {
        run::check(args)?;
    }
    let mut session = setup.connect()?;
    let outcome = match command {
        NodesCommand::Status(args) => {
            let filter = show::Filter::new(args.connected, args.last_connected.as_deref())?;
            show::status(&filter, &mut session, out)
        }
        NodesCommand::List(args) => {
            let filter = show::Filter::new(args.connected, args.last_connected.as_deref())?;
            show::list(&filter, &mut session, out)
        }
        NodesCommand::Pending(_) => pairing::pending(&mut session, out),
        NodesCommand::Approve(args) => pairing::approve(&args.request, &mut session, out),
        NodesCommand::Reject(args) => pairing::reject(&args.request, &mut session, out),
        NodesCommand::Describe(args) => {
            let node = choose(&args.node, &mut session)?;
            show::describe(&node, &mut session, out)
        }
        NodesCommand::Rename(args) => rename(&args, &mut session, out),
        NodesCommand::Invoke(args) => invoke(&args, setup, &mut session, out),
        NodesCommand::InvokeMany(args) => many::run(&args, setup, &mut session, out),
        NodesCommand::Run(args) => run::run(&args, setup, &mut session, out),
        NodesCommand::Notify(args) => notify(&args, setup, &mut session, out),
    };
    session.client.close();
    outcome
}

fn rename(args: &NodesRename, session: &mut Session, out: &mut Out) -> Outcome {
    if args.name.trim().is_empty() {
        return Err(Failure::usage("the new name is empty"));
    }
    let node = choose(&args.node, session)?;
    let params = json!({"nodeId": node.id, "displayName": args.name});
    let payload = session.call("node.rename", &params).map_err(|failure| {
        let other = short_id(text(&failure.details, "nodeId")).into_owned();
        match other.as_str() {
            "" => failure,
            id => failure.mend(format!(
                "clawdia nodes rename {id} NAME   # gives that one another name"
            )),
        }
    })?;
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    let told = format!("{} is called {}", node.name, args.name);
    Ok(out.done(&printable(&told))?)
}

fn invoke(args: &NodesInvoke, setup: &Setup, session: &mut Session, out: &mut Out) -> Outcome {
    let params = match &args.params {
        Some(text) => serde_json::from_str::<Value>(text)
            .map_err(|fault| Failure::usage(format!("--params is no JSON: {fault}")))?,
        None => Value::Object(Map::new()),
    };
    if args.command == "system.run" {
        return Err(
            Failure::usage("commands run with `nodes run`").mend("clawdia nodes run --help")
        );
    }
    if args.ttl.is_some() && !args.queue {
        return Err(Failure::usage("--ttl says how long --queue keeps it"));
    }
    let ttl_ms = args.ttl.as_deref().map(show::duration_of).transpose();
    let node = choose(&args.node, session)?;
    let call = Call {
        command: &args.command,
        params,
        queue: args.queue.then_some(ttl_ms.map_err(Failure::usage)?),
        timeout_ms: setup.globals.timeout_ms.unwrap_or(INVOKE_TIMEOUT_MS),
        idempotency_key: match &args.idempotency_key {
            Some(key) => key.clone(),
            None => random::uuid()?,
        },
    };
    let key = call.idempotency_key.clone();
    let payload = call.send(&node, session)?;
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    if payload["queued"] == true {
        out.done(&format!("kept for {}", printable(&node.name)))?;
        let again = format!("  What became of it: the same with --idempotency-key {key}");
        let again = out.paint(Paint::Dim, &printable(&again)).into_owned();
        out.line(&again)?;
        return Ok(());
    }
    let answer = payload["payload"].clone();
    match answer.is_null() {
        true => out.done(&format!("{} did it", printable(&node.name)))?,
        false => out.json(&answer)?,
    }
    Ok(())
}

fn notify(args: &NodesNotify, setup: &Setup, session: &mut Session, out: &mut Out) -> Outcome {
    if args.title.is_none() && args.body.is_none() {
        return Err(Failure::usage("say what: --title or --body"));
    }
    let mut params = json!({
        "title": args.title.as_deref().unwrap_or("Clawdia"),
        "body": args.body.as_deref().unwrap_or(""),
    });
    if let Some(priority) = &args.priority {
        const LEVELS: [&str; 3] = ["passive", "active", "timeSensitive"];
        if !LEVELS.contains(&priority.as_str()) {
            let levels = LEVELS.join(", ");
            return Err(Failure::usage(format!("--priority is one of: {levels}")));
        }
        params["priority"] = priority.as_str().into();
    }
    let node = choose(&args.node, session)?;
    let call = Call {
        command: "system.notify",
        params,
        queue: None,
        timeout_ms: setup.globals.timeout_ms.unwrap_or(INVOKE_TIMEOUT_MS),
        idempotency_key: random::uuid()?,
    };
    let payload = call.send(&node, session)?;
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    Ok(out.done(&format!("{} shows it", printable(&node.name)))?)
}

/// One call of a node.
struct Call<'a> {
    command: &'a str,
    params: Value,
    /// Kept while the node is away, this long if somebody said so.
    queue: Option<Option<u64>>,
    timeout_ms: u64,
    idempotency_key: String,
}

impl Call<'_> {
    /// Sends it and waits for the answer a little longer than the node may take.
    fn send(self, node: &Node, session: &mut Session) -> Result<Value, Failure> {
        self.send_and_hear(node, session, None)
    }

    /// The same, and hears what a command prints while it runs, where gateway and node tell it.
    fn send_and_hear(
        self,
        node: &Node,
        session: &mut Session,
        hear: Option<Hear<'_>>,
    ) -> Result<Value, Failure> {
        let mut params = json!({
            "nodeId": node.id,
            "command": self.command,
            "params": self.params,
            "timeoutMs": self.timeout_ms,
            "idempotencyKey": self.idempotency_key,
        });
        match self.queue {
            None => node.check_is_there()?,
            Some(ttl_ms) => {
                params["queue"] = true.into();
                if let Some(ttl_ms) = ttl_ms {
                    params["ttlMs"] = ttl_ms.into();
                }
            }
        }
        let wait = Duration::from_millis(self.timeout_ms.saturating_add(CLIENT_INVOKE_GRACE_MS));
        let deadline = Instant::now() + wait;
        let is_told = list(&session.client.hello().payload["features"], "events")
            .iter()
            .any(|name| name == PROGRESS);
        let answer = match hear.filter(|_| is_told) {
            Some(hear) => {
                params["progress"] = true.into();
                listen(&params, session, deadline, hear)?
            }
            None => session.client.call("node.invoke", &params, deadline),
        };
        answer.map_err(|error| node.explain(self.command, session.explain(error)))
    }
}

/// The event with a piece of a command's output.
const PROGRESS: &str = "node.invoke.progress";

/// Gets the number of a piece and the piece.
type Hear<'a> = &'a mut dyn FnMut(u64, &str) -> Outcome;

fn listen(
    params: &Value,
    session: &mut Session,
    deadline: Instant,
    hear: Hear<'_>,
) -> Result<Result<Value, ClientError>, Failure> {
    let sent = session.client.send("node.invoke", params, deadline);
    let number = match sent {
        Ok(number) => number,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match session.client.next(deadline) {
            Err(error) => return Ok(Err(error)),
            Ok(Incoming::Response(answered, answer)) if answered == number => {
                return Ok(answer.map_err(ClientError::gateway));
            }
            Ok(Incoming::Event(event))
                if event.name == PROGRESS
                    && event.payload["idempotencyKey"] == params["idempotencyKey"] =>
            {
                let seq = event.payload["seq"].as_u64().unwrap_or(0);
                hear(seq, text(&event.payload, "chunk"))?;
            }
            Ok(_) => {}
        }
    }
}

/// Why a node says no, where it says so itself.
fn node_error(failure: &Failure) -> &str {
    text(&failure.details["nodeError"], "message")
}
