//! Commands that wait for a person: one engine for clients, nodes and the agent's tools.
//!
//! A request lives in memory alone. It ends exactly once: by the decision of an operator, by its
//! time, by whoever asked going away, or with the process; all but the first mean "deny".

mod granted;
mod stored;

use super::broadcast::Weight;
use super::timers::Timer;
use super::{Gateway, Refusal};
use crate::approvals::{Binding, shown};
use crate::ids::ConnId;
use crate::limits::{APPROVAL_TIMEOUT_MS_MAX, APPROVALS_PENDING_MAX};
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::order;
use crate::wire::json::Writer;
use granted::Granted;
use std::collections::BTreeMap;
pub use stored::LOCK;

/// What an operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This one time.
    AllowOnce,
    /// Now, and its programs from now on.
    AllowAlways,
    /// Not.
    Deny,
}

impl Decision {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowOnce => "allow-once",
            Self::AllowAlways => "allow-always",
            Self::Deny => "deny",
        }
    }

    /// Reads the word on the wire; None for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::AllowOnce, Self::AllowAlways, Self::Deny]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}

/// A command for which a person is asked. What is decided holds for exactly this.
#[derive(Clone, Debug, Default)]
pub struct ApprovalRequest {
    /// An id that the asker chose; a random one without it.
    pub id: Option<Box<str>>,
    pub binding: Binding,
    /// What the person sees besides: where it is to run, under which rules, as which file.
    pub host: Option<Box<str>>,
    pub security: Option<Box<str>>,
    pub ask: Option<Box<str>>,
    pub resolved_path: Option<Box<str>>,
    /// The names of the variables in the binding's environment.
    pub env_keys: Vec<Box<str>>,
    /// How long a person may take.
    pub timeout_ms: u64,
    /// The connection that asked: with it the request goes. None for the gateway itself.
    pub conn: Option<ConnId>,
}

/// What happens once; None means that nobody decided.
type Then = Box<dyn FnOnce(&mut Gateway, Now, Option<Decision>, &Asked) + Send>;

struct Pending {
    number: u64,
    request: ApprovalRequest,
    asked: Asked,
    then: Then,
}

/// Requests that wait, and decisions that were not used yet.
#[derive(Default)]
pub struct Approvals {
    pending: BTreeMap<Box<str>, Pending>,
    numbers: u64,
    granted: Granted,
}

/// A request's id and its time.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: Box<str>,
    pub created_at_ms: u64,
    pub expires_at_ms: u64,
}

impl Gateway {
    /// Asks operators. `then` runs exactly once, unless the process ends before.
    ///
    /// # Errors
    ///
    /// The id is in use, or too many requests wait.
    pub(super) fn request_approval(
        &mut self,
        mut request: ApprovalRequest,
        then: impl FnOnce(&mut Gateway, Now, Option<Decision>, &Asked) + Send + 'static,
    ) -> Result<Asked, Refusal> {
        let id = match request.id.take() {
            Some(id) if self.approvals.pending.contains_key(&id) => {
                return Err(Refusal::invalid("approval id already pending"));
            }
            Some(id) => id,
            None => self.uuid().into(),
        };
        if self.approvals.pending.len() >= APPROVALS_PENDING_MAX {
            let text = "too many commands wait for approval \
                        (run: clawdia approvals list, then approve or deny)";
            return Err(Refusal {
                retryable: true,
                ..Refusal::unavailable(text)
            });
        }
        let timeout_ms = request.timeout_ms.clamp(1, APPROVAL_TIMEOUT_MS_MAX);
        self.approvals.numbers += 1;
        let number = self.approvals.numbers;
        let asked = Asked {
            id: id.clone(),
            created_at_ms: self.now.unix_ms,
            expires_at_ms: self.now.unix_ms + timeout_ms,
        };
        let pending = Pending {
            number,
            request,
            asked: asked.clone(),
            then: Box::new(then),
        };
        self.approvals.pending.insert(id.clone(), pending);
        self.set_timer(timeout_ms, Timer::Approval(number));
        self.broadcast(
            "exec.approval.requested",
            Weight::Must,
            None,
            |gateway, w| {
                if let Some(pending) = gateway.approvals.pending.get(&id) {
                    pending.write(w);
                }
            },
        );
        Ok(asked)
    }

    /// Ends a request. Says whether it was pending.
    pub(super) fn decide_approval(
        &mut self,
        id: &str,
        decision: Option<Decision>,
        resolved_by: Option<&str>,
    ) -> bool {
        let Some(pending) = self.approvals.pending.remove(id) else {
            return false;
        };
        let word = decision.unwrap_or(Decision::Deny).as_str();
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Info,
            "gateway/approvals",
            "command decided",
        );
        self.log_with(
            line.with("id", id)
                .with("decision", word)
                .with("by", resolved_by.unwrap_or("nobody")),
        );
        self.broadcast(
            "exec.approval.resolved",
            Weight::Must,
            None,
            |gateway, w| {
                w.object(|w| {
                    w.field_str("id", id);
                    w.field_str("decision", word);
                    w.field_opt_str("resolvedBy", resolved_by);
                    w.field_u64("ts", gateway.now.unix_ms);
                });
            },
        );
        (pending.then)(self, self.now, decision, &pending.asked);
        true
    }

    /// The time of a request is over.
    pub(super) fn on_approval_over(&mut self, number: u64) {
        self.end_approvals(|pending| pending.number == number);
    }

    /// Whoever asked went away: nobody waits for the decision any more.
    pub(super) fn on_asker_left(&mut self, conn: ConnId) {
        self.end_approvals(|pending| pending.request.conn == Some(conn));
    }

    fn end_approvals(&mut self, ends: impl Fn(&Pending) -> bool) {
        let all = self.approvals.pending.iter();
        let ids: Vec<Box<str>> = all
            .filter(|(_, pending)| ends(pending))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.decide_approval(&id, None, None);
        }
    }

    /// Writes the requests that wait, oldest first.
    pub(super) fn write_pending_approvals(&self, w: &mut Writer<'_>) {
        let mut all: Vec<&Pending> = self.approvals.pending.values().collect();
        order::sort_by_key(&mut all, |pending| pending.number);
        w.array(|w| all.iter().for_each(|pending| pending.write(w)));
    }
}

impl Pending {
    /// As the event and the list show it: the whole command, and nothing hidden in it.
    fn write(&self, w: &mut Writer<'_>) {
        let Self { request, asked, .. } = self;
        let binding = &request.binding;
        w.object(|w| {
            w.field_str("id", &asked.id);
            w.key("request");
            w.object(|w| {
                w.field_str("command", &shown(&binding.text));
                for (name, text) in [
                    ("cwd", binding.cwd.as_deref()),
                    ("host", request.host.as_deref()),
                    ("security", request.security.as_deref()),
                    ("ask", request.ask.as_deref()),
                    ("agentId", binding.agent_id.as_deref()),
                    ("resolvedPath", request.resolved_path.as_deref()),
                    ("sessionKey", binding.session_key.as_deref()),
                ] {
                    w.key(name);
                    match text {
                        Some(text) => w.str(&shown(text)),
                        None => w.null(),
                    }
                }
                let node = binding.node_id.as_deref().map(shown);
                w.field_opt_str("nodeId", node.as_deref());
                if !binding.argv.is_empty() {
                    let argv: Vec<String> = binding.argv.iter().map(|it| shown(it)).collect();
                    w.field_strs("commandArgv", argv.iter().map(String::as_str));
                }
                if !request.env_keys.is_empty() {
                    let keys: Vec<String> = request.env_keys.iter().map(|it| shown(it)).collect();
                    w.field_strs("envKeys", keys.iter().map(String::as_str));
                }
            });
            w.field_u64("createdAtMs", asked.created_at_ms);
            w.field_u64("expiresAtMs", asked.expires_at_ms);
        });
    }
}
