//! A node of somebody else: it does what it is asked, as often as it is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clawdia::client::identity::Identity;
use clawdia::client::secret::{Secret, Secrets};
use clawdia::client::tokens::TokenStore;
use clawdia::client::{
    Client, ClientError, ConnectOptions, GatewayUrl, Incoming, Party, connect_as,
};
use clawdia::driver::Seeded;
use serde_json::{Value, json};

/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(50);
/// The longest that a call takes.
const WORK_MS: u64 = 200;
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// What such a node has done: how often for each key.
pub type Acted = Arc<Mutex<BTreeMap<String, u32>>>;

/// A node on a thread of its own. It ends when this is dropped.
pub struct PlainNode {
    pub device_id: String,
    pub acted: Acted,
    ends: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Worker {
    url: GatewayUrl,
    secrets: Secrets,
    identity: Identity,
    tokens: TokenStore,
    random: Seeded,
    acted: Acted,
    ends: Arc<AtomicBool>,
}

impl PlainNode {
    /// Starts one whose key is in `dir`, for the gateway at `url`.
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub fn start(
        dir: &Path,
        url: GatewayUrl,
        secret: &str,
        random: Seeded,
    ) -> Result<Self, ClientError> {
        let identity = Identity::load_or_create(dir)?;
        let device_id = identity.device_id().to_owned();
        let (acted, ends) = (Acted::default(), Arc::new(AtomicBool::new(false)));
        let mut worker = Worker {
            url,
            secrets: Secrets {
                token: Some(Secret::new(secret, "the ledger")),
                password: None,
            },
            identity,
            tokens: TokenStore::new(dir, "kill9"),
            random,
            acted: Arc::clone(&acted),
            ends: Arc::clone(&ends),
        };
        let thread = thread::spawn(move || worker.run());
        Ok(Self {
            device_id,
            acted,
            ends,
            thread: Some(thread),
        })
    }
}

impl Drop for PlainNode {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(&mut self) {
        while !self.ends.load(Ordering::SeqCst) {
            // A gateway that was killed is away for a while.
            if let Ok(client) = self.connect() {
                let _ = self.serve(client);
            }
            thread::sleep(AGAIN);
        }
    }

    fn connect(&self) -> Result<Client, ClientError> {
        let mut party = Party::operator()?;
        party.client_id = "plain-node";
        party.role = "node";
        party.scopes = &[];
        party.connect.insert("caps".into(), json!(["system"]));
        party
            .connect
            .insert("commands".into(), json!(["system.run"]));
        let options = ConnectOptions {
            url: &self.url,
            secrets: &self.secrets,
            gateway: None,
            pin: None,
            identity: &self.identity,
            tokens: &self.tokens,
            mode: "node",
            insecure: false,
            still_meant: &|| true,
        };
        connect_as(&party, &options, Instant::now() + ANSWER_MAX)
    }

    fn serve(&mut self, mut client: Client) -> Result<(), ClientError> {
        while !self.ends.load(Ordering::SeqCst) {
            match client.next(Instant::now() + LOOK) {
                Ok(Incoming::Event(event)) if event.name == "node.invoke.request" => {
                    self.act(&mut client, &event.payload)?;
                }
                Ok(_) => {}
                Err(error) if error.kind == clawdia::client::ErrorKind::Timeout => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Acts, takes its time, and answers.
    fn act(&mut self, client: &mut Client, call: &Value) -> Result<(), ClientError> {
        let key = call["idempotencyKey"].as_str().unwrap_or("").to_owned();
        *self
            .acted
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .entry(key)
            .or_default() += 1;
        thread::sleep(Duration::from_millis(self.random.below(WORK_MS)));
        let result = json!({"id": call["id"], "nodeId": call["nodeId"], "ok": true,
            "payloadJSON": "{\"exitCode\":0}"});
        client.send("node.invoke.result", &result, Instant::now() + ANSWER_MAX)?;
        Ok(())
    }
}
