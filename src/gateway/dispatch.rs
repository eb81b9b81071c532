//! One request: parsed in place, checked against role, scope and shape, then run.

use super::auth::scope::Scope;
use super::methods::{self, Access, Method};
use super::params::Params;
use super::peer::Phase;
use super::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::{JSON_PADDING_BYTES, REQUESTS_IN_FLIGHT_MAX, UNAUTHORIZED_IN_ROW_MAX};
use crate::now::Now;
use crate::state::Role;
use crate::wire::envelope::{self, Request, write_response};
use crate::wire::json::{Json, Writer};
use std::borrow::Cow;

/// A request on its way to its answer.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who asked.
    pub conn: ConnId,
    /// The id that the answer repeats.
    pub id: &'a str,
    /// The method's row of the table.
    pub method: &'static Method,
}

impl Call<'_> {
    /// Keeps the call beyond the message it came in.
    pub fn keep(self) -> KeptCall {
        KeptCall {
            conn: self.conn,
            id: self.id.into(),
            method: self.method,
        }
    }
}

/// A call whose answer comes later. It is answered exactly once, if its peer is still there.
#[derive(Debug)]
pub struct KeptCall {
    /// Who asked.
    pub conn: ConnId,
    /// The id that the answer repeats.
    pub id: Box<str>,
    /// The method's row of the table.
    pub method: &'static Method,
}

/// What a method's function did with the call.
#[derive(Debug)]
pub enum Outcome {
    /// The call was answered.
    Done,
    /// The call was kept and is answered later.
    Later,
}

/// Why a method's function did not take the call.
#[derive(Debug)]
pub enum Stop {
    /// The peer is told.
    Refuse(Refusal),
    /// Records that the method depends on are being written: the request is run again then.
    Busy,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// What a method's function returns.
pub type Handled = Result<Outcome, Stop>;

impl Gateway {
    /// A text message of a peer. `padded[..len]` is parsed in place.
    pub(super) fn on_text(&mut self, now: Now, conn: ConnId, padded: &mut [u8], len: usize) {
        let Some(peer) = self.peers.get(conn) else {
            return;
        };
        match peer.phase {
            Phase::Http | Phase::Closing => return,
            Phase::Challenged(_) => {
                self.waiting.heard(conn, now.mono_ms);
                return self.on_first_text(now, conn, padded, len);
            }
            Phase::Joining(_) => {
                // `connect` is being stored: what was sent behind it waits for the outcome.
                let bytes = padded[..len].to_vec();
                return self.when_joined(conn, bytes);
            }
            Phase::Live(_) => {}
        }
        let mut parser = self.parser.take().unwrap_or_default();
        let document = match parser.parse(padded, len) {
            Ok(document) => document,
            Err(fault) => {
                self.parser = Some(parser);
                let refusal = Refusal::invalid(format!("invalid request frame: {}", fault.text()));
                self.count_fault(conn);
                return self.respond_refusal(conn, "invalid", &refusal);
            }
        };
        if let Some(root) = document.root() {
            self.on_envelope(now, conn, root);
        }
        parser.recycle(document);
        self.parser = Some(parser);
    }

    fn on_envelope(&mut self, now: Now, conn: ConnId, root: Json<'_, '_>) {
        let protocol = match self.peers.get(conn).and_then(|peer| peer.live()) {
            Some(live) => live.protocol,
            None => return,
        };
        let request = match envelope::request(root) {
            Ok(request) => request,
            // Version 4 clients say so when they stop waiting for an answer. It still comes.
            Err(_) if protocol >= 4 && is_cancel(root) => return,
            Err(fault) => {
                let text = format!("invalid request frame: {}", fault.text);
                self.count_fault(conn);
                return self.respond_refusal(
                    conn,
                    fault.id.unwrap_or("invalid"),
                    &Refusal::invalid(text),
                );
            }
        };
        if let (Some(key), 3) = (request.unknown_key, protocol) {
            let text = format!("invalid request frame: at root: unexpected property '{key}'");
            self.count_fault(conn);
            return self.respond_refusal(conn, request.id, &Refusal::invalid(text));
        }
        self.counters.requests += 1;
        match self.run(now, conn, request) {
            Ok(outcome) => {
                if matches!(outcome, Outcome::Later) {
                    self.note_in_flight(conn, request.id);
                }
                self.clear_faults(conn);
            }
            Err(Stop::Refuse(refusal)) => {
                self.counters.requests_refused += 1;
                self.respond_refusal(conn, request.id, &refusal);
            }
            Err(Stop::Busy) => self.run_later(conn, request.id, root),
        }
    }

    fn run(&mut self, now: Now, conn: ConnId, request: Request<'_, '_>) -> Handled {
        let (method, protocol) = self.admit_call(conn, &request)?;
        self.spare_memory(method)?;
        let params = Params::new(request.params);
        let checked = match method.access {
            // A later client says more than we know. Where much is at stake, what we do not
            // understand might be what keeps it from harm.
            Access::Operator(Scope::Read | Scope::Write) | Access::Node if protocol >= 4 => {
                params.check_known(&method.params)
            }
            _ => params.check(&method.params),
        };
        if let Err(faults) = checked {
            self.count_fault(conn);
            let text = format!("invalid {} params: {faults}", method.name);
            return Err(Refusal::invalid(text).into());
        }
        let call = Call {
            conn,
            id: request.id,
            method,
        };
        (method.run)(self, now, call, params)
    }

    /// Role, scope and the bounds of one connection. Gives the method and the version agreed on.
    fn admit_call(
        &mut self,
        conn: ConnId,
        request: &Request<'_, '_>,
    ) -> Result<(&'static Method, u32), Stop> {
        let Some(live) = self.peers.get(conn).and_then(|peer| peer.live()) else {
            return Err(Stop::Refuse(Refusal::unavailable(
                "the connection is closing",
            )));
        };
        if live.in_flight.iter().any(|id| **id == *request.id) {
            return Err(Refusal::invalid("request id is in use by a call in flight").into());
        }
        if live.in_flight.len() >= REQUESTS_IN_FLIGHT_MAX {
            let text = format!("too many requests in flight (at most {REQUESTS_IN_FLIGHT_MAX})");
            return Err(Stop::Refuse(Refusal {
                retryable: true,
                ..Refusal::unavailable(text)
            }));
        }
        let protocol = live.protocol;
        let method = methods::find(request.method);
        // Version 3 hides what it does not know behind the widest scope. A later client asks for
        // few scopes, tries newer methods, and goes on where it is told that they are unknown.
        let widest = match protocol {
            0..=3 => Access::Operator(Scope::Admin),
            _ => Access::Operator(Scope::Read),
        };
        let access = method.map_or(widest, |method| method.access);
        let refusal: Option<Cow<'static, str>> = match (access, live.role) {
            (Access::First, _) => Some("connect is only valid as the first request".into()),
            (Access::Operator(scope), Role::Operator) => (!live.scopes.allows(scope))
                .then(|| format!("missing scope: {}", scope.as_str()).into()),
            (Access::Node, Role::Node) => None,
            (Access::Node, Role::Operator) | (Access::Operator(_), Role::Node) => {
                Some(format!("unauthorized role: {}", live.role.as_str()).into())
            }
        };
        if let Some(message) = refusal {
            self.count_fault(conn);
            return Err(Refusal::invalid(message).into());
        }
        method.map(|method| (method, protocol)).ok_or_else(|| {
            self.count_fault(conn);
            let name: String = request.method.chars().take(128).collect();
            Refusal::invalid(format!("unknown method: {name}")).into()
        })
    }

    /// Runs the request again when what is being written has been written. It is in flight
    /// meanwhile, so a peer has no more than its share of those that wait.
    fn run_later(&mut self, conn: ConnId, id: &str, root: Json<'_, '_>) {
        // Parsing in place used up the message's own text.
        let mut text = Vec::new();
        Writer::new(&mut text).json(root);
        self.note_in_flight(conn, id);
        let id: Box<str> = id.into();
        self.commits.wait(Box::new(move |gateway, now| {
            gateway.forget_in_flight(conn, &id);
            gateway.on_bytes(now, conn, text);
        }));
    }

    /// A message that was kept.
    pub(super) fn on_bytes(&mut self, now: Now, conn: ConnId, mut text: Vec<u8>) {
        let len = text.len();
        text.resize(len + JSON_PADDING_BYTES, 0);
        self.on_text(now, conn, &mut text, len);
    }

    /// Answers a call.
    pub(super) fn reply(&mut self, call: Call<'_>, f: impl FnOnce(&Gateway, &mut Writer<'_>)) {
        self.send_text(call.conn, |gateway, w| {
            write_response(w, call.id, |w| f(gateway, w));
        });
    }

    /// Answers a call that was kept.
    pub(super) fn reply_kept(
        &mut self,
        call: &KeptCall,
        f: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        self.end_in_flight(call);
        self.send_text(call.conn, |gateway, w| {
            write_response(w, &call.id, |w| f(gateway, w));
        });
    }

    /// Refuses a call that was kept.
    pub(super) fn refuse_kept(&mut self, call: &KeptCall, refusal: &Refusal) {
        self.refuse_kept_with(call, None, refusal);
    }

    /// The same, with a payload beside the error.
    pub(super) fn refuse_kept_with(
        &mut self,
        call: &KeptCall,
        payload: Option<&[u8]>,
        refusal: &Refusal,
    ) {
        self.end_in_flight(call);
        self.send_text(call.conn, |_, w| refusal.write(w, &call.id, payload));
    }

    /// Answers a kept call for the first of two times: its id stays in use.
    pub(super) fn reply_first(
        &mut self,
        call: &KeptCall,
        f: impl FnOnce(&Gateway, &mut Writer<'_>),
    ) {
        self.send_text(call.conn, |gateway, w| {
            write_response(w, &call.id, |w| f(gateway, w));
        });
    }

    /// The call is answered for good: its id is free again.
    pub(super) fn end_in_flight(&mut self, call: &KeptCall) {
        self.forget_in_flight(call.conn, &call.id);
    }

    fn forget_in_flight(&mut self, conn: ConnId, id: &str) {
        if let Some(live) = self.peers.get_mut(conn).and_then(|peer| peer.live_mut()) {
            live.in_flight.retain(|other| **other != *id);
        }
    }

    /// Sends an error response.
    pub(super) fn respond_refusal(&mut self, conn: ConnId, id: &str, refusal: &Refusal) {
        self.send_text(conn, |_, w| refusal.write(w, id, None));
    }

    /// Sends one text message that `f` writes.
    pub(super) fn send_text(&mut self, conn: ConnId, f: impl FnOnce(&Gateway, &mut Writer<'_>)) {
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        if matches!(peer.phase, Phase::Closing) {
            return;
        }
        // Taken out, so that the writer may read all of the gateway.
        let mut outbox = std::mem::take(&mut peer.outbox);
        let mut turn = std::mem::take(&mut self.turn);
        outbox.text(&mut turn, |w| f(self, w));
        self.turn = turn;
        if let Some(peer) = self.peers.get_mut(conn) {
            peer.outbox = outbox;
        }
        self.mark_dirty(conn);
        self.watch_outbox(conn);
    }

    fn note_in_flight(&mut self, conn: ConnId, id: &str) {
        if let Some(live) = self.peers.get_mut(conn).and_then(|peer| peer.live_mut()) {
            live.in_flight.push(id.into());
        }
    }

    /// An unauthorized or invalid call; too many in a row close the connection.
    pub(super) fn count_fault(&mut self, conn: ConnId) {
        let Some(live) = self.peers.get_mut(conn).and_then(|peer| peer.live_mut()) else {
            return;
        };
        live.faults_in_row += 1;
        if live.faults_in_row > UNAUTHORIZED_IN_ROW_MAX {
            self.close(conn, 1008, "too many unauthorized or invalid calls");
        }
    }

    fn clear_faults(&mut self, conn: ConnId) {
        if let Some(live) = self.peers.get_mut(conn).and_then(|peer| peer.live_mut()) {
            live.faults_in_row = 0;
        }
    }
}

fn is_cancel(root: Json<'_, '_>) -> bool {
    root.get("type").and_then(Json::as_str) == Some("cancel")
}
