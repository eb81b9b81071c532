//! No secret reaches anybody but the gateway that it belongs to.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{FakeGateway, Home, Peer, finish};

/// A gateway that lets everybody in, answers one call, and says what `connect` carried.
fn answering(auth: Value) -> (FakeGateway, std::sync::mpsc::Receiver<Value>) {
    let (tell, told) = std::sync::mpsc::channel();
    let script = move |mut peer: Peer| {
        let connect = peer.welcome(auth);
        assert!(
            !peer.head.contains("token"),
            "nothing secret in the HTTP head"
        );
        tell.send(connect["params"].clone()).unwrap();
        let call = peer.request();
        peer.answer(&call, json!({"ok": true}));
    };
    (FakeGateway::start(script), told)
}

fn address(fake: &FakeGateway) -> String {
    format!("ws://127.0.0.1:{}", fake.port())
}

#[test]
fn a_tunnel_on_the_local_port_never_sees_the_local_secret() {
    let home = Home::new();
    // A gateway ran here once: there is a generated token, and a device token for it.
    let running = home.gateway(&[]);
    home.run(&["health"]).ok();
    let generated = home.run(&["token"]).ok().out.trim().to_owned();
    let tokens = support::read(&home.state().join("identity/device-tokens.json"));
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    let device_token = tokens["tokens"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    running.stop();

    for configured in [
        "",
        "auth: { token: 'configured-token' }",
        "auth: { mode: 'password', password: 'configured-pw' }",
    ] {
        let (tunnel, told) = answering(json!({}));
        home.configure(&format!(
            "{{ gateway: {{ port: {}, {configured} }} }}",
            tunnel.port()
        ));
        home.run(&["health"]).ok();
        let connect = told.recv().unwrap();
        assert_eq!(connect.get("auth"), None, "{connect}");
        let sent = connect.to_string();
        for secret in [
            generated.as_str(),
            device_token.as_str().unwrap(),
            "configured-token",
            "configured-pw",
        ] {
            assert!(!sent.contains(secret), "{secret}");
        }
        tunnel.join();
    }
}

#[test]
fn the_remote_secret_goes_to_the_configured_address_alone() {
    let home = Home::new();
    let (remote, told) = answering(json!({}));
    let config = format!(
        "{{ gateway: {{ mode: 'remote', auth: {{ token: 'mine' }}, remote: {{ url: '{}', token: 'theirs' }} }} }}",
        address(&remote)
    );
    home.configure(&config);
    home.run(&["health"]).ok();
    assert_eq!(told.recv().unwrap()["auth"], json!({"token": "theirs"}));
    remote.join();

    let (other, told) = answering(json!({}));
    home.run(&["health", "--url", &address(&other)]).ok();
    assert_eq!(told.recv().unwrap().get("auth"), None);
    other.join();
}

#[test]
fn a_device_token_of_one_gateway_never_reaches_another() {
    let home = Home::new();
    let remote =
        |url: &str| format!("{{ gateway: {{ mode: 'remote', remote: {{ url: '{url}' }} }} }}");
    let given = json!({"deviceToken": "token-of-a", "role": "operator", "scopes": []});
    let (a, told) = answering(given);
    home.configure(&remote(&address(&a)));
    home.run(&["health", "--token", "shared"]).ok();
    assert_eq!(told.recv().unwrap()["auth"]["token"], "shared");
    let address_of_a = address(&a);
    a.join();

    // The address in the profile was exchanged: b gets nothing of a's.
    let (b, told) =
        answering(json!({"deviceToken": "token-of-b", "role": "operator", "scopes": []}));
    home.configure(&remote(&address(&b)));
    home.run(&["health"]).ok();
    let connect = told.recv().unwrap();
    assert!(!connect.to_string().contains("token-of-a"), "{connect}");
    assert_ne!(address(&b), address_of_a);
    b.join();

    let stored = support::read(&home.state().join("identity/device-tokens.json"));
    assert!(stored.contains("token-of-a") && stored.contains("token-of-b"));
}

#[test]
fn two_gateways_whose_addresses_were_exchanged_learn_nothing_of_each_other() {
    let (a, b) = (Home::new(), Home::new());
    let (gateway_a, gateway_b) = (a.gateway(&[]), b.gateway(&[]));
    let person = Home::new();
    let mode = |home: &Home, port: u16| {
        let token = home.run(&["token"]).ok().out.trim().to_owned();
        let url = format!("ws://127.0.0.1:{port}");
        format!("{{ gateway: {{ mode: 'remote', remote: {{ url: '{url}', token: '{token}' }} }} }}")
    };
    let profile = |name: &str| person.state().with_file_name(format!(".clawdia-{name}"));
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(profile(name)).unwrap();
        std::fs::write(profile(name).join("clawdia.json"), text).unwrap();
    };
    // Each profile is paired with its own gateway.
    write("a", &mode(&a, gateway_a.port));
    write("b", &mode(&b, gateway_b.port));
    for name in ["a", "b"] {
        person.run(&["health", "--profile", name]).ok();
    }
    let identity = |name: &str| support::read(&profile(name).join("identity/device.json"));
    assert_ne!(
        identity("a"),
        identity("b"),
        "not even the device is the same"
    );
    // Then the addresses are exchanged and the secrets gone: only device tokens are left.
    let bare = |port: u16| {
        format!("{{ gateway: {{ mode: 'remote', remote: {{ url: 'ws://127.0.0.1:{port}' }} }} }}")
    };
    write("a", &bare(gateway_b.port));
    write("b", &bare(gateway_a.port));
    for name in ["a", "b"] {
        let ran = person.run(&["health", "--profile", name]);
        assert!(
            ran.code == 1 && ran.err.contains("none was sent"),
            "{ran:?}"
        );
    }
    // At its own place each token is good again.
    write("a", &bare(gateway_a.port));
    person.run(&["health", "--profile", "a"]).ok();
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_files() {
    let home = Home::new();
    let sent = |words: &[&str], env: &[(&str, &str)]| {
        let (remote, told) = answering(json!({}));
        let url = address(&remote);
        home.configure(&format!(
            "{{ gateway: {{ mode: 'remote', remote: {{ url: '{url}', token: 'file' }} }} }}"
        ));
        let mut command = home.command(words);
        command.envs(env.iter().copied());
        finish(command).ok();
        remote.join();
        told.recv().unwrap()["auth"].clone()
    };
    let env = [("CLAWDIA_GATEWAY_TOKEN", "env")];
    assert_eq!(sent(&["health"], &[]), json!({"token": "file"}));
    assert_eq!(sent(&["health"], &env), json!({"token": "env"}));
    assert_eq!(
        sent(&["health", "--token", "flag"], &env),
        json!({"token": "flag"})
    );
    assert_eq!(
        sent(&["health", "--password=pw"], &env),
        json!({"password": "pw"})
    );
    let file = home.state().join("secret");
    std::fs::write(&file, "from-file\nmore\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(
        sent(&["--token-file", file, "health"], &[]),
        json!({"token": "from-file"})
    );
}

#[test]
fn nothing_secret_crosses_an_unencrypted_network_unless_forced() {
    let home = Home::new();
    for host in ["192.0.2.1", "127.evil.example", "localhost.evil.example"] {
        let url = format!("ws://{host}:1");
        let started = Instant::now();
        let ran = home.run(&["health", "--url", &url, "--token", "hush"]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("SECURITY ERROR"), "{ran:?}");
        assert!(!ran.err.contains("hush"));
        assert!(started.elapsed() < Duration::from_secs(5), "it did not try");
    }
}

#[test]
fn a_pin_without_tls_is_a_fault_of_the_configuration() {
    let home = Home::new();
    let pin = "ab".repeat(32);
    home.configure(&format!(
        "{{ gateway: {{ mode: 'remote', remote: {{ url: 'ws://127.0.0.1:1', tlsFingerprint: '{pin}' }} }} }}"
    ));
    assert_eq!(home.run(&["health", "--insecure"]).code, 78);
}

#[test]
fn an_address_never_carries_a_secret() {
    let ran = Home::new().run(&["health", "--url", "ws://127.0.0.1:1/?token=hush"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--token"), "{ran:?}");
}

#[test]
fn every_refusal_names_the_secret_and_what_mends_it() {
    let home = Home::new();
    let refuse = |message: &'static str| {
        FakeGateway::start(move |mut peer| {
            let connect = peer.challenge();
            peer.refuse(
                &connect,
                json!({"code": "INVALID_REQUEST", "message": message}),
            );
        })
    };
    let fake = refuse("unauthorized: gateway token missing (…)");
    let ran = home.run(&["health", "--url", &address(&fake)]);
    assert!(
        ran.err.contains("wants a token, and none was sent"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("config set gateway.remote.token"),
        "{ran:?}"
    );

    let fake = refuse("unauthorized: gateway token mismatch (…)");
    let mut command = home.command(&["health", "--url", &address(&fake)]);
    command.env("CLAWDIA_GATEWAY_TOKEN", "hush");
    let ran = finish(command);
    assert!(
        ran.err.contains("from CLAWDIA_GATEWAY_TOKEN (environment)"),
        "{ran:?}"
    );
    assert!(ran.err.contains("unset CLAWDIA_GATEWAY_TOKEN"), "{ran:?}");
    assert!(!ran.err.contains("hush"));
}
