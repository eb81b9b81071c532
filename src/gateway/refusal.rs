//! Why a request is not served, as a value; one function says it to the peer.

use crate::state::StoreFault;
use crate::wire::envelope::{ErrorShape, write_error};
use crate::wire::json::Writer;
use std::borrow::Cow;

/// The protocol's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is wrong, or not allowed.
    InvalidRequest,
    /// The device has to be paired first.
    NotPaired,
    /// The gateway cannot do it now.
    Unavailable,
    /// The agent took too long.
    AgentTimeout,
}

impl Code {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::NotPaired => "NOT_PAIRED",
            Self::Unavailable => "UNAVAILABLE",
            Self::AgentTimeout => "AGENT_TIMEOUT",
        }
    }
}

/// The error of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its class.
    pub code: Code,
    /// What is wrong, and where it can be told, what mends it.
    pub message: Cow<'static, str>,
    /// JSON for machines.
    pub details: Option<Box<[u8]>>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// The request is wrong.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// The gateway cannot do it now.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// Any code without details.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            retryable: false,
            retry_after_ms: None,
        }
    }

    /// The store did not take the records; nothing was changed.
    pub fn not_stored(fault: &str) -> Self {
        Self {
            retryable: true,
            ..Self::unavailable(format!("not stored, nothing was changed: {fault}"))
        }
    }

    /// The store did not give what was to be read.
    pub fn unread(fault: &StoreFault) -> Self {
        Self {
            retryable: true,
            ..Self::unavailable(format!("the transcript cannot be read: {fault}"))
        }
    }

    /// With JSON for machines, written by `f`.
    pub fn with_details(mut self, f: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut json = Vec::new();
        f(&mut Writer::new(&mut json));
        self.details = Some(json.into());
        self
    }

    /// Writes the whole response.
    pub fn write(&self, w: &mut Writer<'_>, id: &str, payload: Option<&[u8]>) {
        write_error(
            w,
            id,
            payload,
            &ErrorShape {
                code: self.code.as_str(),
                message: &self.message,
                details: self.details.as_deref(),
                retryable: self.retryable,
                retry_after_ms: self.retry_after_ms,
            },
        );
    }
}
