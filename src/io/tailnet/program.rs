//! Running `tailscale`: an argument list, no shell, no question asked, and a deadline.

use crate::io::sys;
use crate::limits::{TAILSCALE_ANSWER_BYTES_MAX, TAILSCALE_SAID_CHARS_MAX};
use crossbeam_channel::{Receiver, bounded, never, select};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// The program, and the daemon that it talks to where that is not the usual one.
pub struct Program {
    pub socket: Option<PathBuf>,
}

/// Where the program is on a Mac, off the path.
const IN_MAC_APP: &str = "/Applications/Tailscale.app/Contents/MacOS/Tailscale";

impl Program {
    /// Runs it to its end; what it printed. `stop` ends it early, and the deadline does.
    ///
    /// # Errors
    ///
    /// What it said, or why it could not be run.
    pub fn run(
        &self,
        words: &[String],
        deadline: Instant,
        stop: Option<&Receiver<()>>,
    ) -> Result<String, String> {
        let called = format!("`tailscale {}`", words.join(" "));
        let mut child = self
            .spawn(words)
            .map_err(|fault| format!("{called} cannot be run: {fault}"))?;
        let group = Pid::from_child(&child);
        let printed = read_all(child.stdout.take());
        let said = read_all(child.stderr.take());
        let stopped = stop.cloned().unwrap_or_else(never);
        let outcome = select! {
            recv(printed) -> text => text.map_err(|_| "its output cannot be read"),
            recv(stopped) -> _ => Err("was cut short"),
            recv(crossbeam_channel::at(deadline)) -> _ => Err("did not answer in time"),
        };
        if outcome.is_err() {
            // The group may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = self.end(&mut child, group, deadline);
        match outcome {
            Err(fault) => Err(format!("{called}: {fault}")),
            Ok(printed) if status => Ok(printed),
            Ok(printed) => {
                let said = said.recv().unwrap_or_default();
                let said = if said.trim().is_empty() {
                    printed
                } else {
                    said
                };
                Err(format!("{called}: {}", one_line(&said)))
            }
        }
    }

    /// Waits for a program that has closed its output; whether it ended well.
    fn end(&self, child: &mut Child, group: Pid, deadline: Instant) -> bool {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < deadline => {
                    thread::sleep(std::time::Duration::from_millis(5));
                }
                Ok(None) => {
                    let _ = kill_process_group(group, Signal::KILL);
                    return child.wait().is_ok_and(|status| status.success());
                }
                Err(_) => return false,
            }
        }
    }

    fn spawn(&self, words: &[String]) -> std::io::Result<Child> {
        let spawn = |program: &Path| {
            let mut command = Command::new(program);
            if let Some(socket) = &self.socket {
                command.arg("--socket").arg(socket);
            }
            command
                .args(words)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0);
            sys::die_with_this_thread(&mut command);
            command.spawn()
        };
        match spawn(Path::new("tailscale")) {
            Err(fault)
                if fault.kind() == std::io::ErrorKind::NotFound
                    && Path::new(IN_MAC_APP).exists() =>
            {
                spawn(Path::new(IN_MAC_APP))
            }
            spawned => spawned,
        }
    }
}

/// What a program said, for a line of a log: without line breaks and what terminals act on.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(TAILSCALE_SAID_CHARS_MAX)
        .collect();
    match line.is_empty() {
        true => "ended with an error and said nothing".to_owned(),
        false => line,
    }
}

/// Reads a stream to its end on a thread of its own, keeping its beginning.
fn read_all(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (tell, told) = bounded(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let mut beginning = stream.by_ref().take(TAILSCALE_ANSWER_BYTES_MAX);
            // What came before a failed read is what there is.
            let _ = beginning.read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        let _ = tell.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    told
}
