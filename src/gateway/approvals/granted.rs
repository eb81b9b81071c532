//! Decisions that a client asked for and has still to use: each once, for the very same command.

use super::{Decision, Gateway};
use crate::approvals::{Binding, Command, env_hash};
use crate::gateway::Refusal;
use crate::gateway::params::Params;
use crate::ids::ConnId;
use crate::limits::{APPROVAL_GRANT_MS, APPROVALS_GRANTED_MAX};
use crate::wire::json::Json;
use std::collections::VecDeque;

/// Unused decisions, oldest first.
pub type Granted = VecDeque<Grant>;

/// One decision to allow.
pub struct Grant {
    binding: Binding,
    decision: Decision,
    asker: Asker,
    /// On the monotonic clock.
    expires_at_ms: u64,
}

/// Who may use a decision: a client's commands each have a connection of their own, so it is the
/// device that counts, or the program's name where the secret alone let it in.
#[derive(PartialEq, Eq)]
struct Asker {
    device_id: Option<Box<str>>,
    client_id: Box<str>,
}

/// A caller says that a person approved, and nobody did.
const NOT_APPROVED: &str = "approval required: this command was not approved as it is, or its \
    approval was used or has expired (ask with exec.approval.request)";

impl Gateway {
    /// Keeps a decision for the client that asked.
    pub(in crate::gateway) fn grant_approval(
        &mut self,
        conn: ConnId,
        binding: Binding,
        decision: Decision,
    ) {
        let Some(asker) = self.asker(conn) else {
            return;
        };
        let now_ms = self.now.mono_ms;
        let granted = &mut self.approvals.granted;
        granted.retain(|grant| grant.expires_at_ms > now_ms);
        if granted.len() >= APPROVALS_GRANTED_MAX {
            granted.pop_front();
        }
        granted.push_back(Grant {
            binding,
            decision,
            asker,
            expires_at_ms: now_ms + APPROVAL_GRANT_MS,
        });
    }

    /// Sees to it that a `system.run` which says that it was approved really was: by a decision
    /// for exactly this command. Gives its place, for [`Self::use_approval`] once the command is on
    /// its way; None where nothing is said. `params` are those for the node.
    ///
    /// # Errors
    ///
    /// There is no such decision.
    pub(in crate::gateway) fn find_approval(
        &self,
        conn: ConnId,
        node_id: &str,
        params: Params<'_, '_>,
    ) -> Result<Option<usize>, Refusal> {
        let said = params.get("approvalDecision");
        let says = said.is_some() || params.get("approved").is_some_and(is_not_false);
        if !says {
            return Ok(None);
        }
        let refused = || Refusal::invalid(NOT_APPROVED);
        check_texts(params)?;
        let said = match said {
            Some(word) => {
                let decision = word.as_str().and_then(Decision::parse);
                Some(decision.ok_or_else(refused)?)
            }
            None => None,
        };
        let argv = params.texts("command").map(str::to_owned).collect();
        let raw = params.text("rawCommand");
        let command = Command::new(argv, raw).map_err(|fault| Refusal::invalid(fault.text()))?;
        let env = params.get("env").into_iter().flat_map(Json::members);
        let text = |name: &str| params.text(name).map(str::to_owned);
        let used = Binding {
            argv: command.argv().to_vec(),
            text: String::new(),
            cwd: text("cwd"),
            env_hash: env_hash(env.map(|(name, value)| (name, value.as_str().unwrap_or_default()))),
            agent_id: text("agentId"),
            session_key: text("sessionKey"),
            node_id: Some(node_id.to_owned()),
        };
        let asker = self.asker(conn).ok_or_else(refused)?;
        let now_ms = self.now.mono_ms;
        let at = self.approvals.granted.iter().position(|grant| {
            grant.expires_at_ms > now_ms
                && grant.asker == asker
                && said.is_none_or(|said| said == grant.decision)
                && grant.covers(&used, &command)
        });
        at.map(Some).ok_or_else(refused)
    }

    /// Uses a decision up.
    pub(in crate::gateway) fn use_approval(&mut self, place: Option<usize>) {
        if let Some(place) = place {
            self.approvals.granted.remove(place);
        }
    }

    fn asker(&self, conn: ConnId) -> Option<Asker> {
        let live = self.peers.get(conn)?.live()?;
        Some(Asker {
            device_id: live.device_id.clone(),
            client_id: live.client_id.clone(),
        })
    }
}

/// What is compared has to be text: a node might read something else into other JSON.
fn check_texts(params: Params<'_, '_>) -> Result<(), Refusal> {
    let single = ["rawCommand", "cwd", "agentId", "sessionKey"];
    let single = single.into_iter().filter_map(|name| params.get(name));
    let words = params.get("command").into_iter().flat_map(Json::elements);
    let env = params.get("env").into_iter().flat_map(Json::members);
    let mut all = single.chain(words).chain(env.map(|(_, value)| value));
    match all.find(|value| value.as_str().is_none()) {
        Some(_) => Err(Refusal::invalid(
            "command, rawCommand, cwd, env, agentId and sessionKey have to be text",
        )),
        None => Ok(()),
    }
}

/// Anything but `false` may be taken for "yes" by some node.
fn is_not_false(value: Json<'_, '_>) -> bool {
    value.as_bool() != Some(false)
}

impl Grant {
    /// Whether the person who decided saw all of this. Older clients ask without saying the words
    /// and the node; the text that was shown has to be these words then.
    fn covers(&self, used: &Binding, command: &Command) -> bool {
        let mut same = used.clone();
        same.text.clone_from(&self.binding.text);
        if self.binding.argv.is_empty() {
            same.argv.clear();
        }
        if self.binding.node_id.is_none() {
            same.node_id = None;
        }
        same == self.binding && command.is_written(&self.binding.text)
    }
}
