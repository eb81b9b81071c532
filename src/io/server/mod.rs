//! The gateway's process: from files and flags to a loop that serves, and down again.
//!
//! Start order: paths, configuration, state directory and its lock, log, store, listener, core,
//! loop. What cannot be honoured ends the start with a message and an exit code; nothing is
//! widened, guessed or written on the way.

mod app;
mod beacon;
pub mod bind;
mod channel_tokens;
mod files;
mod heart;
mod identity;
mod source;
mod tailnet;
mod tls;
pub mod trial;

use crate::agent::Providers;
use crate::agent::builtin::{Builtin, PACING_MS};
use crate::agent::remote::Remote;
use crate::agent::remote::anthropic::Anthropic;
use crate::agent::remote::openai::OpenAi;
use crate::config::paths::Paths;
use crate::config::{ReloadMode, Secret};
use crate::gateway::auth::secret::GatewaySecret;
use crate::gateway::{Gateway, LoadedConfig};
use crate::io::app::Settings;
use crate::io::channels::Channels;
use crate::io::hands::Hands;
use crate::io::lock::{LockHolder, StateLock};
use crate::io::log::{Log, LogConfig};
use crate::io::mcp::Servers;
use crate::io::reactor::Reactor;
use crate::io::signals::{Signal, Signals};
use crate::io::state_dir::{self, StartFault};
use crate::io::supervisor::Supervisor;
use crate::io::workers::{Workers, WorkersConfig};
use crate::io::{clock, config_watch, entropy, memory, socket_file, store, sys};
use crate::limits::{
    ANSWERS_PER_TURN_MAX, CLOSE_GRACE_MS, HANDSHAKE_DEADLINE_MS, HTTP_BODY_DEADLINE_MS,
    MESSAGE_BYTES_MAX_BEFORE_HELLO, STEPS_QUEUED_MAX,
};
use crate::log::{Level, LogLine};
use crate::wire::message::MessageLimits;
use bind::Plan;
use heart::Heart;
use source::Source;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The exit code of a fault of our own (`EX_SOFTWARE` of sysexits).
const EXIT_INTERNAL: u8 = 70;
/// How long worker threads may take to end.
const WORKERS_STOP_MS: u64 = 1_000;

/// What was asked for on the command line; what is absent comes from files and defaults.
#[derive(Debug)]
pub struct Options {
    /// Where this profile keeps its things.
    pub paths: Paths,
    /// `--port`; 0 takes a free one.
    pub port: Option<u16>,
    /// `--bind`.
    pub bind: Option<String>,
    /// `--auth`.
    pub auth: Option<String>,
    /// `--token` or the content of `--token-file`.
    pub token: Option<Secret>,
    /// `--password`.
    pub password: Option<Secret>,
    /// Log to the terminal as well.
    pub verbose: bool,
}

/// How serving came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Somebody wanted it.
    Stopped,
    /// Somebody wants it to be started again.
    ToRestart,
}

/// Serves until a signal ends it.
///
/// # Errors
///
/// What a person has to mend, with the exit code.
pub fn run(options: Options) -> Result<Ended, StartFault> {
    report_panics_without_payload();
    let pages = sys::ProgramPages::find();
    let source = Source::new(options);
    let document = source.read()?;
    let loaded = source.resolve(document)?;
    let config = loaded.config.clone();
    let dir = source.options.paths.state_dir.clone();
    let start = clock::now();
    let mut notices = state_dir::prepare(&dir)?;
    let mut lock = StateLock::acquire(&dir, LockHolder::this_process(start.unix_ms))?;
    let secret_chosen = loaded.secret != GatewaySecret::None;
    let loaded = source.with_generated_secret(loaded)?;
    let log = Log::start(log_config(&source, &config))?;
    source.tell_log(&loaded, &log.settings());
    for warning in source.warnings(&loaded) {
        log.write(LogLine::new(start.unix_ms, Level::Warn, "config", warning));
    }
    let descriptors_max = sys::raise_descriptor_limit();

    let port = source.port(&config)?;
    let supervisor = Supervisor::find(&source::variable)
        .map_err(|fault| StartFault::refused(format!("NOTIFY_SOCKET names no socket: {fault}")))?;
    let plan = Plan::new(&config, source.options.bind.as_deref(), secret_chosen)?;
    let (mut listeners, bound) = plan.open(port)?;
    let socket_file = socket_file::bind(&lock)?.map(|(listener, file)| {
        listeners.push(listener);
        file
    });
    if socket_file.is_none() {
        notices.push("the state directory's path is too long for a Unix socket".into());
    }
    let mut reactor = Reactor::new(listeners, settings(&config))
        .map_err(|fault| StartFault::io("make the loop of", &dir, fault))?;
    reactor.rest_without(pages);
    let signals = Signals::watch().and_then(|signals| reactor.watch(signals));
    signals.map_err(|fault| StartFault::io("watch signals for", &dir, fault))?;
    let waker = reactor.waker();
    let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
        // A waker that fails has lost its loop: nobody is left to be woken.
        let _ = waker.wake();
    });
    let opened = store::open(&lock, wake.clone())?;
    notices.extend(opened.notices);
    let tls = tls::Tls::new(&config, &dir, &bound.address)?;
    if let Some(tls) = &tls {
        reactor.secure(tls.acceptor()?);
    }
    lock.set_port(bound.port)
        .map_err(|fault| StartFault::io("write", lock.dir(), fault))?;

    let (steps_out, steps) = crossbeam_channel::bounded(ANSWERS_PER_TURN_MAX);
    let workers = Workers::start(WorkersConfig {
        count_max: config.agents.runs_max(),
        queue_len_max: STEPS_QUEUED_MAX,
        providers: Arc::new(providers()),
        out: steps_out,
        wake: wake.clone(),
        mono_ms: Arc::new(|| clock::now().mono_ms),
    });
    let hands = Hands::new(wake.clone());
    let (reports_out, reports) = crossbeam_channel::bounded(ANSWERS_PER_TURN_MAX);
    let channels = Channels::new(reports_out, wake.clone());
    let mcp = Servers::new(wake.clone());
    let identity = identity::gather(&source, &loaded, &bound, start);
    let log_path = identity.log_path.clone();
    let certificate = tls.as_ref().map_or_else(Vec::new, tls::Tls::paths);
    let advertiser = beacon::advertise(&config, &bound, tls.as_ref(), &log);
    let keeper = tailnet::keeper(&config, &bound, wake.clone())?;
    let files = files::Files::start(source, log.settings(), log_path, tls, wake)?;
    watch_config(&loaded, &files, &certificate, &log);
    let gateway = Gateway::new(
        start,
        identity,
        loaded,
        opened.state,
        Box::new(entropy::System),
    );
    for notice in notices {
        log.say(start.unix_ms, "gateway", &notice);
    }
    announce(&config, &bound, &log);
    supervisor.ready(&format!("listening on {}:{}", bound.address, bound.port));
    let mut app = app::GatewayApp {
        gateway,
        store: opened.store,
        files,
        tailnet: keeper,
        workers,
        hands,
        steps,
        channels,
        reports,
        mcp,
        log,
        descriptors_max,
        acceptor: None,
        heart: Heart::new(supervisor, start),
        memory: memory::Watch::begin(config.gateway.limits.memory_bytes_max),
        restarts: false,
        ends: false,
        stopped: false,
        fault: None,
    };
    // A panic in the core leaves its memory in doubt, not what was committed.
    let served = catch_unwind(AssertUnwindSafe(|| reactor.run(&mut app)));
    let app::GatewayApp {
        store,
        workers,
        hands,
        mcp,
        log,
        files,
        tailnet,
        fault,
        restarts,
        ends,
        ..
    } = app;
    if let Some(advertiser) = advertiser {
        advertiser.stop();
    }
    tailnet.stop();
    mcp.stop(Duration::from_millis(WORKERS_STOP_MS));
    hands.stop(Duration::from_millis(WORKERS_STOP_MS));
    files.stop();
    workers.shutdown(Duration::from_millis(WORKERS_STOP_MS));
    store.close();
    log.close();
    drop(socket_file);
    drop(lock);
    // A signal may have come since the loop looked last.
    let starts_again = restarts && !ends && !reactor.was_signalled(Signal::Terminate);
    match (served, fault) {
        (Err(_), _) => Err(internal(
            "the core panicked; what was acknowledged is stored",
        )),
        (_, Some(fault)) => Err(internal(&fault)),
        (Ok(Err(fault)), None) => Err(StartFault::io("serve with", &dir, fault)),
        (Ok(Ok(())), None) if starts_again => Ok(Ended::ToRestart),
        (Ok(Ok(())), None) => Ok(Ended::Stopped),
    }
}

/// Our own fault, for the supervisor to start us again.
fn internal(message: &str) -> StartFault {
    StartFault {
        exit_code: EXIT_INTERNAL,
        message: message.to_owned(),
    }
}

/// A panic is told by its place alone: its words may hold what peers sent.
fn report_panics_without_payload() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, |at| format!(" at {at}"));
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        // A closed stderr is no reason to panic again.
        let _ = writeln!(std::io::stderr(), "clawdia: panic in thread {name}{place}");
    }));
}

/// The file's settings; a terminal sees what a person has to know, or with `--verbose` all.
fn log_config(source: &Source, config: &crate::config::Config) -> LogConfig {
    let logging = &config.logging;
    let console = match source.options.verbose {
        true => Level::Debug,
        false => logging.console_level.unwrap_or(Level::Warn),
    };
    LogConfig {
        path: source.log_path(config),
        max_bytes: logging.max_bytes,
        keep: logging.keep,
        level: logging.level,
        console,
    }
}

/// The embedded provider, and those whose models are configured.
fn providers() -> Providers {
    let mut providers = Providers::new();
    providers.add(Arc::new(Builtin::new(PACING_MS)));
    providers.add(Arc::new(Remote::<OpenAi>::default()));
    providers.add(Arc::new(Remote::<Anthropic>::default()));
    providers
}

/// Reads the configuration, and the certificate, again when its file changes, unless that is
/// switched off.
fn watch_config(loaded: &LoadedConfig, files: &files::Files, certificate: &[PathBuf], log: &Log) {
    let reload = &loaded.config.gateway.reload;
    if reload.mode == ReloadMode::Off {
        return;
    }
    let path = Path::new(loaded.document.path());
    let pause = Duration::from_millis(reload.debounce_ms);
    let mut watched = config_watch::start(path, pause, files.reloader());
    for path in certificate {
        let changed = files.certificate_reloader();
        watched = watched.and_then(|()| config_watch::start(path, pause, changed));
    }
    if let Err(fault) = watched {
        let text = "files are not watched; send SIGHUP after a change";
        let line = LogLine::new(clock::now().unix_ms, Level::Warn, "config", text);
        log.write(line.with("fault", fault.to_string()));
    }
}

/// One line for whoever started us, on stdout, once everything is ready.
fn announce(config: &crate::config::Config, bound: &bind::Bound, log: &Log) {
    let scheme = if config.gateway.tls.enabled {
        "wss"
    } else {
        "ws"
    };
    let bind::Bound { address, port, .. } = bound;
    let text = format!("clawdia gateway listening on {scheme}://{address}:{port}");
    log.say(clock::now().unix_ms, "gateway", &text);
    // A closed stdout is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn settings(config: &crate::config::Config) -> Settings {
    let limits = &config.gateway.limits;
    let messages = |bytes_max| MessageLimits {
        bytes_max: bytes_max as u64,
        binary: false,
        // The envelope's parser checks what arrived whole.
        checks_whole_text: false,
    };
    Settings {
        before: messages(MESSAGE_BYTES_MAX_BEFORE_HELLO),
        after: messages(limits.max_payload_bytes),
        handshake_deadline_ms: Some(HANDSHAKE_DEADLINE_MS),
        body_deadline_ms: HTTP_BODY_DEADLINE_MS,
        ping_interval_ms: Some(limits.ping_interval_ms),
        close_grace_ms: CLOSE_GRACE_MS,
    }
}
