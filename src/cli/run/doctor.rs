//! `clawdia doctor`: looks at everything that a working gateway needs, in the order in which it
//! is needed, and names the command that mends each fault.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup, variable};
use super::super::text::{count, span};
use super::troubles::{self, Trouble};
use super::{list, security, text, unix_ms};
use crate::client::party::OPERATOR_SCOPES;
use crate::client::secret::Target;
use crate::config::{Config, GatewayMode, MdnsMode};
use crate::host::browser::{self, Guard};
use crate::io::server::bind::taken_by;
use crate::io::{config_file, private};
use crate::limits::{DOCTOR_SKEW_MS, PROOF_SKEW_MS};

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Remark,
    Fault,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    state: State,
    message: String,
    mend: Vec<String>,
}

/// All that was looked at so far.
#[derive(Default)]
struct Findings(Vec<Check>);

impl Findings {
    fn add(&mut self, name: &'static str, state: State, message: impl Into<String>, mend: &[&str]) {
        self.0.push(Check {
            name,
            state,
            message: message.into(),
            mend: mend.iter().map(|command| (*command).to_owned()).collect(),
        });
    }

    fn good(&mut self, name: &'static str, message: impl Into<String>) {
        self.add(name, State::Good, message, &[]);
    }

    /// What a failed command would say.
    fn failed(&mut self, name: &'static str, failure: &Failure) {
        let facts = failure
            .facts
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let whole: Vec<String> = std::iter::once(failure.message.clone())
            .chain(facts)
            .collect();
        let mend: Vec<&str> = failure.mend.iter().map(String::as_str).collect();
        self.add(name, State::Fault, whole.join("; "), &mend);
    }
}

/// Looks, prints, and fails where something is at fault.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let mut found = Findings::default();
    look(setup, &mut found);
    let faults = found
        .0
        .iter()
        .filter(|check| check.state == State::Fault)
        .count();
    if out.wants_json() {
        out.json(
            &json!({"ok": faults == 0, "checks": found.0.iter().map(row).collect::<Vec<_>>()}),
        )?;
    } else {
        for check in &found.0 {
            print(check, out)?;
        }
    }
    out.flush()?;
    match faults {
        0 => Ok(()),
        _ if out.wants_json() => Err(Failure::failed("").told()),
        faults => Err(Failure::failed(format!(
            "{} found",
            count(faults as u64, "fault")
        ))),
    }
}

fn row(check: &Check) -> Value {
    let state = match check.state {
        State::Good => "ok",
        State::Remark => "remark",
        State::Fault => "fault",
    };
    json!({"name": check.name, "status": state, "message": check.message, "mend": check.mend})
}

fn print(check: &Check, out: &mut Out) -> Outcome {
    let (sign, paint) = match check.state {
        State::Good => ("✓", Paint::Good),
        State::Remark => ("!", Paint::Warning),
        State::Fault => ("✗", Paint::Bad),
    };
    let line = format!(
        "{} {:<14} {}",
        out.paint(paint, sign),
        check.name,
        check.message
    );
    out.line(&line)?;
    for command in &check.mend {
        let line = format!("    mend: {}", out.hinted(command));
        out.line(&line)?;
    }
    Ok(())
}

fn look(setup: &Setup, found: &mut Findings) {
    let Some(config) = configuration(setup, found) else {
        // Nothing else can be judged without it.
        return;
    };
    let elsewhere = setup.globals.url.is_some() || config.gateway.mode == Some(GatewayMode::Remote);
    state(setup, found);
    if !elsewhere {
        secret(setup, &config, found);
        certificate(&config, found);
        discovery(&config, found);
        troubled(troubles::of_settings(&config), found);
        if !process(setup, &config, found) {
            return;
        }
    }
    browser(&config, found);
    if let Some(session) = ways_in(setup, &config, elsewhere, found) {
        talk(session, found);
    }
}

fn configuration(setup: &Setup, found: &mut Findings) -> Option<std::sync::Arc<Config>> {
    const NAME: &str = "configuration";
    let document = match setup.document() {
        Ok(document) => document,
        Err(failure) => {
            found.failed(NAME, &failure);
            return None;
        }
    };
    let config = match setup.client_config() {
        Ok(config) => config,
        Err(failure) => {
            found.failed(NAME, &failure);
            return None;
        }
    };
    match (document.text(), config_file::check_mode(&document)) {
        (_, Some(remark)) => {
            let mend = format!("chmod 600 {}", document.path());
            found.add(NAME, State::Fault, remark, &[&mend]);
        }
        (None, None) => found.good(NAME, format!("{}: none, so defaults", document.path())),
        (Some(_), None) => found.good(NAME, document.path()),
    }
    let loaded = document.load(&variable);
    for fault in loaded.as_ref().err().into_iter().flatten() {
        let told = format!(
            "{} {} in this shell; the gateway needs it",
            fault.path, fault.what
        );
        found.add(NAME, State::Remark, told, &[]);
    }
    if let Ok(loaded) = loaded {
        for warning in loaded.warnings {
            found.add(
                NAME,
                State::Remark,
                warning.to_string(),
                &["clawdia config validate"],
            );
        }
    }
    Some(config)
}

fn state(setup: &Setup, found: &mut Findings) {
    let dir = &setup.paths.state_dir;
    if !dir.exists() {
        let text = format!("{} is made at the first start", dir.display());
        return found.good("state", text);
    }
    let open = private::faults(dir);
    if open.is_empty() {
        found.good("state", dir.display().to_string());
    }
    for fault in open {
        found.add(
            "permissions",
            State::Fault,
            fault.to_string(),
            &[&fault.mend()],
        );
    }
}

fn secret(setup: &Setup, config: &Config, found: &mut Findings) {
    match setup.local_secrets(config) {
        Err(failure) => found.failed("secret", &failure),
        Ok(secrets) if secrets.is_empty() => {
            found.good("secret", "none yet: a token is made at the first start");
        }
        Ok(secrets) => found.good("secret", format!("from {}", secrets.source())),
    }
}

fn certificate(config: &Config, found: &mut Findings) {
    let tls = &config.gateway.tls;
    if !tls.enabled {
        return;
    }
    for path in [&tls.cert_path, &tls.key_path].into_iter().flatten() {
        match std::fs::File::open(Path::new(path)) {
            Ok(_) => found.good("certificate", path.clone()),
            Err(error) => {
                let mend = "clawdia config unset gateway.tls.certPath && clawdia config unset gateway.tls.keyPath";
                found.add(
                    "certificate",
                    State::Fault,
                    format!("{path}: {error}"),
                    &[mend],
                );
            }
        }
    }
}

fn troubled(troubles: Vec<Trouble>, found: &mut Findings) {
    for trouble in troubles {
        found.add(
            trouble.name,
            State::Fault,
            trouble.message,
            &[&trouble.mend],
        );
    }
}

/// What the network is told without being asked.
fn discovery(config: &Config, found: &mut Findings) {
    const NAME: &str = "discovery";
    let told = match security::told_by_mdns(config) {
        None => "the network is told nothing",
        Some(MdnsMode::Full) => {
            "the network is told the machine's name, the port, the certificate's fingerprint and where SSH is"
        }
        Some(_) => {
            "the network is told the machine's name, the port and the certificate's fingerprint"
        }
    };
    found.good(NAME, told);
}

/// Says nothing where there is no browser control server.
fn browser(config: &Config, found: &mut Findings) {
    const NAME: &str = "browser";
    let Some(address) = config.browser.control() else {
        return;
    };
    let Some(token) = &config.browser.control_token else {
        let text = "browser.controlToken is missing: the control server is not asked without it";
        let mend = "clawdia config set browser.controlToken '${NAME}'";
        return found.add(NAME, State::Fault, text, &[mend]);
    };
    let open = |what: &str| format!("the control server at {address} {what}");
    let (text, mend) = match browser::look(address, token.expose()) {
        Ok(Guard::Kept) => return found.good(NAME, format!("{address} asks for its token")),
        Ok(Guard::OpenToRequests) => (
            open(
                "answers without its token: every user and page of its machine can use that browser",
            ),
            "clawdbot browser serve --token TOKEN   # or how else it is started there",
        ),
        Ok(Guard::OpenToUpgrades) => (
            open(
                "opens sockets without its token: every user and page of its machine can use that browser",
            ),
            "clawdbot browser serve --token TOKEN   # or how else it is started there",
        ),
        Ok(Guard::RefusesUs) => (
            open("does not take browser.controlToken"),
            "clawdia config set browser.controlToken '${NAME}'",
        ),
        Err(fault) => (
            format!("nothing answers at {address}: {}", fault.message()),
            "clawdia config unset browser.controlUrl   # or start it there",
        ),
    };
    found.add(NAME, State::Fault, text, &[mend]);
}

/// Whether a gateway runs here, and if not, whether one could.
fn process(setup: &Setup, config: &Config, found: &mut Findings) -> bool {
    const NAME: &str = "gateway";
    if let Some(holder) = setup.lock_holder() {
        let port = holder
            .port
            .map_or_else(String::new, |port| format!(" on port {port}"));
        found.good(NAME, format!("process {} serves{port}", holder.pid));
        return true;
    }
    match setup.local_port(config) {
        Err(failure) => found.failed(NAME, &failure),
        Ok(port) => match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => found.add(
                NAME,
                State::Fault,
                "no gateway runs here",
                &["clawdia gateway run"],
            ),
            Err(error) => {
                let (who, _, command) = taken_by(port);
                let other = "clawdia config set gateway.port PORT";
                let text = format!("none runs here, and {who} has port {port}: {error}");
                found.add(NAME, State::Fault, text, &[&command, other]);
            }
        },
    }
    false
}

/// The handshake by each way that a command could take: the Unix socket and TCP, or the address
/// of a gateway elsewhere.
fn ways_in(
    setup: &Setup,
    config: &Config,
    elsewhere: bool,
    found: &mut Findings,
) -> Option<Session> {
    let mut last = None;
    let first = setup.destination().map(|to| ("handshake", to));
    let by_tcp = setup
        .local_url(config)
        .and_then(|url| setup.destination_of(url, config));
    let second = (!elsewhere).then(|| by_tcp.map(|to| ("over TCP", to)));
    for way in std::iter::once(first).chain(second) {
        let (name, to) = match way {
            Ok(way) => way,
            Err(failure) => {
                found.failed("handshake", &failure);
                continue;
            }
        };
        let shown = match &to.url.socket {
            Some(path) => path.display().to_string(),
            None => to.url.to_string(),
        };
        let used = match to.target {
            _ if to.url.socket.is_some() => "as this user".to_owned(),
            Target::Own | Target::Remote | Target::Other if to.secrets.is_empty() => {
                "with this device's token, if it has one".to_owned()
            }
            _ => format!("with the secret from {}", to.secrets.source()),
        };
        match setup.connect_to(to, "probe") {
            Ok(session) => {
                found.good(name, format!("{shown}, {used}"));
                last.get_or_insert(session);
            }
            Err(failure) => found.failed(name, &failure),
        }
    }
    last
}

/// What an open connection shows.
fn talk(mut session: Session, found: &mut Findings) {
    let hello = session.client.hello().payload.clone();
    let version = text(&hello["server"], "version");
    match version == env!("CARGO_PKG_VERSION") {
        true => found.good("version", version),
        false => {
            let told = format!(
                "the gateway is {version}, this command {}",
                env!("CARGO_PKG_VERSION")
            );
            found.add("version", State::Remark, told, &["clawdia gateway restart"]);
        }
    }
    scopes(&hello, found);
    match session.call("health", &json!({})) {
        Ok(health) => {
            clock(&health, found);
            troubled(troubles::of_channels(&health), found);
        }
        Err(failure) => found.failed("health", &failure),
    }
    match session.call("status", &json!({})) {
        Ok(status) => tailnet(&status["tailscale"], found),
        Err(failure) => found.failed("status", &failure),
    }
    match session.call("device.pair.list", &json!({})) {
        Ok(devices) => pending(&devices, found),
        Err(failure) => found.failed("pairing", &failure),
    }
    session.client.close();
}

fn scopes(hello: &Value, found: &mut Findings) {
    let held = list(&hello["auth"], "scopes");
    // A gateway of protocol 3 names scopes only beside a token.
    if held.is_empty() {
        return;
    }
    let missing: Vec<&str> = OPERATOR_SCOPES
        .into_iter()
        .filter(|scope| !held.iter().any(|it| it == scope))
        .collect();
    // Admin includes the others.
    if missing.is_empty() || held.iter().any(|it| it == "operator.admin") {
        return found.good("scopes", "all");
    }
    let told = format!("this device may not: {}", missing.join(", "));
    found.add(
        "scopes",
        State::Fault,
        told,
        &["clawdia devices list", "clawdia devices rotate DEVICE"],
    );
}

/// Says nothing about a gateway that has nothing to do with a tailnet.
fn tailnet(tailscale: &Value, found: &mut Findings) {
    let fault = text(tailscale, "fault");
    let name = match text(tailscale, "url") {
        "" => text(tailscale, "name"),
        url => url,
    };
    match (fault, name) {
        ("", "") => {}
        ("", name) => found.good("tailnet", name),
        (fault, _) => found.add("tailnet", State::Fault, fault, &["tailscale serve status"]),
    }
}

/// A proof of a device counts for ten minutes before and after, so clocks must agree.
fn clock(health: &Value, found: &mut Findings) {
    let Some(theirs) = health["ts"].as_u64() else {
        return;
    };
    let off_ms = unix_ms().abs_diff(theirs);
    let (state, mend): (State, &[&str]) = match off_ms {
        off if off >= PROOF_SKEW_MS => (State::Fault, &["timedatectl set-ntp true"]),
        off if off >= DOCTOR_SKEW_MS => (State::Remark, &["timedatectl set-ntp true"]),
        _ => (State::Good, &[]),
    };
    let told = match state {
        State::Good => "agrees with the gateway's".to_owned(),
        _ => format!("is {} off the gateway's", span(off_ms)),
    };
    found.add("clock", state, told, mend);
}

fn pending(devices: &Value, found: &mut Findings) {
    let waiting = list(devices, "pending");
    if waiting.is_empty() {
        let paired = list(devices, "paired").len() as u64;
        return found.good(
            "pairing",
            format!("{} paired, none waits", count(paired, "device")),
        );
    }
    for request in waiting {
        let who = [
            text(request, "displayName"),
            text(request, "clientId"),
            text(request, "deviceId"),
        ];
        let who = who
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or("a device");
        let mend = format!("clawdia devices approve {}", text(request, "requestId"));
        found.add(
            "pairing",
            State::Remark,
            format!("{who} waits to be let in"),
            &[&mend],
        );
    }
}
