//! A run that a plain HTTP request waits for: its answer goes out as it comes, or at the end.

use super::ask::Place;
use super::{Fault, completions, responses};
use crate::agent::{Image, Usage};
use crate::gateway::dispatch::Stop;
use crate::gateway::runs::{Origin, Over, Request, StopReason};
use crate::gateway::sessions::{archive_all, session_lock};
use crate::gateway::{Effect, Gateway};
use crate::ids::ConnId;
use crate::state::{Delivery, Record, Text};
use crate::wire::json::Writer;
use crate::wire::respond::write_head;
use std::collections::BTreeMap;

/// Which protocol the answer is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Completion { wants_usage: bool },
    Response,
}

/// A request that waits for its run.
pub struct HttpRun {
    pub(super) run_id: Text,
    pub(super) form: Form,
    /// As events, piece by piece.
    pub(super) streams: bool,
    /// What the client calls the model.
    pub(super) model: String,
    pub(super) created_s: u64,
    /// What was sent of the answer.
    pub(super) said: String,
    /// The last event's number.
    pub(super) events: u64,
    session_key: Text,
    is_one_off: bool,
}

/// All requests that wait for runs.
#[derive(Default)]
pub struct HttpRuns {
    by_conn: BTreeMap<ConnId, HttpRun>,
    by_run: BTreeMap<Text, ConnId>,
}

impl HttpRuns {
    fn of_run(&mut self, run_id: &str) -> Option<(ConnId, &mut HttpRun)> {
        let conn = *self.by_run.get(run_id)?;
        Some((conn, self.by_conn.get_mut(&conn)?))
    }

    fn take(&mut self, conn: ConnId) -> Option<HttpRun> {
        let run = self.by_conn.remove(&conn)?;
        self.by_run.remove(&run.run_id);
        Some(run)
    }
}

/// What a request asks for.
pub(super) struct Asked {
    pub(super) place: Place,
    pub(super) form: Form,
    pub(super) streams: bool,
    pub(super) message: String,
    pub(super) images: Vec<Image>,
    pub(super) extra_prompt: Option<Text>,
}

impl Gateway {
    /// Begins a run whose answer is this request's.
    pub(super) fn run_for_http(&mut self, conn: ConnId, asked: Asked) {
        // It has shown its secret, and may wait for as long as its run takes.
        self.waiting.done(conn);
        let prefix = match asked.form {
            Form::Completion { .. } => "chatcmpl",
            Form::Response => "resp",
        };
        let run_id: Text = format!("{prefix}_{}", self.uuid()).into();
        let run = HttpRun {
            run_id: run_id.clone(),
            form: asked.form,
            streams: asked.streams,
            model: asked.place.model,
            created_s: self.now.unix_ms / 1_000,
            said: String::new(),
            events: 0,
            session_key: asked.place.session_key.clone(),
            is_one_off: asked.place.is_one_off,
        };
        self.http_runs.by_run.insert(run_id.clone(), conn);
        self.http_runs.by_conn.insert(conn, run);
        let shown_key = asked.place.session_key.clone();
        self.accept_for_http(
            conn,
            Request {
                origin: Origin::Http,
                run_id,
                session_key: asked.place.session_key,
                shown_key,
                message: asked.message,
                images: asked.images,
                thinking: None,
                extra_prompt: asked.extra_prompt,
                timeout_ms: None,
                delivery: Delivery::default(),
                fingerprint: [0; 32],
                also: Vec::new(),
            },
        );
    }

    fn accept_for_http(&mut self, conn: ConnId, request: Request) {
        if !self.http_runs.by_conn.contains_key(&conn) {
            return;
        }
        let again = request.clone();
        let accepted = self.accept_run(
            request,
            Box::new(move |gateway, _, result| {
                gateway.on_http_accepted(conn, result);
                None
            }),
        );
        match accepted {
            Ok(()) => {}
            Err(Stop::Busy) => self.commits.wait(Box::new(move |gateway, _| {
                gateway.accept_for_http(conn, again);
            })),
            Err(Stop::Refuse(refusal)) => {
                let status = if refusal.retryable { 429 } else { 503 };
                self.fail_http(conn, &Fault::failed(status, refusal.message));
            }
        }
    }

    fn on_http_accepted(&mut self, conn: ConnId, result: Result<(), String>) {
        if let Err(fault) = result {
            return self.fail_http(conn, &Fault::failed(503, format!("not stored: {fault}")));
        }
        let Some(run) = self.http_runs.by_conn.get_mut(&conn) else {
            return;
        };
        if !run.streams {
            return;
        }
        let mut out = Vec::new();
        let fields = [
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ];
        write_head(&mut out, 200, false, &fields, None);
        match run.form {
            Form::Completion { .. } => completions::write_start(&mut out, run),
            Form::Response => responses::write_start(&mut out, run),
        }
        self.write_plain(conn, &out);
    }

    /// More text of a run that a request waits for.
    pub(in crate::gateway) fn on_http_delta(&mut self, run_id: &str, delta: &str) {
        let Some((conn, run)) = self.http_runs.of_run(run_id) else {
            return;
        };
        if !run.streams {
            return;
        }
        run.said.push_str(delta);
        let mut out = Vec::new();
        match run.form {
            Form::Completion { .. } => completions::write_delta(&mut out, run, delta),
            Form::Response => responses::write_delta(&mut out, run, delta),
        }
        self.write_plain(conn, &out);
    }

    /// The run that a request waits for has ended.
    pub(in crate::gateway) fn on_http_run_over(&mut self, over: &Over<'_>) {
        let Some(conn) = self.http_runs.by_run.get(&over.row.run_id).copied() else {
            return;
        };
        let Some(mut run) = self.http_runs.take(conn) else {
            return;
        };
        match over.error {
            Some(error) => self.end_http_run(conn, &mut run, Err(&Fault::failed(500, error))),
            None => {
                if run.streams && run.said.is_empty() && !over.text.is_empty() {
                    let mut out = Vec::new();
                    run.said.push_str(over.text);
                    match run.form {
                        Form::Completion { .. } => {
                            completions::write_delta(&mut out, &run, over.text);
                        }
                        Form::Response => responses::write_delta(&mut out, &mut run, over.text),
                    }
                    self.write_plain(conn, &out);
                }
                self.end_http_run(conn, &mut run, Ok((over.text, over.usage)));
            }
        }
    }

    fn end_http_run(
        &mut self,
        conn: ConnId,
        run: &mut HttpRun,
        end: Result<(&str, Usage), &Fault>,
    ) {
        if run.is_one_off {
            self.forget_session(&run.session_key.clone());
        }
        let mut out = Vec::new();
        match (end, run.streams, run.form) {
            (Ok((text, usage)), false, Form::Completion { .. }) => {
                completions::write_whole(&mut Writer::new(&mut out), run, text, usage);
                self.answer_json(conn, 200, &out);
            }
            (Ok((text, usage)), false, Form::Response) => {
                let end = responses::End::Completed { text, usage };
                responses::write_resource(&mut Writer::new(&mut out), run, &end);
                self.answer_json(conn, 200, &out);
            }
            (Err(fault), false, _) => self.answer_fault(conn, fault),
            (end, true, form) => {
                match (end, form) {
                    (Ok((_, usage)), Form::Completion { wants_usage }) => {
                        completions::write_end(&mut out, run, wants_usage.then_some(usage));
                    }
                    (Ok((_, usage)), Form::Response) => responses::write_end(&mut out, run, usage),
                    (Err(fault), Form::Completion { .. }) => {
                        completions::write_fault(&mut out, fault);
                    }
                    (Err(fault), Form::Response) => responses::write_fault(&mut out, run, fault),
                }
                self.write_plain(conn, &out);
                self.effects.push_back(Effect::Finish { conn });
            }
        }
    }

    fn fail_http(&mut self, conn: ConnId, fault: &Fault) {
        if self.http_runs.take(conn).is_some() {
            self.answer_fault(conn, fault);
        }
    }

    /// A connection is gone: nobody waits for its run any more.
    pub(in crate::gateway) fn on_http_client_gone(&mut self, conn: ConnId) {
        let Some(run) = self.http_runs.take(conn) else {
            return;
        };
        self.stop_for_http(&run.session_key, &run.run_id);
        if run.is_one_off {
            self.forget_session(&run.session_key);
        }
    }

    fn stop_for_http(&mut self, session_key: &Text, run_id: &Text) {
        if self.commits.is_reserved(&session_lock(session_key)) {
            // The run may just be being stored.
            let (session_key, run_id) = (session_key.clone(), run_id.clone());
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.stop_for_http(&session_key, &run_id);
            }));
        }
        self.stop_runs(session_key, Some(run_id), StopReason::ClientGone);
    }

    /// Takes a session out of the list that was for one request alone; its messages are archived.
    pub(super) fn forget_session(&mut self, key: &Text) {
        let lock = session_lock(key);
        if self.commits.is_reserved(&lock) {
            let key = key.clone();
            return self
                .commits
                .wait(Box::new(move |gateway, _| gateway.forget_session(&key)));
        }
        let Some(session) = self.session(key) else {
            return;
        };
        let records = vec![
            archive_all(session.session_id.clone(), self.now),
            Record::SessionRemove { key: key.clone() },
        ];
        self.commit(vec![lock], records, |gateway, _, _| gateway.touch_health());
    }
}
