//! As a service: the unit, what a supervisor is told, sockets that are handed over, restarts.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::{Home, Running};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_unit_is_one_that_systemd_takes_and_holds_no_secret() {
    let home = Home::new();
    home.configure("{ gateway: { auth: { token: 'a-secret-that-somebody-chose' } } }");
    for (words, name) in [
        (&["gateway", "install", "--json"][..], "clawdia-gateway"),
        (
            &[
                "gateway", "install", "--system", "--user", "daemon", "--json",
            ],
            "clawdia-gateway",
        ),
        (
            &[
                "--profile",
                "work",
                "gateway",
                "install",
                "--port",
                "19999",
                "--json",
            ],
            "clawdia-gateway-work",
        ),
    ] {
        // Where a systemd runs, the test must not install anything.
        let mut command = home.command(words);
        command.env("PATH", "/nowhere");
        let told = support::finish(command).ok().json();
        assert_eq!(told["installed"], false, "{told}");
        let unit = told["unit"].as_str().unwrap();
        assert!(!unit.contains("a-secret-that"), "{unit}");
        for line in [
            "Type=notify",
            "Restart=on-failure",
            "RestartPreventExitStatus=2 78",
            "NoNewPrivileges=yes",
        ] {
            assert!(unit.lines().any(|it| it == line), "{line}\n{unit}");
        }
        let file = home.state().join(format!("{name}.service"));
        std::fs::write(&file, unit).unwrap();
        let Ok(verified) = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&file)
            .output()
        else {
            eprintln!("SKIPPED: systemd-analyze is missing");
            continue;
        };
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(!said.contains(name), "{said}\n{unit}");
    }
    for words in [
        &["gateway", "install", "--token", "x"][..],
        &["gateway", "install", "--system"],
        &["gateway", "install", "--user", "daemon"],
    ] {
        assert_eq!(home.run(words).code, 2, "{words:?}");
    }
}

#[test]
fn a_supervisor_hears_when_it_is_ready_alive_reloading_and_stopping() {
    let home = Home::new();
    home.configure("{}");
    let path = home.state().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |word: &str| {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = [0; 512];
        while Instant::now() < deadline {
            let len = socket.recv(&mut bytes).unwrap();
            if String::from_utf8_lossy(&bytes[..len]).contains(word) {
                return;
            }
        }
        panic!("{word} was never said");
    };
    let mut command = home.command(&["gateway", "run", "--port", "0"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let gateway = Running::start(command);
    heard("READY=1");
    for _ in 0..3 {
        heard("WATCHDOG=1");
    }
    let pid = Pid::from_raw(i32::try_from(gateway.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    heard("RELOADING=1\nMONOTONIC_USEC=");
    heard("READY=1");
    assert_eq!(gateway.stop(), Some(0));
    heard("STOPPING=1");
}

#[test]
fn a_restart_is_the_same_process_with_the_same_words() {
    let home = Home::new();
    let gateway = home.gateway(&["--token", "a-token-of-the-command-line"]);
    let pid = gateway.pid();
    let lock = || support::read(&home.state().join("gateway.lock"));
    let before = lock();
    home.run(&["gateway", "restart"]).ok();
    // The lock names the port only when it listens again.
    assert!(
        lock() != before && lock().contains("\"port\""),
        "{}",
        lock()
    );
    assert!(lock().contains(&format!("\"pid\":{pid},")), "{}", lock());
    home.run(&["health"]).ok();
    let wrong = home.run(&["health", "--token", "another"]);
    assert!(wrong.err.contains("refused the token"), "{wrong:?}");
    home.run(&["gateway", "stop"]).ok();
    assert_eq!(gateway.wait(), Some(0));
    assert!(
        home.run(&["gateway", "stop"])
            .err
            .contains("no gateway runs")
    );
}

#[test]
fn a_stop_behind_a_restart_is_the_last_word() {
    for _ in 0..3 {
        let home = Home::new();
        let gateway = home.gateway(&[]);
        let told = home.run(&["gateway", "restart"]).ok();
        assert!(told.out.contains("has started again"), "{told:?}");
        let told = home.run(&["gateway", "stop"]).ok();
        assert!(told.out.contains("has ended"), "{told:?}");
        let after = home.run(&["gateway", "stop"]);
        assert!(after.err.contains("no gateway runs"), "{after:?}");
        assert_eq!(gateway.wait(), Some(0));

        // Also where nobody waited for the restart: in either order the end is final.
        for signals in [[Signal::USR1, Signal::TERM], [Signal::TERM, Signal::USR1]] {
            let gateway = home.gateway(&[]);
            let pid = Pid::from_raw(i32::try_from(gateway.pid()).unwrap()).unwrap();
            for signal in signals {
                kill_process(pid, signal).unwrap();
            }
            assert_eq!(gateway.wait(), Some(0));
        }
    }
}

#[test]
fn a_socket_that_systemd_holds_is_served_if_it_is_no_wider_than_the_configuration() {
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: systemd-socket-activate is missing");
        return;
    }
    for (address, fits) in [("127.0.0.1", true), ("0.0.0.0", false)] {
        let home = Home::new();
        home.configure("{ gateway: { auth: { token: 'a-secret-that-somebody-chose' } } }");
        // The tool takes no port 0: a free one is looked for, and another where it is lost.
        let port = TcpListener::bind((address, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let plain = home.command(&[]);
        let mut command = Command::new("systemd-socket-activate");
        command
            .args(["-l", &format!("{address}:{port}")])
            .arg(plain.get_program());
        command.args(["gateway", "run"]);
        command.env_clear();
        command.envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        // The first connection starts the gateway and waits in the backlog until it serves.
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(_) => assert!(Instant::now() < deadline, "nothing listens"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        if fits {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            assert_eq!(support::ended(&mut child), Some(0));
        } else {
            assert_eq!(support::ended(&mut child), Some(78));
            let mut said = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            assert!(said.contains("gateway.bind"), "{said}");
            assert!(answer.is_empty(), "{answer}");
        }
    }
}
