//! `clawdia chat`: a conversation in the terminal, or over a pipe.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::commands::Chat;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::printable_lines;
use super::agent::{Stream, asks_for_approval, check_thinking, content, session_key};
use super::interrupts::Interrupts;
use super::{list, text};
use crate::client::{Event, Incoming, random};
use crate::limits::{CLIENT_TIMEOUT_MS, MESSAGE_BYTES_MAX};

/// Messages that `/history` shows.
const HISTORY: u32 = 50;
/// Messages that a conversation begins with, where nobody says.
const HISTORY_FIRST: u32 = 10;
/// Longer than anybody sits in front of a terminal.
const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Talks until the end of input or `/quit`.
pub fn run(args: Chat, setup: &Setup, out: &mut Out) -> Outcome {
    check_thinking(args.thinking.as_deref())?;
    let mut session = setup.connect()?;
    let key = session_key(&session, None, args.session);
    let mut talk = Talk {
        key,
        thinking: args.thinking,
        input: Input {
            is_person: std::io::stdin().is_terminal(),
            ..Input::default()
        },
        run: None,
        stream: Stream::default(),
        failed: false,
        interrupts: None,
    };
    if talk.input.is_person {
        talk.interrupts = Interrupts::watch()?;
    }
    if out.is_terminal() && !out.wants_json() {
        let agent = talk.key.clone();
        out.heading(&format!("{agent} · /help for commands, /quit to leave"))?;
    }
    // A script that asks something wants the answer to that.
    let usual = if talk.input.is_person {
        HISTORY_FIRST
    } else {
        0
    };
    talk.show_history(&mut session, args.history.unwrap_or(usual), out)?;
    let outcome = talk.go_on(&mut session, out);
    session.client.close();
    outcome?;
    match talk.failed {
        true => Err(Failure::failed("the last answer did not come to its end")),
        false => Ok(()),
    }
}

struct Talk {
    key: String,
    thinking: Option<String>,
    input: Input,
    /// The run that is answering.
    run: Option<String>,
    stream: Stream,
    failed: bool,
    /// Where a person types.
    interrupts: Option<Interrupts>,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Blank,
    Quit,
    Stop,
    History,
    /// For the agent, or a command of the gateway.
    Message(&'a str),
}

fn read(line: &str) -> Line<'_> {
    match line.trim() {
        "" => Line::Blank,
        "/quit" | "/exit" => Line::Quit,
        "/stop" | "stop" => Line::Stop,
        "/history" => Line::History,
        message => Line::Message(message),
    }
}

impl Talk {
    fn go_on(&mut self, session: &mut Session, out: &mut Out) -> Outcome {
        self.prompt(out)?;
        loop {
            while let Some(line) = self.input.next(self.run.is_some()) {
                match read(&line) {
                    Line::Blank => {}
                    Line::Quit => return Ok(()),
                    Line::Stop => self.stop(session, out)?,
                    Line::History => self.show_history(session, HISTORY, out)?,
                    Line::Message(message) => self.say(session, message, out)?,
                }
                self.prompt(out)?;
            }
            if self.input.ended && self.run.is_none() {
                return Ok(());
            }
            let deadline = Instant::now() + FAR;
            let stdin = std::io::stdin();
            let came = match (&self.interrupts, self.input.ended) {
                (Some(interrupts), false) => {
                    session.client.next_or_wake(interrupts.or_input(), deadline)
                }
                (_, true) => session.client.next(deadline).map(Some),
                (None, false) => session.client.next_or_wake(stdin.as_fd(), deadline),
            };
            match came.map_err(|error| session.explain(error))? {
                None if self.interrupts.as_ref().is_some_and(Interrupts::came) => {
                    out.line("")?;
                    if self.run.is_none() {
                        return Ok(());
                    }
                    self.stop(session, out)?;
                }
                None => self.input.fill()?,
                Some(Incoming::Event(event)) => self.hear(&event, out)?,
                Some(Incoming::Response(..)) => {}
            }
        }
    }

    fn say(&mut self, session: &mut Session, message: &str, out: &mut Out) -> Outcome {
        let run = random::uuid()?;
        let mut params = json!({
            "sessionKey": self.key,
            "message": message,
            "idempotencyKey": run,
        });
        if let Some(level) = &self.thinking {
            params["thinking"] = level.as_str().into();
        }
        let answer = call(session, "chat.send", &params)?;
        if answer["status"] == "started" {
            self.run = Some(run);
            self.failed = false;
            self.stream = Stream::default();
            if !out.wants_json() {
                self.stream.wait(out)?;
            }
        }
        Ok(())
    }

    fn stop(&mut self, session: &mut Session, out: &mut Out) -> Outcome {
        let params = json!({"sessionKey": self.key});
        let answer = call(session, "chat.abort", &params)?;
        if answer["aborted"] != true && !out.wants_json() {
            out.line("There is nothing to stop.")?;
        }
        Ok(())
    }

    /// An event: a part of the answer, its end, or what another client or the agent says.
    fn hear(&mut self, event: &Event, out: &mut Out) -> Outcome {
        if let Some(told) = asks_for_approval(event, &self.key, out) {
            self.stream.stop(out)?;
            // A closed stderr is no reason to end the conversation.
            let _ = writeln!(std::io::stderr(), "{told}");
        }
        let payload = &event.payload;
        let ours = payload["runId"].as_str() == self.run.as_deref() && self.run.is_some();
        if !ours {
            return self.overhear(event, out);
        }
        let run = self.run.clone().unwrap_or_default();
        self.stream.event(event, &run, out)?;
        if event.name != "chat" || payload["state"] == "delta" {
            return Ok(());
        }
        self.run = None;
        if out.wants_json() {
            out.json_line(payload)?;
        }
        match text(payload, "state") {
            "final" => {
                let whole = content(&payload["message"]);
                let result = json!({"result": {"payloads": [{"text": whole}]}});
                self.stream.end(&result, out)?;
            }
            "aborted" => {
                self.stream.stop(out)?;
                self.note("stopped", Paint::Dim, out)?;
            }
            _ => {
                self.failed = true;
                self.stream.stop(out)?;
                let fault = printable_lines(text(payload, "errorMessage")).into_owned();
                self.note(&fault, Paint::Bad, out)?;
            }
        }
        self.prompt(out)
    }

    /// Somebody else's answer in this session, as a whole.
    fn overhear(&mut self, event: &Event, out: &mut Out) -> Outcome {
        let payload = &event.payload;
        let is_here = event.name == "chat" && payload["sessionKey"] == self.key.as_str();
        if !is_here || payload["state"] != "final" {
            return Ok(());
        }
        if out.wants_json() {
            return Ok(out.json_line(payload)?);
        }
        let said = content(&payload["message"]);
        if !said.is_empty() {
            self.stream.stop(out)?;
            out.line(&printable_lines(&said))?;
            self.prompt(out)?;
        }
        Ok(())
    }

    fn show_history(&mut self, session: &mut Session, limit: u32, out: &mut Out) -> Outcome {
        if limit == 0 || out.wants_json() {
            return Ok(());
        }
        let params = json!({"sessionKey": self.key, "limit": limit});
        let history = call(session, "chat.history", &params)?;
        for message in list(&history, "messages") {
            let said = match message["content"].as_str() {
                Some(said) => said.to_owned(),
                None => content(message),
            };
            let who = match text(message, "role") {
                "user" => "> ",
                "assistant" => "",
                _ => continue,
            };
            if !said.trim().is_empty() {
                let said = format!("{who}{}", printable_lines(said.trim()));
                let line = out.paint(Paint::Dim, &said).into_owned();
                out.line(&line)?;
            }
        }
        Ok(out.flush()?)
    }

    fn note(&self, note: &str, paint: Paint, out: &mut Out) -> Outcome {
        if !out.wants_json() {
            let line = out.paint(paint, &format!("[{note}]")).into_owned();
            out.line(&line)?;
        }
        Ok(out.flush()?)
    }

    /// Shows a person that it is his turn.
    fn prompt(&self, out: &mut Out) -> Outcome {
        if self.run.is_none() && out.is_terminal() && !out.wants_json() {
            out.part("> ")?;
        }
        Ok(out.flush()?)
    }
}

fn call(session: &mut Session, method: &str, params: &Value) -> Result<Value, Failure> {
    let deadline = Instant::now() + Duration::from_millis(CLIENT_TIMEOUT_MS);
    let called = session.client.call(method, params, deadline);
    called.map_err(|error| session.explain(error))
}

/// Lines of standard input, read as they come.
#[derive(Default)]
struct Input {
    partial: Vec<u8>,
    lines: VecDeque<String>,
    ended: bool,
    /// Somebody types.
    is_person: bool,
}

impl Input {
    /// The next line. While an answer comes only what stops it goes past the others.
    fn next(&mut self, is_answering: bool) -> Option<String> {
        if !is_answering {
            return self.lines.pop_front();
        }
        let at_once = |line: &String| match read(line) {
            Line::Stop => true,
            // Over a pipe what was asked is answered first.
            Line::Quit => self.is_person,
            _ => false,
        };
        let at = self.lines.iter().position(at_once)?;
        // A person who stops means what he sees; over a pipe every line has its turn.
        match at == 0 || self.is_person {
            true => self.lines.remove(at),
            false => None,
        }
    }

    /// Takes what is there.
    fn fill(&mut self) -> Outcome {
        let mut bytes = [0; 16 * 1024];
        let len = match rustix::io::read(std::io::stdin(), &mut bytes) {
            Ok(len) => len,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(()),
            Err(fault) => return Err(Failure::failed(format!("standard input: {fault}"))),
        };
        self.take(&bytes[..len])
    }

    fn take(&mut self, bytes: &[u8]) -> Outcome {
        self.ended |= bytes.is_empty();
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.lines
                .push_back(String::from_utf8_lossy(&line).into_owned());
        }
        if self.ended && !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.lines
                .push_back(String::from_utf8_lossy(&line).into_owned());
        }
        match self.partial.len() > MESSAGE_BYTES_MAX {
            true => Err(Failure::usage(format!(
                "a message has at most {} KiB",
                MESSAGE_BYTES_MAX / 1024
            ))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_as_they_are_complete_and_a_stop_first() {
        let mut input = Input::default();
        input.take(b"one\ntw").unwrap();
        assert_eq!(input.next(true), None);
        assert_eq!(input.next(false).as_deref(), Some("one\n"));
        assert_eq!(input.next(false), None);
        input.take(b"o\n/stop\n").unwrap();
        assert_eq!(input.next(true), None, "two was asked for before");
        input.is_person = true;
        assert_eq!(input.next(true).as_deref(), Some("/stop\n"));
        input.lines.push_back("/stop\n".into());
        assert_eq!(input.next(false).as_deref(), Some("two\n"));
        assert_eq!(input.next(true).as_deref(), Some("/stop\n"));
        input.take(b"last").unwrap();
        input.take(b"").unwrap();
        assert!(input.ended);
        assert_eq!(input.next(false).as_deref(), Some("last"));
    }

    #[test]
    fn a_line_is_a_message_or_one_of_ours() {
        assert_eq!(read(" \n"), Line::Blank);
        assert_eq!(read("/quit\n"), Line::Quit);
        assert_eq!(read("/model x\n"), Line::Message("/model x"));
        assert_eq!(read("stop\n"), Line::Stop);
        assert_eq!(read("stop it\n"), Line::Message("stop it"));
    }
}
