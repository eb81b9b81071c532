//! `run`: a command on a node, with a person's approval where the node wants one.

use super::find::Found;
use super::{answer, read, said};
use crate::approvals::{Binding, Command, CommandFault, env_hash};
use crate::gateway::Gateway;
use crate::gateway::approvals::{ApprovalRequest, Decision};
use crate::gateway::nodes::invoke::InvokeOutcome;
use crate::gateway::tools::{CallTag, Ran, ToolResult, Use};
use crate::limits::{
    INVOKE_TIMEOUT_MS_MAX, TOOL_APPROVAL_MS, TOOL_COMMAND_GRACE_MS, TOOL_COMMAND_MS,
};
use crate::state::Text;
use serde_json::{Map, Value, json};

/// What a node says when a person has to be asked first; it did nothing then.
const WANTS_APPROVAL: &str = "SYSTEM_RUN_DENIED: approval required";

/// A command on its way.
#[derive(Clone)]
struct Order {
    tag: CallTag,
    node: Found,
    command: Command,
    /// The line for a shell that the command is.
    shell: Option<String>,
    cwd: Option<String>,
    env: Map<String, Value>,
    timeout_ms: u64,
    session_key: Text,
    agent_id: String,
}

impl Gateway {
    pub(super) fn run_on_node(&mut self, it: &Use<'_>, node: Found) -> Result<Ran, String> {
        let order = self.order(it, node)?;
        let number = self.send_order(order, None)?;
        Ok(Ran::Later(Box::new(move |gateway| {
            gateway.cancel_invoke(number);
        })))
    }

    fn order(&self, it: &Use<'_>, node: Found) -> Result<Order, String> {
        let shell = it.text("shell").map(str::to_owned);
        let words = it.arguments["command"].as_array();
        let argv: Option<Vec<String>> = words.map(|words| {
            let words = words.iter().filter_map(Value::as_str);
            words.map(str::to_owned).collect()
        });
        let platform = node.device.client.platform.as_deref();
        let command = match (&shell, argv) {
            (None, Some(argv)) => Command::new(argv, None),
            (Some(line), None) => shell_of(platform, line),
            (Some(_), Some(_)) => return Err("give command or shell, not both".into()),
            (None, None) => return Err("the argument \"command\" is missing".into()),
        };
        let command = command.map_err(|fault| fault.to_string())?;
        let env = match &it.arguments["env"] {
            Value::Object(members) if members.values().all(Value::is_string) => members.clone(),
            Value::Null => Map::new(),
            _ => return Err("the argument \"env\" has to be an object of texts".into()),
        };
        let timeout_ms = it.arguments["timeoutMs"]
            .as_u64()
            .unwrap_or(TOOL_COMMAND_MS);
        Ok(Order {
            tag: it.tag,
            node,
            command,
            shell,
            cwd: it.text("cwd").map(str::to_owned),
            env,
            timeout_ms: timeout_ms.clamp(1, INVOKE_TIMEOUT_MS_MAX - TOOL_COMMAND_GRACE_MS),
            session_key: it.session_key.clone(),
            agent_id: self.agent_of_session(it.session_key).to_owned(),
        })
    }

    fn send_order(&mut self, order: Order, decision: Option<Decision>) -> Result<u64, String> {
        let params = order.params(decision);
        let timeout_ms = order.timeout_ms + TOOL_COMMAND_GRACE_MS;
        let node = order.node.clone();
        self.invoke_for_tool(
            &node,
            "system.run",
            &params,
            timeout_ms,
            move |gateway, _, outcome| match outcome {
                InvokeOutcome::Ok { payload_json } => {
                    let result = answer::ran(&order.node.name, read(payload_json));
                    gateway.on_tool_done(order.tag, result);
                }
                InvokeOutcome::Failed(failure)
                    if decision.is_none() && failure.message.starts_with(WANTS_APPROVAL) =>
                {
                    gateway.ask_for(order);
                }
                InvokeOutcome::Failed(failure) => {
                    let text = denied(&order.node.name, &failure.message)
                        .unwrap_or_else(|| said(&order.node.name, &failure));
                    gateway.on_tool_done(order.tag, ToolResult::error(text));
                }
            },
        )
    }

    /// Asks the operators; the command is sent again only with the word of one of them.
    fn ask_for(&mut self, order: Order) {
        let tag = order.tag;
        if !self.is_tool_open(tag) {
            return;
        }
        let request = order.approval();
        let asked = self.request_approval(request, move |gateway, _, decision, _| {
            if !gateway.is_tool_open(tag) {
                return;
            }
            let name = order.node.name.clone();
            let fault = match decision {
                Some(Decision::Deny) => format!("an operator said no to this command on {name}"),
                None => format!(
                    "nobody approved the command on {name} in time, so it was not run. Approve the \
                     next one with clawdia approvals, or allow its program for good"
                ),
                Some(allowed) => match gateway.send_order(order, Some(allowed)) {
                    Ok(number) => return gateway.wait_for_invoke(tag, number),
                    Err(fault) => fault,
                },
            };
            gateway.on_tool_done(tag, ToolResult::error(fault));
        });
        match asked {
            Ok(asked) => {
                let id = asked.id;
                let cancel = move |gateway: &mut Gateway| {
                    gateway.decide_approval(&id, None, None);
                };
                self.wait_for_tool(tag, Box::new(cancel));
            }
            Err(refusal) => {
                let text = format!("no approval can be asked for: {}", refusal.message);
                self.on_tool_done(tag, ToolResult::error(text));
            }
        }
    }
}

impl Order {
    fn params(&self, decision: Option<Decision>) -> Value {
        let mut params = json!({
            "command": self.command.argv(),
            "timeoutMs": self.timeout_ms,
            "needsScreenRecording": false,
            "agentId": self.agent_id,
            "sessionKey": &*self.session_key,
        });
        if let Some(line) = &self.shell {
            params["rawCommand"] = line.as_str().into();
        }
        if let Some(cwd) = &self.cwd {
            params["cwd"] = cwd.as_str().into();
        }
        if !self.env.is_empty() {
            params["env"] = Value::Object(self.env.clone());
        }
        if let Some(decision) = decision {
            params["approved"] = true.into();
            params["approvalDecision"] = decision.as_str().into();
        }
        params
    }

    fn approval(&self) -> ApprovalRequest {
        let env = self.env.iter();
        let env = env.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
        ApprovalRequest {
            id: None,
            binding: Binding {
                argv: self.command.argv().to_vec(),
                text: self.command.text(),
                cwd: self.cwd.clone(),
                env_hash: env_hash(env),
                agent_id: Some(self.agent_id.clone()),
                session_key: Some(self.session_key.to_string()),
                node_id: Some(self.node.device.device_id.to_string()),
            },
            host: Some("node".into()),
            security: None,
            ask: None,
            resolved_path: None,
            env_keys: self.env.keys().map(|name| name.as_str().into()).collect(),
            timeout_ms: TOOL_APPROVAL_MS,
            conn: None,
        }
    }
}

/// Why a node itself refuses to run something, with what mends it.
fn denied(name: &str, message: &str) -> Option<String> {
    let what = if message.starts_with("SYSTEM_RUN_DISABLED") {
        "runs no commands at all"
    } else if message.starts_with("SYSTEM_RUN_DENIED") {
        "may not run this command"
    } else {
        return None;
    };
    Some(format!(
        "{name} {what}: {message}. What it may run stands in its approvals: clawdia approvals get \
         --node {name}"
    ))
}

/// The command that makes a node's shell execute a line.
fn shell_of(platform: Option<&str>, line: &str) -> Result<Command, CommandFault> {
    let platform = platform.unwrap_or_default().to_lowercase();
    if !platform.starts_with("win") {
        return Command::of_shell(line);
    }
    let words = ["cmd.exe", "/d", "/s", "/c", line];
    Command::new(words.map(str::to_owned).to_vec(), None)
}
