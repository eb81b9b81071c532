//! Why a call of a service failed, by what may be done about it.

use std::fmt;

/// A failed call. Texts are for people and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service surely did not act, and may do so later: it could not be reached, or said no for
    /// now.
    Later(String),
    /// The same, and the service says when to come back.
    Busy { retry_after_ms: u64, text: String },
    /// The service surely did not act: the chat has another id from now on.
    Moved { to: String, text: String },
    /// The service surely did not act: the message that was to be changed is not there.
    Gone(String),
    /// Somebody else uses the account as this program does.
    Conflict(String),
    /// The service refuses the account's secret.
    Unauthorized(String),
    /// The service surely did not act, and never will.
    Refused(String),
    /// The request went out and its answer did not come: the service may have acted.
    Unknown(String),
    /// The call was cut because the account was closed.
    Closed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(text)
            | Self::Busy { text, .. }
            | Self::Moved { text, .. }
            | Self::Gone(text)
            | Self::Conflict(text)
            | Self::Unauthorized(text)
            | Self::Refused(text)
            | Self::Unknown(text) => f.write_str(text),
            Self::Closed => f.write_str("the account was closed"),
        }
    }
}
