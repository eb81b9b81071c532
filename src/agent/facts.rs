//! What the built-in agent may say about this gateway: plain data, filled by the core.
//!
//! Whatever stands here can be read by the operators of the session, so no secret ever does.

use super::{Thinking, Verbosity};

/// A snapshot of the gateway at the time a step was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The name that the agent goes by.
    pub agent_name: String,
    pub unix_ms: u64,
    pub zone: Zone,
    pub gateway: GatewayFacts,
    pub health: HealthFacts,
    /// The operators that are connected now.
    pub operators: Listed<PeerFact>,
    /// The nodes that are connected now.
    pub nodes: Listed<PeerFact>,
    /// The sessions, the one updated last first.
    pub sessions: Listed<SessionFact>,
    /// The paired devices.
    pub devices: Listed<DeviceFact>,
    /// The pairing requests that wait for an operator.
    pub pairings: Listed<PairingFact>,
    pub channels: Listed<ChannelFact>,
    /// The references of all models, `provider/model`.
    pub models: Listed<String>,
    /// What `models.providers.*.api` may be in this build: [`super::MODEL_APIS`].
    pub model_apis: &'static [&'static str],
    /// The model that a session gets when it names none.
    pub default_model: String,
    pub runs: RunFacts,
    /// The session that asks.
    pub session: SessionFacts,
}

/// The first entries of a list and how many there are, so that a snapshot stays small.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// At most `limits::FACTS_LIST_MAX`.
    pub shown: Vec<T>,
    pub total: usize,
}

impl<T> Listed<T> {
    /// Takes the first entries of `all`, and counts the rest.
    pub fn from_all(all: impl IntoIterator<Item = T>) -> Self {
        let mut all = all.into_iter();
        let shown: Vec<T> = all.by_ref().take(crate::limits::FACTS_LIST_MAX).collect();
        let total = shown.len() + all.count();
        Self { shown, total }
    }

    /// Takes the first entries of `total` ones; the others are not even looked at.
    pub fn counted(total: usize, all: impl IntoIterator<Item = T>) -> Self {
        let shown = all
            .into_iter()
            .take(crate::limits::FACTS_LIST_MAX)
            .collect();
        Self { shown, total }
    }

    /// Entries that are not shown.
    pub fn hidden(&self) -> usize {
        self.total.saturating_sub(self.shown.len())
    }

    /// Whether there is nothing in the list.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            shown: Vec::new(),
            total: 0,
        }
    }
}

/// The operator's time zone, as far as the gateway knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: String,
    /// East of Greenwich.
    pub offset_minutes: i32,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: "UTC".to_owned(),
            offset_minutes: 0,
        }
    }
}

/// The process and where it can be reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayFacts {
    pub version: String,
    pub host_name: String,
    pub platform: String,
    pub uptime_ms: u64,
    /// As in `gateway.bind`: `loopback`, `lan`, `tailnet` and so on.
    pub bind: String,
    pub port: u16,
    /// Where it listens, as `ws://host:port`, the nearest first.
    pub urls: Vec<String>,
    pub tls: bool,
    /// `token`, `password` or `none`.
    pub auth_mode: String,
    pub config_path: String,
    pub state_dir: String,
    /// Resident memory, if the system tells.
    pub memory_bytes: Option<u64>,
}

/// What `health` would say.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthFacts {
    pub ok: bool,
    /// One sentence each.
    pub problems: Vec<String>,
}

impl Default for HealthFacts {
    fn default() -> Self {
        Self {
            ok: true,
            problems: Vec::new(),
        }
    }
}

/// One connected client or node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerFact {
    /// The display name, or the client's id.
    pub name: String,
    /// As the client says: `webchat`, `cli`, `node` and so on.
    pub mode: String,
    pub platform: String,
    pub version: String,
    /// Without the port; empty for a local socket.
    pub ip: String,
    pub since_unix_ms: u64,
}

/// One session in a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionFact {
    pub key: String,
    pub updated_unix_ms: u64,
    pub messages: u64,
}

/// A device that was paired.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceFact {
    /// The display name, or the start of the device's id.
    pub name: String,
    /// `operator`, `node`, or both.
    pub roles: Vec<String>,
    pub platform: String,
    pub connected: bool,
}

/// A pairing request that waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairingFact {
    pub request_id: String,
    /// The display name, or the start of the device's id.
    pub name: String,
    pub role: String,
    pub platform: String,
    pub ip: String,
    pub since_unix_ms: u64,
}

/// One messaging channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelFact {
    pub name: String,
    /// For people: `running`, `stopped: bad token` and so on.
    pub state: String,
}

/// What the gateway is working at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Runs in progress, this one among them.
    pub active: usize,
    /// Runs that wait for their session or for a worker.
    pub waiting: usize,
}

/// The session that asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionFacts {
    pub key: String,
    pub model: String,
    pub thinking: Thinking,
    pub verbosity: Verbosity,
    pub messages: u64,
    pub updated_unix_ms: u64,
    /// Tokens of all its runs.
    pub tokens_input: u64,
    pub tokens_output: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FACTS_LIST_MAX;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let list = Listed::from_all(0..FACTS_LIST_MAX + 7);
        assert_eq!(
            (list.shown.len(), list.total, list.hidden()),
            (FACTS_LIST_MAX, FACTS_LIST_MAX + 7, 7)
        );
        let short = Listed::from_all(["one"]);
        assert_eq!((short.shown.len(), short.total, short.hidden()), (1, 1, 0));
        assert!(Listed::<u8>::default().is_empty());
    }
}
