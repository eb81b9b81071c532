//! The certificate's files: at the start, and when they change.

use std::fs;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};

use crate::client::{AT_ONCE, certificate, config, connect, get, home, modern};
use crate::support::Home;

/// A certificate of an operator's own, in two files; gives its configuration.
fn operators(home: &Home) -> String {
    fs::create_dir_all(home.state()).unwrap();
    renew(home);
    "{ gateway: { tls: { enabled: true, certPath: 'leaf.pem', keyPath: 'key.pem' } } }".to_owned()
}

fn renew(home: &Home) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap();
    fs::write(home.state().join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(home.state().join("leaf.pem"), leaf.pem()).unwrap();
}

#[test]
fn a_client_that_comes_back_does_not_pay_for_a_handshake_again() {
    let home = home();
    let gateway = home.gateway(&[]);
    let leaf = || crate::client::own_certificate(&home);
    for version in [&TLS12, &TLS13] {
        let config = config(leaf(), &[version]);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut stream = connect(&gateway, &config);
            // Reading takes in the ticket that comes behind the handshake.
            assert!(get(&mut stream, "/health").starts_with("HTTP/1.1 200"));
            kinds.push(stream.conn.handshake_kind().unwrap());
        }
        let expected = [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed,
        ];
        assert_eq!(kinds, expected, "{version:?}");
    }
}

#[test]
fn a_renewed_certificate_is_shown_to_newcomers_and_nobody_is_disconnected() {
    let home = Home::new();
    home.configure(&operators(&home));
    let gateway = home.gateway(&[]);
    let leaf = home.state().join("leaf.pem");
    let before = certificate(&leaf);
    let mut old = connect(&gateway, &config(before.clone(), rustls::ALL_VERSIONS));
    renew(&home);
    let after = certificate(&leaf);
    assert_ne!(before, after);
    let deadline = Instant::now() + AT_ONCE;
    while shown(gateway.port) != after {
        assert!(
            Instant::now() < deadline,
            "the new certificate is not shown"
        );
    }
    connect(&gateway, &config(after, rustls::ALL_VERSIONS));
    assert!(get(&mut old, "/health").starts_with("HTTP/1.1 200"));
    // Half of a renewal changes nothing.
    let shown_before = shown(gateway.port);
    fs::write(home.state().join("key.pem"), "half").unwrap();
    let log = home.state().join("logs/clawdia.log");
    while !fs::read_to_string(&log)
        .unwrap_or_default()
        .contains("former one stays in use")
    {
        assert!(Instant::now() < deadline, "nothing is said about it");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(shown(gateway.port), shown_before);
}

/// The leaf that is shown at a port, whosoever it is.
fn shown(port: u16) -> CertificateDer<'static> {
    let url = clawdia::client::GatewayUrl::parse(&format!("wss://127.0.0.1:{port}")).unwrap();
    clawdia::client::tls::look(&url, Instant::now() + AT_ONCE)
        .unwrap()
        .into()
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start_and_is_left_as_it_is() {
    let home = home();
    home.gateway(&[]).stop();
    let path = home.state().join("gateway-tls.pem");
    let whole = fs::read_to_string(&path).unwrap();
    let key_end = whole.find("-----BEGIN CERTIFICATE").unwrap();
    for damaged in [
        "",
        &whole[..key_end],
        &whole[key_end..],
        &whole[..whole.len() / 2],
    ] {
        fs::write(&path, damaged).unwrap();
        let ended = home.run(&["gateway", "run", "--port", "0"]);
        assert_eq!(ended.code, 78, "{ended:?}");
        assert!(ended.err.contains("gateway-tls.pem"), "{ended:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    let given = Home::new();
    given.configure(&operators(&given));
    fs::remove_file(given.state().join("key.pem")).unwrap();
    let ended = given.run(&["gateway", "run", "--port", "0"]);
    assert_eq!(ended.code, 78, "{ended:?}");
    assert!(
        !given.state().join("gateway-tls.pem").exists(),
        "one was made instead"
    );
    assert!(!ended.out.contains("listening"), "{ended:?}");
}

#[test]
fn old_connections_outlive_a_hangup_too() {
    let home = home();
    let gateway = home.gateway(&[]);
    let config = modern(&home);
    let mut old = connect(&gateway, &config);
    let pid = rustix::process::Pid::from_raw(gateway.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    connect(&gateway, &config);
    assert!(get(&mut old, "/health").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_damaged_certificate_is_told_of_to_all_that_do_not_come_by_the_socket() {
    let home = Home::new();
    home.configure("{ gateway: { tls: { enabled: true } } }");
    let gateway = home.gateway(&[]);
    fs::write(home.state().join("gateway-tls.pem"), "damaged").unwrap();
    home.run(&["health"]).ok();
    let url = format!("wss://127.0.0.1:{}", gateway.port);
    for words in [["--token", "a-secret-of-somebody"], ["--url", &url]] {
        let refused = home.run(&[&["health"][..], &words].concat());
        assert!(
            refused.code == 78 && refused.err.contains("gateway-tls.pem"),
            "{refused:?}"
        );
    }
    gateway.stop();
}
