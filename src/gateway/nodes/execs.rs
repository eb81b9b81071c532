//! Commands that nodes were asked to execute: what a node tells of an execution is only believed of
//! one that this gateway asked that very connection for.

use crate::limits::{NODE_EXEC_GRACE_MS, NODE_EXECS_MAX};
use crate::state::Text;
use serde::Deserialize;
use std::borrow::Cow;

/// One command.
struct Exec {
    /// The call that asked for it.
    number: u64,
    /// As the call named them; None where it did not.
    run_id: Option<Text>,
    session_key: Option<Text>,
    /// When the call ended, on the monotonic clock.
    ended_mono_ms: Option<u64>,
}

/// Commands of one connection, oldest first.
#[derive(Default)]
pub struct Execs {
    list: Vec<Exec>,
}

/// What of a call's parameters its events repeat.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named<'a> {
    #[serde(borrow)]
    run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_key: Option<Cow<'a, str>>,
}

impl Execs {
    /// Whether calls of this command are executions.
    pub fn is_exec(command: &str) -> bool {
        command == "system.run"
    }

    /// A call was sent.
    pub fn begin(&mut self, number: u64, params_json: Option<&str>, now_ms: u64) {
        self.forget(now_ms);
        if self.list.len() >= NODE_EXECS_MAX {
            self.list.remove(0);
        }
        let named: Named<'_> = params_json
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let text = |text: Option<Cow<'_, str>>| {
            let text = text?;
            (!text.trim().is_empty()).then(|| Text::from(text.trim()))
        };
        self.list.push(Exec {
            number,
            run_id: text(named.run_id),
            session_key: text(named.session_key),
            ended_mono_ms: None,
        });
    }

    /// A call has ended; its last event may still come.
    pub fn end(&mut self, number: u64, now_ms: u64) {
        if let Some(exec) = self.list.iter_mut().find(|exec| exec.number == number) {
            exec.ended_mono_ms = Some(now_ms);
        }
        self.forget(now_ms);
    }

    /// Whether an event of this run and session can be of a command that was asked for. The last
    /// event of a command is believed once.
    pub fn believe(&mut self, run_id: &str, session_key: &str, is_last: bool, now_ms: u64) -> bool {
        self.forget(now_ms);
        let is_its = |named: &Option<Text>, told: &str| match named {
            Some(named) => **named == *told,
            None => true,
        };
        let found = self.list.iter().position(|exec| {
            is_its(&exec.run_id, run_id) && is_its(&exec.session_key, session_key)
        });
        if let (Some(at), true) = (found, is_last) {
            self.list.remove(at);
        }
        found.is_some()
    }

    fn forget(&mut self, now_ms: u64) {
        self.list.retain(|exec| {
            let ended_ms = exec.ended_mono_ms;
            ended_ms.is_none_or(|at_ms| now_ms.saturating_sub(at_ms) < NODE_EXEC_GRACE_MS)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_believed_and_its_end_once() {
        let mut execs = Execs::default();
        assert!(!execs.believe("r", "s", false, 0), "nothing was asked for");
        execs.begin(1, Some(r#"{"runId":"r1","sessionKey":"s\u0031"}"#), 0);
        for (run_id, session_key) in [("r2", "s1"), ("r1", "s2"), ("", "")] {
            assert!(!execs.believe(run_id, session_key, true, 0), "{run_id}");
        }
        assert!(execs.believe("r1", "s1", false, 0));
        assert!(execs.believe("r1", "s1", true, 0));
        assert!(!execs.believe("r1", "s1", true, 0));
        // A call that named nothing is told of by whatever name the node gives it.
        execs.begin(2, Some("{}"), 0);
        execs.begin(3, None, 0);
        assert!(execs.believe("any", "node", true, 0));
        assert!(execs.believe("other", "node", true, 0));
        assert!(!execs.believe("third", "node", true, 0));
    }

    #[test]
    fn an_event_may_come_shortly_after_the_result() {
        let mut execs = Execs::default();
        execs.begin(1, None, 0);
        execs.end(1, 1_000);
        assert!(execs.believe("r", "s", false, 1_000 + NODE_EXEC_GRACE_MS - 1));
        assert!(!execs.believe("r", "s", true, 1_000 + NODE_EXEC_GRACE_MS));
        for number in 0..NODE_EXECS_MAX as u64 + 5 {
            execs.begin(number, None, 0);
        }
        assert_eq!(execs.list.len(), NODE_EXECS_MAX);
    }
}
