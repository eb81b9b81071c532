//! What is spoken to a node is answered to everybody who listens.

use clawdia::client::{Client, Incoming, Party};
use serde_json::{Value, json};

use crate::support::node::{connect, soon};
use crate::support::{Home, Running};

fn party(client_id: &'static str, role: &'static str, scopes: &'static [&'static str]) -> Party {
    Party {
        client_id,
        role,
        scopes,
        client: serde_json::Map::new(),
        connect: serde_json::Map::new(),
        code: None,
    }
}

/// A gateway with a web chat and a node, each a device of its own.
struct World {
    _gateway: Running,
    chat: Client,
    node: Client,
    _homes: [Home; 3],
}

impl World {
    fn start() -> Self {
        let homes = [Home::new(), Home::new(), Home::new()];
        let gateway = homes[0].gateway(&[]);
        let token = homes[0].run(&["token"]).ok().out.trim().to_owned();
        let of = |home: &Home, party: &Party, mode: &str| {
            std::fs::create_dir_all(home.state()).unwrap();
            connect(gateway.port, &token, &home.state(), party, mode)
        };
        let scopes = &["operator.read", "operator.write"];
        Self {
            chat: of(&homes[1], &party("webchat", "operator", scopes), "webchat"),
            node: of(&homes[2], &party("test-node", "node", &[]), "node"),
            _gateway: gateway,
            _homes: homes,
        }
    }

    fn tell(&mut self, event: &str, payload: &Value) {
        let params = json!({"event": event, "payloadJSON": payload.to_string()});
        let told = self.node.call("node.event", &params, soon()).unwrap();
        assert_eq!(told, json!({"ok": true}));
    }
}

/// The states of a run's chat events until it has ended, and its last words.
fn hear(client: &mut Client) -> (Vec<String>, Value) {
    let mut states = Vec::new();
    loop {
        let Incoming::Event(event) = client.next(soon()).unwrap() else {
            continue;
        };
        if event.name != "chat" {
            continue;
        }
        let state = event.payload["state"].as_str().unwrap().to_owned();
        let is_over = state != "delta";
        states.push(state);
        if is_over {
            return (states, event.payload);
        }
    }
}

#[test]
fn what_is_spoken_is_answered_in_the_web_chat_and_at_the_node() {
    let mut world = World::start();
    world.tell("chat.subscribe", &json!({"sessionKey": "main"}));
    world.tell("voice.transcript", &json!({"text": "what can you do?"}));
    let (at_chat, final_at_chat) = hear(&mut world.chat);
    let (at_node, final_at_node) = hear(&mut world.node);
    for states in [&at_chat, &at_node] {
        assert_eq!(states.last().unwrap(), "final");
        assert!(states.contains(&"delta".to_owned()), "{states:?}");
    }
    assert_eq!(final_at_chat["sessionKey"], "agent:main:main");
    assert_eq!(final_at_chat, final_at_node);
    let history = json!({"sessionKey": "main", "limit": 10});
    let history = world.chat.call("chat.history", &history, soon()).unwrap();
    let messages = &history["messages"];
    assert_eq!(messages[0]["content"][0]["text"], "what can you do?");
    assert_eq!(messages[1]["content"], final_at_chat["message"]["content"]);
}

#[test]
fn a_node_that_did_not_subscribe_hears_nothing_of_it() {
    let mut world = World::start();
    world.tell("voice.transcript", &json!({"text": "echo one"}));
    hear(&mut world.chat);
    world.tell("chat.subscribe", &json!({"sessionKey": "main"}));
    world.tell("voice.transcript", &json!({"text": "echo two"}));
    let (_, last) = hear(&mut world.chat);
    let (_, first) = hear(&mut world.node);
    assert_eq!(
        first["runId"], last["runId"],
        "the first run was not its own"
    );
}
