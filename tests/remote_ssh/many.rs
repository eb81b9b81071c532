//! A gateway made up for a test, which takes any number of connections and lets everybody in.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::{Value, json};

use super::support::Peer;

pub struct Many {
    pub port: u16,
}

impl Many {
    /// `told` hears what each connection carried, and each of its calls.
    pub fn start(told: impl Fn(&Value, &Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(told);
        std::thread::spawn(move || {
            loop {
                let mut peer = Peer::accept(&listener);
                let told = Arc::clone(&told);
                std::thread::spawn(move || {
                    let connect = peer.welcome(json!({}));
                    while let (1, payload) = peer.frame() {
                        let call = serde_json::from_slice(&payload).unwrap();
                        told(&connect["params"], &call);
                        peer.answer(&call, json!({"ok": true}));
                    }
                });
            }
        });
        Self { port }
    }
}
