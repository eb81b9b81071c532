//! `clawdia agent`: a message to the agent, its answer as it comes.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::commands::Agent;
use super::super::exit::{Failure, Outcome};
use super::super::globals::duration_ms;
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::text::{cut, printable, printable_lines};
use super::{list, message, text};
use crate::agent::Thinking;
use crate::client::{Event, Incoming, random};
use crate::limits::{CLIENT_RUN_GRACE_MS, CLIENT_RUN_TIMEOUT_MS};

/// Starts a run and prints what it says until it ends.
pub fn run(args: Agent, setup: &Setup, out: &mut Out) -> Outcome {
    if args.session.is_some() && args.session_key.is_some() {
        return Err(Failure::usage(
            "--session and --session-key exclude each other",
        ));
    }
    check_thinking(args.thinking.as_deref())?;
    let run_ms = setup.globals.timeout_ms.unwrap_or(CLIENT_RUN_TIMEOUT_MS);
    let wait_ms = match &args.local_timeout {
        Some(text) => duration_ms(text).map_err(Failure::usage)?,
        None => run_ms + CLIENT_RUN_GRACE_MS,
    };
    let message = message(args.message)?;
    let mut session = setup.connect()?;
    let key = match args.idempotency_key {
        Some(key) => key,
        None => random::uuid()?,
    };
    let mut params = json!({
        "message": message,
        "sessionKey": session_key(&session, args.session_key, args.session),
        "idempotencyKey": key,
    });
    if let Some(level) = args.thinking {
        params["thinking"] = level.into();
    }
    if setup.globals.timeout_ms.is_some() {
        params["timeout"] = run_ms.div_ceil(1_000).into();
    }
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    let last = follow(&mut session, &params, deadline, out)?;
    if out.wants_json() {
        out.json(&last)?;
    }
    session.client.close();
    match text(&last, "status") {
        "ok" => Ok(()),
        status => Err(Failure::failed(format!("the run ended as `{status}`"))),
    }
}

/// Refuses what is no level of thinking.
pub(super) fn check_thinking(level: Option<&str>) -> Result<(), Failure> {
    let asked = Thinking::asked(level.unwrap_or_default());
    asked.map(drop).map_err(Failure::usage)
}

/// The whole key of the session that is meant.
pub(super) fn session_key(session: &Session, key: Option<String>, name: Option<String>) -> String {
    let defaults = &session.client.hello().payload["snapshot"]["sessionDefaults"];
    let or = |key: &str, default: &str| match text(defaults, key) {
        "" => default.to_owned(),
        found => found.to_owned(),
    };
    match (key, name) {
        (Some(key), _) => key,
        (None, Some(name)) if name.contains(':') => name,
        (None, Some(name)) => format!("agent:{}:{name}", or("defaultAgentId", "main")),
        (None, None) => or("mainSessionKey", "agent:main:main"),
    }
}

/// Sends the message and prints the run until its last answer, which is returned.
fn follow(
    session: &mut Session,
    params: &Value,
    deadline: Instant,
    out: &mut Out,
) -> Result<Value, Failure> {
    let sent = session.client.send("agent", params, deadline);
    let request = sent.map_err(|error| session.explain(error))?;
    let accepted = session.client.answer(request, deadline);
    let accepted = accepted.map_err(|error| session.explain(error))?;
    if accepted["status"] != "accepted" {
        // The same key was used before, and that run has ended.
        Stream::default().end(&accepted, out)?;
        return Ok(accepted);
    }
    let run_id = text(&accepted, "runId").to_owned();
    let mut stream = Stream::default();
    stream.wait(out)?;
    loop {
        let incoming = session.client.next(deadline).map_err(|error| {
            let mut failure = session.explain(error);
            // The run goes on without us; these commands wait for it again.
            failure.mend.clear();
            failure.fact("run", printable(&run_id)).mend(format!(
                "clawdia gateway call agent.wait --params '{{\"runId\":\"{}\"}}'",
                printable(&run_id)
            ))
        });
        match incoming {
            Ok(Incoming::Event(event)) => {
                if let Some(told) = asks_for_approval(&event, text(params, "sessionKey"), out) {
                    stream.stop(out)?;
                    // A closed stderr is no reason to end the run.
                    let _ = writeln!(std::io::stderr(), "{told}");
                }
                stream.event(&event, &run_id, out)?;
            }
            Ok(Incoming::Response(number, Ok(payload))) if number == request => {
                stream.end(&payload, out)?;
                return Ok(payload);
            }
            Ok(Incoming::Response(number, Err(error))) if number == request => {
                stream.stop(out)?;
                let error = crate::client::ClientError::gateway(error);
                return Err(session.explain(error).fact("run", printable(&run_id)));
            }
            Ok(Incoming::Response(..)) => {}
            Err(failure) => {
                stream.stop(out)?;
                return Err(failure);
            }
        }
    }
}

/// What a person is told where a run of this session waits for a decision, and how to decide.
pub(super) fn asks_for_approval(event: &Event, session_key: &str, out: &Out) -> Option<String> {
    let (payload, request) = (&event.payload, &event.payload["request"]);
    if event.name != "exec.approval.requested" || text(request, "sessionKey") != session_key {
        return None;
    }
    let id = printable(text(payload, "id")).into_owned();
    let approve = format!("clawdia approvals approve {id}    # or: deny {id}");
    Some(format!(
        "the run waits for your approval: {}\n  {}",
        printable(text(request, "command")),
        out.hinted(&approve)
    ))
}

/// What of an answer has been printed. Texts are cumulative, so a part that was skipped for
/// a slow reader is made up for by the next.
#[derive(Default)]
pub(super) struct Stream {
    /// The text that is being printed.
    printed: String,
    /// Texts before it, of which each ended its line: a tool call came between, say.
    said: Vec<String>,
    waiting: bool,
}

impl Stream {
    /// Shows a person that something is going on.
    pub(super) fn wait(&mut self, out: &mut Out) -> std::io::Result<()> {
        if out.is_terminal() {
            self.waiting = true;
            let dots = out.paint(Paint::Dim, "…").into_owned();
            out.part(&dots)?;
        }
        Ok(())
    }

    pub(super) fn event(
        &mut self,
        event: &Event,
        run_id: &str,
        out: &mut Out,
    ) -> std::io::Result<()> {
        let payload = &event.payload;
        if payload["runId"] != run_id || out.wants_json() {
            return Ok(());
        }
        let data = &payload["data"];
        match (event.name.as_str(), text(payload, "stream")) {
            ("agent", "assistant") => self.print(text(data, "text"), out),
            ("agent", "tool") if out.is_terminal() && data["phase"] == "start" => {
                self.stop(out)?;
                let note = format!(
                    "· {} {}",
                    text(data, "name"),
                    cut(&data["args"].to_string(), 60)
                );
                let note = out.paint(Paint::Dim, &printable(&note)).into_owned();
                out.line(&note)
            }
            ("chat", _) if payload["state"] == "delta" => {
                // It repeats what the assistant's stream said, at times a text too late.
                let whole = content(&payload["message"]);
                match self.said.iter().any(|said| said.starts_with(&whole)) {
                    true => Ok(()),
                    false => self.print(&whole, out),
                }
            }
            _ => Ok(()),
        }
    }

    /// Prints what `whole` has beyond what was printed.
    fn print(&mut self, whole: &str, out: &mut Out) -> std::io::Result<()> {
        if self.printed.starts_with(whole) {
            return Ok(());
        }
        if !whole.starts_with(&self.printed) {
            // A new text, not a longer one: after a tool call, say.
            self.stop(out)?;
        }
        self.clear(out)?;
        let rest = whole[self.printed.len()..].to_owned();
        out.part(&printable_lines(&rest))?;
        self.printed = whole.to_owned();
        Ok(())
    }

    /// Ends the line that is being printed.
    pub(super) fn stop(&mut self, out: &mut Out) -> std::io::Result<()> {
        self.clear(out)?;
        if !self.printed.is_empty() && !self.printed.ends_with('\n') {
            out.line("")?;
        }
        if !self.printed.is_empty() {
            self.said.push(std::mem::take(&mut self.printed));
        }
        out.flush()
    }

    /// The run is over: prints what of its result was not streamed.
    pub(super) fn end(&mut self, last: &Value, out: &mut Out) -> std::io::Result<()> {
        if !out.wants_json() {
            let texts = list(&last["result"], "payloads")
                .iter()
                .map(|p| text(p, "text"))
                .filter(|text| !text.is_empty() && !self.said.iter().any(|said| said == text));
            let rest = texts.collect::<Vec<_>>().join("\n");
            self.print(&rest, out)?;
        }
        self.stop(out)
    }

    fn clear(&mut self, out: &mut Out) -> std::io::Result<()> {
        if std::mem::take(&mut self.waiting) {
            out.part("\r\u{1b}[K")?;
        }
        Ok(())
    }
}

/// The text of a chat message.
pub(super) fn content(message: &Value) -> String {
    let parts = list(message, "content").iter();
    parts.map(|part| text(part, "text")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, payload: Value) -> Event {
        Event {
            name: name.into(),
            payload,
        }
    }

    fn assistant(text: &str) -> Event {
        event(
            "agent",
            json!({"runId":"r","stream":"assistant","data":{"text":text}}),
        )
    }

    fn printed(events: &[Event], texts: &[&str]) -> String {
        let (mut out, buffer) = Out::buffer(false);
        let mut stream = Stream::default();
        for event in events {
            stream.event(event, "r", &mut out).unwrap();
        }
        let payloads: Vec<Value> = texts.iter().map(|text| json!({"text":text})).collect();
        stream
            .end(&json!({"result":{"payloads":payloads}}), &mut out)
            .unwrap();
        buffer.text()
    }

    #[test]
    fn a_streamed_answer_is_printed_once() {
        let chat = json!({"runId":"r","state":"delta","message":{"content":[{"type":"text","text":"Hel"}]}});
        let events = [assistant("Hel"), event("chat", chat), assistant("Hello")];
        assert_eq!(printed(&events, &["Hello"]), "Hello\n");
    }

    #[test]
    fn what_was_not_streamed_comes_from_the_result() {
        assert_eq!(printed(&[], &["Hi", "there"]), "Hi\nthere\n");
        assert_eq!(printed(&[assistant("Hi")], &["Hi there"]), "Hi there\n");
        assert_eq!(printed(&[], &[]), "");
    }

    #[test]
    fn another_text_begins_on_a_line_of_its_own() {
        assert_eq!(
            printed(&[assistant("One"), assistant("Two")], &["Two"]),
            "One\nTwo\n"
        );
    }

    #[test]
    fn texts_around_a_tool_call_are_printed_once_each() {
        let events = [assistant("Let me look."), assistant("It is fine.")];
        let both = "Let me look.\nIt is fine.\n";
        assert_eq!(printed(&events, &["Let me look.", "It is fine."]), both);
        assert_eq!(printed(&events, &["It is fine."]), both);
        let late = json!({"runId":"r","state":"delta","message":{"content":[{"type":"text","text":"Let me"}]}});
        let events = [&events[..], &[event("chat", late)]].concat();
        assert_eq!(printed(&events, &["It is fine."]), both);
    }

    #[test]
    fn other_runs_are_not_shown() {
        let other = json!({"runId":"x","stream":"assistant","data":{"text":"no"}});
        assert_eq!(printed(&[event("agent", other)], &["yes"]), "yes\n");
    }

    #[test]
    fn an_answer_cannot_command_the_terminal() {
        assert_eq!(printed(&[assistant("a\u{1b}[2Jb")], &[]), "a\\u{1b}[2Jb\n");
    }
}
