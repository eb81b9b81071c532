//! Keeps one tunnel open: the loop that starts `ssh`, checks the gateway through it, and starts it
//! again on the same port when it died, fell silent or did not survive a sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::fault::{FaultKind, SshFault, far_port_is_closed};
use super::pace::{Pace, Pulse};
use super::record::Phase;
use super::tunnel::Tunnel;
use super::words::Login;
use crate::client::{ClientError, ErrorKind, random};
use crate::io::clock;
use crate::io::process::ProcessId;
use crate::limits::{
    SSH_OPEN_MS, TUNNEL_CHECK_INTERVAL_MS, TUNNEL_CHECK_MS, TUNNEL_CHECK_WOKEN_MS,
    TUNNEL_SILENT_MS, TUNNEL_TURN_MS,
};

/// What is kept open.
#[derive(Clone, Debug)]
pub struct Route {
    /// How the host is logged in to.
    pub login: Login,
    /// The port here; it never changes.
    pub local_port: u16,
    /// The gateway's port there.
    pub remote_port: u16,
}

/// Asks the gateway behind a local port whether it is there: a real `hello-ok`, then a call.
pub trait Check: Send + 'static {
    /// The gateway's version. It ends by `deadline`. `ssh` is the process that has to listen on
    /// the port before anything secret is sent there.
    fn check(&mut self, ssh: &ProcessId, deadline: Instant) -> Result<String, ClientError>;
}

/// How long things take; [`Times::default`] is what `limits` says.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Between two checks.
    pub check_interval_ms: u64,
    /// Longest check.
    pub check_ms: u64,
    /// Silence that ends a tunnel.
    pub silent_ms: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            check_interval_ms: TUNNEL_CHECK_INTERVAL_MS,
            check_ms: TUNNEL_CHECK_MS,
            silent_ms: TUNNEL_SILENT_MS,
        }
    }
}

/// How a tunnel stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// How it stands.
    pub phase: Phase,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// How often `ssh` was started.
    pub generation: u64,
    /// The running `ssh`.
    pub ssh: Option<ProcessId>,
    /// The gateway's version, once it was heard.
    pub version: Option<String>,
    /// What is wrong now.
    pub fault: Option<String>,
    /// When it is tried again, milliseconds from now.
    pub retry_ms: Option<u64>,
}

/// Keeps `route` open until `stop` is set, and tells each change.
///
/// It runs on the caller's thread, and the tunnel dies with that thread.
///
/// # Errors
///
/// With a fault that waiting does not mend.
pub fn run(
    route: &Route,
    check: impl Check,
    times: Times,
    stop: &AtomicBool,
    told: &mut dyn FnMut(&Status),
) -> Result<(), SshFault> {
    let mut supervisor = Supervisor {
        route,
        times,
        checker: Checker::start(check),
        pace: Pace::default(),
        pulse: Pulse::default(),
        worked: false,
        status: Status {
            phase: Phase::Opening,
            since_ms: clock::now().unix_ms,
            generation: 0,
            ssh: None,
            version: None,
            fault: None,
            retry_ms: None,
        },
        step: Step::Start,
    };
    while !stop.load(Ordering::Relaxed) {
        supervisor.turn(told)?;
        if !matches!(supervisor.step, Step::Start) {
            thread::sleep(Duration::from_millis(TUNNEL_TURN_MS));
        }
    }
    supervisor.step = Step::Start;
    supervisor.tell(Phase::Down, None, told);
    Ok(())
}

enum Step {
    /// `ssh` is started in this turn.
    Start,
    /// It has not let us in yet.
    Opening { tunnel: Tunnel, deadline_ms: u64 },
    /// Its port listens.
    Standing { tunnel: Tunnel, watch: Watch },
    /// It is started again at this time.
    Waiting { until_ms: u64 },
}

/// What is known of the far end of a standing tunnel.
struct Watch {
    /// When the next check begins.
    check_at_ms: u64,
    /// A check is on its way.
    asked: bool,
    /// When something last came through.
    heard_ms: u64,
    /// The machine slept: the next silence is enough.
    woken: bool,
}

struct Supervisor<'a> {
    route: &'a Route,
    times: Times,
    checker: Checker,
    pace: Pace,
    pulse: Pulse,
    /// A gateway answered through it once.
    worked: bool,
    status: Status,
    step: Step,
}

impl Supervisor<'_> {
    fn turn(&mut self, told: &mut dyn FnMut(&Status)) -> Result<(), SshFault> {
        let now = clock::now();
        let jumped = self.pulse.jumped(now.unix_ms);
        let now_ms = now.mono_ms;
        let outcome = match std::mem::replace(&mut self.step, Step::Start) {
            Step::Start => self.start(now_ms, told),
            Step::Opening {
                tunnel,
                deadline_ms,
            } => self.opening(tunnel, deadline_ms, now_ms),
            Step::Standing { tunnel, watch } => self.standing(tunnel, watch, now_ms, jumped, told),
            Step::Waiting { until_ms } if now_ms >= until_ms || jumped => Ok(Step::Start),
            Step::Waiting { until_ms } => Ok(Step::Waiting { until_ms }),
        };
        self.step = match outcome {
            Ok(step) => step,
            Err(fault) if fault.is_final(self.worked) => return Err(fault),
            Err(fault) => self.wait(&fault, now_ms, told),
        };
        Ok(())
    }

    fn start(&mut self, now_ms: u64, told: &mut dyn FnMut(&Status)) -> Result<Step, SshFault> {
        let route = self.route;
        let tunnel = Tunnel::start(&route.login, route.local_port, route.remote_port)?;
        self.status.generation += 1;
        self.status.ssh = Some(tunnel.id().clone());
        self.tell(Phase::Opening, None, told);
        Ok(Step::Opening {
            tunnel,
            deadline_ms: now_ms + SSH_OPEN_MS,
        })
    }

    fn opening(
        &mut self,
        mut tunnel: Tunnel,
        deadline_ms: u64,
        now_ms: u64,
    ) -> Result<Step, SshFault> {
        if tunnel.look()? {
            let watch = Watch {
                check_at_ms: now_ms,
                asked: false,
                heard_ms: now_ms,
                woken: false,
            };
            return Ok(Step::Standing { tunnel, watch });
        }
        if now_ms > deadline_ms {
            let fault = format!("{} did not let us in in time", self.route.login.target);
            return Err(SshFault::new(FaultKind::Unreachable, fault));
        }
        Ok(Step::Opening {
            tunnel,
            deadline_ms,
        })
    }

    fn standing(
        &mut self,
        mut tunnel: Tunnel,
        mut watch: Watch,
        now_ms: u64,
        jumped: bool,
        told: &mut dyn FnMut(&Status),
    ) -> Result<Step, SshFault> {
        tunnel.runs()?;
        if jumped {
            watch.woken = true;
            watch.check_at_ms = now_ms;
        }
        if !watch.asked && now_ms >= watch.check_at_ms {
            if !tunnel.owns_port() {
                let fault = format!("ssh gave up port {} of this machine", tunnel.local_port());
                return Err(SshFault::new(FaultKind::Other, fault));
            }
            let patience_ms = match watch.woken {
                true => TUNNEL_CHECK_WOKEN_MS.min(self.times.check_ms),
                false => self.times.check_ms,
            };
            self.checker.ask(tunnel.id(), patience_ms);
            watch.asked = true;
        }
        // An answer may be about the tunnel before this one.
        let answer = self.checker.answer();
        let answer = answer.filter(|(ssh, _)| watch.asked && ssh == tunnel.id());
        if let Some((_, answer)) = answer {
            watch.asked = false;
            watch.check_at_ms = now_ms + self.times.check_interval_ms;
            match answer {
                Ok(version) => {
                    self.worked = true;
                    self.pace.works(now_ms);
                    watch.heard_ms = now_ms;
                    watch.woken = false;
                    self.status.version = Some(version);
                    self.tell(Phase::Up, None, told);
                }
                Err(error) => self.unanswered(&mut tunnel, &mut watch, &error, now_ms, told)?,
            }
        }
        Ok(Step::Standing { tunnel, watch })
    }

    /// A check failed: either the gateway's matter, which no new tunnel mends, or silence.
    fn unanswered(
        &mut self,
        tunnel: &mut Tunnel,
        watch: &mut Watch,
        error: &ClientError,
        now_ms: u64,
        told: &mut dyn FnMut(&Status),
    ) -> Result<(), SshFault> {
        let silent = matches!(error.kind, ErrorKind::Timeout | ErrorKind::Unreachable);
        if silent && (watch.woken || now_ms - watch.heard_ms >= self.times.silent_ms) {
            let fault = format!("nothing came through the tunnel: {error}");
            return Err(SshFault::new(FaultKind::Silent, fault));
        }
        if !silent {
            watch.heard_ms = now_ms;
            watch.woken = false;
        }
        let port = self.route.remote_port;
        let fault = match far_port_is_closed(&tunnel.said()) && error.as_gateway().is_none() {
            true => format!(
                "nothing listens on port {port} of {}",
                self.route.login.target
            ),
            false => error.to_string(),
        };
        self.tell(Phase::Unanswered, Some(fault), told);
        Ok(())
    }

    fn wait(&mut self, fault: &SshFault, now_ms: u64, told: &mut dyn FnMut(&Status)) -> Step {
        // Without random numbers the delay is the window's middle: still not all at once.
        let delay_ms = self.pace.failed(now_ms, random::number().unwrap_or(0));
        self.status.ssh = None;
        self.status.retry_ms = Some(delay_ms);
        self.tell(Phase::Waiting, Some(fault.to_string()), told);
        self.status.retry_ms = None;
        Step::Waiting {
            until_ms: now_ms + delay_ms,
        }
    }

    fn tell(&mut self, phase: Phase, fault: Option<String>, told: &mut dyn FnMut(&Status)) {
        let same = self.status.phase == phase && self.status.fault == fault;
        if same && phase != Phase::Opening {
            return;
        }
        if self.status.phase != phase {
            self.status.since_ms = clock::now().unix_ms;
        }
        self.status.phase = phase;
        self.status.fault = fault;
        if phase == Phase::Down {
            self.status.ssh = None;
        }
        told(&self.status);
    }
}

/// What a check was about, and what came of it.
type Answer = (ProcessId, Result<String, ClientError>);

/// Runs checks on a thread of its own, so that the loop never waits for a gateway.
struct Checker {
    questions: Sender<(ProcessId, Instant)>,
    answers: Receiver<Answer>,
}

impl Checker {
    fn start(mut check: impl Check) -> Self {
        let (questions, asked) = mpsc::channel::<(ProcessId, Instant)>();
        let (answer, answers) = mpsc::channel();
        // It ends with the supervisor, at the latest when its check's deadline has passed.
        thread::spawn(move || {
            for (ssh, deadline) in asked {
                let outcome = check.check(&ssh, deadline);
                if answer.send((ssh, outcome)).is_err() {
                    return;
                }
            }
        });
        Self { questions, answers }
    }

    fn ask(&self, ssh: &ProcessId, patience_ms: u64) {
        let deadline = Instant::now() + Duration::from_millis(patience_ms);
        // The thread ends only with this.
        let _ = self.questions.send((ssh.clone(), deadline));
    }

    fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}
