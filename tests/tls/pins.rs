//! What the command line believes, and what it says where it does not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use serde_json::Value;

use crate::client::{connect, get, home, modern, own_certificate};
use crate::support::{Home, Ran, Running};

/// `gateway fingerprint --json`
fn fingerprint(home: &Home) -> Value {
    home.run(&["gateway", "fingerprint", "--json"]).ok().json()
}

fn url(gateway: &Running) -> String {
    format!("wss://127.0.0.1:{}", gateway.port)
}

/// `health` from another home, with the token of this one.
fn health(home: &Home, gateway: &Running, pin: &[&str]) -> Ran {
    let token = home.run(&["token"]).ok().out;
    let url = url(gateway);
    let mut words = vec!["health", "--url", &url, "--token", token.trim()];
    words.extend(pin);
    Home::new().run(&words)
}

#[test]
fn the_command_line_of_the_same_machine_needs_no_pin() {
    let home = home();
    let _gateway = home.gateway(&[]);
    home.run(&["health"]).ok();
    home.run(&["gateway", "probe"]).ok();
}

#[test]
fn every_spelling_of_the_right_pin_is_let_through() {
    let home = home();
    let gateway = home.gateway(&[]);
    let printed = fingerprint(&home);
    let sha256 = printed["sha256"].as_str().unwrap();
    let pairs: Vec<String> = sha256
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8(pair.to_ascii_uppercase()).unwrap())
        .collect();
    let other = "ab".repeat(32);
    for pin in [
        sha256.to_owned(),
        pairs.join(":"),
        format!("sha256:{sha256}"),
        printed["spki"].as_str().unwrap().to_owned(),
        format!("{other},{sha256}"),
    ] {
        health(&home, &gateway, &["--tls-fingerprint", &pin]).ok();
    }
    // What is shown at the address is the same.
    let seen = Home::new().run(&["gateway", "fingerprint", "--json", "--url", &url(&gateway)]);
    let seen = seen.ok().json();
    assert_eq!(
        (&seen["sha256"], &seen["spki"]),
        (&printed["sha256"], &printed["spki"])
    );
    for line in seen["paste"].as_object().unwrap().values() {
        assert!(line.as_str().unwrap().contains(sha256), "{line}");
    }
    let node = seen["paste"]["node"].as_str().unwrap();
    assert!(node.starts_with("clawdia node run --host "), "{node}");
}

#[test]
fn what_is_to_be_pasted_elsewhere_leads_here_and_what_waits_is_told() {
    let home = home();
    let gateway = home.gateway(&[]);
    // Nobody else reaches loopback.
    let shown = home.run(&["gateway", "fingerprint"]).ok().out;
    assert!(shown.contains("clawdia config set gateway.bind"), "{shown}");
    assert!(
        !shown.contains("node run") && !shown.contains("not yet"),
        "{shown}"
    );
    let printed = fingerprint(&home);
    assert_eq!(
        (&printed["address"], &printed["waits"]),
        (&Value::Null, &Value::Null)
    );
    // What was changed since counts from the next start on.
    home.run(&["config", "set", "gateway.tls.enabled", "false"])
        .ok();
    let shown = home.run(&["gateway", "fingerprint"]).ok().out;
    assert!(
        shown.contains("speaks TLS until it starts again: clawdia gateway restart"),
        "{shown}"
    );
    let status = home.run(&["gateway", "status"]).ok().out;
    assert!(
        status.contains("it is on until the gateway starts again"),
        "{status}"
    );
    let status = home.run(&["status"]).ok().out;
    assert!(
        status.contains("with 1 trouble") && status.contains("it is on until"),
        "{status}"
    );
    drop(gateway);
    let shown = home.run(&["gateway", "fingerprint"]).ok().out;
    assert!(
        shown.contains("clawdia config set gateway.tls.enabled true"),
        "{shown}"
    );
    let plain = home.gateway(&[]);
    home.run(&["config", "set", "gateway.tls.enabled", "true"])
        .ok();
    let shown = home.run(&["gateway", "fingerprint"]).ok().out;
    assert!(
        shown.contains("does not speak TLS yet: clawdia gateway restart"),
        "{shown}"
    );
    let status = home.run(&["status"]).ok().out;
    assert!(status.contains("it is off until"), "{status}");
    drop(plain);
    home.configure(
        "{ gateway: { bind: 'custom', customBindHost: '192.0.2.9', tls: { enabled: true } } }",
    );
    let printed = fingerprint(&home);
    let node = printed["paste"]["node"].as_str().unwrap();
    assert!(node.contains(" --host 192.0.2.9 "), "{printed}");
}

#[test]
fn a_wrong_pin_and_no_pin_end_before_anything_is_sent() {
    let home = home();
    let gateway = home.gateway(&[]);
    let wrong = "ab".repeat(32);
    let refused = health(&home, &gateway, &["--tls-fingerprint", &wrong]);
    let right = fingerprint(&home)["sha256"].as_str().unwrap().to_owned();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("nothing was sent"), "{refused:?}");
    assert!(
        refused.err.contains(&wrong) && refused.err.contains(&right),
        "{refused:?}"
    );
    assert!(
        refused
            .err
            .contains("clawdia config set gateway.remote.tlsFingerprint")
    );
    let flag = format!("--tls-fingerprint {right}");
    assert!(refused.err.contains(&flag), "{refused:?}");
    // A certificate that signed itself is nobody's whom this machine trusts.
    let unknown = health(&home, &gateway, &[]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("nothing was sent") && unknown.err.contains(&right));
}

#[test]
fn a_pin_without_tls_and_a_pin_that_is_none_are_errors() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let plain = format!("ws://127.0.0.1:{}", gateway.port);
    let pin = "ab".repeat(32);
    let refused = home.run(&["health", "--url", &plain, "--tls-fingerprint", &pin]);
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(refused.err.contains("wss://"), "{refused:?}");
    let no_pin = home.run(&["health", "--tls-fingerprint", "abc"]);
    assert_eq!(no_pin.code, 2, "{no_pin:?}");
}

#[test]
fn a_secret_goes_to_the_remote_gateway_with_its_pin_from_the_configuration() {
    let home = home();
    let gateway = home.gateway(&[]);
    let away = Home::new();
    let token = home.run(&["token"]).ok().out;
    let spki = fingerprint(&home)["spki"].as_str().unwrap().to_owned();
    let remote = |pin: &str| {
        away.configure(&format!(
            "{{ gateway: {{ mode: 'remote', remote: {{ url: '{}', token: '{}', \
             tlsFingerprint: '{pin}' }} }} }}",
            url(&gateway),
            token.trim(),
        ));
        away.run(&["health"])
    };
    remote(&spki).ok();
    assert_eq!(remote(&"cd".repeat(32)).code, 1);
}

/// Somebody who has the gateway's certificate, as everybody can, and a key of their own.
#[test]
fn a_certificate_without_its_key_is_worth_nothing() {
    let home = home();
    let gateway = home.gateway(&[]);
    let leaf = own_certificate(&home);
    let key = rcgen::KeyPair::generate().unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = default_provider();
    let signer = provider.key_provider.load_private_key(key).unwrap();

    #[derive(Debug)]
    struct Always(Arc<CertifiedKey>);
    impl ResolvesServerCert for Always {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let certified = Arc::new(CertifiedKey::new(vec![leaf], signer));
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(certified)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let stood_in = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut heard = Vec::new();
        let ended = rustls::Stream::new(&mut tls, &mut socket).read_to_end(&mut heard);
        (ended.is_err(), heard)
    });
    let pin = fingerprint(&home)["sha256"].as_str().unwrap().to_owned();
    let away = Home::new();
    let address = format!("wss://127.0.0.1:{port}");
    let refused = away.run(&[
        "health",
        "--url",
        &address,
        "--token",
        "hunter2hunter2",
        "--tls-fingerprint",
        &pin,
    ]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("does not have its key"), "{refused:?}");
    let (failed, heard) = stood_in.join().unwrap();
    assert!(failed && heard.is_empty(), "it was told {heard:?}");
    drop(gateway);
}

#[test]
fn the_web_page_is_served_over_tls() {
    let home = home();
    let gateway = home.gateway(&[]);
    let page = get(&mut connect(&gateway, &modern(&home)), "/");
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("</html>"),
        "{page}"
    );
}

#[test]
fn who_speaks_without_tls_is_cut_without_a_word() {
    let home = home();
    let gateway = home.gateway(&[]);
    for words in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\0",
        "SSH-2.0-x\r\n",
    ] {
        let mut socket = crate::client::socket(gateway.port);
        socket.write_all(words.as_bytes()).unwrap();
        let mut heard = Vec::new();
        // A reset is an end too.
        let _ = socket.read_to_end(&mut heard);
        assert!(heard.is_empty(), "{words:?}: {heard:?}");
    }
    home.run(&["health"]).ok();
}
