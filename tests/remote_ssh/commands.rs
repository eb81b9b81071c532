//! The commands, through a tunnel of their own or one that stands.

use std::time::Duration;

use serde_json::{Value, json};

use super::many::Many;
use super::stand_in::{Kept, Ssh, eventually, free_port, record, runs, state_file};
use super::support::Home;
use rustix::process::Signal;

#[test]
fn a_command_has_a_tunnel_of_its_own_that_ends_with_it() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    near.configure(&format!(
        "{{ gateway: {{ mode: 'remote', remote: {{ sshTarget: 'you@host', remotePort: {} }} }} }}",
        gateway.port
    ));
    // Nobody here has a secret: the host is asked, once, and pairs this device.
    let health = ssh.run(&near, &["health", "--json"]).ok().json();
    assert_eq!(health["ok"], true);
    assert_eq!(ssh.questions(), 1);
    let stored = state_file(&near, "identity/device-tokens.json");
    assert!(stored.contains(&format!("ssh you@host port={} role=operator", gateway.port)));

    // From then on the device's own token does.
    for words in [
        &["status", "--deep"][..],
        &["gateway", "call", "health"],
        &["agent", "--message", "who is connected?"],
        &["gateway", "probe", "--ssh", "you@host"],
        &["health", "--ssh", "you@host"],
    ] {
        ssh.run(&near, words).ok();
    }
    assert_eq!(ssh.questions(), 1, "{:?}", ssh.calls());
    for words in ssh.calls() {
        if let Some(at) = words.iter().position(|word| word == "-L") {
            let port = words[at + 1].split(':').nth(1).unwrap().parse().unwrap();
            assert!(
                clawdia::remote::tunnel::check_free(port).is_ok(),
                "it is gone"
            );
        }
    }
}

#[test]
fn a_tunnel_that_stands_is_used_by_the_others() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    let mut up = Kept::start(ssh.command(&near, &["remote", "up", "you@host"]));
    let line = up.until("up");
    // The gateway's number is taken on this machine, by that very gateway.
    assert_eq!(line["remotePort"], gateway.port);
    assert_ne!(line["localPort"], gateway.port);
    let opened = ssh.calls().len();

    assert_eq!(
        ssh.run(&near, &["health", "--ssh", "you@host", "--json"])
            .ok()
            .json()["ok"],
        true
    );
    let status = ssh.run(&near, &["remote", "status", "--json"]).ok().json();
    assert_eq!(status["remotes"][0]["ok"], true);
    assert_eq!(status["remotes"][0]["localPort"], line["localPort"]);
    assert_eq!(status["remotes"][0]["process"], up.pid());
    let probe = ssh.run(&near, &["gateway", "probe", "--json"]).ok().json();
    let tunnel = probe["targets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "tunnel");
    assert_eq!(tunnel.unwrap()["ok"], true, "{probe}");
    assert_eq!(ssh.calls().len(), opened, "nobody opened another one");

    let again = ssh.run(&near, &["tunnel", "you@host"]);
    assert!(
        again.err.contains(&format!("process {}", up.pid())),
        "{again:?}"
    );

    let carrier = record(&near).ssh.unwrap();
    ssh.run(&near, &["remote", "down", "you@host"]).ok();
    assert_eq!(up.wait(), Some(0));
    assert!(!carrier.is_running());
    let list = ssh.run(&near, &["remote", "--json"]).ok().json();
    assert_eq!(list["remotes"][0]["phase"], "down");
    assert_eq!(ssh.run(&near, &["remote", "status"]).code, 1);

    // The next one has the same ports.
    let mut next = Kept::start(ssh.command(&near, &["remote", "up", "you@host"]));
    assert_eq!(next.until("up")["localPort"], line["localPort"]);
    ssh.run(&near, &["remote", "down", "--all", "--forget"])
        .ok();
    let list = ssh.run(&near, &["remote", "list", "--json"]).ok().json();
    assert_eq!(list["remotes"], json!([]));
}

#[test]
fn several_remotes_stand_side_by_side() {
    let (a, b, near) = (Home::new(), Home::new(), Home::new());
    let (gateway_a, gateway_b) = (a.gateway(&[]), b.gateway(&[]));
    let (ssh_a, ssh_b) = (Ssh::to(&a, gateway_a.port), Ssh::to(&b, gateway_b.port));
    let mut up_a = Kept::start(ssh_a.command(&near, &["remote", "up", "you@a"]));
    let mut up_b = Kept::start(ssh_b.command(&near, &["remote", "up", "you@b"]));
    assert_ne!(up_a.until("up")["localPort"], up_b.until("up")["localPort"]);
    let process = |target: &str| {
        let ran = ssh_a.run(&near, &["system", "presence", "--ssh", target, "--json"]);
        ran.ok().out
    };
    assert_ne!(process("you@a"), process("you@b"));
    // Another profile knows neither.
    let other = ssh_a
        .run(&near, &["remote", "--profile", "other", "--json"])
        .ok();
    assert_eq!(other.json()["remotes"], json!([]));
    ssh_a.run(&near, &["remote", "down", "you@a"]).ok();
    assert_eq!(up_a.wait(), Some(0));
    ssh_a.run(&near, &["health", "--ssh", "you@b"]).ok();
}

#[test]
fn one_command_makes_it_the_gateway_of_every_other() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    near.configure("{ // mine\n  logging: { level: 'debug' },\n}\n");
    let mut up = Kept::start(ssh.command(&near, &["remote", "up", "you@host", "--default"]));
    up.until("up");
    eventually("it is the default", || {
        state_file(&near, "clawdia.json").contains("sshTarget")
    });
    ssh.run(&near, &["health"]).ok();
    assert!(state_file(&near, "clawdia.json").contains("// mine"));
    assert_eq!(ssh.run(&near, &["gateway", "run"]).code, 78, "not here");
}

#[test]
fn it_goes_on_in_the_background_once_it_is_up() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    let up = ssh
        .run(&near, &["remote", "up", "you@host", "--detach", "--json"])
        .ok()
        .json();
    let process = up["process"].as_u64().unwrap();
    assert!(runs(u32::try_from(process).unwrap()));
    ssh.run(&near, &["health", "--ssh", "you@host"]).ok();
    ssh.run(&near, &["remote", "down", "you@host"]).ok();
    assert!(!runs(u32::try_from(process).unwrap()));

    ssh.write("refuse", "you@host: Permission denied (publickey).");
    let ran = ssh.run(&near, &["remote", "up", "you@host", "--detach"]);
    assert!(
        ran.code == 1 && ran.err.contains("Permission denied"),
        "{ran:?}"
    );
    assert!(ran.err.contains("ssh-copy-id"), "{ran:?}");
}

#[test]
fn this_machine_becomes_a_node_of_the_gateway_and_stops_with_the_tunnel() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    let up = Kept::start(ssh.command(&near, &["remote", "up", "you@host", "--node"]));
    let nodes = || far.run(&["gateway", "call", "node.list"]).ok().json()["nodes"].clone();
    let connected = || {
        let nodes = nodes();
        nodes
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["connected"] == true)
    };
    eventually("the node is there", connected);
    // The tunnel breaks, and the node is there again through the next one.
    let former = record(&near).ssh.unwrap();
    former.signal(Signal::KILL).unwrap();
    eventually("it is gone", || !connected());
    eventually("it is back", connected);
    up.signal(Signal::TERM);
    assert_eq!(up.wait(), Some(0));
    eventually("it is gone for good", || !connected());
}

#[test]
fn a_node_has_a_tunnel_of_its_own_too() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    near.configure(&format!(
        "{{ gateway: {{ remote: {{ transport: 'ssh', sshTarget: 'you@host', remotePort: {} }} }} }}",
        gateway.port
    ));
    let mut node = ssh
        .command(&near, &["node", "run", "--ssh", "you@host"])
        .spawn()
        .unwrap();
    eventually("the node is there", || {
        let nodes = far.run(&["gateway", "call", "node.list"]).ok().json();
        nodes["nodes"][0]["connected"] == true
    });
    node.kill().unwrap();
    node.wait().unwrap();
}

#[test]
fn what_a_command_prints_is_told_as_spoken() {
    let (near, ssh) = (Home::new(), Ssh::new());
    ssh.write("token", r#"{"secret":"of-the-host"}"#);
    let (tell, told) = std::sync::mpsc::channel();
    let gateway = Many::start(move |connect, call| {
        if connect["role"] == "node" {
            tell.send((connect["auth"].clone(), call.clone())).unwrap();
        }
    });
    let remote = gateway.port.to_string();
    let mut command = ssh.command(
        &near,
        &["remote", "up", "you@host", "--remote-port", &remote],
    );
    command.args(["--voice", "echo 'wake up'; echo; echo $((1 + 1))"]);
    let _up = Kept::start(command);
    for words in ["wake up", "2"] {
        let (auth, call) = told.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(auth, json!({"token": "of-the-host"}));
        assert_eq!(call["method"], "node.event");
        assert_eq!(call["params"]["event"], "voice.transcript");
        let payload: Value =
            serde_json::from_str(call["params"]["payloadJSON"].as_str().unwrap()).unwrap();
        assert_eq!(payload, json!({"text": words}));
    }
}

#[test]
fn a_local_port_of_somebody_else_is_refused_and_named() {
    let (near, ssh) = (Home::new(), Ssh::new());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = ssh.run(&near, &["tunnel", "you@host", "--local-port", &port]);
    assert_eq!(ran.code, 1);
    let holder = format!("(process {})", std::process::id());
    assert!(
        ran.err.contains(&port) && ran.err.contains(&holder),
        "{ran:?}"
    );
    assert!(ran.err.contains("--local-port"), "{ran:?}");
    assert!(ssh.calls().is_empty());
}

#[test]
fn a_tunnel_to_this_machine_never_leads_into_itself() {
    let (near, ssh) = (Home::new(), Ssh::new());
    let port = free_port().to_string();
    let words = [
        "tunnel",
        "localhost",
        "--local-port",
        &port,
        "--remote-port",
        &port,
    ];
    assert_eq!(ssh.run(&near, &words).code, 2);
    let mut kept =
        Kept::start(ssh.command(&near, &["tunnel", "localhost", "--remote-port", &port]));
    let line = kept.until("unanswered");
    assert_ne!(line["localPort"], line["remotePort"]);
}

#[test]
fn no_gateway_at_the_far_end_is_told_as_such() {
    let (near, ssh) = (Home::new(), Ssh::new());
    ssh.write("status", "{}");
    let port = free_port();
    near.configure(&format!(
        "{{ gateway: {{ remote: {{ transport: 'ssh', sshTarget: 'you@host', remotePort: {port} }} }} }}"
    ));
    let ran = ssh.run(&near, &["health", "--ssh", "you@host"]);
    let expected = format!("no gateway answers on port {port} of you@host");
    assert!(ran.code == 1 && ran.err.contains(&expected), "{ran:?}");

    let local = free_port().to_string();
    let mut kept = Kept::start(ssh.command(&near, &["tunnel", "--local-port", &local]));
    let line = kept.until("unanswered");
    let expected = format!("nothing listens on port {port} of you@host");
    assert_eq!(line["fault"], expected);
    // The tunnel itself is fine, so it stays: a gateway that starts there is found.
    let pid = record(&near).ssh.unwrap().pid;
    assert!(runs(pid));
    kept.signal(Signal::TERM);
    assert_eq!(kept.wait(), Some(0));
    assert!(!runs(pid));
}
