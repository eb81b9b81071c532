//! When the node tries again, and when trying again cannot help.

use std::time::Duration;

use crate::client::backoff::Backoff;
use crate::client::{ClientError, ErrorKind};
use crate::limits::NODE_APPROVAL_WAIT_MS;

/// What follows a failed connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this time.
    After(Duration),
    /// The same, while somebody has to approve this request.
    Approval {
        request_id: String,
        /// It was not told yet.
        is_new: bool,
        wait: Duration,
    },
    /// A person must act.
    Stop,
}

/// The memory of former tries.
#[derive(Default)]
pub struct Pace {
    backoff: Backoff,
    was_connected: bool,
    /// The pairing request that was told last, and how many there have been.
    request: String,
    requests: u32,
    /// How often the last one was waited for.
    tries: u32,
}

impl Pace {
    /// A connection stands.
    pub fn connected(&mut self) {
        self.was_connected = true;
        self.request.clear();
        self.requests = 0;
    }

    /// What follows a connection that was refused or never stood. `random` is unpredictable.
    pub fn refused(&mut self, error: &ClientError, random: u64) -> Next {
        if let Some(request_id) = pairing_request(error) {
            let is_new = self.request != request_id;
            if is_new {
                self.request = request_id.to_owned();
                self.requests += 1;
                self.tries = 0;
            }
            let wait = approval_wait_ms(self.requests - 1, self.tries);
            self.tries = self.tries.saturating_add(1);
            return Next::Approval {
                request_id: request_id.to_owned(),
                is_new,
                wait: Duration::from_millis(wait + random % 500),
            };
        }
        // A proxy before a gateway that restarts is no reason to give it up.
        let odd = matches!(error.kind, ErrorKind::Protocol) && self.was_connected;
        self.after(error, odd, random)
    }

    /// What follows a connection that stood. Only a new try can tell whether a person must act.
    pub fn lost(&mut self, error: &ClientError, random: u64) -> Next {
        let shown_the_door = matches!(
            error.kind,
            ErrorKind::Closed {
                code: 1000 | 1008,
                ..
            }
        );
        if !shown_the_door {
            self.backoff.reset();
        }
        self.after(error, true, random)
    }

    fn after(&mut self, error: &ClientError, anyway: bool, random: u64) -> Next {
        let passing = ClientError::new(ErrorKind::Unreachable, "");
        let error = match anyway && !error.is_retryable() {
            true => &passing,
            false => error,
        };
        match self.backoff.delay_ms(error, random) {
            Some(ms) => Next::After(Duration::from_millis(ms)),
            None => Next::Stop,
        }
    }
}

/// The wait after the given number of earlier requests and of tries with this one. It grows while
/// nobody says anything, and more when there is another request: a gateway keeps one until it is
/// answered, so somebody said no, or nothing for long.
fn approval_wait_ms(requests: u32, tries: u32) -> u64 {
    let (first, longest) = NODE_APPROVAL_WAIT_MS;
    let doubled = (tries / 4 + 2 * requests).min(16);
    (first << doubled).min(longest << requests.min(2))
}

/// The request that somebody has to approve.
fn pairing_request(error: &ClientError) -> Option<&str> {
    let answer = error.as_gateway()?;
    let request = answer.details["requestId"].as_str()?;
    (answer.code == "NOT_PAIRED" && !request.is_empty()).then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::GatewayError;
    use serde_json::{Value, json};

    fn answered(error: Value) -> ClientError {
        ClientError::gateway(GatewayError::from_response(&error, Value::Null))
    }

    fn pairing(id: &str) -> ClientError {
        answered(
            json!({"code":"NOT_PAIRED","message":"pairing required","details":{"requestId":id}}),
        )
    }

    fn closed(code: u16) -> ClientError {
        ClientError::new(
            ErrorKind::Closed {
                code,
                reason: String::new(),
            },
            "",
        )
    }

    fn after(ms: u64) -> Next {
        Next::After(Duration::from_millis(ms))
    }

    #[test]
    fn an_approval_is_waited_for_at_a_calm_pace() {
        let mut pace = Pace::default();
        let wait = |next| match next {
            Next::Approval { wait, .. } => wait.as_millis() as u64,
            other => panic!("{other:?}"),
        };
        for wanted in [1_000, 1_000, 1_000, 1_000, 2_000] {
            assert_eq!(wait(pace.refused(&pairing("a"), 0)), wanted);
        }
        for _ in 0..100 {
            assert!(wait(pace.refused(&pairing("a"), 499)) <= 15_499);
        }
        // Whoever says no is not asked again at once.
        assert_eq!(wait(pace.refused(&pairing("b"), 0)), 4_000);
        for id in 0..100 {
            let asked = wait(pace.refused(&pairing(&id.to_string()), 499));
            assert!(asked <= 60_499);
        }
        pace.connected();
        assert_eq!(wait(pace.refused(&pairing("c"), 0)), 1_000);
    }

    #[test]
    fn a_refusal_that_a_person_must_mend_stops() {
        for error in [
            answered(
                json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch"}),
            ),
            answered(json!({"code":"NOT_PAIRED","message":"device identity required"})),
            answered(json!({"code":"INVALID_REQUEST","message":"protocol mismatch"})),
            ClientError::new(ErrorKind::Security, ""),
            ClientError::new(ErrorKind::Unsupported, ""),
            ClientError::protocol("no gateway"),
        ] {
            assert_eq!(Pace::default().refused(&error, 0), Next::Stop, "{error:?}");
        }
        let mut known = Pace::default();
        known.connected();
        assert_eq!(known.refused(&ClientError::protocol("502"), 7), after(7));
    }

    #[test]
    fn what_passes_is_tried_again_and_what_the_gateway_asks_for_is_waited_for() {
        let mut pace = Pace::default();
        let down = ClientError::new(ErrorKind::Unreachable, "");
        assert_eq!(pace.refused(&down, 1_000), after(1_000));
        assert_eq!(pace.refused(&down, 2_000), after(2_000));
        let locked = answered(
            json!({"code":"INVALID_REQUEST","message":"unauthorized: too many attempts",
            "retryable":true,"retryAfterMs":9_000}),
        );
        assert_eq!(pace.refused(&locked, 0), after(9_000));
    }

    #[test]
    fn a_lost_connection_starts_from_the_beginning_unless_we_were_sent_away() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            assert_eq!(pace.lost(&closed(1012), 1_000), after(1_000));
        }
        // Two hosts with one identity would chase each other.
        assert_eq!(pace.lost(&closed(1008), 2_000), after(2_000));
        assert_eq!(pace.lost(&closed(1008), 4_000), after(4_000));
        assert_eq!(
            pace.lost(&ClientError::protocol("odd"), 1_000),
            after(1_000)
        );
    }
}
