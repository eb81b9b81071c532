//! What becomes of a tunnel when something breaks.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clawdia::client::{ClientError, ErrorKind, GatewayUrl, ws::WebSocket};
use clawdia::io::process::ProcessId;
use clawdia::remote::record::Phase;
use clawdia::remote::supervisor::{self, Check, Route, Status, Times};
use clawdia::remote::target::SshTarget;
use clawdia::remote::words::Login;
use rustix::process::Signal;
use serde_json::Value;

use super::stand_in::{Kept, Ssh, eventually, free_port, record, runs};
use super::support::Home;

/// A gateway behind a tunnel, and the process that keeps the tunnel open.
struct Far {
    ssh: Ssh,
    near: Home,
    kept: Kept,
    port: u64,
    _gateway: super::support::Running,
    _far: Home,
}

fn up() -> Far {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = Ssh::to(&far, gateway.port);
    let mut kept = Kept::start(ssh.command(&near, &["remote", "up", "you@host"]));
    let line = kept.until("up");
    assert_eq!(line["generation"], 1);
    Far {
        port: line["localPort"].as_u64().unwrap(),
        ssh,
        near,
        kept,
        _gateway: gateway,
        _far: far,
    }
}

fn carrier(near: &Home) -> ProcessId {
    record(near).ssh.unwrap()
}

#[test]
fn a_tunnel_that_dies_is_back_on_the_same_port() {
    let mut far = up();
    for generation in 2..4 {
        let former = carrier(&far.near);
        assert!(former.signal(Signal::KILL).unwrap());
        let waiting = far.kept.until("waiting");
        assert!(
            waiting["fault"].as_str().unwrap().contains("signal 9"),
            "{waiting}"
        );
        assert!(waiting["retryMs"].as_u64().unwrap() >= 500, "{waiting}");
        let back = far.kept.until("up");
        assert_eq!(
            (&back["localPort"], &back["generation"]),
            (&far.port.into(), &generation.into())
        );
        assert_ne!(carrier(&far.near), former);
    }
    far.ssh
        .run(&far.near, &["health", "--ssh", "you@host"])
        .ok();
}

#[test]
fn a_killed_parent_leaves_no_ssh_behind() {
    let far = up();
    let orphan = carrier(&far.near);
    far.kept.signal(Signal::KILL);
    assert_eq!(far.kept.wait(), None);
    eventually("ssh has ended", || !orphan.is_running());
    eventually("its port is free", || {
        clawdia::remote::tunnel::check_free(u16::try_from(far.port).unwrap()).is_ok()
    });
    // What is left is a record, which nobody takes for a tunnel.
    let list = far
        .ssh
        .run(&far.near, &["remote", "list", "--json"])
        .ok()
        .json();
    assert_eq!(list["remotes"][0]["phase"], "down");
    let mut next = Kept::start(far.ssh.command(&far.near, &["remote", "up", "you@host"]));
    assert_eq!(next.until("up")["localPort"], far.port);
}

#[test]
fn a_foreign_process_on_the_port_is_named_and_outwaited() {
    let mut far = up();
    let port = u16::try_from(far.port).unwrap();
    // Stopped, so that it cannot be quicker than we are.
    let supervisor = ProcessId::of(far.kept.pid());
    supervisor.signal(Signal::STOP).unwrap();
    carrier(&far.near).signal(Signal::KILL).unwrap();
    let mut foreign = None;
    eventually("the port is ours", || {
        foreign = TcpListener::bind(("127.0.0.1", port)).ok();
        foreign.is_some()
    });
    supervisor.signal(Signal::CONT).unwrap();
    let holder = format!("(process {})", std::process::id());
    let named = |line: &Value| {
        line["fault"]
            .as_str()
            .is_some_and(|fault| fault.contains(&holder))
    };
    // The first reason is the killed ssh, the next one the foreign process.
    let told: Vec<Value> = (0..2).map(|_| far.kept.until("waiting")).collect();
    assert!(told.iter().any(named), "{told:?}");
    drop(foreign);
    assert_eq!(far.kept.until("up")["localPort"], far.port);
}

/// Opens a WebSocket through the tunnel, as far as the upgrade.
struct Upgrade(u16);

impl Check for Upgrade {
    fn check(&mut self, _: &ProcessId, deadline: Instant) -> Result<String, ClientError> {
        WebSocket::open(&GatewayUrl::loopback(self.0), None, deadline).map(|_| "x".to_owned())
    }
}

#[test]
fn a_tunnel_that_falls_silent_is_replaced() {
    let far = Home::new();
    let gateway = far.gateway(&[]);
    let ssh = Ssh::new();
    let local_port = free_port();
    let route = Route {
        login: Login {
            program: ssh.program(),
            ..Login::new(SshTarget::parse("you@host").unwrap(), None)
        },
        local_port,
        remote_port: gateway.port,
    };
    let times = Times {
        check_interval_ms: 50,
        check_ms: 300,
        silent_ms: 600,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let watchdog = Arc::clone(&stop);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(20));
        watchdog.store(true, Ordering::Relaxed);
    });
    let mut seen: Vec<Status> = Vec::new();
    let outcome = supervisor::run(&route, Upgrade(local_port), times, &stop, &mut |status| {
        if status.phase == Phase::Up {
            match status.generation {
                1 => drop(status.ssh.as_ref().unwrap().signal(Signal::STOP)),
                _ => stop.store(true, Ordering::Relaxed),
            }
        }
        seen.push(status.clone());
    });
    assert_eq!(outcome, Ok(()));
    let silent = seen
        .iter()
        .find(|status| status.phase == Phase::Waiting)
        .unwrap();
    assert!(
        silent
            .fault
            .as_ref()
            .unwrap()
            .contains("nothing came through"),
        "{silent:?}"
    );
    assert_eq!(seen.last().unwrap().phase, Phase::Down);
    for status in seen {
        if let Some(ssh) = status.ssh {
            assert!(!runs(ssh.pid), "a stopped one is killed as well");
        }
    }
}

/// Fails as a gateway does that lets nobody in; after a while that is enough.
struct Refusing {
    stop: Arc<AtomicBool>,
    checks: u32,
}

impl Check for Refusing {
    fn check(&mut self, _: &ProcessId, _: Instant) -> Result<String, ClientError> {
        self.checks += 1;
        self.stop.store(self.checks == 10, Ordering::Relaxed);
        let closed = ErrorKind::Closed {
            code: 1008,
            reason: String::new(),
        };
        Err(ClientError::new(closed, "refused"))
    }
}

#[test]
fn a_gateway_that_refuses_is_no_reason_for_another_tunnel() {
    let ssh = Ssh::new();
    let route = Route {
        login: Login {
            program: ssh.program(),
            ..Login::new(SshTarget::parse("you@host").unwrap(), None)
        },
        local_port: free_port(),
        remote_port: 1,
    };
    let times = Times {
        check_interval_ms: 1,
        check_ms: 300,
        silent_ms: 1,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let check = Refusing {
        stop: Arc::clone(&stop),
        checks: 0,
    };
    let mut seen = Vec::new();
    supervisor::run(&route, check, times, &stop, &mut |status| {
        seen.push((status.phase, status.generation, status.fault.clone()));
    })
    .unwrap();
    let refused = Some("refused".to_owned());
    let expected = [
        (Phase::Opening, 1, None),
        (Phase::Unanswered, 1, refused),
        (Phase::Down, 1, None),
    ];
    assert_eq!(seen, expected);
}
