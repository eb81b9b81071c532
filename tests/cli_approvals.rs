//! `clawdia approvals` and `clawdia devices pair` with a gateway of their own.

mod support;

use clawdia::client::identity::Identity;
use clawdia::client::party::Party;
use clawdia::client::secret::Secrets;
use clawdia::client::tokens::TokenStore;
use clawdia::client::{ConnectOptions, GatewayUrl, connect_as};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::Home;

const WAIT: Duration = Duration::from_secs(30);

#[test]
fn the_file_is_shown_replaced_and_edited() {
    let home = Home::new();
    let _gateway = home.gateway(&[]);
    let shown = home.run(&["approvals", "get"]).ok().out;
    assert!(shown.contains("(default)  deny"), "{shown}");
    let file = home.state().join("mine.json5");
    std::fs::write(&file, "{defaults: {security: 'allowlist'}, /* all */}").unwrap();
    let path = file.to_str().unwrap();
    let stored = home
        .run(&["approvals", "set", "--file", path, "--json"])
        .ok();
    assert_eq!(stored.json()["file"]["defaults"]["security"], "allowlist");
    let add = [
        "approvals",
        "allowlist",
        "add",
        "/usr/bin/id",
        "--agent",
        "main",
    ];
    home.run(&add).ok();
    home.run(&add).ok();
    let snapshot = home
        .run(&["approvals", "get", "--gateway", "--json"])
        .ok()
        .json();
    let list = &snapshot["file"]["agents"]["main"]["allowlist"];
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["pattern"], "/usr/bin/id");
    let remove = [
        "approvals",
        "allowlist",
        "remove",
        "/usr/bin/id",
        "--agent",
        "main",
    ];
    home.run(&remove).ok();
    assert_eq!(home.run(&remove).code, 1);
    assert_eq!(home.run(&["approvals", "allowlist", "add", "id"]).code, 2);
    std::fs::write(&file, "{defaults: {security: 'some'}}").unwrap();
    let refused = home.run(&["approvals", "set", "--file", path]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("deny"), "{refused:?}");
}

#[test]
fn a_waiting_command_is_decided_at_the_command_line() {
    let home = Home::new();
    let _gateway = home.gateway(&[]);
    for (decide, decision) in [
        (&["approve"][..], "allow-once"),
        (&["approve", "--always"], "allow-always"),
        (&["deny"], "deny"),
    ] {
        let params = json!({"command": "uptime -p", "host": "node"}).to_string();
        let words = [
            "gateway",
            "call",
            "exec.approval.request",
            "--params",
            &params,
        ];
        let mut asker = home.command(&words);
        asker.args(["--json", "--timeout", "60000"]);
        let asker = std::thread::spawn(move || support::finish(asker));
        let deadline = Instant::now() + WAIT;
        let id = loop {
            let all = home.run(&["approvals", "list", "--json"]).ok().json();
            if let Some(id) = all["pending"][0]["id"].as_str() {
                break id.to_owned();
            }
            assert!(Instant::now() < deadline, "no request came");
        };
        let shown = home.run(&["approvals"]).ok().out;
        assert!(shown.contains("uptime -p"), "{shown}");
        let mut words = vec!["approvals", decide[0], &id[..8]];
        words.extend(&decide[1..]);
        let told = home.run(&words).ok().out;
        assert!(told.contains(decision), "{told}");
        let answer = asker.join().unwrap().ok().json();
        assert_eq!(answer["decision"], decision);
    }
    let nobody = home.run(&["approvals", "get", "--node", "attic"]);
    assert!(
        nobody.err.contains("no node is called attic") && nobody.err.contains("clawdia node run"),
        "{nobody:?}"
    );
    let none = home.run(&["approvals", "approve", "11fc2ad6"]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("clawdia approvals list"), "{none:?}");
}

/// A node that shows `code`, with a key of its own.
fn redeem(port: u16, code: &str) -> Result<Value, String> {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(dir.path()).unwrap();
    let tokens = TokenStore::new(dir.path(), "default");
    let party = Party {
        client_id: "node-host",
        role: "node",
        scopes: &[],
        code: Some(code.to_owned()),
        ..Party::operator().unwrap()
    };
    let options = ConnectOptions {
        url: &GatewayUrl::loopback(port),
        secrets: &Secrets::default(),
        gateway: None,
        pin: None,
        identity: &identity,
        tokens: &tokens,
        mode: "node",
        insecure: false,
        still_meant: &|| true,
    };
    let client = connect_as(&party, &options, Instant::now() + WAIT);
    client
        .map(|client| client.hello().payload.clone())
        .map_err(|fault| fault.to_string())
}

#[test]
fn a_code_lets_one_of_many_in_and_nobody_after_a_crash() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let shown = home
        .run(&["devices", "pair", "--address", "wss://home.example"])
        .ok()
        .out;
    assert!(
        shown.contains("wss://home.example") && shown.contains('█'),
        "{shown}"
    );
    let made = home
        .run(&["devices", "pair", "--ttl", "200", "--json"])
        .ok()
        .json();
    let code = made["code"].as_str().unwrap().to_owned();
    let port = gateway.port;
    let attempts: Vec<_> = (0..16)
        .map(|_| {
            let code = code.clone();
            std::thread::spawn(move || redeem(port, &code))
        })
        .collect();
    let mut let_in = 0;
    for attempt in attempts {
        match attempt.join().unwrap() {
            Ok(hello) => {
                let_in += 1;
                assert_eq!(hello["auth"]["role"], "node");
                assert!(hello["auth"]["deviceToken"].is_string());
            }
            Err(fault) => assert!(fault.contains("pairing code"), "{fault}"),
        }
    }
    assert_eq!(let_in, 1);
    // Dropping it kills it.
    drop(gateway);
    let next = home.gateway(&[]);
    assert!(
        redeem(next.port, &code)
            .unwrap_err()
            .contains("pairing code")
    );
    let refused = home.run(&["devices", "pair", "--ttl", "301"]);
    assert_eq!(refused.code, 1);
    let refused = home.run(&["devices", "pair", "--scopes", "read"]);
    assert_eq!(refused.code, 2);
}
