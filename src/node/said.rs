//! What a node host tells the person or the supervisor that watches it.

use std::time::Duration;

use serde_json::{Value, json};

/// One thing worth a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// It begins.
    Started {
        name: String,
        device_id: String,
        gateway: String,
        /// Where it stands what may be executed, and what stands there.
        approvals: String,
        security: String,
    },
    /// The gateway let it in.
    Connected { gateway: String, version: String },
    /// Somebody has to let it in.
    Waiting { request_id: String },
    /// It tries again.
    Retry { why: String, after: Duration },
    /// Something that does not end it.
    Trouble(String),
    /// It was told to end.
    Stopping,
}

impl Said {
    /// For people.
    pub fn to_line(&self) -> String {
        match self {
            Self::Started {
                name,
                device_id,
                gateway,
                approvals,
                security,
            } => format!(
                "node {name} (device {device_id}) for {gateway}\n\
                 commands: security={security} in {approvals}"
            ),
            Self::Connected { gateway, version } => {
                format!("connected to {gateway} (version {version})")
            }
            Self::Waiting { request_id } => format!(
                "waiting to be let in: on the gateway's machine, `clawdia devices approve {request_id}`"
            ),
            Self::Retry { why, after } => {
                format!("{why}; trying again in {:.1} s", after.as_secs_f32())
            }
            Self::Trouble(text) => text.clone(),
            Self::Stopping => "stopping".to_owned(),
        }
    }

    /// For scripts: one object, its `event` first.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Started {
                name,
                device_id,
                gateway,
                approvals,
                security,
            } => json!({
                "event": "started", "displayName": name, "deviceId": device_id,
                "gateway": gateway, "approvals": approvals, "security": security,
            }),
            Self::Connected { gateway, version } => {
                json!({"event": "connected", "gateway": gateway, "version": version})
            }
            Self::Waiting { request_id } => json!({"event": "waiting", "requestId": request_id}),
            Self::Retry { why, after } => {
                json!({"event": "retry", "why": why, "afterMs": after.as_millis() as u64})
            }
            Self::Trouble(text) => json!({"event": "trouble", "message": text}),
            Self::Stopping => json!({"event": "stopping"}),
        }
    }
}
