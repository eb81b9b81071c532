//! The `gateway` tool: how the gateway is, and its configuration, which changes only with a
//! person's approval of the very change.

use super::{CallTag, Ran, Tool, ToolResult, Use};
use crate::agent::builtin::status_text;
use crate::approvals::Binding;
use crate::config::plan::WriteKind;
use crate::gateway::approvals::{ApprovalRequest, Decision};
use crate::gateway::{Fetch, FetchResult, Gateway};
use crate::limits::{APPROVAL_COMMAND_BYTES_MAX, TOOL_APPROVAL_MS};
use crate::now::Now;

pub const TOOL: Tool = Tool {
    name: "gateway",
    description: "This gateway itself. status: how it is. config_get: its configuration, secrets \
        hidden. config_patch: merges patch into the configuration file (null takes a key away); \
        a person has to approve exactly that.",
    schema: r#"{
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["status", "config_get", "config_patch"]},
            "patch": {"type": "object", "description": "config_patch: the keys to change"}
        },
        "required": ["action"],
        "additionalProperties": false
    }"#,
    acts: |arguments| arguments["action"] == "config_patch",
    run,
};

fn run(gateway: &mut Gateway, _: Now, it: &Use<'_>) -> Result<Ran, String> {
    let tag = it.tag;
    match it.action(&["status", "config_get", "config_patch"])? {
        "status" => {
            let session = gateway
                .session(it.session_key)
                .ok_or("the session is gone")?;
            let text = status_text(&gateway.facts(session));
            Ok(Ran::Done(ToolResult::ok(text)))
        }
        "config_get" => {
            gateway.fetch(Fetch::Config, move |gateway, _, result| {
                let result = match result {
                    FetchResult::Config(shown) => ToolResult::json(shown["config"].clone()),
                    other => ToolResult::error(unread(other)),
                };
                gateway.on_tool_done(tag, result);
            });
            Ok(Ran::Later(Box::new(|_| {})))
        }
        _ => gateway.ask_to_patch(it),
    }
}

impl Gateway {
    fn ask_to_patch(&mut self, it: &Use<'_>) -> Result<Ran, String> {
        let patch = match &it.arguments["patch"] {
            patch if patch.is_object() => patch.to_string(),
            _ => return Err("the argument \"patch\" has to be an object".into()),
        };
        if patch.len() > APPROVAL_COMMAND_BYTES_MAX / 2 {
            return Err("the patch is too long to be shown to a person".into());
        }
        let words = ["clawdia", "config", "patch", patch.as_str()].map(str::to_owned);
        let request = ApprovalRequest {
            binding: Binding {
                text: words.join(" "),
                argv: words.to_vec(),
                agent_id: Some(self.agent_of_session(it.session_key).to_owned()),
                session_key: Some(it.session_key.to_string()),
                ..Binding::default()
            },
            host: Some("gateway".into()),
            timeout_ms: TOOL_APPROVAL_MS,
            ..ApprovalRequest::default()
        };
        let tag = it.tag;
        let asked = self.request_approval(request, move |gateway, _, decision, _| {
            if !gateway.is_tool_open(tag) {
                return;
            }
            let fault = match decision {
                // Every change is shown by itself, so "always" is no more than this once.
                Some(Decision::AllowOnce | Decision::AllowAlways) => {
                    return gateway.patch_config(tag, patch);
                }
                Some(Decision::Deny) => "an operator said no to this change",
                None => {
                    "nobody approved the change in time, so the configuration is as it was \
                     (clawdia approvals list shows what waits)"
                }
            };
            gateway.on_tool_done(tag, ToolResult::error(fault));
        });
        let asked = asked.map_err(|refusal| refusal.message.into_owned())?;
        Ok(Ran::Later(Box::new(move |gateway| {
            gateway.decide_approval(&asked.id, None, None);
        })))
    }

    /// What was read last is what is changed; a change in between is refused by its hash.
    fn patch_config(&mut self, tag: CallTag, raw: String) {
        self.wait_for_tool(tag, Box::new(|_| {}));
        self.fetch(Fetch::Config, move |gateway, _, result| {
            let base_hash = match result {
                FetchResult::Config(shown) => shown["hash"].as_str().map(str::to_owned),
                other => return gateway.on_tool_done(tag, ToolResult::error(unread(other))),
            };
            let fetch = Fetch::WriteConfig {
                kind: WriteKind::Patch,
                raw,
                base_hash,
            };
            gateway.fetch(fetch, move |gateway, _, result| {
                let told = match result {
                    FetchResult::ConfigWritten {
                        loaded,
                        at_next_start,
                        ..
                    } => {
                        gateway.apply_config(*loaded);
                        let later = match at_next_start.is_empty() {
                            true => String::new(),
                            false => format!("; at the next start: {}", at_next_start.join(", ")),
                        };
                        ToolResult::ok(format!("the configuration is changed{later}"))
                    }
                    FetchResult::ConfigRefused(refusal) => {
                        ToolResult::error(refusal.message().to_string())
                    }
                    other => ToolResult::error(unread(other)),
                };
                gateway.on_tool_done(tag, told);
            });
        });
    }
}

fn unread(result: FetchResult) -> String {
    match result {
        FetchResult::Failed(fault) => fault,
        _ => "the configuration file could not be used".into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::{ModelRef, StepEvent, StopReason, ToolCall, Usage};
    use crate::driver::{Driver, Options, Steps};
    use crate::limits::TOOL_APPROVAL_MS;
    use serde_json::json;

    #[test]
    fn a_change_that_nobody_approves_in_time_is_not_made() {
        let mut driver = Driver::new(Options {
            steps: Steps::Held,
            ..Options::default()
        });
        let operator = driver.operator();
        let before = driver.ok(operator, "config.get", json!({}));
        let send = json!({"sessionKey": "main", "message": "go", "idempotencyKey": "k"});
        driver.ok(operator, "chat.send", send);
        driver.settle();
        let step = driver.steps.pop_front().expect("a step");
        let patch = json!({"action": "config_patch", "patch": {"session": {"idleMinutes": 7}}});
        let call = ToolCall {
            id: "c".into(),
            name: "gateway".into(),
            arguments: patch.to_string().into(),
        };
        let asks = StepEvent::Done {
            text: String::new(),
            calls: vec![call],
            usage: Usage::default(),
            stop_reason: StopReason::ToolUse,
            model: ModelRef::new("m", "m"),
        };
        driver.step(step.tag, asks);
        driver.settle();
        let asked = driver.ok(operator, "exec.approval.list", json!({}));
        let id = asked["pending"][0]["id"].clone();
        assert!(id.is_string(), "{asked}");
        driver.advance(TOOL_APPROVAL_MS);
        driver.settle();
        let step = driver.steps.pop_front().expect("the next step");
        let told = &step.messages.last().expect("a result").text;
        assert!(
            told.contains("nobody approved the change in time"),
            "{told}"
        );
        // A yes that comes too late is no yes.
        let late = json!({"id": id, "decision": "allow-once"});
        driver.err(operator, "exec.approval.resolve", late);
        driver.settle();
        let after = driver.ok(operator, "config.get", json!({}));
        assert_eq!(after["hash"], before["hash"]);
    }
}
