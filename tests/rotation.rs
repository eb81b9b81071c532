//! The gateway's secret is changed while many clients are at work.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use clawdia::client::identity::Identity;
use clawdia::client::secret::{Secret, Secrets};
use clawdia::client::tokens::TokenStore;
use clawdia::client::{Client, ClientError, ConnectOptions, ErrorKind, GatewayUrl, connect};
use serde_json::json;
use support::node::soon;
use support::{Home, eventually};

const OLD: &str = "the-former-secret-of-this-gateway";
const NEW: &str = "the-secret-that-comes-after-it";
const CLIENTS: usize = 8;
/// A client that is answered as often after the change is not waited for any longer.
const LATE_MAX: usize = 100;

/// Comes in as the device of `dir`, with this token and nothing else.
fn enter(port: u16, token: &str, dir: &Path) -> Result<Client, ClientError> {
    let options = ConnectOptions {
        url: &GatewayUrl::parse(&format!("ws://127.0.0.1:{port}")).unwrap(),
        secrets: &Secrets {
            token: Some(Secret::new(token, "the test")),
            password: None,
        },
        gateway: None,
        pin: None,
        identity: &Identity::load_or_create(dir).unwrap(),
        tokens: &TokenStore::new(dir, "test"),
        mode: "cli",
        insecure: false,
        still_meant: &|| true,
    };
    connect(&options, soon())
}

/// A client that asks until it is cut off. Gives why, and how many calls that began after the
/// change were answered.
struct Worker(JoinHandle<(ClientError, usize)>);

impl Worker {
    fn start(port: u16, answered: Arc<AtomicUsize>, changed: Arc<AtomicBool>) -> Self {
        Self(std::thread::spawn(move || {
            let dir = tempfile::tempdir().unwrap();
            let mut client = enter(port, OLD, dir.path()).unwrap();
            let mut late = 0;
            loop {
                let began_late = changed.load(Ordering::SeqCst);
                match client.call("health", &json!({}), soon()) {
                    Ok(_) if late == LATE_MAX => {
                        let error = ClientError::new(ErrorKind::Timeout, "it was never cut off");
                        return (error, late);
                    }
                    Ok(_) => late += usize::from(began_late),
                    Err(error) => return (error, late),
                }
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }))
    }
}

#[test]
fn a_new_secret_counts_at_once_and_the_former_one_nowhere() {
    let home = Home::new();
    home.configure(&format!("{{ gateway: {{ auth: {{ token: '{OLD}' }} }} }}"));
    let gateway = home.gateway(&[]);
    let (answered, changed) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let start = |_| Worker::start(gateway.port, answered.clone(), changed.clone());
    let workers: Vec<Worker> = (0..CLIENTS).map(start).collect();
    eventually(|| answered.load(Ordering::SeqCst) > 300);

    let dir = tempfile::tempdir().unwrap();
    let mut admin = enter(gateway.port, OLD, dir.path()).unwrap();
    let config = admin.call("config.get", &json!({}), soon()).unwrap();
    let patch = json!({"gateway": {"auth": {"token": NEW}}}).to_string();
    let params = json!({"raw": patch, "baseHash": config["hash"]});
    let told = admin.call("config.patch", &params, soon()).unwrap();
    changed.store(true, Ordering::SeqCst);
    assert_eq!(told["ok"], true, "{told}");

    let refused = enter(gateway.port, OLD, tempfile::tempdir().unwrap().path());
    let refused = refused.err().expect("the former secret opens nothing");
    assert!(refused.message.contains("token mismatch"), "{refused:?}");
    for _ in 0..CLIENTS {
        let dir = tempfile::tempdir().unwrap();
        let mut client = enter(gateway.port, NEW, dir.path()).unwrap();
        client.call("health", &json!({}), soon()).unwrap();
        client.close();
    }
    for worker in workers {
        let (error, late) = worker.0.join().unwrap();
        let cut = ErrorKind::Closed {
            code: 1008,
            reason: "gateway secret changed".into(),
        };
        assert_eq!(error.kind, cut, "{error:?}");
        assert_eq!(late, 0, "a call that began after the change was answered");
    }
    let cut = admin.call("health", &json!({}), soon()).unwrap_err();
    assert!(
        matches!(cut.kind, ErrorKind::Closed { code: 1008, .. }),
        "{cut:?}"
    );
    assert_eq!(gateway.stop(), Some(0));
}
