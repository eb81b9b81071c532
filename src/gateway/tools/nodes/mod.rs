//! The `nodes` tool: what the machines and phones can do that are connected to the gateway.

mod answer;
mod find;
mod run;

use super::{CallTag, Ran, Tool, ToolResult, Use};
use crate::gateway::Gateway;
use crate::gateway::nodes::invoke::{Invocation, InvokeFailure, InvokeOutcome};
use crate::limits::{FACTS_LIST_MAX, INVOKE_TIMEOUT_MS, INVOKE_TIMEOUT_MS_MAX};
use crate::now::Now;
use crate::order;
use crate::state::Text;
use find::Found;
use serde_json::{Map, Value, json};

const ACTIONS: &[&str] = &[
    "list",
    "describe",
    "run",
    "notify",
    "camera_snap",
    "location_get",
    "invoke",
];
/// Those that leave the world as it is, so that they may be done again after a crash.
const READ: &[&str] = &["list", "status", "describe", "camera_snap", "location_get"];

pub const TOOL: Tool = Tool {
    name: "nodes",
    description: "Machines and phones that are connected to the gateway. list: all of them, and \
        who is online. describe: what one can do. run: a command on one. notify: a notification \
        on its screen. camera_snap: a photo. location_get: where it is. invoke: any other command \
        that describe shows. Name a node by its name, the start of its id, or its IP address.",
    schema: r#"{
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["list", "describe", "run", "notify",
                "camera_snap", "location_get", "invoke"]},
            "node": {"type": "string", "description": "all but list: which node"},
            "command": {"type": "array", "items": {"type": "string"},
                "description": "run: the program and its arguments"},
            "shell": {"type": "string", "description": "run: a line for the shell, in place of command"},
            "cwd": {"type": "string", "description": "run: the directory to run in"},
            "env": {"type": "object", "additionalProperties": {"type": "string"},
                "description": "run: further environment variables"},
            "title": {"type": "string", "description": "notify"},
            "body": {"type": "string", "description": "notify"},
            "facing": {"type": "string", "enum": ["front", "back"], "description": "camera_snap"},
            "invokeCommand": {"type": "string", "description": "invoke: a command of the node"},
            "invokeParams": {"type": "object", "description": "invoke: its parameters"},
            "timeoutMs": {"type": "integer", "minimum": 1, "description": "how long the node may take"}
        },
        "required": ["action"],
        "additionalProperties": false
    }"#,
    acts: |arguments| {
        let action = arguments["action"].as_str();
        action.is_some_and(|action| !READ.contains(&action))
    },
    run: start,
};

/// What makes an answer of a node into a result.
type Tell = fn(name: &str, payload: Value) -> ToolResult;

fn start(gateway: &mut Gateway, _: Now, it: &Use<'_>) -> Result<Ran, String> {
    // The ecosystem's models know the list by this name.
    if it.text("action") == Some("status") {
        return Ok(Ran::Done(gateway.nodes_for_tool()));
    }
    let action = it.action(ACTIONS)?;
    if action == "list" {
        return Ok(Ran::Done(gateway.nodes_for_tool()));
    }
    let node = gateway.find_node(it.required("node")?)?;
    if action == "describe" {
        let described = gateway.node_for_tool(&node.device);
        return Ok(Ran::Done(ToolResult::json(described)));
    }
    gateway.check_node_is_there(&node)?;
    match action {
        "run" => gateway.run_on_node(it, node),
        "notify" => {
            let body = it.text("body").unwrap_or_default();
            let title = it.text("title");
            let title = title.unwrap_or(if body.is_empty() { "" } else { "Clawdia" });
            if title.is_empty() {
                return Err("say what: the argument \"body\" is missing".into());
            }
            let params = json!({"title": title, "body": body});
            gateway.ask_node(it, node, "system.notify", params, answer::notified)
        }
        "camera_snap" => {
            let facing = it.text("facing").unwrap_or("back");
            let params = json!({
                "facing": facing, "format": "jpg", "maxWidth": 1024, "quality": 0.7,
            });
            gateway.ask_node(it, node, "camera.snap", params, answer::photo)
        }
        "location_get" => {
            let params = json!({"desiredAccuracy": "balanced"});
            gateway.ask_node(it, node, "location.get", params, answer::place)
        }
        _ => {
            let command = it.required("invokeCommand")?;
            if command == "system.run" {
                return Err("use the action run: it asks for approval where that is needed".into());
            }
            let params = match &it.arguments["invokeParams"] {
                Value::Null => Value::Object(Map::new()),
                Value::Object(members) => Value::Object(members.clone()),
                _ => return Err("the argument \"invokeParams\" is no object".into()),
            };
            gateway.ask_node(it, node, command, params, answer::any)
        }
    }
}

impl Gateway {
    /// Everybody, the connected ones first.
    fn nodes_for_tool(&self) -> ToolResult {
        let keyed = self.paired_nodes().map(|device| {
            let is_away = !self.is_node_connected(device);
            let name = self.node_name(device).unwrap_or_default().to_lowercase();
            ((is_away, name, &device.device_id), device)
        });
        let mut keyed: Vec<_> = keyed.collect();
        order::sort_by(&mut keyed, |(one, _), (other, _)| one.cmp(other));
        let all: Vec<_> = keyed.into_iter().map(|(_, device)| device).collect();
        let online = all.iter().filter(|device| self.is_node_connected(device));
        let online = online.count();
        let shown = all.iter().take(FACTS_LIST_MAX);
        let shown: Vec<Value> = shown.map(|device| self.node_for_tool(device)).collect();
        ToolResult::json(json!({"nodes": shown, "total": all.len(), "online": online}))
    }

    /// Asks a node for one thing; `tell` makes its answer into the result.
    fn ask_node(
        &mut self,
        it: &Use<'_>,
        node: Found,
        command: &str,
        params: Value,
        tell: Tell,
    ) -> Result<Ran, String> {
        let timeout_ms = it.arguments["timeoutMs"].as_u64();
        let timeout_ms = timeout_ms.unwrap_or(INVOKE_TIMEOUT_MS);
        let (tag, name) = (it.tag, node.name.clone());
        let number = self.invoke_for_tool(
            &node,
            command,
            &params,
            timeout_ms,
            move |gateway, _, outcome| {
                let result = match outcome {
                    InvokeOutcome::Ok { payload_json } => tell(&name, read(payload_json)),
                    InvokeOutcome::Failed(failure) => ToolResult::error(said(&name, &failure)),
                };
                gateway.on_tool_done(tag, result);
            },
        )?;
        Ok(Ran::Later(Box::new(move |gateway| {
            gateway.cancel_invoke(number);
        })))
    }

    fn invoke_for_tool(
        &mut self,
        node: &Found,
        command: &str,
        params: &Value,
        timeout_ms: u64,
        then: impl FnOnce(&mut Gateway, Now, InvokeOutcome) + Send + 'static,
    ) -> Result<u64, String> {
        let invocation = Invocation {
            node_id: node.device.device_id.clone(),
            command: command.into(),
            params_json: Some(params.to_string().into()),
            timeout_ms: Some(timeout_ms.clamp(1, INVOKE_TIMEOUT_MS_MAX)),
            idempotency_key: Some(self.uuid().into()),
            internal: false,
        };
        self.invoke_node(invocation, then)
            .map_err(|refusal| self.why_refused(node, command, &refusal))
    }

    /// Replaces what a tool waits for by a call of a node.
    fn wait_for_invoke(&mut self, tag: CallTag, number: u64) {
        let cancel = Box::new(move |gateway: &mut Gateway| gateway.cancel_invoke(number));
        self.wait_for_tool(tag, cancel);
    }
}

/// A node's answer; what is no JSON counts as none.
fn read(payload_json: Option<Text>) -> Value {
    payload_json
        .and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default()
}

/// A node's failure, with what mends it where that is known.
fn said(name: &str, failure: &InvokeFailure) -> String {
    let (code, message) = (&*failure.code, &*failure.message);
    match code {
        "TIMEOUT" => format!(
            "{name} did not answer in time; whether it did it is not known. See whether it is \
             well: clawdia nodes describe"
        ),
        "DISCONNECTED" => format!(
            "{name} went away before it answered; whether it did it is not known. See when it is \
             back: clawdia nodes status"
        ),
        _ => format!("{name} says: {message} ({code})"),
    }
}

#[cfg(test)]
mod tests;
