//! No secret reaches anybody but the gateway behind its own host.

use std::sync::mpsc::Receiver;

use clawdia::io::process::ProcessId;
use clawdia::remote::record::{Phase, Record, Records};
use clawdia::remote::target::SshTarget;
use serde_json::{Value, json};

use super::stand_in::{Ssh, free_port, state_file};
use super::support::{FakeGateway, Home, Peer};

/// A gateway that lets everybody in, answers one call, and says what `connect` carried.
fn answering() -> (FakeGateway, Receiver<(String, Value)>) {
    let (tell, told) = std::sync::mpsc::channel();
    let script = move |mut peer: Peer| {
        let connect = peer.welcome(json!({}));
        tell.send((peer.head.clone(), connect["params"].clone()))
            .unwrap();
        let call = peer.request();
        peer.answer(&call, json!({"ok": true}));
    };
    (FakeGateway::start(script), told)
}

fn remote(port: u16, more: &str) -> String {
    format!(
        "{{ gateway: {{ remote: {{ transport: 'ssh', sshTarget: 'you@a', remotePort: {port}, {more} }} }} }}"
    )
}

#[test]
fn the_configured_secret_goes_to_the_configured_host_alone() {
    let (near, ssh) = (Home::new(), Ssh::new());
    ssh.write("token", "{}");
    let (a, told) = answering();
    near.configure(&remote(a.port(), "token: 'of-a'"));
    ssh.run(&near, &["health", "--ssh", "you@a"]).ok();
    let (head, connect) = told.recv().unwrap();
    assert_eq!(connect["auth"], json!({"token": "of-a"}));
    // To the gateway it is a connection of its own machine.
    assert!(
        head.contains(&format!("Host: 127.0.0.1:{}\r\n", a.port())),
        "{head}"
    );
    a.join();

    let (b, told) = answering();
    near.configure(&remote(b.port(), "token: 'of-a'"));
    for other in ["you@b", "me@a", "you@a:22"] {
        // The port is known from an earlier time.
        let records = Records::new(&near.state());
        let target = SshTarget::parse(other).unwrap();
        let watch = records.watch(&target, b.port()).unwrap();
        watch
            .show(&record_of(other, b.port(), free_port(), None))
            .unwrap();
    }
    ssh.run(&near, &["health", "--ssh", "you@b"]).ok();
    let (_, connect) = told.recv().unwrap();
    assert_eq!(connect.get("auth"), None, "{connect}");
    b.join();
}

#[test]
fn a_device_token_of_one_host_never_reaches_another() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    near.configure(&remote(gateway.port, ""));
    ssh.run(&near, &["health", "--ssh", "you@a"]).ok();
    let stored: Value =
        serde_json::from_str(&state_file(&near, "identity/device-tokens.json")).unwrap();
    let token = stored["tokens"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();

    // The same port of another host: its own token is asked for, though a's would do here.
    assert_eq!(ssh.questions(), 1);
    let records = Records::new(&near.state());
    let target = SshTarget::parse("you@c").unwrap();
    let watch = records.watch(&target, gateway.port).unwrap();
    watch
        .show(&record_of("you@c", gateway.port, free_port(), None))
        .unwrap();
    drop(watch);
    ssh.run(&near, &["health", "--ssh", "you@c"]).ok();
    assert_eq!(ssh.questions(), 2, "a's token was shown to c");

    // The same secret-less configuration, and another gateway behind it.
    let (b, told) = answering();
    let records = Records::new(&near.state());
    let target = SshTarget::parse("you@b").unwrap();
    let watch = records.watch(&target, b.port()).unwrap();
    watch
        .show(&record_of("you@b", b.port(), free_port(), None))
        .unwrap();
    drop(watch);
    ssh.run(&near, &["health", "--ssh", "you@b"]).ok();
    let (_, connect) = told.recv().unwrap();
    assert!(
        !connect.to_string().contains(token.as_str().unwrap()),
        "{connect}"
    );
    b.join();
}

#[test]
fn a_port_that_is_not_the_tunnels_gets_nothing() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    // A record that names a foreign listener's port, and a living process that is no ssh.
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    foreign.set_nonblocking(true).unwrap();
    let port = foreign.local_addr().unwrap().port();
    let mut bystander = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let records = Records::new(&near.state());
    let target = SshTarget::parse("you@a").unwrap();
    let ssh_id = Some(ProcessId::of(bystander.id()));
    let watch = records.watch(&target, gateway.port).unwrap();
    watch
        .show(&record_of("you@a", gateway.port, port, ssh_id))
        .unwrap();
    drop(watch);
    ssh.run(&near, &["health", "--ssh", "you@a"]).ok();
    assert!(foreign.accept().is_err(), "nobody came");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

fn record_of(target: &str, remote_port: u16, local_port: u16, ssh: Option<ProcessId>) -> Record {
    Record {
        target: target.to_owned(),
        identity: None,
        remote_port,
        local_port,
        phase: Phase::Up,
        since_ms: 0,
        generation: 1,
        supervisor: Some(ProcessId::this()),
        ssh,
        version: None,
        fault: None,
    }
}
