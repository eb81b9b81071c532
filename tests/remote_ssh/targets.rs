//! What `ssh` is called with, and what never reaches it.

use super::stand_in::{Kept, Ssh, free_port};
use super::support::Home;

#[test]
fn a_target_that_is_none_is_refused_before_anything_is_run() {
    let (home, ssh) = (Home::new(), Ssh::new());
    for target in [
        "-oProxyCommand=touch x",
        "u@-oProxyCommand=x",
        "a b",
        "$(x)",
        "u@h;x",
        "u@h:0",
        "u@h:99999",
        "",
    ] {
        let given = format!("--ssh={target}");
        for words in [
            &["health", &given][..],
            &["tunnel", "--", target],
            &["remote", "up", "--", target],
        ] {
            let ran = ssh.run(&home, words);
            assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
        }
        home.configure(&format!(
            "{{ gateway: {{ mode: 'remote', remote: {{ transport: 'ssh', sshTarget: '{target}' }} }} }}"
        ));
        assert_eq!(ssh.run(&home, &["health"]).code, 78, "{target}");
        home.configure("{}");
    }
    assert!(ssh.calls().is_empty());
}

#[test]
fn ssh_gets_words_and_no_line_for_a_shell() {
    let (home, ssh) = (Home::new(), Ssh::new());
    let gateway = home.gateway(&[]);
    let port = free_port();
    let (local, remote) = (port.to_string(), gateway.port.to_string());
    let mut kept = Kept::start(ssh.command(
        &home,
        &[
            "tunnel",
            "you@host:2222",
            "--local-port",
            &local,
            "--remote-port",
            &remote,
            "--identity",
            "/keys/a b",
        ],
    ));
    kept.until("unanswered"); // no token here, and none at the host
    let words = &ssh.calls()[0];
    let expected = [
        "-T",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=10",
        "-o",
        "ServerAliveInterval=15",
        "-o",
        "ServerAliveCountMax=3",
        "-o",
        "ControlMaster=no",
        "-o",
        "ControlPath=none",
        "-o",
        "ForwardAgent=no",
        "-o",
        "ForwardX11=no",
        "-o",
        "PermitLocalCommand=no",
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-L",
        &format!("127.0.0.1:{local}:127.0.0.1:{remote}"),
        "-o",
        "IdentitiesOnly=yes",
        "-i",
        "/keys/a b",
        "-p",
        "2222",
        "--",
        "you@host",
    ];
    assert_eq!(words, &expected);
}

#[test]
fn ssh_belongs_to_commands_that_ask_a_gateway() {
    let (home, ssh) = (Home::new(), Ssh::new());
    for words in [
        &["token"][..],
        &["config", "path"],
        &["gateway", "run"],
        &["gateway", "list"],
        &["version"],
    ] {
        let mut words = words.to_vec();
        words.extend(["--ssh", "you@host"]);
        assert_eq!(ssh.run(&home, &words).code, 2, "{words:?}");
    }
    let both = ["health", "--ssh", "you@host", "--url", "ws://127.0.0.1:1"];
    assert_eq!(ssh.run(&home, &both).code, 2);
    assert!(ssh.calls().is_empty());
}

#[test]
fn what_only_a_person_can_mend_ends_at_once_with_the_command_that_does() {
    let (home, ssh) = (Home::new(), Ssh::new());
    for (said, mend) in [
        ("Host key verification failed.", "ssh -p 7 you@host"),
        (
            "you@host: Permission denied (publickey).",
            "ssh-copy-id -p 7 you@host",
        ),
        (
            "ssh: Could not resolve hostname host: x",
            "ssh -v -p 7 you@host",
        ),
    ] {
        ssh.write("refuse", said);
        for words in [
            &["health", "--ssh", "you@host:7"][..],
            &["tunnel", "you@host:7"],
            &["remote", "up", "you@host:7"],
        ] {
            let ran = ssh.run(&home, words);
            assert_eq!(ran.code, 1, "{words:?}: {ran:?}");
            assert!(ran.err.contains(said) && ran.err.contains(mend), "{ran:?}");
        }
    }
}

#[test]
fn without_the_program_it_is_said_how_to_get_it() {
    let home = Home::new();
    let mut command = home.command(&["health", "--ssh", "you@host"]);
    command.env("PATH", "/nonexistent");
    let ran = super::support::finish(command);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("ssh cannot be run") && ran.err.contains("openssh-client"),
        "{ran:?}"
    );
}
