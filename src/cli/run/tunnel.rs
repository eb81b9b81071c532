//! `clawdia tunnel`: keeps an SSH tunnel open in the foreground, and tells how it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::super::commands::Tunnel;
use super::super::exit::{Failure, Outcome};
use super::super::far::{Certificate, Far, Way, failed};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::span;
use super::unix_ms;
use crate::client::{ClientError, ErrorKind};
use crate::config::PORT_DEFAULT;
use crate::io::process::ProcessId;
use crate::io::signals;
use crate::remote::record::{Phase, Record, Records, Watch, choose_local_port};
use crate::remote::supervisor::{self, Check, Route, Status, Times};

/// Opens it and keeps it open until a signal ends this.
pub fn run(args: Tunnel, setup: &Setup, out: &mut Out) -> Outcome {
    let far = far(
        args.target.as_deref(),
        args.identity.as_deref(),
        args.remote_port,
        setup,
    )?;
    let plan = Plan::new(far, args.local_port, None, setup)?;
    plan.keep(setup, out, &mut |_, _| Ok(()))
}

/// The gateway that was typed, or the one of `gateway.remote`.
pub fn far(
    target: Option<&str>,
    identity: Option<&str>,
    remote_port: Option<u16>,
    setup: &Setup,
) -> Result<Far, Failure> {
    if setup.globals.url.is_some() || setup.globals.ssh.is_some() {
        let fault = "the target stands by itself: leave --url and --ssh away";
        return Err(Failure::usage(fault));
    }
    let config = setup.client_config()?;
    let text = target.or(config.gateway.remote.ssh_target.as_deref());
    let text = text.ok_or_else(|| Failure::usage("whose gateway? Write you@host"))?;
    Far::typed(text, identity, remote_port, &config)
}

/// A tunnel to be kept open, with the right to do so.
pub struct Plan {
    pub far: Far,
    pub remote_port: u16,
    pub local_port: u16,
    /// The gateway speaks TLS; known once it has answered.
    is_secure: Arc<AtomicBool>,
    watch: Watch,
}

impl Plan {
    /// Settles the ports. `asked` is the gateway's port as the host told it.
    pub fn new(
        far: Far,
        local_port: Option<u16>,
        asked: Option<u16>,
        setup: &Setup,
    ) -> Result<Self, Failure> {
        if local_port == Some(0) || far.remote_port == Some(0) {
            return Err(Failure::usage("a port is between 1 and 65535"));
        }
        let records = Records::new(&setup.paths.state_dir);
        let target = &far.login.target;
        if target.is_this_machine() && local_port.is_some() && local_port == far.remote_port {
            return Err(Failure::usage("such a tunnel would lead into itself"));
        }
        let known = records.of(target, None);
        let former = known.last().map(|record| record.remote_port);
        let remote_port = far.remote_port.or(asked).or(former).unwrap_or(PORT_DEFAULT);
        let watch = records.watch(target, remote_port).map_err(|fault| {
            match known.iter().find(|record| record.is_watched()) {
                Some(record) => watched(record),
                None => Failure::failed(format!("the records of remote gateways: {fault}")),
            }
        })?;
        let former = watch.former.as_ref().map(|record| record.local_port);
        let local_port = match local_port {
            Some(port) => crate::remote::tunnel::check_free(port).map(|()| port),
            None => choose_local_port(former, target, remote_port),
        };
        Ok(Self {
            local_port: local_port.map_err(|fault| failed(fault, &far.login))?,
            far,
            remote_port,
            is_secure: Arc::default(),
            watch,
        })
    }

    /// Where the gateway is reached here, for `ws` or `http`.
    pub fn address(&self, scheme: &str) -> String {
        let secure = match self.is_secure.load(Ordering::Relaxed) {
            true => "s",
            false => "",
        };
        format!("{scheme}{secure}://127.0.0.1:{}", self.local_port)
    }

    /// Keeps it open until a signal comes. `first_up` is done once, when a gateway has answered.
    pub fn keep(
        &self,
        setup: &Setup,
        out: &mut Out,
        first_up: &mut dyn FnMut(&Self, &mut Out) -> Outcome,
    ) -> Outcome {
        let stop = signals::stop_flag()?;
        let route = Route {
            login: self.far.login.clone(),
            local_port: self.local_port,
            remote_port: self.remote_port,
        };
        let check = ThroughIt {
            setup: setup.clone(),
            far: self.far.clone(),
            local_port: self.local_port,
            remote_port: self.remote_port,
            is_secure: Arc::clone(&self.is_secure),
            session: None,
        };
        let mut teller = Teller {
            plan: self,
            lost_ms: None,
            was_up: false,
        };
        let mut printed = Ok(());
        let kept = supervisor::run(&route, check, Times::default(), &stop, &mut |status| {
            let first = status.phase == Phase::Up && !teller.was_up;
            let told = teller.tell(status, out);
            let told = told.and_then(|()| match first {
                true => first_up(self, out),
                false => Ok(()),
            });
            // Without a reader there is nothing to be watched.
            if let Err(failure) = told.and_then(|()| Ok(out.flush()?)) {
                printed = Err(failure);
                stop.store(true, Ordering::Relaxed);
            }
        });
        if let Err(fault) = &kept {
            let ended = Status {
                phase: Phase::Down,
                since_ms: unix_ms(),
                generation: 0,
                ssh: None,
                version: None,
                fault: Some(fault.to_string()),
                retry_ms: None,
            };
            self.show(&ended)?;
        }
        kept.map_err(|fault| failed(fault, &self.far.login))?;
        printed
    }

    fn show(&self, status: &Status) -> Outcome {
        let record = Record {
            target: self.far.login.target.to_string(),
            identity: self.far.login.identity.clone(),
            remote_port: self.remote_port,
            local_port: self.local_port,
            phase: status.phase,
            since_ms: status.since_ms,
            generation: status.generation,
            supervisor: (status.phase != Phase::Down).then(ProcessId::this),
            ssh: status.ssh.clone(),
            version: status.version.clone(),
            fault: status.fault.clone(),
        };
        let shown = self.watch.show(&record);
        shown.map_err(|fault| Failure::failed(format!("the record of the tunnel: {fault}")))
    }
}

/// A tunnel that another process keeps open.
pub fn watched(record: &Record) -> Failure {
    let pid = record.supervisor.as_ref().map_or(0, |process| process.pid);
    Failure::failed(format!(
        "process {pid} keeps the tunnel to {} open, on port {}",
        record.target, record.local_port
    ))
    .mend(format!("clawdia remote down {}", record.target))
}

/// Prints what changes, and writes it down for other processes.
struct Teller<'a> {
    plan: &'a Plan,
    lost_ms: Option<u64>,
    was_up: bool,
}

impl Teller<'_> {
    fn tell(&mut self, status: &Status, out: &mut Out) -> Outcome {
        self.plan.show(status)?;
        if out.wants_json() {
            out.json_line(&self.json(status))?;
        } else {
            self.print(status, out)?;
        }
        match status.phase {
            Phase::Up => (self.was_up, self.lost_ms) = (true, None),
            Phase::Waiting | Phase::Unanswered => {
                self.lost_ms.get_or_insert(status.since_ms);
            }
            Phase::Opening | Phase::Down => {}
        }
        Ok(())
    }

    fn json(&self, status: &Status) -> Value {
        let plan = self.plan;
        let mut line = json!({
            "target": plan.far.login.target.to_string(),
            "url": plan.address("ws"),
            "localPort": plan.local_port,
            "remotePort": plan.remote_port,
            "phase": status.phase.word(),
            "generation": status.generation,
            "sinceMs": status.since_ms,
        });
        if let Some(version) = &status.version {
            line["version"] = version.as_str().into();
        }
        if let Some(fault) = &status.fault {
            line["fault"] = fault.as_str().into();
        }
        if let Some(ms) = status.retry_ms {
            line["retryMs"] = ms.into();
        }
        line
    }

    fn print(&self, status: &Status, out: &mut Out) -> Outcome {
        let fault = status.fault.as_deref().unwrap_or("no reason known");
        let (paint, mark, text) = match status.phase {
            Phase::Opening if status.generation == 1 => {
                let target = &self.plan.far.login.target;
                (Paint::Dim, "○", format!("opening a tunnel to {target}"))
            }
            Phase::Opening | Phase::Down => return Ok(()),
            Phase::Up => (Paint::Good, "●", self.up(status)),
            Phase::Unanswered => (Paint::Warning, "○", fault.to_owned()),
            Phase::Waiting => {
                let again = status
                    .retry_ms
                    .map_or(String::new(), |ms| format!("; again in {}", span(ms)));
                (Paint::Warning, "○", format!("{fault}{again}"))
            }
        };
        let text = super::super::text::printable(&text).into_owned();
        let line = format!("{} {text}", out.paint(paint, mark));
        out.line(&line)?;
        Ok(())
    }

    fn up(&self, status: &Status) -> String {
        let plan = self.plan;
        let here = format!("127.0.0.1:{}", plan.local_port);
        match self.lost_ms {
            Some(lost_ms) if self.was_up => {
                let after = span(unix_ms().saturating_sub(lost_ms));
                format!("back on {here} after {after}")
            }
            _ => format!(
                "the gateway of {} (port {}, version {}) is at {here}",
                plan.far.login.target,
                plan.remote_port,
                status.version.as_deref().unwrap_or("unknown"),
            ),
        }
    }
}

/// Checks the gateway by being connected to it: a `hello-ok`, then a call each time. Between the
/// checks the connection is what answers the gateway's pings.
struct ThroughIt {
    setup: Setup,
    far: Far,
    local_port: u16,
    remote_port: u16,
    is_secure: Arc<AtomicBool>,
    session: Option<Session>,
}

impl Check for ThroughIt {
    fn check(&mut self, ssh: &ProcessId, deadline: Instant) -> Result<String, ClientError> {
        if let Some(mut session) = self.session.take() {
            let version = session.client.hello().server_version.clone();
            if session.client.call("health", &json!({}), deadline).is_ok() {
                self.session = Some(session);
                return Ok(version);
            }
        }
        // The gateway may have been started again; what counts is whether it can be reached now.
        let way = Way::Standing(ssh.clone(), self.local_port);
        let connected = self.setup.client_config().and_then(|config| {
            let to = self
                .setup
                .destination_by(&self.far, way, self.remote_port, &config)?;
            self.setup.connect_by(to, "cli", deadline)
        });
        let session = connected.map_err(|failure| told_on_one_line(&failure))?;
        self.is_secure
            .store(session.to.url.secure, Ordering::Relaxed);
        if session.to.may_ask_pin {
            self.far.told = match &session.to.pin {
                Some(pin) => Certificate::Pin(pin.clone()),
                None => Certificate::None,
            };
        }
        let version = session.client.hello().server_version.clone();
        self.session = Some(session);
        Ok(version)
    }
}

/// What a person is told, with what mends it.
fn told_on_one_line(failure: &Failure) -> ClientError {
    let kind = match &failure.cause {
        Some(error) => error.kind.clone(),
        None => ErrorKind::Configuration,
    };
    let mends: Vec<&str> = failure
        .mend
        .iter()
        .filter_map(|mend| mend.split("   #").next())
        .collect();
    match mends.is_empty() {
        true => ClientError::new(kind, failure.message.clone()),
        false => ClientError::new(
            kind,
            format!("{}; try: {}", failure.message, mends.join(", or ")),
        ),
    }
}
