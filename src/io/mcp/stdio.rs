//! A server that is a program: a message a line on its standard input and output (MCP 2025-06-18,
//! Transports: stdio). What it says on its standard error is told.
//!
//! It runs in a process group of its own, which is killed when it ended or has to. Its thread's
//! end kills it too, also by a kill of the gateway.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::lines::Lines;
use super::{Dialog, Event, Inbox, Life, Tell};
use crate::config::types::McpServer;
use crate::host::beneath::expand;
use crate::host::environment::Environment;
use crate::host::process::process_descriptor;
use crate::io::sys::die_with_this_thread;
use crate::limits::{
    MCP_END_MS, MCP_MESSAGE_BYTES_MAX, MCP_QUEUED_BYTES_MAX, MCP_REAP_MS, MCP_SAID_BYTES_MAX,
    MCP_START_MS,
};
use crate::mcp::News;

/// Begins the program and speaks with it until it ended or has to.
pub fn live(server: &McpServer, inbox: &Inbox, tell: Tell<'_>) -> Life {
    match Talk::begin(server) {
        Ok(mut talk) => talk.go_on(inbox, tell),
        Err(fault) => Life::Ended(fault),
    }
}

struct Talk {
    child: Child,
    /// Its end is seen here: what it started may hold its streams open.
    process: Option<OwnedFd>,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    dialog: Dialog,
    lines: Lines,
    said: Lines,
    /// Bytes that the program did not take yet.
    queued: Vec<u8>,
    began: Instant,
}

impl Talk {
    fn begin(server: &McpServer) -> Result<Self, String> {
        let command = server.command.as_deref().unwrap_or_default();
        let cwd = expand(server.cwd.as_deref().unwrap_or("~"));
        let mut environment = Environment::of_this_process().without_secrets();
        for (name, value) in &server.env {
            environment.set(name, value.expose())?;
        }
        let program = environment
            .find(&expand(command).to_string_lossy(), &cwd)
            .ok_or_else(|| format!("there is no program {command:?}"))?;
        let mut command = Command::new(&program);
        command
            .args(&server.args)
            .current_dir(&cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        environment.apply(&mut command);
        die_with_this_thread(&mut command);
        let failed =
            |fault: std::io::Error| format!("cannot execute {}: {fault}", program.display());
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err("it has no streams".to_owned());
        };
        rustix::io::ioctl_fionbio(&stdin, true)
            .map_err(|fault| format!("its input cannot be used: {fault}"))?;
        Ok(Self {
            process: process_descriptor(&child),
            child,
            stdin: Some(stdin),
            stdout,
            stderr,
            dialog: Dialog::begin(),
            lines: Lines::new(MCP_MESSAGE_BYTES_MAX),
            said: Lines::new(MCP_SAID_BYTES_MAX),
            queued: Vec::new(),
            began: Instant::now(),
        })
    }

    fn go_on(&mut self, inbox: &Inbox, tell: Tell<'_>) -> Life {
        loop {
            while let Some(event) = self.dialog.poll() {
                match event {
                    Event::Send { text, .. } => {
                        self.queued.extend_from_slice(text.as_bytes());
                        self.queued.push(b'\n');
                    }
                    Event::Over { .. } => {}
                    Event::Tell(news) => tell(news),
                    Event::Broken(fault) => return Life::Ended(fault),
                }
            }
            if self.queued.len() > MCP_QUEUED_BYTES_MAX {
                return Life::Ended("it does not read what it is asked".to_owned());
            }
            let left = Duration::from_millis(MCP_START_MS).checked_sub(self.began.elapsed());
            if !self.dialog.is_up() && left.is_none() {
                return Life::Ended(format!("it was not ready within {MCP_START_MS} ms"));
            }
            let seen = self.wait(inbox, left.filter(|_| !self.dialog.is_up()));
            if seen.bell && !self.take_commands(inbox) {
                return Life::Closed;
            }
            if seen.said {
                self.hear_said(tell);
            }
            let mut done = Ok(());
            if seen.room {
                done = self.send();
            }
            if seen.text && done.is_ok() {
                done = self.hear();
            }
            if let Err(fault) = done {
                return Life::Ended(fault);
            }
            if seen.end && !seen.text {
                return Life::Ended(self.how_it_ended());
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, inbox: &Inbox, patience: Option<Duration>) -> Seen {
        let mut seen = Seen::default();
        let room = self.stdin.as_ref().filter(|_| !self.queued.is_empty());
        let sources: [(Option<BorrowedFd<'_>>, PollFlags, &mut bool); 5] = [
            (Some(inbox.bell.as_fd()), PollFlags::IN, &mut seen.bell),
            (Some(self.stdout.as_fd()), PollFlags::IN, &mut seen.text),
            (
                self.stderr.as_ref().map(AsFd::as_fd),
                PollFlags::IN,
                &mut seen.said,
            ),
            (
                self.process.as_ref().map(AsFd::as_fd),
                PollFlags::IN,
                &mut seen.end,
            ),
            (room.map(AsFd::as_fd), PollFlags::OUT, &mut seen.room),
        ];
        let (mut fds, flags): (Vec<PollFd<'_>>, Vec<&mut bool>) = sources
            .into_iter()
            .filter_map(|(fd, what, flag)| Some((PollFd::from_borrowed_fd(fd?, what), flag)))
            .unzip();
        let timeout = patience.and_then(|it| Timespec::try_from(it).ok());
        // After a signal the loop looks at everything again.
        if poll(&mut fds, timeout.as_ref()).is_ok() {
            for (fd, flag) in fds.iter().zip(flags) {
                *flag = !fd.revents().is_empty();
            }
        }
        seen
    }

    /// Whether the server is still used.
    fn take_commands(&mut self, inbox: &Inbox) -> bool {
        let mut bell = &inbox.bell;
        let rung = bell.read(&mut [0; 64]);
        for command in inbox.commands.try_iter() {
            command.tell(&mut self.dialog);
        }
        !matches!(rung, Ok(0))
    }

    fn hear(&mut self) -> Result<(), String> {
        let mut chunk = [0; 16 * 1024];
        match self.stdout.read(&mut chunk) {
            Ok(0) => return Err(self.how_it_ended()),
            Ok(len) => self.lines.push(&chunk[..len]),
            Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
            Err(fault) => return Err(format!("its output cannot be read: {fault}")),
        }
        while let Some(line) = self.lines.next() {
            self.dialog.hear(&line);
        }
        match self.lines.is_too_long() {
            true => Err(format!(
                "it sent a line of more than {MCP_MESSAGE_BYTES_MAX} bytes"
            )),
            false => Ok(()),
        }
    }

    fn hear_said(&mut self, tell: Tell<'_>) {
        let Some(stderr) = &mut self.stderr else {
            return;
        };
        let mut chunk = [0; 4 * 1024];
        match stderr.read(&mut chunk) {
            Ok(0) => self.stderr = None,
            Ok(len) => self.said.push(&chunk[..len]),
            Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.stderr = None,
        }
        while let Some(line) = self.said.next() {
            if !line.trim().is_empty() {
                tell(News::Said(line));
            }
        }
        if self.said.is_too_long() {
            tell(News::Said(self.said.cut()));
        }
    }

    fn send(&mut self) -> Result<(), String> {
        let Some(stdin) = &mut self.stdin else {
            return Ok(());
        };
        match stdin.write(&self.queued) {
            Ok(len) => {
                self.queued.drain(..len);
            }
            Err(fault)
                if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(self.how_it_ended()),
        }
        Ok(())
    }

    /// It closed a stream: most likely it ended, and says how.
    fn how_it_ended(&mut self) -> String {
        match self.ends_within(Duration::from_millis(MCP_END_MS)) {
            true => "it ended by itself".to_owned(),
            false => "it closed its streams".to_owned(),
        }
    }

    /// Waits for the program's end and leaves it to be taken away later: until then its number
    /// and its group are its own.
    fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let pid = Pid::from_child(&self.child);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            if matches!(waitid(WaitId::Pid(pid), look), Ok(Some(_)) | Err(_)) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(MCP_REAP_MS));
        }
    }
}

impl Drop for Talk {
    /// Its input is closed first, so that it can end in order; then its group is killed, with
    /// all that it may have started.
    fn drop(&mut self) {
        self.stdin = None;
        self.ends_within(Duration::from_millis(MCP_END_MS));
        // A group that has ended cannot be killed, which is as good.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Seen {
    bell: bool,
    text: bool,
    said: bool,
    room: bool,
    /// The program has ended.
    end: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_program_that_never_speaks_is_given_up() {
        let server = McpServer {
            command: Some("sleep".into()),
            args: vec!["5".into()],
            cwd: Some("/".into()),
            ..McpServer::default()
        };
        let mut talk = Talk::begin(&server).unwrap();
        // As if it had been begun so long ago.
        let start = Duration::from_millis(MCP_START_MS);
        talk.began = talk.began.checked_sub(start).unwrap();
        let (_commands, orders) = bounded(1);
        let (_bell, heard) = UnixStream::pair().unwrap();
        let inbox = Inbox {
            commands: orders,
            bell: heard,
        };
        let Life::Ended(fault) = talk.go_on(&inbox, &|_| {}) else {
            panic!("it is used");
        };
        assert!(fault.contains("not ready within"), "{fault}");
    }
}
