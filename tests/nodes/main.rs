//! Nodes through the core, without sockets: who is connected, who may be asked for what, and that
//! every call ends exactly once.

mod browser;
mod commands;
mod connections;
mod events;
mod invoke;
mod many;
mod pair;
mod progress;
mod queue;
mod repeats;

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, Options, node_params};
use clawdia::ids::ConnId;
use serde_json::{Value, json};

/// An operator and a connected node of device 7 that declares these commands.
struct Scene {
    driver: Driver,
    operator: ConnId,
    node: ConnId,
    device: Device,
}

impl Scene {
    fn new(commands: &[&str]) -> Self {
        Self::with_config("{}", commands)
    }

    fn with_config(config: &str, commands: &[&str]) -> Self {
        let mut driver = Driver::new(Options {
            config: config.into(),
            ..Options::default()
        });
        let operator = driver.operator();
        let device = Device::new(7);
        let node = driver.node(&device, commands);
        Self {
            driver,
            operator,
            node,
            device,
        }
    }

    /// Parameters of `node.invoke`.
    fn call(&self, command: &str, key: &str) -> Value {
        json!({"nodeId": self.device.id, "command": command, "idempotencyKey": key})
    }

    /// Sends a call; its request id and what the node was asked.
    fn ask(&mut self, command: &str, key: &str) -> (String, Value) {
        let params = self.call(command, key);
        let id = self.driver.request(self.operator, "node.invoke", params);
        (id, self.asked())
    }

    /// The one call that the node got.
    fn asked(&mut self) -> Value {
        self.driver.settle();
        let mut asked = self.driver.events(self.node, "node.invoke.request");
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }

    /// The node answers; what it is told.
    fn answer(&mut self, asked: &Value, payload: &Value) -> Value {
        let params = result(asked, payload);
        self.driver.ok(self.node, "node.invoke.result", params)
    }

    fn response(&mut self, id: &str) -> Option<Value> {
        self.driver.settle();
        self.driver.response(self.operator, id)
    }

    /// What `node.list` says of the node.
    fn row(&mut self) -> Value {
        let list = self.driver.ok(self.operator, "node.list", json!({}));
        assert_eq!(list["nodes"].as_array().unwrap().len(), 1, "{list}");
        list["nodes"][0].clone()
    }
}

/// Parameters of `node.invoke.result`.
fn result(asked: &Value, payload: &Value) -> Value {
    json!({"id": asked["id"], "nodeId": asked["nodeId"], "ok": true,
        "payloadJSON": payload.to_string()})
}

fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap_or("")
}
