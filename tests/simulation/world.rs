//! The world of one seed: what happens next, and what must hold after it.

use crate::ledger::Ledger;
use crate::peer::{Peer, Purpose};
use clawdia::agent::{FailureKind, ModelRef, Step, StepEvent, StopReason, ToolCall, Usage};
use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{
    Address, Driver, Fate, Options, Seeded, Steps, masked, node_params, operator_params,
};
use clawdia::limits::OUTBOX_HARD_BYTES;
use clawdia::state::RunState;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

const CLIENTS: usize = 4;
/// Everybody may write from a channel.
const CONFIG: &str =
    "{ channels: { telegram: { botToken: '1:a', dmPolicy: 'open', allowFrom: ['*'] } } }";
/// A piece of an answer: long enough to be shown while the rest is written.
const DRAFT: &str = "words that are enough to be shown at once ";
const SESSIONS: [&str; 3] = ["main", "agent:main:a", "agent:main:b"];

/// How the bytes of clients arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cuts {
    /// As they were sent.
    Whole,
    /// In pieces of any size.
    Anywhere,
}

pub struct World {
    driver: Option<Driver>,
    random: Seeded,
    cuts: Cuts,
    /// Of its own: what happens must not depend on cuts.
    knife: Seeded,
    clients: [Option<Peer>; CLIENTS],
    devices: Vec<Device>,
    steps: VecDeque<Box<Step>>,
    ledger: Ledger,
    /// Requests that may be repeated word for word, with their purpose.
    repeatable: Vec<(String, Value, Purpose)>,
    requests: u64,
    /// What was written from the channel.
    written: Vec<String>,
    transcript: String,
}

impl World {
    pub fn new(seed: u64, cuts: Cuts) -> Self {
        let mut driver = Driver::new(Options {
            seed,
            steps: Steps::Held,
            config: CONFIG.into(),
        });
        driver.service.held = true;
        Self {
            driver: Some(driver),
            random: Seeded(seed ^ 0xc1a3_d1a0),
            cuts,
            knife: Seeded(seed ^ 0x5ca1_ab1e),
            clients: [const { None }; CLIENTS],
            devices: (0..CLIENTS as u64).map(Device::new).collect(),
            steps: VecDeque::new(),
            ledger: Ledger::default(),
            repeatable: Vec::new(),
            requests: 0,
            written: Vec::new(),
            transcript: String::new(),
        }
    }

    fn driver(&mut self) -> &mut Driver {
        self.driver.as_mut().expect("a driver between crashes")
    }

    /// One thing happens.
    pub fn step(&mut self) {
        let client = self.random.below(CLIENTS as u64) as usize;
        match self.random.below(38) {
            0..=13 => self.call(client, 1),
            14..=16 => {
                let count = 2 + self.random.below(4);
                self.call(client, count);
            }
            17..=18 => self.progress(),
            19..=21 => self.progress(),
            22 => self.go(client),
            23 => self.babble(client),
            24..=25 => {
                let time_ms = [1, 20, 200, 1_100, 31_000][self.random.below(5) as usize];
                self.driver().advance(time_ms);
            }
            26 => self.driver().store.held = true,
            27 => {
                self.driver().release();
            }
            28 => self.driver().store.held = false,
            29 => self.driver().store.failing += 1,
            30 => self.slow(client),
            31 => self.crash(),
            32..=33 => self.write(),
            _ => self.serve(),
        }
        self.settle();
    }

    /// Somebody writes from a channel.
    fn write(&mut self) {
        let (_, text) = self.ledger.note();
        let sender = ["7", "8"][self.random.below(2) as usize];
        self.driver().service.write(sender, &text);
        self.written.push(text);
    }

    /// The channel's service does what it was asked for, or does not, or nobody hears of it.
    fn serve(&mut self) {
        let fates = [Fate::Done, Fate::Done, Fate::AnswerLost, Fate::NotDone];
        let fate = fates[self.random.below(4) as usize];
        self.driver().serve_next(fate);
    }

    /// What was written from a channel is there once. Nothing was said there twice, and nothing is
    /// missing but what is reported.
    fn check_channel(&mut self) {
        let written = std::mem::take(&mut self.written);
        let driver = self.driver();
        assert_eq!(driver.service.left(), 0);
        let store = &driver.store;
        for text in written {
            // A tool that reads the session repeats it.
            let asked = store
                .all_messages()
                .filter(|it| &*it.message.role == "user");
            let times = asked.filter(|it| it.message.body.contains(&text));
            assert_eq!(times.count(), 1, "{text}");
        }
        let all = driver.service.sent.iter().map(|it| &*it.text);
        let (drafts, mut said): (Vec<&str>, Vec<&str>) =
            all.partition(|text| text.starts_with("words "));
        said.sort_unstable();
        let answers = said.iter().filter(|text| text.starts_with("said "));
        let answers: Vec<_> = answers.collect();
        assert!(
            answers.windows(2).all(|two| two[0] != two[1]),
            "{answers:?}"
        );
        let runs = store.state().runs().iter();
        let delivered = runs.filter(|run| run.delivery.deliver);
        let (aborted, ended): (Vec<_>, Vec<_>) =
            delivered.partition(|run| run.state == RunState::Aborted);
        let ended = ended.len();
        let rows: Vec<_> = store.state().outgoing().iter().collect();
        assert!(rows.iter().all(|row| !row.is_open()), "{rows:?}");
        // What is left of one was stopped, or may be there and is reported.
        assert!(
            drafts.len() <= aborted.len() + rows.len(),
            "{drafts:?} of {} and {rows:?}",
            aborted.len()
        );
        assert!(said.len() <= ended, "{} for {ended}", said.len());
        assert!(
            said.len() + rows.len() >= ended,
            "{} and {} for {ended}",
            said.len(),
            rows.len()
        );
    }

    /// Everything that was begun comes to its end.
    pub fn end(mut self) -> String {
        self.driver().store.held = false;
        self.driver().store.failing = 0;
        for client in 0..CLIENTS {
            if let Some(peer) = &self.clients[client] {
                let conn = peer.conn;
                self.driver().remote(conn).window = usize::MAX;
            }
        }
        self.settle();
        self.driver().service.held = false;
        // Who waits for a run that is gone, or for a service to be there again, waits no longer.
        for _ in 0..8 {
            self.settle();
            while !self.steps.is_empty() {
                self.finish_step(Vec::new());
                self.settle();
            }
            self.driver().advance(61_000);
        }
        self.settle();
        if std::env::var_os("CLAWDIA_SEED").is_some() {
            println!("{}", self.transcript);
        }
        for peer in self.clients.iter().flatten() {
            peer.ends();
        }
        self.ledger.check(self.driver.as_ref().expect("a driver"));
        self.check_channel();
        for client in 0..CLIENTS {
            self.go(client);
        }
        self.settle();
        assert_eq!(self.driver().gateway.handshakes_len(), 0);
        assert_eq!(self.driver().gateway.turn().queued_total(), 0);
        self.transcript
    }

    /// A client that is not there comes; one that is there calls, several times in one go.
    fn call(&mut self, client: usize, count: u64) {
        if self.clients[client].is_none() {
            return self.come(client);
        }
        let mut bytes = Vec::new();
        for _ in 0..count {
            let (method, params, purpose) = self.request();
            self.requests += 1;
            let id = format!("r{}", self.requests);
            let request = json!({"type": "req", "id": id, "method": method, "params": params});
            self.transcript += &format!("{client} > {request}\n");
            bytes.extend(masked(1, request.to_string().as_bytes(), [7, 0, 9, 1]));
            let peer = self.clients[client].as_mut().expect("who calls");
            peer.sends(&id, purpose);
        }
        self.feed(client, &bytes);
    }

    fn come(&mut self, client: usize) {
        let driver = self.driver();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let conn = driver.accept(ip).expect("the budget is not used up");
        self.clients[client] = Some(Peer::new(conn));
        self.feed(client, &Address::default().upgrade());
        self.driver().settle();
        let now_ms = self.driver().now.unix_ms;
        let nonce = self.driver().challenge(conn);
        let mut params = match client {
            0 => node_params(&["system.run"]),
            _ => operator_params(),
        };
        let proof = [Proof::V1, Proof::V2, Proof::V3][self.random.below(3) as usize];
        self.devices[client].sign(&mut params, proof, &nonce, now_ms);
        self.requests += 1;
        let id = format!("c{}", self.requests);
        let peer = self.clients[client].as_mut().expect("who comes");
        peer.sends(&id, Purpose::Other);
        let request = json!({"type": "req", "id": id, "method": "connect", "params": params});
        self.feed(client, &masked(1, request.to_string().as_bytes(), [1; 4]));
    }

    fn request(&mut self) -> (String, Value, Purpose) {
        let session = SESSIONS[self.random.below(3) as usize];
        let number = self.random.next();
        let plain = |method: &str, params: Value| (method.to_owned(), params, Purpose::Other);
        match self.random.below(16) {
            0 => plain("health", json!({})),
            1 => plain("status", json!({})),
            2 => plain("system-presence", json!({})),
            3 => plain("sessions.list", json!({})),
            4 => plain("chat.history", json!({"sessionKey": session})),
            5 => plain("chat.abort", json!({"sessionKey": session})),
            6 => plain("no.such.method", json!({})),
            7 => {
                let label = format!("label {number}");
                plain("sessions.patch", json!({"key": session, "label": label}))
            }
            8 => {
                let run = format!("k{}", number % 20);
                plain("agent.wait", json!({"runId": run, "timeoutMs": 1_000}))
            }
            9 | 10 => {
                let (number, word) = self.ledger.word();
                let params = json!({"triggers": [word]});
                ("voicewake.set".into(), params, Purpose::Word(number))
            }
            11 if !self.repeatable.is_empty() => {
                let at = number as usize % self.repeatable.len();
                let again = self.repeatable[at].clone();
                if let Purpose::SameRun(number) = again.2 {
                    let peers = self.clients.iter_mut().flatten();
                    peers.for_each(|peer| peer.may_be_overtaken(number));
                }
                again
            }
            12 => {
                let (number, text) = self.ledger.note();
                let params = json!({"sessionKey": session, "message": format!("kept {text}")});
                ("chat.inject".into(), params, Purpose::Note(number))
            }
            13 => {
                let (number, text) = self.ledger.note();
                let key = format!("a{number}");
                let params = json!({"sessionKey": session, "message": text, "idempotencyKey": key});
                self.repeat_later("agent", params, Purpose::Run(number))
            }
            _ => {
                let (number, text) = self.ledger.note();
                let key = format!("k{number}");
                let params = json!({"sessionKey": session, "message": text, "idempotencyKey": key});
                self.repeat_later("chat.send", params, Purpose::Note(number))
            }
        }
    }

    fn repeat_later(
        &mut self,
        method: &str,
        params: Value,
        purpose: Purpose,
    ) -> (String, Value, Purpose) {
        let request = (method.to_owned(), params, purpose);
        let again = match purpose {
            Purpose::Run(number) => Purpose::SameRun(number),
            other => other,
        };
        self.repeatable
            .push((method.to_owned(), request.1.clone(), again));
        request
    }

    /// What is no request at all.
    fn babble(&mut self, client: usize) {
        if self.clients[client].is_some() {
            let frames: [&[u8]; 3] = [b"{\"type\":\"req\"}", b"[[[", b"{}"];
            let frame = frames[self.random.below(3) as usize];
            let mut bytes = masked(9, b"ping", [3; 4]);
            bytes.extend(masked(1, frame, [2; 4]));
            self.feed(client, &bytes);
        }
    }

    /// A client goes, politely or not.
    fn go(&mut self, client: usize) {
        let polite = self.random.below(2) == 0;
        if let Some(peer) = &self.clients[client] {
            let conn = peer.conn;
            if polite {
                self.feed(client, &masked(8, &[3, 232], [5; 4]));
            } else {
                self.driver().hang_up(conn);
            }
        }
    }

    fn slow(&mut self, client: usize) {
        let window = [1, 50, 4_000, usize::MAX][self.random.below(4) as usize];
        if let Some(peer) = &self.clients[client] {
            let conn = peer.conn;
            self.driver().remote(conn).window = window;
        }
    }

    fn feed(&mut self, client: usize, bytes: &[u8]) {
        let Some(conn) = self.clients[client].as_ref().map(|peer| peer.conn) else {
            return;
        };
        let mut rest = bytes;
        while self.cuts == Cuts::Anywhere && !rest.is_empty() {
            let len = 1 + self.knife.below(rest.len().min(90) as u64) as usize;
            let (piece, behind) = rest.split_at(len);
            self.driver().feed(conn, piece);
            rest = behind;
        }
        if self.cuts == Cuts::Whole {
            self.driver().feed(conn, bytes);
        }
    }

    /// A step of some run goes on: starts, says something, fails or ends.
    fn progress(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        let at = self.random.below(self.steps.len() as u64) as usize;
        let tag = self.steps[at].tag;
        match self.random.below(6) {
            0 => self.driver().step(tag, StepEvent::Started),
            1 | 2 => self.driver().step(tag, StepEvent::Delta(DRAFT.into())),
            3 => {
                self.steps.remove(at);
                let event = StepEvent::Failed {
                    kind: FailureKind::Network,
                    message: "the line is cut".into(),
                    retryable: false,
                };
                self.driver().step(tag, event);
            }
            4 => {
                self.steps.swap(0, at);
                self.finish_step(Vec::new());
            }
            _ => {
                self.steps.swap(0, at);
                let calls = self.calls();
                self.finish_step(calls);
            }
        }
    }

    /// Tools that a step asks for: some read, some act, and what acts leaves a note that must
    /// never be there twice.
    fn calls(&mut self) -> Vec<ToolCall> {
        let len = 1 + self.random.below(3);
        let calls = (0..len).map(|at| {
            let session = SESSIONS[self.random.below(3) as usize];
            let arguments = match self.random.below(3) {
                0 => json!({"action": "list"}),
                1 => json!({"action": "history", "session": session}),
                _ => {
                    let (_, text) = self.ledger.note();
                    json!({"action": "send", "session": session, "message": text})
                }
            };
            ToolCall {
                id: format!("call{at}").into(),
                name: "sessions".into(),
                arguments: arguments.to_string().into(),
            }
        });
        calls.collect()
    }

    fn finish_step(&mut self, calls: Vec<ToolCall>) {
        let Some(step) = self.steps.pop_front() else {
            return;
        };
        let tools = calls.len();
        self.transcript += &format!("step of {} ends with {tools} calls\n", step.session_key);
        let event = if step.cancel.is_cancelled() {
            StepEvent::Failed {
                kind: FailureKind::Cancelled,
                message: "cancelled".into(),
                retryable: false,
            }
        } else {
            StepEvent::Done {
                text: format!("said {}", self.random.next()),
                calls,
                usage: Usage::default(),
                stop_reason: StopReason::Stop,
                model: ModelRef::new("builtin", "clawdia"),
            }
        };
        self.driver().step(step.tag, event);
    }

    /// The process dies, now. Some of what was on its way to the disk arrived.
    fn crash(&mut self) {
        let driver = self.driver.take().expect("a driver");
        let committed = self.random.below(3) as usize;
        self.driver = Some(driver.crash(committed));
        self.clients = [const { None }; CLIENTS];
        // Workers die with the process.
        self.steps.clear();
        self.transcript += "crash\n";
        self.ledger.check(self.driver.as_ref().expect("a driver"));
    }

    fn settle(&mut self) {
        self.driver().settle();
        while let Some(step) = self.driver().steps.pop_front() {
            self.steps.push_back(step);
        }
        self.ledger.begin_round();
        for client in 0..CLIENTS {
            self.collect(client);
        }
    }

    fn collect(&mut self, client: usize) {
        let Some(mut peer) = self.clients[client].take() else {
            return;
        };
        let conn = peer.conn;
        for message in self.driver().messages(conn) {
            self.transcript += &format!("{client} {conn} {message}\n");
            match peer.takes(&message) {
                Some(Purpose::Note(number) | Purpose::Run(number) | Purpose::SameRun(number)) => {
                    self.ledger.acknowledge(number);
                }
                Some(Purpose::Word(number)) => self.ledger.acknowledge_word(number),
                Some(Purpose::Other) | None => {}
            }
        }
        assert!(self.driver().gateway.queued_len(conn) <= OUTBOX_HARD_BYTES);
        if self.driver().is_open(conn) {
            self.clients[client] = Some(peer);
        } else {
            let closed = self.driver().remote(conn).closed.clone();
            self.transcript += &format!("{client} {conn} closed {closed:?}\n");
        }
    }
}
