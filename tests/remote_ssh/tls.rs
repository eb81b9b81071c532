//! A gateway behind `ssh` that speaks TLS, whose certificate nobody here knows: its host says it.

use super::stand_in::{Kept, Ssh};
use super::support::{Home, Running};

/// A gateway that speaks TLS, and a host that has it.
fn far() -> (Home, Running, Ssh) {
    let home = Home::new();
    home.configure("{ gateway: { tls: { enabled: true } } }");
    let gateway = home.gateway(&[]);
    let ssh = Ssh::to(&home, gateway.port);
    ssh.write("fingerprint", &fingerprint(&home));
    (home, gateway, ssh)
}

fn fingerprint(home: &Home) -> String {
    home.run(&["gateway", "fingerprint", "--json"]).ok().out
}

fn near(port: u16) -> Home {
    let home = Home::new();
    home.configure(&format!(
        "{{ gateway: {{ remote: {{ transport: 'ssh', sshTarget: 'you@a', remotePort: {port} }} }} }}"
    ));
    home
}

#[test]
fn the_host_says_what_certificate_its_gateway_has() {
    let (_home, gateway, ssh) = far();
    let near = near(gateway.port);
    ssh.run(&near, &["health", "--ssh", "you@a"]).ok();
    let mut up = Kept::start(ssh.command(&near, &["remote", "up", "you@a"]));
    let line = up.until("up");
    let told = ssh.run(&near, &["status", "--ssh", "you@a"]).ok().out;
    assert!(told.contains("wss://"), "{told}");
    assert_eq!(line["phase"], "up");
}

#[test]
fn another_certificate_than_the_host_says_gets_no_secret() {
    let (_home, gateway, ssh) = far();
    let other = Home::new();
    other.configure("{ gateway: { tls: { enabled: true } } }");
    drop(other.gateway(&[]));
    ssh.write("fingerprint", &fingerprint(&other));
    let near = near(gateway.port);
    let refused = ssh.run(&near, &["health", "--ssh", "you@a"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("certificate"), "{refused:?}");
    let asked = |word: &str| {
        let calls = ssh.calls();
        calls.iter().flatten().any(|it| it.contains(word))
    };
    assert!(!asked("clawdia token"), "the secret was not even asked for");
}

#[test]
fn a_host_that_cannot_say_it_leaves_it_to_the_person() {
    let (home, gateway, ssh) = far();
    let pin: serde_json::Value = serde_json::from_str(&fingerprint(&home)).unwrap();
    ssh.write("fingerprint", "");
    let near = near(gateway.port);
    let refused = ssh.run(&near, &["health", "--ssh", "you@a"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let mend = "ssh you@a clawdia gateway fingerprint";
    assert!(refused.err.contains(mend), "{refused:?}");
    let pin = pin["sha256"].as_str().unwrap();
    let words = ["health", "--ssh", "you@a", "--tls-fingerprint", pin];
    ssh.run(&near, &words).ok();
}
