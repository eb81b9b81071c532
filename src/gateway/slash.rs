//! Slash commands: messages that the gateway answers itself, without a model.

use super::commit::Key;
use super::dispatch::{KeptCall, Stop};
use super::method::agent::write_accepted;
use super::method::chat::write_status;
use super::runs::{Origin, Request, StopReason, write_result};
use super::{Gateway, Refusal, sessions};
use crate::agent::builtin::{help_text, status_text};
use crate::agent::{ModelRef, Thinking, Verbosity};
use crate::config::types::QueueMode;
use crate::limits::IDEMPOTENCY_TTL_MS;
use crate::now::Now;
use crate::state::{Idempotency, IdempotencyState, Record, Session, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// Every command with what it does, for `/help`.
const COMMANDS: &[(&str, &str)] = &[
    ("/help", "what you can say here"),
    ("/status", "this gateway and this session"),
    ("/whoami", "which session and agent this is"),
    ("/new", "start the session over"),
    ("/compact", "make a summary of what was said so far"),
    ("/stop", "stop what runs in this session"),
    (
        "/model [provider/model|default]",
        "show or choose the session's model",
    ),
    (
        "/think [off|minimal|low|medium|high]",
        "show or choose how much it thinks",
    ),
    ("/verbose [on|off]", "show or hide tool work"),
    (
        "/queue [followup|collect|steer|interrupt|default]",
        "show or choose what becomes of messages during a run",
    ),
];

/// The setting of a session by which its messages are queued.
const QUEUE_MODE: &str = "queueMode";

/// A command and what stands behind it.
pub struct SlashCommand {
    name: String,
    argument: String,
}

/// What a command does: a text, and maybe a changed session.
pub(super) struct Answer {
    pub text: String,
    pub session: Session,
    /// Takes the old transcript away where the session starts over.
    pub archived: Option<Record>,
}

impl Gateway {
    /// The command that a message is; None for text that goes to the model.
    pub(super) fn slash_command(&self, message: &str) -> Option<SlashCommand> {
        let rest = message.trim().strip_prefix('/')?;
        let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let name = name.to_lowercase();
        let known = matches!(
            name.as_str(),
            "help"
                | "commands"
                | "status"
                | "whoami"
                | "id"
                | "new"
                | "reset"
                | "model"
                | "think"
                | "thinking"
                | "verbose"
                | "queue"
                | "stop"
        );
        known.then(|| SlashCommand {
            name,
            argument: argument.trim().to_owned(),
        })
    }

    /// Stores what the command changes and its answer, then tells the client: `started`, and a
    /// final with number 1.
    pub(super) fn run_slash(
        &mut self,
        now: Now,
        request: Request,
        command: SlashCommand,
        call: KeptCall,
    ) -> Result<(), Stop> {
        let session_lock = Key::Session(request.session_key.as_ref().into());
        if self.commits.is_reserved(&session_lock) {
            return Err(Stop::Busy);
        }
        let answer = self.answer_slash(&request.session_key, &command)?;
        let stops = match (&answer.archived, command.name.as_str()) {
            (Some(_), _) => Some(StopReason::SessionGone),
            (None, "stop") => Some(StopReason::Word),
            (None, _) => None,
        };
        let mut records = self
            .state
            .idempotency()
            .make_room(1, 0)
            .ok_or_else(|| Refusal::unavailable("too many requests are in flight"))?;
        let method = request.origin.method().unwrap_or("chat.send");
        let waits = request.origin == Origin::Agent;
        let mut response = Vec::new();
        match waits {
            true => write_answer(
                &mut Writer::new(&mut response),
                &request.run_id,
                &answer.text,
            ),
            false => write_status(&mut Writer::new(&mut response), &request.run_id, "ok"),
        }
        let response: Text = String::from_utf8_lossy(&response).into();
        records.push(Record::IdempotencyPut(Arc::new(Idempotency {
            method: method.into(),
            key: request.run_id.clone(),
            fingerprint: request.fingerprint,
            run_id: Some(request.run_id.clone()),
            state: IdempotencyState::Done,
            response: response.clone(),
            expires_at_ms: now.unix_ms + IDEMPOTENCY_TTL_MS,
        })));
        records.extend(answer.archived);
        records.push(Record::SessionPut(Arc::new(answer.session.clone())));
        let message = Arc::new(sessions::injected_message(&answer.text, now.unix_ms));
        records.push(Record::MessageAppend {
            session_id: answer.session.session_id.clone(),
            message: message.clone(),
        });
        let keys = vec![
            session_lock,
            Key::Idempotency(method, request.run_id.as_ref().into()),
        ];
        if let Some(reason) = stops {
            self.stop_runs(&request.session_key, None, reason);
            if keys.iter().any(|key| self.commits.is_reserved(key)) {
                return Err(Stop::Busy);
            }
        }
        self.commit(keys, records, move |gateway, _, result| match result {
            Ok(()) => {
                if waits {
                    let accepted_at = gateway.now.unix_ms;
                    gateway.reply_first(&call, |_, w| {
                        write_accepted(w, &request.run_id, accepted_at);
                    });
                    gateway.reply_kept(&call, |_, w| w.raw(response.as_bytes()));
                } else {
                    gateway.reply_kept(&call, |_, w| write_status(w, &request.run_id, "started"));
                }
                let keys = (&*request.session_key, &*request.shown_key);
                gateway.send_injected(&request.run_id, keys, 1, &message);
                gateway.touch_health();
            }
            Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
        });
        Ok(())
    }

    pub(super) fn answer_slash(
        &mut self,
        session_key: &str,
        command: &SlashCommand,
    ) -> Result<Answer, Refusal> {
        let mut session = self.session_or_new(session_key, self.now);
        session.updated_at_ms = self.now.unix_ms;
        let mut archived = None;
        let text = match command.name.as_str() {
            "help" | "commands" => help_text(COMMANDS),
            "status" => status_text(&self.facts(&session)),
            "whoami" | "id" => format!(
                "Session {} of agent {} on {}.",
                session.key, session.agent_id, self.identity.host
            ),
            "new" | "reset" => {
                archived = Some(self.start_over(&mut session, self.now));
                "The session starts over: what was said before is forgotten.".to_owned()
            }
            "model" => self.choose_model(&mut session, &command.argument),
            "verbose" => choose_verbosity(&mut session, &command.argument),
            "queue" => self.choose_queue(&mut session, &command.argument),
            "stop" => "Nothing runs in this session any more.".to_owned(),
            _ => self.choose_thinking(&mut session, &command.argument),
        };
        Ok(Answer {
            text,
            session,
            archived,
        })
    }

    fn choose_model(&self, session: &mut Session, wanted: &str) -> String {
        if wanted.is_empty() {
            let names: Vec<String> = self.model_names().collect();
            return format!(
                "This session uses {}. There are: {}.",
                self.model_of_session(session),
                names.join(", ")
            );
        }
        if wanted == "default" {
            session.model_provider = None;
            session.model = None;
            let model = self.model_of_session(session);
            return format!("This session now uses its agent's model, {model}.");
        }
        let known = self.model_names().any(|name| name == wanted);
        match ModelRef::parse(wanted).filter(|_| known) {
            Some(model) => {
                session.model_provider = Some(model.provider().into());
                session.model = Some(model.model().into());
                format!("This session now uses {model}.")
            }
            None => format!("There is no model {wanted}. Say /model to see which there are."),
        }
    }

    fn choose_queue(&self, session: &mut Session, wanted: &str) -> String {
        match (wanted, QueueMode::parse(wanted)) {
            ("", _) => {}
            ("default", _) => {
                session.settings.remove(QUEUE_MODE);
            }
            (_, Some(mode)) => {
                session
                    .settings
                    .insert(QUEUE_MODE.into(), mode.as_str().into());
            }
            (_, None) => {
                return format!(
                    "{wanted} is no mode: followup, collect, steer, interrupt, default."
                );
            }
        }
        let mode = self.queue_mode_of(session).as_str();
        format!("Messages that come during a run: {mode}.")
    }

    /// What becomes of messages that come during a run of a session.
    pub(super) fn queue_mode_of(&self, session: &Session) -> QueueMode {
        let own = session.settings.get(QUEUE_MODE);
        own.and_then(|mode| QueueMode::parse(mode))
            .unwrap_or(self.config().messages.queue.mode)
    }

    fn choose_thinking(&self, session: &mut Session, wanted: &str) -> String {
        if wanted.is_empty() {
            return format!("Thinking is {}.", self.thinking_of(session).as_str());
        }
        match Thinking::parse(wanted) {
            Some(level) => {
                session.thinking_level = self.kept_thinking(session, level);
                format!("Thinking is now {}.", level.as_str())
            }
            None => format!("{wanted} is no level: off, minimal, low, medium, high or xhigh."),
        }
    }
}

/// What `agent` is answered in the end.
fn write_answer(w: &mut Writer<'_>, run_id: &str, text: &str) {
    w.object(|w| {
        w.field_str("runId", run_id);
        w.field_str("status", "ok");
        write_result(w, text, |_| {});
    });
}

fn choose_verbosity(session: &mut Session, wanted: &str) -> String {
    let now = session.verbose_level.as_deref().and_then(Verbosity::parse);
    if wanted.is_empty() {
        return format!("Verbose is {}.", now.unwrap_or_default().as_str());
    }
    match Verbosity::parse(wanted) {
        Some(level) => {
            session.verbose_level = Some(level.as_str().into());
            format!("Verbose is now {}.", level.as_str())
        }
        None => format!("{wanted} is neither on nor off."),
    }
}

#[cfg(test)]
mod tests {
    use crate::driver::{Driver, Options};
    use serde_json::json;

    #[test]
    fn a_session_goes_back_to_its_agents_model() {
        let config =
            "{models: {providers: {p: {baseUrl: 'http://127.0.0.1:1/v1', models: [{id: 'm'}]}}}}";
        let mut driver = Driver::new(Options {
            config: config.to_owned(),
            ..Options::default()
        });
        let operator = driver.operator();
        for (said, answer) in [
            ("/model p/n", "There is no model p/n."),
            ("/model p/m", "This session now uses p/m."),
            ("/model default", "This session now uses its agent's model,"),
        ] {
            let params = json!({"sessionKey": "main", "message": said, "idempotencyKey": said});
            driver.ok(operator, "chat.send", params);
            driver.settle();
            let shown = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
            let last = shown["messages"]
                .as_array()
                .unwrap()
                .last()
                .unwrap()
                .clone();
            let text = last["content"][0]["text"].as_str().unwrap();
            assert!(text.starts_with(answer), "{text}");
        }
    }
}
