//! The approvals file, version 1, in the format that the ecosystem's gateways and nodes share.

use super::policy::{Ask, Security};
use crate::limits::{APPROVALS_ENTRIES_MAX, APPROVALS_FILE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `exec-approvals.json`. Keys that are not known are kept, and never loosen anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApprovalsFile {
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<Socket>,
    /// What holds where an agent says nothing itself; its `allowlist` is not used.
    #[serde(default)]
    pub defaults: AgentApprovals,
    /// By agent id; `*` is for all of them.
    #[serde(default)]
    pub agents: BTreeMap<String, AgentApprovals>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for ApprovalsFile {
    fn default() -> Self {
        Self {
            version: 1,
            socket: None,
            defaults: AgentApprovals::default(),
            agents: BTreeMap::new(),
            other: Map::new(),
        }
    }
}

/// Where other programs of the ecosystem ask. Kept as it is; its token is never shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Socket {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What one agent may execute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentApprovals {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// What holds instead where nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_fallback: Option<Security>,
    /// Kept for others: here no program is allowed because a skill names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_allow_skills: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowlist: Option<Vec<Allowed>>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A program that may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A path; `*` and `?` stand for characters within a name, `**` for any.
    pub pattern: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resolved_path: Option<String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Keys that later programs write into entries, and that limit nothing.
const HARMLESS_KEYS: &[&str] = &["source", "commandText"];

impl Allowed {
    /// Whether all of the entry is understood. A key that is not known may be a limit, such as on
    /// the arguments, so such an entry allows nothing.
    pub fn is_understood(&self) -> bool {
        self.unknown_key().is_none()
    }

    fn unknown_key(&self) -> Option<&String> {
        let mut keys = self.other.keys();
        keys.find(|key| !HARMLESS_KEYS.contains(&key.as_str()))
    }
}

/// Why a text is no approvals file. Who meets it denies everything, and does not overwrite it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault(pub String);

impl std::fmt::Display for FileFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FileFault {}

impl ApprovalsFile {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// Anything that is not version 1 of the format, with the place. A word that is not known
    /// where a mode should be is a fault too: it might have meant "deny".
    pub fn parse(text: &str) -> Result<Self, FileFault> {
        if text.len() > APPROVALS_FILE_BYTES_MAX {
            let text = format!("is longer than {APPROVALS_FILE_BYTES_MAX} bytes");
            return Err(FileFault(text));
        }
        let file: Self =
            serde_json::from_str(text).map_err(|fault| FileFault(fault.to_string()))?;
        if file.version != 1 {
            let text = format!("has version {}; version 1 is understood", file.version);
            return Err(FileFault(text));
        }
        let entries = file.agents.values().filter_map(|it| it.allowlist.as_ref());
        if entries.map(Vec::len).sum::<usize>() > APPROVALS_ENTRIES_MAX {
            let text = format!("has more than {APPROVALS_ENTRIES_MAX} patterns");
            return Err(FileFault(text));
        }
        Ok(file)
    }

    /// The text to store: indented, with a line feed at its end.
    pub fn to_text(&self) -> String {
        // All keys are texts and all numbers integers, so nothing can fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The first key that this program does not know, as a path: who sends a file to be stored may
    /// expect it to limit something.
    pub fn unknown_key(&self) -> Option<String> {
        let below = |path: &str, key: &String| format!("{path}.{key}");
        let of_agent = |path: String, agent: &AgentApprovals| {
            let own = agent.other.keys().next().map(|key| below(&path, key));
            own.or_else(|| {
                let mut entries = agent.allowlist.iter().flatten().enumerate();
                let (at, key) = entries.find_map(|(at, it)| Some((at, it.unknown_key()?)))?;
                Some(below(&format!("{path}.allowlist[{at}]"), key))
            })
        };
        let socket = self.socket.as_ref();
        let socket = socket.and_then(|socket| socket.other.keys().next());
        let first = self.other.keys().next().cloned();
        first
            .or_else(|| socket.map(|key| below("socket", key)))
            .or_else(|| of_agent("defaults".to_owned(), &self.defaults))
            .or_else(|| {
                let mut agents = self.agents.iter();
                agents.find_map(|(id, agent)| of_agent(format!("agents.{id}"), agent))
            })
    }

    /// Brings the file into the form that is stored: entries have ids, and what an older format
    /// said under `default` is the main agent's.
    pub fn normalize(&mut self, mut new_id: impl FnMut() -> String) {
        if let Some(old) = self.agents.remove("default") {
            let main = self.agents.entry("main".to_owned()).or_default();
            main.security = main.security.or(old.security);
            main.ask = main.ask.or(old.ask);
            main.ask_fallback = main.ask_fallback.or(old.ask_fallback);
            main.auto_allow_skills = main.auto_allow_skills.or(old.auto_allow_skills);
            for entry in old.allowlist.into_iter().flatten() {
                let list = main.allowlist.get_or_insert_default();
                if list.iter().all(|other| other.pattern != entry.pattern) {
                    list.push(entry);
                }
            }
        }
        let lists = self.agents.values_mut();
        for entry in lists.flat_map(|agent| agent.allowlist.iter_mut().flatten()) {
            entry.id.get_or_insert_with(&mut new_id);
        }
    }

    /// Notes that a person allowed the program for good. Says whether that is new; a full list
    /// takes no more.
    pub fn allow_always(&mut self, agent: &str, path: &str, id: String, now_ms: u64) -> bool {
        let entries = self
            .agents
            .values()
            .filter_map(|agent| agent.allowlist.as_ref());
        if entries.map(Vec::len).sum::<usize>() >= APPROVALS_ENTRIES_MAX {
            return false;
        }
        let agent = self.agents.entry(agent.to_owned()).or_default();
        let list = agent.allowlist.get_or_insert_default();
        if list.iter().any(|entry| entry.pattern == path) {
            return false;
        }
        list.push(Allowed {
            id: Some(id),
            pattern: path.to_owned(),
            last_used_at: Some(now_ms),
            ..Allowed::default()
        });
        true
    }

    /// Notes when and for what a pattern was used last, for people to see what is still needed.
    pub fn note_use(&mut self, agent: &str, pattern: &str, command: &str, path: &str, now_ms: u64) {
        for id in [agent, "*"] {
            let list = self.agents.get_mut(id).and_then(|it| it.allowlist.as_mut());
            let mut entries = list.into_iter().flatten();
            if let Some(entry) = entries.find(|entry| entry.pattern == pattern) {
                entry.last_used_at = Some(now_ms);
                entry.last_used_command = Some(command.to_owned());
                entry.last_resolved_path = Some(path.to_owned());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the reference writes it, and as a later program does.
    const THEIRS: &str = r#"{"version":1,"socket":{"path":"/home/u/.clawdbot/exec-approvals.sock","token":"t"},
        "defaults":{"security":"allowlist","ask":"on-miss","askFallback":"deny","autoAllowSkills":false},
        "agents":{"main":{"security":"full","allowlist":[{"id":"1","pattern":"/usr/bin/uptime","lastUsedAt":5,
        "lastUsedCommand":"uptime","lastResolvedPath":"/usr/bin/uptime"},{"pattern":"/usr/bin/id","source":"allow-always"},
        {"pattern":"/usr/bin/git","argPattern":"^status$"}]}}}"#;

    #[test]
    fn a_file_of_the_ecosystem_is_read_and_comes_back_with_all_that_it_said() {
        let file = ApprovalsFile::parse(THEIRS).unwrap();
        assert_eq!(file.defaults.security, Some(Security::Allowlist));
        let back: Value = serde_json::from_str(&file.to_text()).unwrap();
        let sent: Value = serde_json::from_str(THEIRS).unwrap();
        assert_eq!(back, sent);
    }

    #[test]
    fn an_entry_that_says_more_than_is_understood_is_told_apart() {
        let file = ApprovalsFile::parse(THEIRS).unwrap();
        let list = file.agents["main"].allowlist.as_ref().unwrap();
        let understood: Vec<bool> = list.iter().map(Allowed::is_understood).collect();
        assert_eq!(understood, [true, true, false]);
        let key = file.unknown_key().unwrap();
        assert_eq!(key, "agents.main.allowlist[2].argPattern");
    }

    #[test]
    fn what_is_no_file_of_version_one_is_a_fault_and_never_an_empty_file() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"version":2,"agents":{}}"#,
            r#"{"version":1,"defaults":{"security":"dney"}}"#,
            r#"{"version":1,"agents":{"main":{"ask":"sometimes"}}}"#,
            r#"{"version":1,"agents":{"main":{"allowlist":[{}]}}}"#,
        ] {
            assert!(ApprovalsFile::parse(text).is_err(), "{text}");
        }
        let entries = vec![r#"{"pattern":"/a"}"#; APPROVALS_ENTRIES_MAX + 1].join(",");
        let many = format!(r#"{{"version":1,"agents":{{"a":{{"allowlist":[{entries}]}}}}}}"#);
        assert!(ApprovalsFile::parse(&many).is_err());
    }

    #[test]
    fn normalizing_gives_ids_and_moves_the_older_default() {
        let text = r#"{"version":1,"agents":{"default":{"security":"full","ask":"always",
            "allowlist":[{"pattern":"/b"},{"pattern":"/a"}]},"main":{"security":"deny","allowlist":[{"pattern":"/a"}]}}}"#;
        let mut file = ApprovalsFile::parse(text).unwrap();
        let mut count = 0;
        file.normalize(|| {
            count += 1;
            count.to_string()
        });
        let main = &file.agents["main"];
        assert_eq!(main.security, Some(Security::Deny));
        assert_eq!(main.ask, Some(Ask::Always));
        let list = main.allowlist.as_ref().unwrap();
        let rows: Vec<_> = list
            .iter()
            .map(|it| (it.pattern.as_str(), it.id.as_deref().unwrap()))
            .collect();
        assert_eq!(rows, [("/a", "1"), ("/b", "2")]);
        assert!(!file.agents.contains_key("default"));
    }

    #[test]
    fn a_program_is_allowed_for_good_once_and_its_use_is_noted() {
        let mut file = ApprovalsFile::default();
        assert!(file.allow_always("main", "/usr/bin/id", "1".into(), 7));
        assert!(!file.allow_always("main", "/usr/bin/id", "2".into(), 8));
        file.note_use("main", "/usr/bin/id", "id -u", "/usr/bin/id", 9);
        let entry = &file.agents["main"].allowlist.as_ref().unwrap()[0];
        assert_eq!(
            (entry.last_used_at, entry.id.as_deref()),
            (Some(9), Some("1"))
        );
        assert_eq!(entry.last_used_command.as_deref(), Some("id -u"));
    }
}
