//! A node of a test: the real client in the role of a node, whose commands a closure answers.

use clawdia::client::identity::Identity;
use clawdia::client::secret::{Secret, Secrets};
use clawdia::client::tokens::TokenStore;
use clawdia::client::{Client, ConnectOptions, GatewayUrl, Incoming, Party, connect_as};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a node does with a command and its parameters: a payload, or an error's message.
pub type Does = fn(&str, &Value) -> Result<Value, &'static str>;

/// Connects with the device whose key is in `dir`, straight to a gateway of this machine.
pub fn connect(port: u16, token: &str, dir: &Path, party: &Party, mode: &str) -> Client {
    let url = GatewayUrl::parse(&format!("ws://127.0.0.1:{port}")).unwrap();
    let secrets = Secrets {
        token: Some(Secret::new(token, "the test")),
        password: None,
    };
    let options = ConnectOptions {
        url: &url,
        secrets: &secrets,
        gateway: None,
        pin: None,
        identity: &Identity::load_or_create(dir).unwrap(),
        tokens: &TokenStore::new(dir, "test"),
        mode,
        insecure: false,
        still_meant: &|| true,
    };
    connect_as(party, &options, soon()).unwrap()
}

/// A node that is connected until it is dropped.
pub struct TestNode {
    pub id: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TestNode {
    /// Connects and is let in: it shows the gateway's own token on its own machine.
    pub fn start(
        port: u16,
        token: &str,
        dir: &Path,
        name: &str,
        platform: &str,
        does: Does,
    ) -> Self {
        let commands = ["system.run", "system.notify", "camera.snap", "location.get"];
        let offers = json!({"caps": ["camera", "system"], "commands": commands});
        let client = json!({"displayName": name, "platform": platform});
        let party = Party {
            client_id: "test-node",
            role: "node",
            scopes: &[],
            client: client.as_object().unwrap().clone(),
            connect: offers.as_object().unwrap().clone(),
            code: None,
        };
        let client = connect(port, token, dir, &party, "node");
        let id = Identity::load_or_create(dir)
            .unwrap()
            .device_id()
            .to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let (its_id, its_stop) = (id.clone(), stop.clone());
        let thread = std::thread::spawn(move || serve(client, &its_id, &its_stop, does));
        Self {
            id,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn serve(mut client: Client, id: &str, stop: &AtomicBool, does: Does) {
    while !stop.load(Ordering::SeqCst) {
        let incoming = match client.next(Instant::now() + Duration::from_millis(20)) {
            Ok(incoming) => incoming,
            Err(error) if matches!(error.kind, clawdia::client::ErrorKind::Timeout) => continue,
            Err(_) => return,
        };
        let Incoming::Event(event) = incoming else {
            continue;
        };
        if event.name != "node.invoke.request" {
            continue;
        }
        let request = &event.payload;
        let params = request["paramsJSON"].as_str().unwrap_or("null");
        let params: Value = serde_json::from_str(params).unwrap();
        let answer = match does(request["command"].as_str().unwrap(), &params) {
            Ok(payload) => {
                json!({"id": request["id"], "nodeId": id, "ok": true, "payload": payload})
            }
            Err(message) => {
                let error = json!({"code": "UNAVAILABLE", "message": message});
                json!({"id": request["id"], "nodeId": id, "ok": false, "error": error})
            }
        };
        client.send("node.invoke.result", &answer, soon()).unwrap();
    }
    client.close();
}
