//! A client that calls nodes, asks again after every crash, and remembers what it was told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clawdia::client::identity::Identity;
use clawdia::client::{Client, ClientError, ErrorKind, GatewayError, Incoming};
use clawdia::driver::Seeded;
use serde_json::{Value, json};

use super::host::NodeHost;
use crate::kill9::{Access, deadline};

/// Calls that wait for their answer; what was not told in an earlier life comes first.
const IN_FLIGHT: usize = 12;
/// New calls of one life.
const NEW_IN_LIFE: usize = 6;
/// The longest that a command takes, in hundredths of a second.
const WORK_CENTISECONDS: u64 = 30;
/// How long the gateway keeps a call for a node that is away.
const TTL_MS: u64 = 600_000;
/// Between two looks at what could be asked again.
const LOOK: Duration = Duration::from_millis(50);

/// A call and what was told about it.
pub struct Call {
    pub key: String,
    /// The node's place in the list of nodes.
    pub node: usize,
    params: Value,
    pub told: Told,
}

/// What a caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing yet: it asks again.
    Nothing,
    /// It was done.
    Done,
    /// Nobody knows whether it was.
    Unknown,
    /// Anything else is a fault.
    Odd(String),
}

/// One such client, over the gateway's lives.
pub struct Caller {
    name: String,
    identity: Identity,
    random: Seeded,
    pub calls: Vec<Call>,
    pub faults: Vec<String>,
}

impl Caller {
    /// A caller whose keys begin with `name`.
    pub fn new(name: String, identity: Identity, random: Seeded) -> Self {
        Self {
            name,
            identity,
            random,
            calls: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Calls until the gateway is gone; without `news` until everything is told.
    pub fn call(&mut self, access: &Access, nodes: &[String], news: bool) {
        let went = access
            .enter(&self.identity)
            .and_then(|client| self.talk(client, nodes, news));
        if let Err(error) = went {
            self.faults.extend(access.fault("a caller", &error));
        }
    }

    /// How many calls have been told nothing.
    pub fn open(&self) -> usize {
        let open = |call: &&Call| call.told == Told::Nothing;
        self.calls.iter().filter(open).count()
    }

    fn talk(
        &mut self,
        mut client: Client,
        nodes: &[String],
        news: bool,
    ) -> Result<(), ClientError> {
        let mut waiting: BTreeMap<u64, usize> = BTreeMap::new();
        // What was answered without an end is not asked again at once.
        let mut later: BTreeMap<usize, Instant> = BTreeMap::new();
        let most = self.calls.len() + if news { NEW_IN_LIFE } else { 0 };
        while news || self.open() > 0 {
            let now = Instant::now();
            later.retain(|_, until| *until > now);
            for at in 0..most {
                if waiting.len() >= IN_FLIGHT {
                    break;
                }
                if at == self.calls.len() {
                    let call = self.invent(nodes);
                    self.calls.push(call);
                }
                let is_due = self.calls[at].told == Told::Nothing
                    && !later.contains_key(&at)
                    && !waiting.values().any(|other| *other == at);
                if is_due {
                    let request = client.send("node.invoke", &self.calls[at].params, deadline())?;
                    waiting.insert(request, at);
                }
            }
            match client.next(now + LOOK) {
                Ok(Incoming::Response(request, result)) => {
                    if let Some(at) = waiting.remove(&request) {
                        self.calls[at].told = told(result);
                        later.insert(at, now + LOOK);
                    }
                }
                Ok(Incoming::Event(_)) => {}
                Err(error) if error.kind == ErrorKind::Timeout => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn invent(&mut self, nodes: &[String]) -> Call {
        let key = format!("{}-{}", self.name, self.calls.len());
        let node = self.random.below(nodes.len() as u64) as usize;
        let seconds = self.random.below(WORK_CENTISECONDS) as f64 / 100.0;
        let params = json!({
            "nodeId": nodes[node],
            "command": "system.run",
            "params": {"command": NodeHost::script(&key, seconds)},
            "idempotencyKey": key,
            "queue": true,
            "ttlMs": TTL_MS,
        });
        Call {
            key,
            node,
            params,
            told: Told::Nothing,
        }
    }
}

fn told(result: Result<Value, GatewayError>) -> Told {
    match result {
        // It is kept for its node, or on its way.
        Ok(answer) if answer["queued"] == true => Told::Nothing,
        Ok(answer) if answer["ok"] == true => Told::Done,
        Ok(answer) => Told::Odd(answer.to_string()),
        Err(error) => match error.details["nodeError"]["code"].as_str() {
            Some("UNKNOWN") => Told::Unknown,
            _ if error.retryable == Some(true) => Told::Nothing,
            _ => Told::Odd(format!(
                "{} {} {}",
                error.code, error.message, error.details
            )),
        },
    }
}
