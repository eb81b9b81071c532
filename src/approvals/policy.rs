//! What holds for one agent.

use super::file::{AgentApprovals, Allowed, ApprovalsFile};
use serde::{Deserialize, Serialize};

/// What may run at all, strictest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Nothing.
    #[default]
    Deny,
    /// What a pattern matches, or a person allows.
    Allowlist,
    /// Everything.
    Full,
}

impl Security {
    /// The word in files and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allowlist => "allowlist",
            Self::Full => "full",
        }
    }

    /// Reads the word; None for any other one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Deny, Self::Allowlist, Self::Full]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}

/// When a person is asked, least often first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Never.
    Off,
    /// Where no pattern matches.
    #[default]
    OnMiss,
    /// Before everything.
    Always,
}

impl Ask {
    /// The word in files and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OnMiss => "on-miss",
            Self::Always => "always",
        }
    }

    /// Reads the word; None for any other one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Off, Self::OnMiss, Self::Always]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}

/// What one agent may execute, all defaults filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub security: Security,
    pub ask: Ask,
    /// What holds where a person was asked and did not answer.
    pub ask_fallback: Security,
    pub allowlist: Vec<Allowed>,
    /// What `~` stands for in patterns; such a pattern matches nothing without it.
    pub home: Option<String>,
    /// Folders of the system that are links, and where each leads: what is in one is in the other.
    pub links: Vec<(String, String)>,
}

impl ApprovalsFile {
    /// The policy of an agent: what it says itself, then what is said for all, then the defaults,
    /// then the strictest. Patterns of all agents are added to its own.
    pub fn policy(&self, agent: &str, home: Option<&str>) -> Policy {
        // Older files say `default` for the main agent.
        let old = (agent == "main").then_some("default");
        let named = [Some(agent), old, Some("*")].into_iter().flatten();
        let said: Vec<&AgentApprovals> = named.filter_map(|id| self.agents.get(id)).collect();
        let all = || said.iter().copied().chain([&self.defaults]);
        let lists = said.iter().rev().filter_map(|it| it.allowlist.as_ref());
        Policy {
            security: all().find_map(|it| it.security).unwrap_or_default(),
            ask: all().find_map(|it| it.ask).unwrap_or_default(),
            ask_fallback: all().find_map(|it| it.ask_fallback).unwrap_or_default(),
            allowlist: lists.flatten().cloned().collect(),
            home: home.map(str::to_owned),
            links: Vec::new(),
        }
    }
}

impl Policy {
    /// The same on a machine with these links, as `Policy::links` has them.
    #[must_use]
    pub fn with_links(self, links: Vec<(String, String)>) -> Self {
        Self { links, ..self }
    }

    /// The stricter of this policy and what a caller asked for: a caller never loosens anything.
    #[must_use]
    pub fn tightened(self, security: Option<Security>, ask: Option<Ask>) -> Self {
        Self {
            security: security.map_or(self.security, |it| it.min(self.security)),
            ask: ask.map_or(self.ask, |it| it.max(self.ask)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str, agent: &str) -> Policy {
        ApprovalsFile::parse(text).unwrap().policy(agent, None)
    }

    #[test]
    fn where_nothing_is_said_nothing_may_run() {
        let empty = policy(r#"{"version":1}"#, "main");
        assert_eq!(empty, Policy::default());
        assert_eq!(empty.security, Security::Deny);
        assert_eq!(
            (empty.ask, empty.ask_fallback),
            (Ask::OnMiss, Security::Deny)
        );
    }

    #[test]
    fn an_agent_goes_before_all_agents_and_they_before_the_defaults() {
        let text = r#"{"version":1,"defaults":{"security":"full","ask":"off","askFallback":"full"},
            "agents":{"*":{"security":"allowlist","ask":"always","allowlist":[{"pattern":"/all"}]},
            "a":{"security":"deny","allowlist":[{"pattern":"/a"}]},"default":{"ask":"off"}}}"#;
        let a = policy(text, "a");
        assert_eq!((a.security, a.ask), (Security::Deny, Ask::Always));
        assert_eq!(a.ask_fallback, Security::Full);
        let patterns: Vec<&str> = a.allowlist.iter().map(|it| it.pattern.as_str()).collect();
        assert_eq!(patterns, ["/all", "/a"]);
        let b = policy(text, "b");
        assert_eq!((b.security, b.allowlist.len()), (Security::Allowlist, 1));
        assert_eq!(policy(text, "main").ask, Ask::Off);
    }

    #[test]
    fn a_caller_may_only_tighten() {
        let full = Policy {
            security: Security::Full,
            ask: Ask::Off,
            ..Policy::default()
        };
        let tight = full
            .clone()
            .tightened(Some(Security::Allowlist), Some(Ask::Always));
        assert_eq!(
            (tight.security, tight.ask),
            (Security::Allowlist, Ask::Always)
        );
        let same = tight
            .clone()
            .tightened(Some(Security::Full), Some(Ask::Off));
        assert_eq!(same, tight);
        assert_eq!(full.clone().tightened(None, None), full);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for it in [Security::Deny, Security::Allowlist, Security::Full] {
            assert_eq!(Security::parse(it.as_str()), Some(it));
            assert_eq!(serde_json::to_value(it).unwrap(), it.as_str());
        }
        for it in [Ask::Off, Ask::OnMiss, Ask::Always] {
            assert_eq!(Ask::parse(it.as_str()), Some(it));
            assert_eq!(serde_json::to_value(it).unwrap(), it.as_str());
        }
        assert_eq!(Security::parse("Full"), None);
        assert_eq!(Ask::parse(""), None);
    }
}
