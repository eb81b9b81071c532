//! Which tools an agent has: what the configuration allows for all, and for this one.

use super::{Known, TOOLS};
use crate::agent::ToolSpec;
use crate::config::types::ToolPolicy;
use crate::gateway::Gateway;
use std::sync::Arc;

/// Names that stand for several tools, as in the ecosystem.
const GROUPS: &[(&str, &[&str])] = &[
    ("group:runtime", &["exec", "process"]),
    ("group:fs", &["read", "write", "edit"]),
    ("group:web", &["web_fetch"]),
    ("group:sessions", &["sessions"]),
    ("group:nodes", &["nodes"]),
    ("group:messaging", &["message"]),
    ("group:automation", &["cron", "gateway"]),
];

impl Gateway {
    /// The tools of an agent.
    pub(in crate::gateway) fn tools_of(&self, agent: &str) -> impl Iterator<Item = Known> {
        let config = self.config();
        let own = config.agents.get(agent).map(|agent| &agent.tools);
        let policies: Vec<&ToolPolicy> = [Some(&config.tools), own].into_iter().flatten().collect();
        let offered = self.mcp.tools().cloned().map(Known::Offered);
        TOOLS
            .iter()
            .map(Known::Own)
            .chain(offered)
            .filter(move |tool| policies.iter().all(|policy| allows(policy, tool.name())))
    }

    /// The same as a model is told of them.
    pub(in crate::gateway) fn tool_specs(&self, agent: &str) -> Arc<[ToolSpec]> {
        self.tools_of(agent).map(|tool| tool.spec()).collect()
    }

    /// A tool of an agent by its name.
    pub(in crate::gateway) fn tool_of(&self, agent: &str, name: &str) -> Option<Known> {
        self.tools_of(agent).find(|tool| tool.name() == name)
    }
}

/// What is denied is denied; where something is allowed by name, nothing else is.
fn allows(policy: &ToolPolicy, name: &str) -> bool {
    let names = |list: &[String]| list.iter().any(|entry| means(entry, name));
    !names(&policy.deny) && (policy.allow.is_empty() || names(&policy.allow))
}

/// Whether an entry is the tool's name, a group that it is in, or has a `*` for any end.
fn means(entry: &str, name: &str) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    let group = GROUPS.iter().find(|(group, _)| *group == entry);
    match (group, entry.strip_suffix('*')) {
        (Some((_, tools)), _) => tools.contains(&name),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => entry == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> ToolPolicy {
        let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        ToolPolicy {
            allow: texts(allow),
            deny: texts(deny),
        }
    }

    #[test]
    fn a_denial_wins_and_a_list_of_allowed_tools_is_all_there_is() {
        assert!(allows(&policy(&[], &[]), "exec"));
        assert!(!allows(&policy(&[], &["exec"]), "exec"));
        assert!(!allows(&policy(&["exec"], &["group:runtime"]), "exec"));
        assert!(!allows(&policy(&["read"], &[]), "exec"));
        assert!(allows(&policy(&["Group:FS"], &[]), "edit"));
        assert!(!allows(&policy(&[], &["*"]), "read"));
        assert!(allows(&policy(&["web_*"], &[]), "web_fetch"));
        assert!(!allows(&policy(&["no-such-tool"], &[]), "web_fetch"));
        assert!(allows(&policy(&["Files__*"], &[]), "Files__readAll"));
        assert!(!allows(&policy(&[], &["files__readall"]), "Files__readAll"));
    }
}
