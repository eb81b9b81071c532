//! A gateway that is published by Tailscale, with the built program; Tailscale is a stand-in.

#[path = "../support/mod.rs"]
mod support;

mod persons;
mod routes;

use serde_json::Value;
use support::tailscale::Tailscale;
use support::{Home, Running};

const SERVE: &str =
    "{gateway: {auth: {token: 'a1b2c3d4e5f6a1b2c3d4e5f6'}, tailscale: {mode: 'serve'EXTRA}}}";
const FUNNEL: &str = "{gateway: {auth: {mode: 'password', password: 'a1b2c3d4e5f6a1b2c3d4e5f6'}, \
                      tailscale: {mode: 'funnel'EXTRA}}}";

fn configured(text: &str, extra: &str) -> Home {
    let home = Home::new();
    home.configure(&text.replace("EXTRA", extra));
    home
}

fn start(home: &Home, tailscale: &Tailscale, port: u16) -> Running {
    let port = port.to_string();
    let command = home.command(&["gateway", "run", "--port", &port]);
    Running::start(tailscale.on_path(command))
}

/// What `status` says about the tailnet.
fn told(home: &Home) -> Value {
    let status = home.run(&["gateway", "call", "status"]).ok().json();
    status["tailscale"].clone()
}

/// Waits until it says this.
#[track_caller]
fn tells(home: &Home, key: &str, text: &str) {
    support::eventually(|| told(home)[key].as_str().is_some_and(|it| it.contains(text)));
}
