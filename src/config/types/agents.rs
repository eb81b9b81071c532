//! The `agents` section: who answers, with which model, how many at a time.

use serde::Deserialize;

/// The agent that exists without any setting.
pub const AGENT_ID_DEFAULT: &str = "main";
const AGENT_ID_BYTES_MAX: usize = 64;

/// Agents and what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AgentsConfig {
    /// Outranks `defaults.max_concurrent`.
    pub max_concurrent: Option<usize>,
    pub defaults: AgentDefaults,
    /// As in the file; empty means one agent `main`.
    pub list: Vec<AgentConfig>,
}

/// What every agent uses unless its own entry says otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AgentDefaults {
    pub model: Option<ModelRef>,
    pub workspace: Option<String>,
    /// Runs at the same time, all agents together.
    pub max_concurrent: usize,
    /// Longest run.
    pub timeout_seconds: u64,
    pub heartbeat: HeartbeatConfig,
    pub thinking_default: Option<String>,
    /// `off`, `on` or `full`: whether tool events reach the chat.
    pub verbose_default: Option<String>,
    pub context_tokens: Option<u64>,
    /// Such as `Europe/Vienna`.
    pub user_timezone: Option<String>,
}

/// One agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AgentConfig {
    /// Lower-case letters, digits, `_` and `-`.
    pub id: String,
    pub name: Option<String>,
    pub default: bool,
    pub workspace: Option<String>,
    pub identity: IdentityConfig,
    pub model: Option<ModelRef>,
    pub heartbeat: Option<HeartbeatConfig>,
    /// On top of what holds for all agents.
    pub tools: super::ToolPolicy,
}

/// How an agent shows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IdentityConfig {
    pub name: Option<String>,
    pub emoji: Option<String>,
    /// A web address, a data address, or a file in the workspace.
    pub avatar: Option<String>,
    pub theme: Option<String>,
}

/// `"provider/model"`, and what to try when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "ModelRefText")]
pub struct ModelRef {
    pub primary: Option<String>,
    pub fallbacks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ModelRefText {
    Short(String),
    #[serde(rename_all = "camelCase")]
    Long {
        #[serde(default)]
        primary: Option<String>,
        #[serde(default)]
        fallbacks: Vec<String>,
    },
}

impl From<ModelRefText> for ModelRef {
    fn from(text: ModelRefText) -> Self {
        match text {
            ModelRefText::Short(primary) => Self {
                primary: Some(primary),
                fallbacks: Vec::new(),
            },
            ModelRefText::Long { primary, fallbacks } => Self { primary, fallbacks },
        }
    }
}

/// A run that starts by itself, to look whether there is something to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeartbeatConfig {
    /// A duration such as `30m`; `0m` switches it off.
    pub every: String,
    pub model: Option<String>,
    pub session: Option<String>,
    pub target: String,
    pub to: Option<String>,
    pub prompt: Option<String>,
    /// An answer that is the agreed "nothing to do" and at most this long is not shown.
    pub ack_max_chars: usize,
    pub active_hours: Option<ActiveHours>,
    pub include_reasoning: bool,
}

/// The part of the day in which heartbeats run, `HH:MM` each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ActiveHours {
    pub start: Option<String>,
    pub end: Option<String>,
    pub timezone: Option<String>,
}

impl HeartbeatConfig {
    /// Milliseconds between two heartbeats; none when they are off.
    pub fn every_ms(&self) -> Option<u64> {
        parse_duration_ms(&self.every).filter(|ms| *ms > 0)
    }
}

impl AgentsConfig {
    /// Runs at the same time, all agents together.
    pub fn runs_max(&self) -> usize {
        self.max_concurrent.unwrap_or(self.defaults.max_concurrent)
    }

    /// The agent that answers where none is named.
    pub fn default_id(&self) -> &str {
        self.list
            .iter()
            .find(|a| a.default)
            .or(self.list.first())
            .map_or(AGENT_ID_DEFAULT, |a| a.id.as_str())
    }

    /// The entry of an agent; the implied `main` has none.
    pub fn get(&self, id: &str) -> Option<&AgentConfig> {
        self.list.iter().find(|a| a.id == id)
    }

    /// All agents' ids in the file's order, at least `main`.
    pub fn ids(&self) -> Vec<&str> {
        if self.list.is_empty() {
            return vec![AGENT_ID_DEFAULT];
        }
        self.list.iter().map(|a| a.id.as_str()).collect()
    }

    /// The model that an agent uses, its own or the common one.
    pub fn model_of(&self, id: &str) -> Option<&ModelRef> {
        self.get(id)
            .and_then(|a| a.model.as_ref())
            .or(self.defaults.model.as_ref())
    }

    /// The directory that an agent works in, where the configuration says so: its own, or beside
    /// the common one, so that no two agents share what they are.
    pub fn workspace_of(&self, id: &str) -> Option<String> {
        let own = self.get(id).and_then(|agent| agent.workspace.clone());
        let common = self.defaults.workspace.as_deref();
        own.or_else(|| common.map(|folder| self.workspace_below(folder, id)))
    }

    /// An agent's workspace where the common one is `folder`.
    pub fn workspace_below(&self, folder: &str, id: &str) -> String {
        let folder = folder.trim_end_matches('/');
        match id == self.default_id() {
            true => folder.to_owned(),
            false => format!("{folder}-{id}"),
        }
    }

    /// The heartbeat of an agent, its own or the common one.
    pub fn heartbeat_of(&self, id: &str) -> &HeartbeatConfig {
        self.get(id)
            .and_then(|a| a.heartbeat.as_ref())
            .unwrap_or(&self.defaults.heartbeat)
    }
}

impl Default for AgentDefaults {
    fn default() -> Self {
        Self {
            model: None,
            workspace: None,
            max_concurrent: 4,
            timeout_seconds: 600,
            heartbeat: HeartbeatConfig::default(),
            thinking_default: None,
            verbose_default: None,
            context_tokens: None,
            user_timezone: None,
        }
    }
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self {
            every: "30m".to_owned(),
            model: None,
            session: None,
            target: "last".to_owned(),
            to: None,
            prompt: None,
            ack_max_chars: 300,
            active_hours: None,
            include_reasoning: false,
        }
    }
}

/// An agent's id in its one form, lower case; none where it cannot be one.
pub fn normalize_agent_id(text: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let ok = (1..=AGENT_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(fits)
        && text.as_bytes()[0].is_ascii_alphanumeric();
    ok.then(|| text.to_ascii_lowercase())
}

/// Reads `500ms`, `30s`, `5m`, `2h`, `1d`; a bare number is minutes. None for anything else.
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration_ms("30m"), Some(1_800_000));
        assert_eq!(parse_duration_ms("1h"), Some(3_600_000));
        assert_eq!(parse_duration_ms("15"), Some(900_000));
        assert_eq!(parse_duration_ms("500ms"), Some(500));
        for text in ["", "m", "-1m", "1 m", "1.5h", "1w", "99999999999999999999d"] {
            assert_eq!(parse_duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn ids_have_one_form() {
        assert_eq!(normalize_agent_id("Ops-1_b").as_deref(), Some("ops-1_b"));
        for text in ["", "-a", "a:b", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(normalize_agent_id(text), None, "{text}");
        }
    }

    #[test]
    fn without_entries_there_is_one_agent() {
        let agents = AgentsConfig::default();
        assert_eq!(agents.default_id(), "main");
        assert_eq!(agents.ids(), ["main"]);
        assert_eq!(agents.runs_max(), 4);
        assert_eq!(agents.heartbeat_of("main").every_ms(), Some(1_800_000));
    }
}
