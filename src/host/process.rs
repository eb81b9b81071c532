//! One process with all that it starts: begun, listened to, and killed as a group.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::environment::Environment;
use super::output::Tail;
use crate::io::sys::die_with_this_thread;
use crate::limits::{NODE_CHILD_POLL_MS, NODE_CHILD_REAP_MS, PROCESS_TOLD_EVERY_MS};

/// What is to be executed.
pub struct Task<'a> {
    pub program: &'a Path,
    /// With the program's own name in front.
    pub argv: &'a [String],
    pub cwd: Option<&'a Path>,
    pub environment: &'a Environment,
    /// When its group is killed; `None` lets it run.
    pub deadline: Option<Instant>,
    /// Readable once everything has to end.
    pub stop: BorrowedFd<'a>,
}

/// How it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// `None` where it was killed or never began.
    pub exit_code: Option<i32>,
    /// Its deadline passed.
    pub timed_out: bool,
    /// It was killed because everything had to end.
    pub stopped: bool,
    pub stdout: Tail,
    pub stderr: Tail,
    /// Why it never began, or which signal ended it.
    pub error: Option<String>,
}

/// Who is shown what a process has printed so far: its output, then its errors.
pub type Watch<'a> = &'a mut dyn FnMut(&Tail, &Tail);

/// Executes `task`, on this thread, until it has ended. What it leaves behind in the background
/// goes on, unless it had to be killed.
pub fn run(task: &Task<'_>) -> Ended {
    execute(task, None)
}

/// The same, and shows what was printed so far, at most every [`PROCESS_TOLD_EVERY_MS`].
pub fn run_watched(task: &Task<'_>, watch: Watch<'_>) -> Ended {
    execute(task, Some(watch))
}

fn execute(task: &Task<'_>, watch: Option<Watch<'_>>) -> Ended {
    let mut command = Command::new(task.program);
    command.arg0(&task.argv[0]).args(&task.argv[1..]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    task.environment.apply(&mut command);
    if let Some(cwd) = task.cwd {
        command.current_dir(cwd);
    }
    die_with_this_thread(&mut command);
    match command.spawn() {
        Ok(child) => Running::new(child).listen(task, watch),
        Err(error) => Ended {
            error: Some(format!(
                "cannot execute {}: {error}",
                task.program.display()
            )),
            ..Ended::default()
        },
    }
}

const SHOWN_EVERY: Duration = Duration::from_millis(PROCESS_TOLD_EVERY_MS);

struct Running {
    child: Child,
    /// Stands for the process; `None` where the system has no such thing.
    process: Option<OwnedFd>,
    ended: Ended,
    /// When it was killed: what is killed ends soon, and what does not is not waited for.
    killed_at: Option<Instant>,
    /// When there was something to show first that nobody was shown yet.
    news_at: Option<Instant>,
}

impl Running {
    fn new(child: Child) -> Self {
        Self {
            process: process_descriptor(&child),
            child,
            ended: Ended::default(),
            killed_at: None,
            news_at: None,
        }
    }

    fn listen(mut self, task: &Task<'_>, mut watch: Option<Watch<'_>>) -> Ended {
        loop {
            let seen = self.wait(task);
            if self.killed_at.is_none() {
                if seen.stop {
                    self.ended.stopped = true;
                    self.kill();
                } else if task.deadline.is_some_and(|at| at <= Instant::now()) {
                    self.ended.timed_out = true;
                    self.kill();
                }
            }
            self.read(seen.stdout, seen.stderr);
            if let Some(watch) = &mut watch {
                self.show(seen.stdout || seen.stderr, watch);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return self.finish(status);
            }
            let reap = Duration::from_millis(NODE_CHILD_REAP_MS);
            if self.killed_at.is_some_and(|at| at.elapsed() > reap) {
                self.ended.error = Some("it was killed and does not end".into());
                return self.ended;
            }
        }
    }

    fn show(&mut self, has_news: bool, watch: Watch<'_>) {
        if has_news {
            self.news_at.get_or_insert_with(Instant::now);
        }
        if self.news_at.is_some_and(|at| at.elapsed() >= SHOWN_EVERY) {
            self.news_at = None;
            watch(&self.ended.stdout, &self.ended.stderr);
        }
    }

    /// Waits for output, the end, the stop or the deadline.
    fn wait(&self, task: &Task<'_>) -> Seen {
        let mut seen = Seen::default();
        let stop = self.killed_at.is_none().then_some(task.stop);
        let sources = [
            (self.child.stdout.as_ref().map(AsFd::as_fd), Source::Stdout),
            (self.child.stderr.as_ref().map(AsFd::as_fd), Source::Stderr),
            (self.process.as_ref().map(AsFd::as_fd), Source::End),
            (stop, Source::Stop),
        ];
        let (mut fds, names): (Vec<PollFd<'_>>, Vec<Source>) = sources
            .into_iter()
            .filter_map(|(fd, name)| Some((PollFd::from_borrowed_fd(fd?, PollFlags::IN), name)))
            .unzip();
        let timeout = self
            .patience(task)
            .and_then(|it| Timespec::try_from(it).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // A signal; the loop looks at everything again.
            return seen;
        }
        for (fd, name) in fds.iter().zip(names) {
            let is_ready = !fd.revents().is_empty();
            match name {
                Source::Stdout => seen.stdout = is_ready,
                Source::Stderr => seen.stderr = is_ready,
                Source::End => {}
                Source::Stop => seen.stop = is_ready,
            }
        }
        seen
    }

    /// The longest time until something has to be looked at without being told.
    fn patience(&self, task: &Task<'_>) -> Option<Duration> {
        let short = Duration::from_millis(NODE_CHILD_POLL_MS);
        if self.killed_at.is_some() || self.process.is_none() {
            return Some(short);
        }
        let news = self.news_at.map(|at| at + SHOWN_EVERY);
        let next = [task.deadline, news].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// The child has not been waited for, so its number and group are still its own.
    fn kill(&mut self) {
        self.killed_at = Some(Instant::now());
        let group = Pid::from_child(&self.child);
        // A group that has ended cannot be killed, which is as good.
        let _ = kill_process_group(group, Signal::KILL);
    }

    /// Takes what can be read without waiting; a stream at its end is closed.
    fn read(&mut self, stdout: bool, stderr: bool) {
        if stdout && !take(self.child.stdout.as_mut(), &mut self.ended.stdout) {
            self.child.stdout = None;
        }
        if stderr && !take(self.child.stderr.as_mut(), &mut self.ended.stderr) {
            self.child.stderr = None;
        }
    }

    /// The process is gone; what it printed last may still be in the pipes, which others whom it
    /// left behind may hold open.
    fn finish(mut self, status: ExitStatus) -> Ended {
        use std::os::unix::process::ExitStatusExt;
        const READS_MAX: usize = 64;
        for _ in 0..READS_MAX {
            let is_ready = |fd: Option<BorrowedFd<'_>>| {
                let Some(fd) = fd else { return false };
                let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
                matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1))
            };
            let out = is_ready(self.child.stdout.as_ref().map(AsFd::as_fd));
            let err = is_ready(self.child.stderr.as_ref().map(AsFd::as_fd));
            if !out && !err {
                break;
            }
            self.read(out, err);
        }
        self.ended.exit_code = status.code();
        if let (Some(signal), None) = (status.signal(), self.killed_at) {
            self.ended.error = Some(format!("ended by signal {signal}"));
        }
        self.ended
    }
}

#[derive(Default)]
struct Seen {
    stdout: bool,
    stderr: bool,
    stop: bool,
}

enum Source {
    Stdout,
    Stderr,
    End,
    Stop,
}

/// Reads once; whether the stream goes on.
fn take(stream: Option<&mut impl Read>, tail: &mut Tail) -> bool {
    let Some(stream) = stream else { return false };
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) => false,
        Ok(count) => {
            tail.push(&chunk[..count]);
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::Interrupted,
    }
}

/// Stands for a process, and is readable once it has ended.
#[cfg(target_os = "linux")]
pub fn process_descriptor(child: &Child) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    // Without one the end is looked for now and then.
    pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
pub fn process_descriptor(_child: &Child) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn shell(text: &str, deadline_ms: u64) -> (Ended, Duration) {
        let (_write, stop) = UnixStream::pair().unwrap();
        shell_until(text, deadline_ms, &stop)
    }

    fn shell_until(text: &str, deadline_ms: u64, stop: &UnixStream) -> (Ended, Duration) {
        let began = Instant::now();
        let argv = ["sh", "-c", text].map(str::to_owned);
        let ended = run(&Task {
            program: Path::new("/bin/sh"),
            argv: &argv,
            cwd: None,
            environment: &Environment::of_this_process(),
            deadline: Some(began + Duration::from_millis(deadline_ms)),
            stop: stop.as_fd(),
        });
        (ended, began.elapsed())
    }

    fn text(tail: Tail) -> String {
        tail.into_text().text
    }

    #[test]
    fn output_and_exit_code_arrive() {
        let (ended, _) = shell("echo out; echo err >&2; exit 3", 60_000);
        assert_eq!(ended.exit_code, Some(3));
        assert_eq!(
            (text(ended.stdout), text(ended.stderr)),
            ("out\n".into(), "err\n".into())
        );
        assert!(ended.error.is_none() && !ended.timed_out);
    }

    #[test]
    fn the_last_output_of_a_quick_process_is_not_lost() {
        for _ in 0..20 {
            let (ended, _) = shell("printf %070000d 7", 60_000);
            assert_eq!(text(ended.stdout).len(), 70_000);
        }
    }

    #[test]
    fn the_whole_group_is_killed_at_the_deadline() {
        let (ended, took) = shell("sleep 600 & echo $!; sleep 600", 300);
        assert!(ended.timed_out && took < Duration::from_secs(30));
        assert_eq!(ended.exit_code, None);
        let grandchild = text(ended.stdout);
        let stat = format!("/proc/{}/stat", grandchild.trim());
        let deadline = Instant::now() + Duration::from_secs(30);
        // Whoever has ended may still wait to be reaped.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
            assert!(Instant::now() < deadline, "{grandchild} lives");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_is_left_in_the_background_is_not_waited_for() {
        let (ended, took) = shell("sleep 30 & echo started", 60_000);
        assert_eq!(ended.exit_code, Some(0));
        assert_eq!(text(ended.stdout), "started\n");
        assert!(took < Duration::from_secs(20));
    }

    #[test]
    fn a_stop_kills_at_once() {
        let (mut write, stop) = UnixStream::pair().unwrap();
        write.write_all(b"x").unwrap();
        let (ended, took) = shell_until("sleep 60", 60_000, &stop);
        assert!(ended.stopped && !ended.timed_out && ended.exit_code.is_none());
        assert!(took < Duration::from_secs(20));
    }

    #[test]
    fn standard_input_is_empty_and_a_missing_program_is_told() {
        let (ended, _) = shell("cat; echo done", 60_000);
        assert_eq!(text(ended.stdout), "done\n");
        let (_write, stop) = UnixStream::pair().unwrap();
        let ended = run(&Task {
            program: Path::new("/no/such/program"),
            argv: &["x".to_owned()],
            cwd: None,
            environment: &Environment::of_this_process(),
            deadline: None,
            stop: stop.as_fd(),
        });
        assert!(ended.error.unwrap().contains("/no/such/program"));
        let (ended, _) = shell("kill -9 $$", 60_000);
        assert_eq!(
            (ended.exit_code, ended.error.as_deref()),
            (None, Some("ended by signal 9"))
        );
    }
}
