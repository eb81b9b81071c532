//! What can go wrong between this program and a gateway, as a value.

use std::fmt;

use serde_json::Value;

/// An error that a gateway answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayError {
    /// Protocol code, for example `INVALID_REQUEST` or `NOT_PAIRED`.
    pub code: String,
    /// The text for people.
    pub message: String,
    /// Machine-readable particulars, `Null` where there are none.
    pub details: Value,
    /// Whether the same request may succeed later, where the gateway said so.
    pub retryable: Option<bool>,
    /// Earliest time to try again, milliseconds from now.
    pub retry_after_ms: Option<u64>,
    /// The payload that came beside the error (a failed run has one), else `Null`.
    pub payload: Value,
}

impl GatewayError {
    /// Reads the `error` object of a response; whatever is missing becomes a neutral value.
    pub fn from_response(error: &Value, payload: Value) -> Self {
        let text = |key: &str, or: &str| {
            error
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or(or)
                .to_owned()
        };
        Self {
            code: text("code", "UNAVAILABLE"),
            message: text("message", "the gateway gave no reason"),
            details: error.get("details").cloned().unwrap_or(Value::Null),
            retryable: error.get("retryable").and_then(Value::as_bool),
            retry_after_ms: error.get("retryAfterMs").and_then(Value::as_u64),
            payload,
        }
    }
}

/// The kinds of failure that callers tell apart.
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorKind {
    /// Nothing listens there, or the host cannot be reached or found.
    Unreachable,
    /// The deadline passed.
    Timeout,
    /// The gateway closed the connection, with code and reason (1006: without a close frame).
    Closed { code: u16, reason: String },
    /// The peer does not speak this protocol.
    Protocol,
    /// The gateway answered with an error.
    Gateway(Box<GatewayError>),
    /// Going on would have endangered a credential; nothing was sent.
    Security,
    /// The configuration or a state file of this machine is at fault.
    Configuration,
    /// This build cannot do it.
    Unsupported,
}

/// A failed attempt, with the text that a person reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientError {
    /// What callers decide by.
    pub kind: ErrorKind,
    /// One sentence, without a trailing full stop.
    pub message: String,
}

impl ClientError {
    /// An error of `kind` that reads as `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The error of a gateway's answer.
    pub fn gateway(error: GatewayError) -> Self {
        Self {
            message: error.message.clone(),
            kind: ErrorKind::Gateway(Box::new(error)),
        }
    }

    /// A deadline that passed while waiting for `what`.
    pub fn timeout(what: &str) -> Self {
        Self::new(ErrorKind::Timeout, format!("timed out waiting for {what}"))
    }

    /// The peer broke the protocol.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// The protocol code, or the one that fits best where no gateway answered.
    pub fn code(&self) -> &str {
        match &self.kind {
            ErrorKind::Gateway(error) => &error.code,
            ErrorKind::Unreachable => "UNREACHABLE",
            ErrorKind::Timeout => "TIMEOUT",
            ErrorKind::Closed { .. } => "CLOSED",
            ErrorKind::Protocol => "PROTOCOL",
            ErrorKind::Security => "SECURITY",
            ErrorKind::Configuration => "CONFIGURATION",
            ErrorKind::Unsupported => "UNSUPPORTED",
        }
    }

    /// The gateway's own error, where a gateway answered.
    pub fn as_gateway(&self) -> Option<&GatewayError> {
        match &self.kind {
            ErrorKind::Gateway(error) => Some(error),
            _ => None,
        }
    }

    /// Whether trying again later, unchanged, can succeed.
    ///
    /// A refusal for a reason that only a person can mend (secret, pairing, protocol version,
    /// certificate) is final: repeating it would only look like an attack.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            ErrorKind::Unreachable | ErrorKind::Timeout => true,
            // 1008 is a refusal; everything else (restart, lost link, slow consumer aside) passes.
            ErrorKind::Closed { code, .. } => !matches!(code, 1002 | 1003 | 1007 | 1008 | 1009),
            ErrorKind::Gateway(error) => error.retryable.unwrap_or(matches!(
                error.code.as_str(),
                "UNAVAILABLE" | "AGENT_TIMEOUT"
            )),
            ErrorKind::Protocol
            | ErrorKind::Security
            | ErrorKind::Configuration
            | ErrorKind::Unsupported => false,
        }
    }

    /// How long the gateway asked to wait before the next try, milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.as_gateway().and_then(|error| error.retry_after_ms)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answered(error: Value) -> ClientError {
        ClientError::gateway(GatewayError::from_response(&error, Value::Null))
    }

    #[test]
    fn a_refusal_that_a_person_must_mend_is_final() {
        for error in [
            json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch"}),
            json!({"code":"NOT_PAIRED","message":"pairing required"}),
            json!({"code":"INVALID_REQUEST","message":"protocol mismatch"}),
        ] {
            assert!(!answered(error).is_retryable());
        }
        assert!(!ClientError::new(ErrorKind::Security, "").is_retryable());
        let refused = ErrorKind::Closed {
            code: 1008,
            reason: String::new(),
        };
        assert!(!ClientError::new(refused, "").is_retryable());
    }

    #[test]
    fn a_lock_out_or_a_restart_passes() {
        let locked = answered(json!({"code":"INVALID_REQUEST","retryable":true,
            "message":"unauthorized: too many attempts","retryAfterMs":5000}));
        assert!(locked.is_retryable());
        assert_eq!(locked.retry_after_ms(), Some(5000));
        let restart = ErrorKind::Closed {
            code: 1012,
            reason: String::new(),
        };
        assert!(ClientError::new(restart, "").is_retryable());
        assert!(ClientError::new(ErrorKind::Unreachable, "").is_retryable());
    }

    #[test]
    fn an_empty_error_object_still_reads() {
        let error = answered(json!({}));
        assert_eq!(error.code(), "UNAVAILABLE");
        assert!(!error.message.is_empty());
    }
}
