//! The log's thread: takes lines from a bounded channel and writes them to a file that rotates.
//!
//! Nobody waits for it. Where lines come faster than the disk takes them they are counted, and
//! the count is told as soon as there is room.

mod rotate;
mod tail;

pub use tail::tail;

use self::rotate::RotatingFile;
use super::state_dir::StartFault;
use crate::limits::LOG_QUEUE_LINES_MAX;
use crate::log::console::console_line;
use crate::log::file::file_line;
use crate::log::mask::Mask;
use crate::log::repeat::{Counted, Repeats};
use crate::log::{Level, LogLine};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
// Not crossbeam's, whose receiver burns time before it sleeps: lines come one by one, and nobody waits for them.
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines written between two looks at the clock.
const BATCH_LINES_MAX: usize = 256;
/// How long lines are gathered once one was written: to wake a thread costs more than to write what it has to.
const GATHER: Duration = Duration::from_millis(20);
/// For a thread whose disk hangs at the end of the process.
const CLOSE_MS: u64 = 2_000;

/// Where lines go.
#[derive(Clone, Debug)]
pub struct LogConfig {
    pub path: PathBuf,
    pub max_bytes: u64,
    pub keep: u32,
    /// What the file gets.
    pub level: Level,
    /// What stderr gets.
    pub console: Level,
}

/// The way to the log's thread.
#[derive(Debug)]
pub struct Log {
    messages: Sender<Message>,
    settings: LogSettings,
    thread: JoinHandle<()>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

/// What can change while the log runs, from any thread.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Few and never lost, unlike lines.
    secrets: Sender<Vec<String>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Lines in the channel.
    waiting: AtomicUsize,
    /// Lines that found no room.
    dropped: AtomicU64,
    file_level: AtomicU8,
    console_level: AtomicU8,
}

#[derive(Debug)]
enum Message {
    Line(LogLine),
    Close,
}

impl Log {
    /// Opens the file, makes its directory, and starts the thread.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn start(config: LogConfig) -> Result<Self, StartFault> {
        let fault = |what: &str, error| StartFault::io(what, &config.path, error);
        let file = RotatingFile::open(config.path.clone(), config.max_bytes, config.keep)
            .map_err(|error| fault("open the log", error))?;
        // Bounded by `write`: a channel with a bound of its own has all of its places in memory at once.
        let (messages, inbox) = channel();
        let (secrets, new_secrets) = channel();
        let (ends, ended) = sync_channel(0);
        let shared = Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            file_level: AtomicU8::new(config.level as u8),
            console_level: AtomicU8::new(config.console as u8),
        });
        let worker = Worker {
            inbox,
            new_secrets,
            shared: shared.clone(),
            file,
            mask: Mask::default(),
            repeats: Repeats::default(),
            started: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let _ends = ends;
                worker.run();
            })
            .map_err(|error| fault("start the thread of the log", error))?;
        Ok(Self {
            messages,
            settings: LogSettings { secrets, shared },
            thread,
            ended,
        })
    }

    /// Takes a line. Never waits: a line that finds no room is counted.
    pub fn write(&self, line: LogLine) {
        let shared = &self.settings.shared;
        if !shared.wants(line.level) {
            return;
        }
        if shared.waiting.load(Ordering::Relaxed) >= LOG_QUEUE_LINES_MAX {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        // Fails only when the thread is gone, and then nothing is written.
        let _ = self.messages.send(Message::Line(line));
    }

    /// Takes a sentence of level info.
    pub fn say(&self, unix_ms: u64, subsystem: &'static str, text: &str) {
        self.write(LogLine::new(unix_ms, Level::Info, subsystem, text));
    }

    /// What can change while the log runs.
    pub fn settings(&self) -> LogSettings {
        self.settings.clone()
    }

    /// Writes what is waiting and ends the thread.
    pub fn close(self) {
        // Fails only when the thread is gone already.
        let _ = self.messages.send(Message::Close);
        // The thread's end of the channel goes with the thread; a disk that hangs keeps both.
        let waited = self.ended.recv_timeout(Duration::from_millis(CLOSE_MS));
        if waited == Err(RecvTimeoutError::Disconnected) {
            // A panic of the thread was reported where it happened.
            let _ = self.thread.join();
        }
    }
}

impl LogSettings {
    /// Secrets that no line shows from now on.
    pub fn learn(&self, secrets: Vec<String>) {
        // Fails only when the thread is gone, and then nothing is written.
        let _ = self.secrets.send(secrets);
    }

    /// Changes what is written to the file.
    pub fn set_level(&self, level: Level) {
        self.shared.file_level.store(level as u8, Ordering::Relaxed);
    }
}

impl Shared {
    fn wants(&self, level: Level) -> bool {
        let level = level as u8;
        level <= self.file_level.load(Ordering::Relaxed)
            || level <= self.console_level.load(Ordering::Relaxed)
    }
}

struct Worker {
    inbox: Receiver<Message>,
    new_secrets: Receiver<Vec<String>>,
    shared: Arc<Shared>,
    file: RotatingFile,
    mask: Mask,
    repeats: Repeats,
    started: Instant,
}

impl Worker {
    fn run(mut self) {
        let mut open = true;
        while open {
            open = self.wait();
            let now_ms = self.now_ms();
            let ended = self.repeats.expire(now_ms);
            self.put_all(ended);
            self.tell_losses();
            self.file.flush();
            if open && self.shared.waiting.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(GATHER);
            }
        }
        let held = self.repeats.expire(u64::MAX);
        self.put_all(held);
        self.file.flush();
    }

    /// Waits for a line or a deadline, then takes what is there. False at the end.
    fn wait(&mut self) -> bool {
        let now_ms = self.now_ms();
        let first = match self.repeats.next_deadline_ms() {
            None => self
                .inbox
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline_ms) => self
                .inbox
                .recv_timeout(Duration::from_millis(deadline_ms.saturating_sub(now_ms))),
        };
        let mut next = match first {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        for _ in 0..BATCH_LINES_MAX {
            match next {
                None => break,
                Some(Message::Close) => return false,
                Some(Message::Line(line)) => {
                    self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                    let now_ms = self.now_ms();
                    let out = self.repeats.offer(now_ms, line);
                    self.put_all(out);
                }
            }
            next = self.inbox.try_recv().ok();
        }
        // The batch may have ended with one more message in hand.
        match next {
            Some(Message::Close) => false,
            Some(Message::Line(line)) => {
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                self.put_all(vec![(line, 0)]);
                true
            }
            None => true,
        }
    }

    fn put_all(&mut self, lines: Vec<Counted>) {
        while let Ok(secrets) = self.new_secrets.try_recv() {
            self.mask.learn(secrets);
        }
        for (line, repeated) in lines {
            self.put(&line, repeated);
        }
    }

    fn put(&mut self, line: &LogLine, repeated: u64) {
        let level = line.level as u8;
        if level <= self.shared.file_level.load(Ordering::Relaxed) {
            self.file.write(&file_line(line, repeated, &self.mask));
        }
        if level <= self.shared.console_level.load(Ordering::Relaxed) {
            // Nobody may be reading; the file has the line.
            let _ = writeln!(
                std::io::stderr(),
                "{}",
                console_line(line, repeated, &self.mask)
            );
        }
    }

    /// Says how many lines found no room, or a disk that did not take them.
    fn tell_losses(&mut self) {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        let failed = self.file.take_failed();
        for (message, count) in [
            (
                "log lines dropped: they came faster than they could be written",
                dropped,
            ),
            ("log lines lost: the disk did not take them", failed),
        ] {
            if count > 0 {
                let unix_ms = super::clock::now().unix_ms;
                let line = LogLine::new(unix_ms, Level::Warn, "log", message).with("count", count);
                self.put(&line, 0);
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn start(path: &Path, max_bytes: u64) -> Log {
        Log::start(LogConfig {
            path: path.to_path_buf(),
            max_bytes,
            keep: 2,
            level: Level::Info,
            console: Level::Silent,
        })
        .unwrap()
    }

    fn line(message: &str) -> LogLine {
        LogLine::new(0, Level::Info, "test", message)
    }

    #[test]
    fn lines_arrive_in_order_and_the_end_waits_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs").join("clawdia.log");
        let log = start(&path, 1 << 20);
        for n in 0..50 {
            log.write(line("hello").with("n", n));
        }
        log.write(LogLine::new(0, Level::Debug, "test", "not at this level"));
        log.close();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 50);
        for (n, line) in text.lines().enumerate() {
            assert!(line.contains(&format!("\"n\":{n}}}")), "{line}");
        }
    }

    #[test]
    fn secrets_learnt_before_a_line_are_masked_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawdia.log");
        let log = start(&path, 1 << 20);
        log.settings().learn(vec!["hunter2hunter2".to_owned()]);
        log.write(line("x hunter2hunter2 y"));
        log.close();
        assert!(fs::read_to_string(&path).unwrap().contains("x *** y"));
    }

    #[test]
    fn a_flood_is_counted_and_every_line_is_accounted_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawdia.log");
        let log = start(&path, 64 * 1024);
        let sent = 300_000_u64;
        for n in 0..sent {
            log.write(line("refused").with("n", n));
        }
        log.close();
        let mut bytes = 0;
        let mut accounted = 0;
        for entry in fs::read_dir(dir.path()).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            bytes += text.len();
            for line in text.lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                accounted += match value["subsystem"].as_str() {
                    Some("log") => value["count"].as_u64().unwrap(),
                    _ => value["repeated"].as_u64().unwrap_or(1),
                };
            }
        }
        assert!(bytes < 3 * 64 * 1024, "{bytes}");
        assert_eq!(accounted, sent);
    }

    #[test]
    fn the_level_can_change_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawdia.log");
        let log = start(&path, 1 << 20);
        log.settings().set_level(Level::Error);
        log.write(line("quiet"));
        log.settings().set_level(Level::Info);
        log.write(line("loud"));
        log.close();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("loud") && !text.contains("quiet"));
    }
}
