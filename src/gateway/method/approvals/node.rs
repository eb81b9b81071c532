//! `exec.approvals.node.get/set`: a node's own approvals file. The node reads, checks and stores it.

use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::nodes::invoke::{Invocation, InvokeOutcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::wire::json::Writer;
use serde_json::Value;

/// `exec.approvals.node.get`.
pub fn get(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    forward(gateway, call, params, "system.execApprovals.get", |w| {
        w.object(|_| {});
    })
}

/// `exec.approvals.node.set`: the node compares `baseHash` with what it has.
pub fn set(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    forward(gateway, call, params, "system.execApprovals.set", |w| {
        w.object(|w| {
            if let Some(file) = params.get("file") {
                w.key("file");
                w.json(file);
            }
            w.field_opt_str("baseHash", params.text("baseHash"));
        });
    })
}

fn forward(
    gateway: &mut Gateway,
    call: Call<'_>,
    params: Params<'_, '_>,
    command: &str,
    write: impl FnOnce(&mut Writer<'_>),
) -> Handled {
    let mut json = Vec::new();
    write(&mut Writer::new(&mut json));
    let invocation = Invocation {
        node_id: params.required_text("nodeId").trim().into(),
        command: command.into(),
        params_json: Some(String::from_utf8_lossy(&json).into()),
        timeout_ms: None,
        idempotency_key: None,
        internal: true,
    };
    let call = call.keep();
    gateway.invoke_node(invocation, move |gateway, _, outcome| match outcome {
        InvokeOutcome::Ok { payload_json } => {
            // A node's text goes into our frame, so it has to be JSON.
            let payload = payload_json.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            match payload.filter(Value::is_object) {
                Some(payload) => gateway.reply_kept(&call, |_, w| w.value(&payload)),
                None => {
                    let text = "the node answered with no approvals file";
                    gateway.refuse_kept(&call, &Refusal::unavailable(text));
                }
            }
        }
        InvokeOutcome::Failed(failure) => gateway.refuse_kept(&call, &failure.refusal()),
    })?;
    Ok(Outcome::Later)
}
