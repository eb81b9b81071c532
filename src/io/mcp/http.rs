//! A server behind an address: a request a message, answered by JSON or by a stream of events
//! (MCP 2025-06-18, Transports: streamable HTTP). Each request has a thread of its own while it
//! is open; one more listens to what the server says unasked, where it offers that.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use ureq::Agent;
use ureq::http::Response;

use super::{Dialog, Event, Inbox, Life, Tell, spawn};
use crate::agent::remote::Events;
use crate::agent::{CancelToken, StepError, StepSink, Stop, tls_config};
use crate::config::types::McpServer;
use crate::limits::{
    MCP_END_MS, MCP_HEAD_BYTES_MAX, MCP_MESSAGE_BYTES_MAX, MCP_ORDERS_MAX, MCP_START_MS,
    MCP_STEADY_MS, MODEL_CONNECT_MS, TOOL_DEADLINE_MS,
};

/// Speaks with the server until its session is gone or it is used no more.
pub fn live(url: &str, server: &McpServer, inbox: &Inbox, tell: Tell<'_>) -> Life {
    let (heard_out, heard) = bounded(MCP_ORDERS_MAX);
    let mut talk = Talk {
        dialog: Dialog::begin(),
        place: Place {
            url: url.to_owned(),
            headers: server
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            session: None,
            version: None,
        },
        open: BTreeMap::new(),
        listener: None,
        heard_out,
    };
    talk.go_on(inbox, &heard, tell)
}

struct Talk {
    dialog: Dialog,
    place: Place,
    /// Requests that are not over.
    open: BTreeMap<u64, CancelToken>,
    listener: Option<CancelToken>,
    heard_out: Sender<Heard>,
}

/// Where requests go, and what goes along.
#[derive(Clone)]
struct Place {
    url: String,
    headers: Vec<(String, String)>,
    session: Option<String>,
    /// Once it is agreed on.
    version: Option<String>,
}

/// What a request's thread has to say.
enum Heard {
    /// The server named a session.
    Session(String),
    Message(String),
    /// The request with this id failed.
    Failed(u64, String),
    /// The server knows our session no more.
    Forgotten,
}

impl Talk {
    fn go_on(&mut self, inbox: &Inbox, heard: &Receiver<Heard>, tell: Tell<'_>) -> Life {
        let began = Instant::now();
        let start = Duration::from_millis(MCP_START_MS);
        loop {
            while let Some(event) = self.dialog.poll() {
                match event {
                    Event::Send { text, id } => self.send(text, id),
                    Event::Over { id } => self.close(id),
                    Event::Tell(news) => tell(news),
                    Event::Broken(fault) => return Life::Ended(fault),
                }
            }
            let is_up = self.dialog.is_up();
            if is_up && self.listener.is_none() {
                self.listen();
            }
            let late = match is_up {
                true => never(),
                false => crossbeam_channel::at(began + start),
            };
            select! {
                recv(inbox.commands) -> command => match command {
                    Ok(command) => command.tell(&mut self.dialog),
                    Err(_) => return Life::Closed,
                },
                recv(heard) -> heard => match heard {
                    Ok(Heard::Session(id)) => self.place.session = Some(id),
                    Ok(Heard::Message(text)) => {
                        self.dialog.hear(&text);
                        self.place.version = self.dialog.version().map(str::to_owned);
                    }
                    Ok(Heard::Failed(id, fault)) => self.dialog.fail(id, fault),
                    Ok(Heard::Forgotten) => return Life::Ended("it forgot our session".to_owned()),
                    Err(_) => {}
                },
                recv(late) -> _ => {
                    return Life::Ended(format!("it was not ready within {MCP_START_MS} ms"));
                }
            }
        }
    }

    fn send(&mut self, text: String, id: Option<u64>) {
        let (place, out) = (self.place.clone(), self.heard_out.clone());
        let cancel = CancelToken::new();
        let cut = cancel.clone();
        let spawned = spawn("mcp-request", move || {
            let heard = match (post(&place, &text, id.is_some(), &cut, &out), id) {
                (Err(Fault::Failed(fault)), Some(id)) => Heard::Failed(id, fault),
                (Err(Fault::Forgotten), _) => Heard::Forgotten,
                // A notice that was not taken shows at the next request.
                (Err(Fault::Failed(_)), None) | (Ok(()), _) => return,
            };
            let _ = out.send(heard);
        });
        match (spawned, id) {
            (Ok(()), Some(id)) => {
                self.open.insert(id, cancel);
            }
            (Ok(()), None) => {}
            (Err(fault), Some(id)) => self.dialog.fail(id, fault.to_string()),
            (Err(_), None) => {}
        }
    }

    /// Whatever a request's server still sends is of no interest.
    fn close(&mut self, id: u64) {
        if let Some(cancel) = self.open.remove(&id) {
            cancel.cancel();
        }
    }

    fn listen(&mut self) {
        let (place, out) = (self.place.clone(), self.heard_out.clone());
        let cancel = CancelToken::new();
        self.listener = Some(cancel.clone());
        // Without a thread the server is heard only when it is asked.
        let _ = spawn("mcp-listen", move || {
            while get(&place, &cancel, &out).is_some() {
                if cancel.wait(Duration::from_millis(MCP_STEADY_MS)) {
                    return;
                }
            }
        });
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        for cancel in self.open.values().chain(&self.listener) {
            cancel.cancel();
        }
        if self.place.session.is_some() {
            // Told as a courtesy; a server that does not hear it ends the session by itself.
            let agent = agent(&self.place.url, MCP_END_MS);
            let mut request = agent.delete(&self.place.url);
            for (name, value) in self.place.fields() {
                request = request.header(name, value);
            }
            let _ = request.call();
        }
    }
}

impl Place {
    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = [
            ("mcp-session-id", self.session.as_deref()),
            ("mcp-protocol-version", self.version.as_deref()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let given = self.headers.iter();
        own.chain(given.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Why a request has no answer.
enum Fault {
    Failed(String),
    /// The server knows our session no more.
    Forgotten,
}

fn agent(url: &str, timeout_ms: u64) -> Agent {
    let ms = |ms: u64| Some(Duration::from_millis(ms));
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        // What is in the headers must not follow wherever a server points.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MCP_HEAD_BYTES_MAX)
        .max_idle_connections(0)
        .user_agent(concat!("clawdia/", env!("CARGO_PKG_VERSION")))
        .timeout_global(ms(timeout_ms))
        .timeout_resolve(ms(MODEL_CONNECT_MS))
        .timeout_connect(ms(MODEL_CONNECT_MS));
    if url.starts_with("https:") {
        config = config.tls_config(tls_config());
    }
    config.build().into()
}

/// Sends a message and passes on what comes back, until its answer or the end of the stream.
fn post(
    place: &Place,
    text: &str,
    asks: bool,
    cancel: &CancelToken,
    out: &Sender<Heard>,
) -> Result<(), Fault> {
    let agent = agent(&place.url, TOOL_DEADLINE_MS);
    let cut = agent.clone();
    cancel.on_cancel(move || cut.shutdown());
    let mut request = agent
        .post(&place.url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    for (name, value) in place.fields() {
        request = request.header(name, value);
    }
    let failed = |fault: &dyn std::fmt::Display| Fault::Failed(fault.to_string());
    let response = request
        .send(text)
        .map_err(|fault| failed(&format!("it cannot be reached: {fault}")))?;
    let status = response.status().as_u16();
    match status {
        200 | 202 => {}
        // Older servers say 400 where the protocol has 404.
        400 | 404 if place.session.is_some() => return Err(Fault::Forgotten),
        300..=399 => {
            return Err(failed(&format!(
                "it answered {status}: it is somewhere else; mend its url"
            )));
        }
        401 | 403 => {
            return Err(failed(&format!(
                "it refused with {status}: mend its headers"
            )));
        }
        _ => return Err(failed(&format!("it answered {status}"))),
    }
    let session = response.headers().get("mcp-session-id");
    if let (None, Some(id)) = (&place.session, session.and_then(|id| id.to_str().ok())) {
        let _ = out.send(Heard::Session(id.to_owned()));
    }
    if !asks {
        return Ok(());
    }
    pass_on(response, cancel, out).map_err(Fault::Failed)?;
    // Whoever was answered meanwhile is not told again.
    Err(failed(&"it ended its answer without a result"))
}

/// Listens to what the server says unasked. None where it says nothing that way.
fn get(place: &Place, cancel: &CancelToken, out: &Sender<Heard>) -> Option<()> {
    // A stream without an end: the cancellation ends it.
    let agent = agent(&place.url, u64::from(u32::MAX));
    let cut = agent.clone();
    cancel.on_cancel(move || cut.shutdown());
    let mut request = agent.get(&place.url).header("accept", "text/event-stream");
    for (name, value) in place.fields() {
        request = request.header(name, value);
    }
    let response = request.call().ok()?;
    if response.status().as_u16() != 200 {
        return None;
    }
    // One that breaks off is opened again.
    let _ = pass_on(response, cancel, out);
    Some(())
}

fn pass_on(
    response: Response<ureq::Body>,
    cancel: &CancelToken,
    out: &Sender<Heard>,
) -> Result<(), String> {
    let header = response.headers().get("content-type");
    let media_type = header.and_then(|it| it.to_str().ok()).unwrap_or("");
    let is_stream = media_type
        .to_ascii_lowercase()
        .starts_with("text/event-stream");
    let reader = response.into_body().into_reader();
    if !is_stream {
        let mut bytes = Vec::new();
        let limit = MCP_MESSAGE_BYTES_MAX as u64 + 1;
        let read = reader.take(limit).read_to_end(&mut bytes);
        read.map_err(|fault| format!("its answer broke off: {}", fault.kind()))?;
        if bytes.len() > MCP_MESSAGE_BYTES_MAX {
            return Err(format!("it sent more than {MCP_MESSAGE_BYTES_MAX} bytes"));
        }
        let text = String::from_utf8(bytes).map_err(|_| "its answer is no text")?;
        let _ = out.send(Heard::Message(text));
        return Ok(());
    }
    let mut events = Events::new(reader);
    let mut sink = Ear(cancel);
    loop {
        match events.next(&mut sink) {
            Ok(Some(text)) => {
                if out.send(Heard::Message(text)).is_err() {
                    return Ok(());
                }
            }
            Ok(None) | Err(StepError::Stopped(_)) => return Ok(()),
            Err(StepError::Failed { message, .. }) => return Err(message),
        }
    }
}

/// Ends a stream once nobody waits for it.
struct Ear<'a>(&'a CancelToken);

impl StepSink for Ear<'_> {
    fn delta(&mut self, _: &str) -> Result<(), Stop> {
        Ok(())
    }

    fn pause(&mut self, time_ms: u64) -> Result<(), Stop> {
        let is_over = match time_ms {
            0 => self.0.is_cancelled(),
            ms => self.0.wait(Duration::from_millis(ms)),
        };
        if is_over {
            Err(Stop::Cancelled)
        } else {
            Ok(())
        }
    }

    fn remaining_ms(&self) -> u64 {
        TOOL_DEADLINE_MS
    }
}
