//! Sends what clients sent and compares what comes back.

use crate::shape::{Comparison, words_of};
use crate::transcript::{Past, Transcript, What};
use clawdia::agent::{FailureKind, ModelRef, RunTag, Step, StepEvent, StopReason, ToolCall, Usage};
use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, Options, Steps, masked};
use clawdia::gateway::Input;
use clawdia::ids::ConnId;
use clawdia::limits::SHUTDOWN_DRAIN_MS;
use clawdia::state::{Message, Record, Session, SessionKind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events that come when something changed, coalesced: how many is nobody's business.
const AMBIENT: &[&str] = &["health", "presence", "tick"];

/// Replays a transcript; a line for each difference.
pub fn replay(transcript: &Transcript, verbose: bool) -> Vec<String> {
    let mut driver = Driver::new(Options {
        config: transcript.config.clone().unwrap_or_else(|| "{}".into()),
        steps: Steps::Held,
        ..Options::default()
    });
    if !transcript.sessions.is_empty() {
        transcript
            .sessions
            .iter()
            .for_each(|past| write(&mut driver, past));
        driver = driver.crash(0);
    }
    let mut replay = Replay {
        driver,
        conns: BTreeMap::new(),
        learned: BTreeMap::new(),
        methods: BTreeMap::new(),
        ambient: BTreeMap::new(),
        steps: Vec::new(),
        asked: asked(transcript),
        differences: Vec::new(),
        verbose,
    };
    replay.give_tokens(transcript);
    let mut passed_ms = 0;
    for line in &transcript.lines {
        replay.driver.advance(line.at_ms.saturating_sub(passed_ms));
        passed_ms = passed_ms.max(line.at_ms);
        replay.line(line.conn, &line.what);
    }
    replay.end();
    replay.differences
}

/// Writes a session as an earlier process would have.
fn write(driver: &mut Driver, past: &Past) {
    let at_ms = driver.now.unix_ms;
    let session = Session {
        key: past.key.as_str().into(),
        session_id: past.session_id.as_str().into(),
        agent_id: "main".into(),
        kind: SessionKind::Direct,
        label: past.label.as_deref().map(Into::into),
        created_at_ms: at_ms,
        updated_at_ms: at_ms,
        ..Session::default()
    };
    let mut records = vec![Record::SessionPut(Arc::new(session))];
    for n in 0..past.messages {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        let content = json!([{"type": "text", "text": format!("message {n}")}]);
        let mut body = json!({"role": role, "content": content, "timestamp": at_ms});
        if role == "assistant" {
            let none = json!({"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0});
            body["api"] = "openai-completions".into();
            body["provider"] = "some".into();
            body["model"] = "model".into();
            body["stopReason"] = "stop".into();
            body["usage"] = none.clone();
            body["usage"]["totalTokens"] = 0.into();
            body["usage"]["cost"] = none;
            body["usage"]["cost"]["total"] = 0.into();
        }
        let message = Message {
            ts: at_ms,
            role: role.into(),
            body: body.to_string().into(),
        };
        records.push(Record::MessageAppend {
            session_id: past.session_id.as_str().into(),
            message: Arc::new(message),
        });
    }
    driver.store.write(&records);
}

/// One connection of the transcript.
struct Conn {
    id: ConnId,
    nonce: String,
    /// Frames of ours that were not compared yet.
    ours: VecDeque<Value>,
}

/// A step that the recorded gateway's provider answers.
struct Open {
    step: Box<Step>,
    text: String,
    started: bool,
}

struct Replay {
    driver: Driver,
    conns: BTreeMap<u64, Conn>,
    /// Texts of the recorded gateway, and what stands for them here.
    learned: BTreeMap<String, String>,
    /// Methods by request id.
    methods: BTreeMap<String, String>,
    /// Ambient events of ours, one of each name.
    ambient: BTreeMap<String, Value>,
    steps: Vec<Open>,
    /// What the recorded gateway's model asks its tools for, step by step, and in which run.
    asked: VecDeque<(String, ToolCall)>,
    differences: Vec<String>,
    verbose: bool,
}

impl Replay {
    /// Pairs the devices that had a token when the recording began.
    fn give_tokens(&mut self, transcript: &Transcript) {
        for line in &transcript.lines {
            let What::Sent(frame) = &line.what else {
                continue;
            };
            let Some(token) = frame.pointer("/params/auth/token").and_then(Value::as_str) else {
                continue;
            };
            let Some(seed) = token.strip_prefix("$token") else {
                continue;
            };
            if self.learned.contains_key(token) {
                continue;
            }
            let mut params = frame["params"].clone();
            params["auth"]["token"] = clawdia::driver::TOKEN.into();
            params.as_object_mut().unwrap().remove("device");
            let device = Device::new(seed.parse().unwrap());
            let conn = self.driver.open(&Address::default());
            let hello = self
                .driver
                .connect(conn, params, Some((&device, Proof::V2)));
            let ours = hello["payload"]["auth"]["deviceToken"].as_str();
            let ours = ours
                .unwrap_or_else(|| panic!("no token: {hello}"))
                .to_owned();
            self.learned.insert(token.to_owned(), ours);
            self.driver.hang_up(conn);
            self.driver.advance(2_000);
        }
    }

    fn line(&mut self, conn: u64, what: &What) {
        match what {
            What::Open(fields) => self.open(conn, fields),
            What::SentText(text) => {
                let id = self.conns[&conn].id;
                self.driver.text(id, text);
            }
            What::Sent(frame) => {
                let frame = self.patched(conn, frame);
                if let (Some(id), Some(method)) = (frame["id"].as_str(), frame["method"].as_str()) {
                    self.methods.insert(id.to_owned(), method.to_owned());
                }
                if self.verbose {
                    println!("> {frame}");
                }
                let id = self.conns[&conn].id;
                self.driver.text(id, &frame.to_string());
            }
            What::Got(frame) => self.expect(conn, frame),
            What::Left => {
                let id = self.conns[&conn].id;
                self.driver.feed(id, &masked(8, &[], [1; 4]));
            }
            What::Closed(code, reason) => {
                self.settle();
                let id = self.conns[&conn].id;
                if self.driver.is_open(id) {
                    // What drains at a shutdown has its bounded time.
                    self.driver.advance(SHUTDOWN_DRAIN_MS);
                }
                let closed = self.driver.remote(id).closed.clone();
                let is_it =
                    |(ours, why): &(u16, String)| ours == code && words_of(why) == words_of(reason);
                if !closed.as_ref().is_some_and(is_it) {
                    self.differences
                        .push(format!("close is {closed:?}, was ({code}, {reason:?})"));
                }
            }
        }
        self.settle();
    }

    fn open(&mut self, conn: u64, fields: &[(String, String)]) {
        let address = fields
            .iter()
            .fold(Address::default(), |address, (name, value)| {
                address.with(name, value)
            });
        let id = self.driver.open(&address);
        let nonce = self.driver.remote(id).messages[0]["payload"]["nonce"]
            .as_str()
            .expect("a challenge")
            .to_owned();
        let ours = VecDeque::new();
        self.conns.insert(conn, Conn { id, nonce, ours });
    }

    /// The frame as it has to be sent here.
    fn patched(&self, conn: u64, frame: &Value) -> Value {
        let mut frame = frame.clone();
        self.patch(conn, &mut frame);
        let signature = frame.pointer("/params/device/signature");
        let seed =
            signature.and_then(|text| text.as_str()?.strip_prefix("$signature")?.parse().ok());
        if let Some(seed) = seed {
            let params = &mut frame["params"];
            let device = &params["device"];
            let signed_at = device["signedAt"].as_u64().expect("a time");
            let id = device["id"].clone();
            let nonce = device["nonce"].as_str().map(str::to_owned);
            let proof = if nonce.is_some() {
                Proof::V2
            } else {
                Proof::V1
            };
            let nonce = nonce.unwrap_or_default();
            Device::new(seed).sign(params, proof, &nonce, signed_at);
            params["device"]["id"] = id;
        }
        frame
    }

    fn patch(&self, conn: u64, value: &mut Value) {
        match value {
            Value::Object(members) => members.values_mut().for_each(|it| self.patch(conn, it)),
            Value::Array(items) => items.iter_mut().for_each(|it| self.patch(conn, it)),
            Value::String(text) => {
                let number = |rest: &str| rest.parse::<u64>().expect("a number");
                if let Some(ours) = self.learned.get(text.as_str()) {
                    *value = ours.as_str().into();
                } else if text == "$nonce" {
                    *value = self.conns[&conn].nonce.as_str().into();
                } else if let Some(seed) = text.strip_prefix("$id") {
                    *value = Device::new(number(seed)).id.into();
                } else if let Some(seed) = text.strip_prefix("$key") {
                    *value = Device::new(number(seed)).public_key.into();
                } else if let Some(offset) = text.strip_prefix("$now") {
                    let offset: i64 = offset.parse().expect("an offset");
                    *value = self.driver.now.unix_ms.saturating_add_signed(offset).into();
                }
            }
            _ => {}
        }
    }

    /// The recorded gateway sent `frame`: ours has to come next.
    fn expect(&mut self, conn: u64, frame: &Value) {
        let label = self.label(frame);
        if self.verbose {
            println!("= {frame}");
        }
        self.settle();
        if let Some(name) = ambient(frame) {
            if let Some(ours) = self.ambient.get(name).cloned() {
                self.compare(&label, frame, &ours);
            }
            return;
        }
        if !self.is_there(conn, frame) {
            self.provoke(frame);
        }
        let ours = &mut self.conns.get_mut(&conn).unwrap().ours;
        let Some(at) = ours.iter().position(|ours| is_same(frame, ours)) else {
            self.differences.push(format!("{label} is not sent"));
            return;
        };
        let found = ours.remove(at).unwrap();
        // A run starts here as soon as nothing stands before it.
        let before = ours.iter().take(at).find(|ours| !is_start(ours)).cloned();
        if let Some(before) = before {
            let before = self.label(&before);
            self.differences
                .push(format!("{label} comes after {before}"));
        }
        self.compare(&label, frame, &found);
    }

    fn is_there(&mut self, conn: u64, frame: &Value) -> bool {
        self.settle();
        self.conns[&conn]
            .ours
            .iter()
            .any(|ours| is_same(frame, ours))
    }

    fn compare(&mut self, label: &str, recorded: &Value, ours: &Value) {
        if self.verbose {
            println!("< {ours}");
        }
        let mut comparison = Comparison {
            label,
            differences: &mut self.differences,
            learned: &mut self.learned,
        };
        comparison.frame(recorded, ours);
    }

    /// What the world did that made the recorded gateway send this frame.
    fn provoke(&mut self, frame: &Value) {
        let payload = &frame["payload"];
        let data = &payload["data"];
        match (frame["event"].as_str(), payload["stream"].as_str()) {
            (Some("shutdown"), _) => {
                let reason = "service restart";
                self.driver.handle(Input::Shutdown { reason });
            }
            (Some("chat"), _) if payload["state"] == "delta" => self.driver.advance(150),
            (Some("agent"), Some("tool")) if data["phase"] == "start" => self.ask(payload),
            (Some("agent"), Some("assistant")) => {
                // Where tools are not shown, the answer is what tells that they are done.
                self.ask(payload);
                let delta = data["delta"].as_str().unwrap_or("").to_owned();
                self.report(payload, |open| {
                    open.text.push_str(&delta);
                    StepEvent::Delta(delta.clone())
                });
            }
            (Some("agent"), Some("lifecycle")) => match data["phase"].as_str() {
                Some("end") => self.report(payload, |open| StepEvent::Done {
                    text: open.text.clone(),
                    calls: Vec::new(),
                    usage: Usage::default(),
                    stop_reason: StopReason::Stop,
                    model: ModelRef::new("builtin", "clawdia"),
                }),
                Some("error") => self.report(payload, |_| StepEvent::Failed {
                    kind: FailureKind::Refused,
                    message: data["error"].as_str().unwrap_or("").to_owned(),
                    retryable: false,
                }),
                _ => self.report(payload, |_| StepEvent::Started),
            },
            _ => {}
        }
        self.settle();
    }

    /// The open step of the recorded run ends by asking for its tool.
    fn ask(&mut self, payload: &Value) {
        let run = payload["runId"].as_str().unwrap_or("");
        let Some(at) = self.asked.iter().position(|(of, _)| of == run) else {
            return;
        };
        let Some((_, call)) = self.asked.remove(at) else {
            return;
        };
        self.report(payload, |_| StepEvent::Done {
            text: String::new(),
            calls: vec![call],
            usage: Usage::default(),
            stop_reason: StopReason::ToolUse,
            model: ModelRef::new("builtin", "clawdia"),
        });
        self.settle();
    }

    /// Reports an event of the step that belongs to the recorded event's session.
    fn report(&mut self, payload: &Value, event: impl FnOnce(&mut Open) -> StepEvent) {
        self.settle();
        let key = match payload["sessionKey"].as_str().unwrap_or("") {
            "main" => "agent:main:main",
            key => key,
        };
        let Some(at) = self
            .steps
            .iter()
            .position(|open| *open.step.session_key == *key && !open.step.cancel.is_cancelled())
        else {
            return;
        };
        let open = &mut self.steps[at];
        let tag: RunTag = open.step.tag;
        let starts = !std::mem::replace(&mut open.started, true);
        let event = event(open);
        if starts && event != StepEvent::Started {
            self.driver.step(tag, StepEvent::Started);
        }
        let ends = matches!(event, StepEvent::Done { .. } | StepEvent::Failed { .. });
        self.driver.step(tag, event);
        if ends {
            self.steps.remove(at);
        }
    }

    fn settle(&mut self) {
        self.driver.settle();
        while let Some(step) = self.driver.steps.pop_front() {
            self.steps.push(Open {
                step,
                text: String::new(),
                started: false,
            });
        }
        // A cancelled step ends as a worker ends it.
        while let Some(at) = self
            .steps
            .iter()
            .position(|open| open.step.cancel.is_cancelled())
        {
            let open = self.steps.remove(at);
            let event = StepEvent::Failed {
                kind: FailureKind::Cancelled,
                message: "cancelled".into(),
                retryable: false,
            };
            self.driver.step(open.step.tag, event);
            self.driver.settle();
        }
        for conn in self.conns.values_mut() {
            for frame in self.driver.messages(conn.id) {
                match ambient(&frame) {
                    Some(name) => {
                        self.ambient.insert(name.to_owned(), frame);
                    }
                    None => conn.ours.push_back(frame),
                }
            }
        }
    }

    /// Nothing of ours may be left over.
    fn end(&mut self) {
        self.settle();
        let left: Vec<Value> = self
            .conns
            .values_mut()
            .flat_map(|conn| conn.ours.drain(..))
            .collect();
        for frame in left {
            let label = self.label(&frame);
            if self.verbose {
                println!("left {frame}");
            }
            self.differences.push(format!("{label} was not sent"));
        }
    }

    fn label(&self, frame: &Value) -> String {
        if frame["type"] == "res" {
            let method = frame["id"].as_str().and_then(|id| self.methods.get(id));
            return format!("res:{}", method.map_or("?", String::as_str));
        }
        let event = frame["event"].as_str().unwrap_or("?");
        let payload = &frame["payload"];
        let part = payload["stream"].as_str().or(payload["state"].as_str());
        match part {
            Some(part) => format!("event:{event}:{part}"),
            None => format!("event:{event}"),
        }
    }
}

/// The tools that were asked for: what a tool's own event says, or the transcript where those
/// were not shown.
fn asked(transcript: &Transcript) -> VecDeque<(String, ToolCall)> {
    let call = |id: &Value, name: &Value, arguments: &Value| ToolCall {
        id: id.as_str().expect("an id").into(),
        name: name.as_str().expect("a name").into(),
        arguments: arguments.to_string().into(),
    };
    let mut asked = VecDeque::new();
    let mut run = String::new();
    for line in &transcript.lines {
        let What::Got(frame) = &line.what else {
            continue;
        };
        let payload = &frame["payload"];
        if payload["status"] == "started" {
            run = payload["runId"].as_str().unwrap_or_default().to_owned();
        }
        let data = &payload["data"];
        if payload["stream"] == "tool" && data["phase"] == "start" {
            let run = payload["runId"].as_str().expect("a run").to_owned();
            let call = call(&data["toolCallId"], &data["name"], &data["args"]);
            asked.push_back((run, call));
        }
        let rows = payload["messages"].as_array().into_iter().flatten();
        let parts = rows.filter_map(|row| row["content"].as_array()).flatten();
        for part in parts.filter(|part| part["type"] == "toolCall") {
            let call = call(&part["id"], &part["name"], &part["arguments"]);
            asked.push_back((run.clone(), call));
        }
    }
    asked
}

fn is_start(frame: &Value) -> bool {
    frame["event"] == "agent" && frame.pointer("/payload/data/phase") == Some(&"start".into())
}

fn ambient(frame: &Value) -> Option<&str> {
    let name = frame["event"].as_str()?;
    AMBIENT.contains(&name).then_some(name)
}

/// Whether our frame is the one that was recorded: the same response, or the same event in
/// the same state.
fn is_same(recorded: &Value, ours: &Value) -> bool {
    let parts = [
        "/type",
        "/id",
        "/event",
        "/payload/stream",
        "/payload/state",
        "/payload/data/phase",
        "/payload/sessionKey",
    ];
    let is_same = |part: &&str| recorded.pointer(part) == ours.pointer(part);
    let parts = if recorded["type"] == "res" {
        &parts[..2]
    } else {
        &parts[..]
    };
    parts.iter().all(is_same)
}
