//! The node host: it connects, serves, and connects again, until it is told to end.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::commands::{ApprovalsPath, BrowserControl, Context};
use super::desk::{Desk, Outgoing};
use super::facts::party;
use super::flow::Flow;
use super::invoke::Invoke;
use super::journal::Journal;
use super::pace::{Next, Pace};
use super::said::Said;
use super::settings::Settings;
use super::wake::Wake;
use crate::client::identity::Identity;
use crate::client::secret::Secrets;
use crate::client::tokens::{GatewayIdentity, TokenStore};
use crate::client::{
    Client, ClientError, ConnectOptions, ErrorKind, GatewayUrl, Incoming, connect_as, random,
};
use crate::io::lock::{LockHolder, StateLock, holder};
use crate::io::state_dir::{self, StartFault};
use crate::limits::{CLIENT_TIMEOUT_MS, NODE_CLOSE_MS, NODE_SEND_MS};

/// A gateway, and what may be said to it.
#[derive(Clone)]
pub struct Target {
    pub url: GatewayUrl,
    pub secrets: Secrets,
    /// What device tokens are bound to.
    pub gateway: GatewayIdentity,
    /// Expected certificate, SHA-256 in hexadecimal.
    pub pin: Option<String>,
    /// See [`ConnectOptions::still_meant`].
    pub still_meant: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Said once, where the first try fails and further ones may not.
const ADVICE: &str = "it goes on trying; look whether a gateway is at work there \
    (clawdia gateway status, on its machine) and whether this is its address (--url, or --host and --port)";

/// Everything that a node host needs to know.
pub struct Options<'a> {
    /// The node's own folder.
    pub dir: PathBuf,
    pub profile: String,
    pub settings: Settings,
    /// A one-time pairing code.
    pub code: Option<String>,
    /// Send credentials over an unencrypted network all the same.
    pub insecure: bool,
    pub home: Option<PathBuf>,
    pub browser: Option<BrowserControl>,
    /// Where the gateway is now; asked before each connection.
    pub target: &'a dyn Fn() -> Result<Target, ClientError>,
    /// Is told what happens.
    pub say: &'a mut dyn FnMut(&Said),
}

/// Why a node host ended by itself.
#[derive(Debug)]
pub enum Ended {
    /// It never began.
    Start(StartFault),
    /// Trying again cannot help.
    Refused(ClientError),
}

impl From<StartFault> for Ended {
    fn from(fault: StartFault) -> Self {
        Self::Start(fault)
    }
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Self {
        Self::Refused(error)
    }
}

/// Runs until a signal ends it.
///
/// # Errors
///
/// What only a person can mend.
pub fn run(options: Options<'_>) -> Result<(), Ended> {
    let dir = options.dir.clone();
    state_dir::prepare(&dir)?;
    let _lock = lock(&dir)?;
    let began = Host::new(options)?;
    began.run()
}

/// Two hosts with one identity would take the connection from each other for ever.
fn lock(dir: &Path) -> Result<StateLock, StartFault> {
    StateLock::acquire(dir, LockHolder::this_process(now_ms())).map_err(|fault| match holder(dir) {
        Ok(Some(Some(other))) => StartFault::refused(format!(
            "the node of this profile runs already, as process {}",
            other.pid
        )),
        _ => fault,
    })
}

struct Host<'a> {
    options: Options<'a>,
    identity: Arc<Identity>,
    tokens: Arc<TokenStore>,
    desk: Desk,
    wake: Wake,
    pace: Pace,
    /// It was told what to look at where no gateway answers.
    was_advised: bool,
    /// Written to when everything has to end.
    stop: UnixStream,
}

impl<'a> Host<'a> {
    fn new(options: Options<'a>) -> Result<Self, Ended> {
        let dir = &options.dir;
        let identity = Identity::load_or_create(dir)?;
        let journal = Journal::open(&dir.join("journal.sqlite"), now_ms())?;
        // An address that leads nowhere is not remembered.
        let former = Settings::load(dir)?.gateway;
        let known = Settings {
            gateway: former,
            ..options.settings.clone()
        };
        known.store(dir)?;
        let system = |fault: std::io::Error| StartFault::io("prepare", dir, fault);
        let wake = Wake::new().map_err(system)?;
        wake.watch_signals().map_err(system)?;
        let (stop, stop_read) = UnixStream::pair().map_err(system)?;
        let context = Context {
            approvals: ApprovalsPath::new(dir),
            home: options.home.clone(),
            browser: options.browser.clone(),
            flow: Flow::default(),
            stop: stop_read.into(),
        };
        Ok(Self {
            identity: Arc::new(identity),
            tokens: Arc::new(TokenStore::new(dir, &options.profile)),
            desk: Desk::new(journal, context, &wake).map_err(system)?,
            wake,
            pace: Pace::default(),
            was_advised: false,
            stop,
            options,
        })
    }

    fn run(mut self) -> Result<(), Ended> {
        self.say_started()?;
        while !self.wake.is_stopping() {
            let target = match (self.options.target)() {
                Ok(target) => target,
                // A way there that cannot be had now may be had later.
                Err(error) => {
                    let next = self.pace.refused(&error, random::number()?);
                    self.pause((next, error))?;
                    continue;
                }
            };
            let connected = self.connect(&target);
            self.remember(connected.as_ref());
            let next = match connected {
                Some(Ok(client)) => {
                    self.pace.connected();
                    self.was_advised = true;
                    // It works once: a later refusal is not about it.
                    self.options.code = None;
                    (self.options.say)(&Said::Connected {
                        gateway: target.url.to_string(),
                        version: client.hello().server_version.clone(),
                    });
                    let Err(error) = self.serve(client) else {
                        break;
                    };
                    self.desk.lost();
                    (self.pace.lost(&error, random::number()?), error)
                }
                Some(Err(error)) if self.falls_back_to_code(&target, &error)? => continue,
                Some(Err(error)) => (self.pace.refused(&error, random::number()?), error),
                None => break,
            };
            self.pause(next)?;
        }
        (self.options.say)(&Said::Stopping);
        self.desk.stop(&mut self.stop);
        Ok(())
    }

    /// A gateway answered at this address: from now on it is the one that is meant.
    fn remember(&mut self, connected: Option<&Result<Client, ClientError>>) {
        let has_answered = match connected {
            Some(Ok(_)) => true,
            Some(Err(error)) => error.as_gateway().is_some(),
            None => false,
        };
        if !has_answered {
            return;
        }
        if let Err(fault) = self.options.settings.store(&self.options.dir) {
            (self.options.say)(&Said::Trouble(fault.message));
        }
    }

    fn say_started(&mut self) -> Result<(), Ended> {
        let target = (self.options.target)()?;
        let (approvals, security) = security(&self.options.dir);
        let party = party(&self.options.settings, None, false);
        (self.options.say)(&Said::Started {
            name: party.client["displayName"]
                .as_str()
                .unwrap_or("")
                .to_owned(),
            device_id: self.identity.device_id().to_owned(),
            gateway: target.url.to_string(),
            approvals,
            security,
        });
        Ok(())
    }

    /// Connects, on a thread of its own so that a stop does not wait for it; `None` is a stop.
    fn connect(&mut self, target: &Target) -> Option<Result<Client, ClientError>> {
        let waker = match self.wake.waker() {
            Ok(waker) => waker,
            Err(error) => {
                return Some(Err(ClientError::new(
                    ErrorKind::Unreachable,
                    error.to_string(),
                )));
            }
        };
        let party = party(
            &self.options.settings,
            self.options.code.clone(),
            self.options.browser.is_some(),
        );
        let (identity, tokens) = (Arc::clone(&self.identity), Arc::clone(&self.tokens));
        let (target, insecure) = (target.clone(), self.options.insecure);
        let (answer, answers) = mpsc::channel();
        thread::spawn(move || {
            let options = ConnectOptions {
                url: &target.url,
                secrets: &target.secrets,
                gateway: Some(&target.gateway),
                pin: target.pin.as_deref(),
                identity: &*identity,
                tokens: &tokens,
                mode: "node",
                insecure,
                still_meant: &*target.still_meant,
            };
            let deadline = Instant::now() + Duration::from_millis(CLIENT_TIMEOUT_MS);
            // Nobody listens any more after a stop.
            let _ = answer.send(connect_as(&party, &options, deadline));
            waker.wake();
        });
        loop {
            if self.wake.is_stopping() {
                return None;
            }
            match answers.try_recv() {
                Ok(connected) => return Some(connected),
                Err(mpsc::TryRecvError::Disconnected) => {
                    return Some(Err(ClientError::timeout("the connection")));
                }
                Err(mpsc::TryRecvError::Empty) => {}
            }
            self.wake.wait(None);
            self.tend();
        }
    }

    /// Serves the gateway; `Ok` is a stop.
    fn serve(&mut self, mut client: Client) -> Result<(), ClientError> {
        // Requests with pieces of output that were not answered yet.
        let mut shown = BTreeSet::new();
        const LONG: Duration = Duration::from_secs(3_600);
        loop {
            for outgoing in self.tend() {
                let number = send(&mut client, &outgoing, NODE_SEND_MS)?;
                if outgoing.is_progress() {
                    shown.insert(number);
                }
            }
            if self.wake.is_stopping() {
                for outgoing in self.desk.stop(&mut self.stop) {
                    // Who does not take it asks again later.
                    if send(&mut client, &outgoing, NODE_CLOSE_MS).is_err() {
                        break;
                    }
                }
                close(client);
                return Ok(());
            }
            let until = self.desk.next_deadline().unwrap_or(Instant::now() + LONG);
            match client.next_or_wake(self.wake.as_fd(), until) {
                Ok(None) => self.wake.drain(),
                Ok(Some(Incoming::Event(event))) if event.name == "node.invoke.request" => {
                    let invoke = Invoke::read(&event.payload);
                    if let Some(answered) = invoke.and_then(|invoke| self.desk.take(invoke)) {
                        send(&mut client, &answered, NODE_SEND_MS)?;
                    }
                }
                Ok(Some(Incoming::Response(number, _))) if shown.remove(&number) => {
                    self.desk.taken();
                }
                Ok(Some(_)) => {}
                Err(error) if error.kind == ErrorKind::Timeout => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits before the next try.
    fn pause(&mut self, (next, error): (Next, ClientError)) -> Result<(), Ended> {
        let wait = match next {
            Next::Stop => return Err(Ended::Refused(error)),
            Next::After(wait) => {
                let is_away = matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Timeout);
                let why = error.message;
                (self.options.say)(&Said::Retry { why, after: wait });
                if is_away && !std::mem::replace(&mut self.was_advised, true) {
                    (self.options.say)(&Said::Trouble(ADVICE.to_owned()));
                }
                wait
            }
            Next::Approval {
                request_id,
                is_new,
                wait,
            } => {
                if is_new {
                    (self.options.say)(&Said::Waiting { request_id });
                }
                wait
            }
        };
        let until = Instant::now() + wait;
        while !self.wake.is_stopping() && Instant::now() < until {
            self.wake.wait(Some(until));
            self.tend();
        }
        Ok(())
    }

    /// Lets the desk work; what it says to nobody is dropped.
    fn tend(&mut self) -> Vec<Outgoing> {
        let outgoing = self.desk.work();
        for fault in self.desk.faults() {
            (self.options.say)(&Said::Trouble(fault));
        }
        outgoing
    }

    /// A stored token that the gateway does not take any more gives way to a pairing code.
    fn falls_back_to_code(
        &self,
        target: &Target,
        error: &ClientError,
    ) -> Result<bool, ClientError> {
        let is_refused = error
            .as_gateway()
            .is_some_and(|answer| answer.message.starts_with("unauthorized"))
            && !error.is_retryable();
        if !is_refused || self.options.code.is_none() || !target.secrets.is_empty() {
            return Ok(false);
        }
        if self.tokens.get(&target.gateway, "node")?.is_none() {
            return Ok(false);
        }
        self.tokens.forget(&target.gateway, "node")?;
        Ok(true)
    }
}

/// Where it stands what the node in `dir` may execute, and the mode that stands there.
pub fn security(dir: &Path) -> (String, String) {
    let path = ApprovalsPath::new(dir);
    let mode = match path.load() {
        Ok(snapshot) => snapshot
            .file
            .policy("main", None)
            .security
            .as_str()
            .to_owned(),
        Err(fault) => format!("deny ({})", fault.message),
    };
    (path.to_string(), mode)
}

/// The number of the request.
fn send(client: &mut Client, outgoing: &Outgoing, within_ms: u64) -> Result<u64, ClientError> {
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    client.send(outgoing.method, &outgoing.params, deadline)
}

/// Says goodbye without waiting long for the answer.
fn close(client: Client) {
    let (closed, closing) = mpsc::channel::<()>();
    thread::spawn(move || {
        client.close();
        drop(closed);
    });
    // Either way the process ends.
    let _ = closing.recv_timeout(Duration::from_millis(NODE_CLOSE_MS));
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}
