//! What a gateway asks of the node, and what it is answered.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::host::browser;
use crate::limits::{NODE_INVOKE_KEY_BYTES_MAX, NODE_INVOKE_MS_MAX};

/// A `node.invoke.request`.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoke {
    /// Names the call on this connection.
    pub id: String,
    /// As the gateway calls this node.
    pub node_id: String,
    /// What to do.
    pub command: String,
    /// The parameters, JSON as it came.
    pub params: String,
    /// When the gateway gives the call up, milliseconds from its arrival.
    pub timeout_ms: Option<u64>,
    /// Names the call for good: a repeat of it must not act again.
    pub key: Option<String>,
    /// Whoever asked wants to see what is printed while it runs.
    pub progress: bool,
}

impl Invoke {
    /// Reads the event's payload; `None` where nobody could be answered.
    pub fn read(payload: &Value) -> Option<Self> {
        let text = |name: &str| {
            let text = payload[name].as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let params = match (payload["paramsJSON"].as_str(), payload.get("params")) {
            (Some(json), _) => json.to_owned(),
            (None, Some(params)) => params.to_string(),
            (None, None) => "{}".to_owned(),
        };
        Some(Self {
            id: text("id")?,
            node_id: text("nodeId")?,
            command: text("command")?,
            params,
            timeout_ms: milliseconds(&payload["timeoutMs"]),
            key: text("idempotencyKey").filter(|key| key.len() <= NODE_INVOKE_KEY_BYTES_MAX),
            progress: payload["progress"] == true,
        })
    }

    /// The parameters as an object.
    pub fn params(&self) -> Result<Value, Fault> {
        match serde_json::from_str(&self.params) {
            Ok(params @ Value::Object(_)) => Ok(params),
            Ok(_) => Err(Fault::invalid("the parameters are no object")),
            Err(error) => Err(Fault::invalid(format!(
                "the parameters are no JSON: {error}"
            ))),
        }
    }

    /// What a key stands for: the same key with another command or other parameters is a mistake.
    pub fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&(self.command.len() as u64).to_le_bytes());
        context.update(self.command.as_bytes());
        context.update(self.params.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

/// A time span above zero as clients send it, bounded; anything else is none.
pub fn milliseconds(value: &Value) -> Option<u64> {
    let ms = value.as_f64().filter(|ms| *ms >= 1.0)?;
    // A conversion from floating point saturates.
    Some((ms as u64).min(NODE_INVOKE_MS_MAX))
}

/// Why a command gives no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: String,
    pub message: String,
}

impl Fault {
    /// A fault with a code of the protocol or of nodes.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// The caller has to ask for something else.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_REQUEST", message)
    }

    /// Not here, or not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("UNAVAILABLE", message)
    }

    /// It was begun, and what it did is unknown; it is never begun again.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new("INTERRUPTED", message)
    }
}

impl From<browser::Fault> for Fault {
    fn from(fault: browser::Fault) -> Self {
        match fault {
            browser::Fault::Invalid(text) => Self::invalid(text),
            browser::Fault::Unavailable(text) => Self::unavailable(text),
            late @ browser::Fault::TimedOut => Self::new("TIMEOUT", late.message()),
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The result as JSON; a command may have none.
    #[serde(rename = "payloadJSON")]
    Done(Option<String>),
    Error(Fault),
}

impl Answer {
    /// The answer of a command.
    pub fn of(result: Result<Value, Fault>) -> Self {
        match result {
            Ok(Value::Null) => Self::Done(None),
            Ok(payload) => Self::Done(Some(payload.to_string())),
            Err(fault) => Self::Error(fault),
        }
    }

    /// The parameters of the `node.invoke.result` that carries it.
    pub fn to_result(&self, id: &str, node_id: &str) -> Value {
        let mut params = json!({"id": id, "nodeId": node_id, "ok": matches!(self, Self::Done(_))});
        match self {
            Self::Done(None) => {}
            Self::Done(Some(payload)) => params["payloadJSON"] = payload.as_str().into(),
            Self::Error(fault) => {
                params["error"] = json!({"code": fault.code, "message": fault.message});
            }
        }
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a gateway of the ecosystem sent it.
    const SEEN: &str = r#"{"id":"05dcaaaa","nodeId":"a3ab","command":"system.which",
        "paramsJSON":"{\"bins\":[\"bash\",\"nope\"]}","timeoutMs":15000,"idempotencyKey":"bd90"}"#;

    fn read(text: &str) -> Option<Invoke> {
        Invoke::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_request_is_read_and_answered_in_the_form_of_the_ecosystem() {
        let invoke = read(SEEN).unwrap();
        assert_eq!(invoke.params().unwrap()["bins"][0], "bash");
        assert_eq!(
            (invoke.timeout_ms, invoke.key.as_deref()),
            (Some(15_000), Some("bd90"))
        );
        let answer = Answer::of(Ok(json!({"bins":{"bash":"/usr/bin/bash"}})));
        assert_eq!(
            answer.to_result(&invoke.id, &invoke.node_id).to_string(),
            r#"{"id":"05dcaaaa","nodeId":"a3ab","ok":true,"payloadJSON":"{\"bins\":{\"bash\":\"/usr/bin/bash\"}}"}"#
        );
        let refused = Answer::of(Err(Fault::unavailable("command not supported")));
        assert_eq!(
            refused.to_result("1", "n").to_string(),
            r#"{"id":"1","nodeId":"n","ok":false,"error":{"code":"UNAVAILABLE","message":"command not supported"}}"#
        );
    }

    #[test]
    fn what_cannot_be_answered_is_nothing_and_what_can_is_never_guessed() {
        assert_eq!(read(r#"{"id":"1","command":"x"}"#), None);
        assert_eq!(read(r#"{"id":"1","nodeId":" ","command":"x"}"#), None);
        let bare = read(
            r#"{"id":"1","nodeId":"n","command":"x","paramsJSON":null,"idempotencyKey":null}"#,
        );
        let bare = bare.unwrap();
        assert_eq!((bare.params.as_str(), bare.key), ("{}", None));
        for params in ["", "[]", "{"] {
            let invoke = Invoke {
                params: params.into(),
                ..read(SEEN).unwrap()
            };
            assert_eq!(
                invoke.params().unwrap_err().code,
                "INVALID_REQUEST",
                "{params}"
            );
        }
    }

    #[test]
    fn no_number_is_too_odd_for_a_time_span() {
        for odd in [json!(0), json!(-1), json!(0.5), json!("5"), json!(null)] {
            assert_eq!(milliseconds(&odd), None, "{odd}");
        }
        for long in [json!(1e308), json!(u64::MAX), json!(9.3e18)] {
            assert_eq!(milliseconds(&long), Some(NODE_INVOKE_MS_MAX), "{long}");
        }
        assert_eq!(milliseconds(&json!(1500.7)), Some(1_500));
    }

    #[test]
    fn a_digest_stands_for_command_and_parameters() {
        let base = read(SEEN).unwrap();
        let mut other = base.clone();
        other.id = "another call".into();
        assert_eq!(base.digest(), other.digest());
        other.params = "{}".into();
        assert_ne!(base.digest(), other.digest());
        let shifted = Invoke {
            command: "system.which{".into(),
            params: base.params[1..].into(),
            ..base.clone()
        };
        assert_ne!(base.digest(), shifted.digest());
    }

    #[test]
    fn an_answer_is_the_same_after_it_was_stored() {
        for answer in [
            Answer::Done(None),
            Answer::Done(Some("{\"a\":\"\u{1}\"}".into())),
            Answer::Error(Fault::interrupted("x")),
        ] {
            let stored = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Answer>(&stored).unwrap(), answer);
        }
    }
}
