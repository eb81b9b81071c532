//! A gateway and a node, each in a home of its own, with a network between them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::relay::Relay;
use crate::support::{Home, Ran, Running};

/// Only what hangs takes longer, also on a machine that has much to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub gateway_home: Home,
    pub node_home: Home,
    gateway: Mutex<Option<Running>>,
    pub relay: Relay,
}

impl World {
    /// A gateway that runs.
    pub fn new() -> Self {
        let gateway_home = Home::new();
        let gateway = gateway_home.gateway(&[]);
        Self {
            relay: Relay::to(gateway.port),
            gateway: Mutex::new(Some(gateway)),
            gateway_home,
            node_home: Home::new(),
        }
    }

    /// The same with a paired node, whose owner allows everything.
    pub fn with_node() -> (Self, Node) {
        let world = Self::new();
        world.allow_everything();
        let mut node = world.first_start();
        let request = node.hear("waiting")["requestId"]
            .as_str()
            .unwrap()
            .to_owned();
        world
            .gateway_home
            .run(&["devices", "approve", &request])
            .ok();
        node.hear("connected");
        (world, node)
    }

    /// Starts the node with the gateway's token.
    pub fn first_start(&self) -> Node {
        let token = self.gateway_home.state().join("gateway-token");
        let url = format!("ws://127.0.0.1:{}", self.relay.port);
        self.start(&["--url", &url, "--token-file", token.to_str().unwrap()])
    }

    /// Starts the node with these words.
    pub fn start(&self, words: &[&str]) -> Node {
        let mut all = vec!["--json", "node", "run"];
        all.extend(words);
        let mut command = self.node_home.command(&all);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (says, said) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut text = String::new();
            for line in stdout.lines().map_while(Result::ok) {
                text += &line;
                // The last words are printed over several lines.
                if let Ok(value) = serde_json::from_str::<Value>(&text) {
                    text.clear();
                    let _ = says.send(value);
                }
            }
        });
        Node { child, said }
    }

    /// What the node's owner allows.
    pub fn allow(&self, approvals: &Value) {
        std::fs::create_dir_all(self.node_dir()).unwrap();
        let path = self.node_dir().join("exec-approvals.json");
        std::fs::write(path, approvals.to_string()).unwrap();
    }

    fn allow_everything(&self) {
        self.allow(&json!({"version":1,"defaults":{"security":"full","ask":"off"},"agents":{}}));
    }

    pub fn node_dir(&self) -> PathBuf {
        self.node_home.state().join("node")
    }

    /// The node's device id, by which the gateway knows it.
    pub fn node_id(&self) -> String {
        let text = std::fs::read_to_string(self.node_dir().join("device.json")).unwrap();
        let device: Value = serde_json::from_str(&text).unwrap();
        device["deviceId"].as_str().unwrap().to_owned()
    }

    /// Calls a method of the gateway; the answer may be an error.
    pub fn call(&self, method: &str, params: &Value) -> Value {
        self.ask(method, params).json()
    }

    fn ask(&self, method: &str, params: &Value) -> Ran {
        let params = params.to_string();
        let words = [
            "--json",
            "gateway",
            "call",
            method,
            "--params",
            &params,
            "--timeout",
            "60s",
        ];
        self.gateway_home.run(&words)
    }

    /// The parameters of a `node.invoke`.
    pub fn invoke_params(&self, key: &str, command: &str, params: Value) -> Value {
        json!({"nodeId": self.node_id(), "command": command, "params": params,
            "idempotencyKey": key, "timeoutMs": 60_000})
    }

    /// Runs a shell text on the node; gives the whole answer.
    #[track_caller]
    pub fn shell(&self, key: &str, text: &str) -> Value {
        self.try_shell(key, text).json()
    }

    /// The same where there may be no gateway to answer.
    pub fn try_shell(&self, key: &str, text: &str) -> Ran {
        let params = self.invoke_params(key, "system.run", json!({"command": text}));
        self.ask("node.invoke", &params)
    }

    /// The same as a call that is kept until the node has answered.
    #[track_caller]
    pub fn queue(&self, key: &str, text: &str) -> Value {
        self.try_queue(key, text).json()
    }

    /// The same where there may be no gateway to answer.
    pub fn try_queue(&self, key: &str, text: &str) -> Ran {
        let mut params = self.invoke_params(key, "system.run", json!({"command": text}));
        params["queue"] = true.into();
        params["ttlMs"] = 600_000.into();
        self.ask("node.invoke", &params)
    }

    /// Ends the gateway in order and starts another on the same state.
    pub fn restart_gateway(&self) {
        let gateway = self.gateway.lock().unwrap().take();
        if let Some(gateway) = gateway {
            assert_eq!(gateway.stop(), Some(0));
        }
        self.start_gateway();
    }

    /// Ends the gateway at once, without a word.
    pub fn kill_gateway(&self) {
        drop(self.gateway.lock().unwrap().take());
    }

    /// Starts a gateway on the same state.
    pub fn start_gateway(&self) {
        let gateway = self.gateway_home.gateway(&[]);
        self.relay.turn(gateway.port);
        *self.gateway.lock().unwrap() = Some(gateway);
    }

    /// Lines of a file in the node's home.
    pub fn lines(&self, file: &str) -> usize {
        let path = self.node_home.state().parent().unwrap().join(file);
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .count()
    }
}

/// A node host that is killed at the latest when this is dropped.
pub struct Node {
    child: Child,
    said: Receiver<Value>,
}

impl Node {
    /// Waits until the node says this; what comes before is dropped.
    #[track_caller]
    pub fn hear(&mut self, event: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(said) if said["event"] == event || said["error"]["code"] == event => {
                    return said;
                }
                Ok(_) => {}
                Err(error) => panic!("the node did not say {event}: {error}"),
            }
        }
    }

    /// What the node says next.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let said = self.said.recv_timeout(PATIENCE);
        said.expect("the node says something")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; gives the exit code and how long it took.
    pub fn wait(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let code = crate::support::ended(&mut self.child);
        (code, began.elapsed())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `done`.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
