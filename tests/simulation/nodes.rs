//! Worlds of nodes: they come, also twice, are called, answer, answer what was not theirs, and die
//! with calls in flight, while the gateway crashes and its store delays and fails.
//!
//! Each call gets exactly one response, no result but its own node's, and is begun once; a kept call
//! ends, and where nobody knows how, that is what is said.

use crate::peer::{Peer, Purpose};
use crate::world::Cuts;
use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, Options, Seeded, masked, node_params, operator_params};
use clawdia::ids::ConnId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

const NODES: usize = 3;
const OPERATORS: usize = 2;
/// The node that keeps a journal of keys.
const WITH_JOURNAL: usize = 0;
const COMMAND: &str = "system.run";

/// A call that an operator made.
struct Call {
    node: usize,
    queued: bool,
    /// The gateway has said that it keeps it.
    is_kept: bool,
    /// How often its node began it. A journal begins a key once, whatever it is asked.
    begun: u32,
    /// Its node has said how it ended.
    is_done: bool,
    /// The gateway that knows its key in memory is gone.
    is_forgotten: bool,
}

/// What a node was asked and has not answered: the request's id and the call's number.
type Asked = Vec<(String, usize)>;

pub struct Nodes {
    driver: Option<Driver>,
    random: Seeded,
    cuts: Cuts,
    knife: Seeded,
    devices: Vec<Device>,
    nodes: [Option<Peer>; NODES],
    operators: [Option<Peer>; OPERATORS],
    asked: [Asked; NODES],
    /// What was asked of connections that are gone.
    stale: Vec<(usize, String, usize)>,
    calls: Vec<Call>,
    /// The call of each request.
    requests: BTreeMap<String, usize>,
    /// Results that the gateway has to ignore.
    forged: BTreeSet<String>,
    count: u64,
    transcript: String,
}

impl Nodes {
    pub fn new(seed: u64, cuts: Cuts) -> Self {
        Self {
            driver: Some(Driver::new(Options {
                seed,
                ..Options::default()
            })),
            random: Seeded(seed ^ 0x000d_e5ca),
            cuts,
            knife: Seeded(seed ^ 0x5ca1_ab1e),
            devices: (0..(NODES + OPERATORS) as u64).map(Device::new).collect(),
            nodes: [const { None }; NODES],
            operators: [const { None }; OPERATORS],
            asked: Default::default(),
            stale: Vec::new(),
            calls: Vec::new(),
            requests: BTreeMap::new(),
            forged: BTreeSet::new(),
            count: 0,
            transcript: String::new(),
        }
    }

    fn driver(&mut self) -> &mut Driver {
        self.driver.as_mut().expect("a driver between crashes")
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u64) as usize
    }

    /// One thing happens.
    pub fn step(&mut self) {
        let (node, operator) = (self.below(NODES), self.below(OPERATORS));
        match self.random.below(32) {
            0..=3 => self.come(node),
            4..=11 => self.call(operator),
            12..=18 => self.answer(node),
            19 => self.forge(node),
            20..=22 => self.die(node),
            23..=24 => {
                let time_ms = [1, 200, 5_000, 31_000][self.below(4)];
                self.driver().advance(time_ms);
            }
            25 => self.driver().store.held = true,
            26 => {
                self.driver().release();
            }
            27 => self.driver().store.held = false,
            28 => self.driver().store.failing += 1,
            29 => self.leave(operator),
            30 => self.repeat(operator),
            // Less often than the rest, so that much can be under way.
            _ if self.below(3) == 0 => self.crash(),
            _ => {}
        }
        self.settle();
    }

    /// Everything that was begun comes to its end.
    pub fn end(mut self) -> String {
        self.driver().store.held = false;
        self.driver().store.failing = 0;
        self.settle();
        for round in 0..4 {
            for node in 0..NODES {
                if round % 2 == 0 {
                    self.come(node);
                    self.settle();
                }
                while !self.asked[node].is_empty() {
                    self.answer(node);
                    self.settle();
                }
            }
            // What is not answered has a deadline, and what the store refused is tried again.
            self.driver().advance(61_000);
            self.settle();
        }
        self.leave(0);
        self.settle();
        self.call_operator(0);
        let kept = |call: &Call| call.queued && (call.is_kept || call.begun > 0);
        let kept: Vec<usize> = (0..self.calls.len())
            .filter(|number| kept(&self.calls[*number]))
            .collect();
        for number in kept {
            self.calls[number].is_kept = false;
            self.send_call(0, number);
            self.settle();
            let call = &self.calls[number];
            assert!(!call.is_kept, "call {number} waits though its node is here");
            // Of a journal nothing is ever in doubt, and what was kept is done.
            let knows = call.node == WITH_JOURNAL;
            assert!(call.is_done || !knows, "call {number} was never done");
        }
        for peer in self.nodes.iter().chain(&self.operators).flatten() {
            peer.ends();
        }
        self.transcript
    }

    /// A node comes, whether an older connection of it is open or not.
    fn come(&mut self, node: usize) {
        let conn = self.open();
        let mut params = node_params(&[COMMAND]);
        if node == WITH_JOURNAL {
            params["caps"] = json!(["system", "journal"]);
        }
        self.forget_asked(node);
        let peer = self.join(conn, node, params);
        self.nodes[node] = Some(peer);
    }

    fn call_operator(&mut self, operator: usize) {
        if self.operators[operator].is_none() {
            let conn = self.open();
            let peer = self.join(conn, NODES + operator, operator_params());
            self.operators[operator] = Some(peer);
            self.settle();
        }
    }

    fn open(&mut self) -> ConnId {
        let driver = self.driver();
        let conn = driver
            .accept(IpAddr::V4(Ipv4Addr::LOCALHOST))
            .expect("the budget is not used up");
        driver.feed(conn, &Address::default().upgrade());
        driver.settle();
        conn
    }

    fn join(&mut self, conn: ConnId, device: usize, mut params: Value) -> Peer {
        let now_ms = self.driver().now.unix_ms;
        let nonce = self.driver().challenge(conn);
        self.devices[device].sign(&mut params, Proof::V2, &nonce, now_ms);
        let mut peer = Peer::new(conn);
        self.send(&mut peer, "connect", &params);
        peer
    }

    /// Sends a request; its id.
    fn send(&mut self, peer: &mut Peer, method: &str, params: &Value) -> String {
        self.count += 1;
        let id = format!("r{}", self.count);
        let request = json!({"type": "req", "id": id, "method": method, "params": params});
        self.transcript += &format!("{} > {request}\n", peer.conn);
        peer.sends(&id, Purpose::Other);
        let bytes = masked(1, request.to_string().as_bytes(), [7, 0, 9, 1]);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let len = match self.cuts {
                Cuts::Whole => rest.len(),
                Cuts::Anywhere => 1 + self.knife.below(rest.len().min(90) as u64) as usize,
            };
            let (piece, behind) = rest.split_at(len);
            self.driver().feed(peer.conn, piece);
            rest = behind;
        }
        id
    }

    fn call(&mut self, operator: usize) {
        self.call_operator(operator);
        let (node, queued) = (self.below(NODES), self.below(2) == 0);
        self.calls.push(Call {
            node,
            queued,
            is_kept: false,
            begun: 0,
            is_done: false,
            is_forgotten: false,
        });
        self.send_call(operator, self.calls.len() - 1);
    }

    fn send_call(&mut self, operator: usize, number: usize) {
        let call = &self.calls[number];
        let mut params = json!({
            "nodeId": self.devices[call.node].id, "command": COMMAND, "params": {"n": number},
            "timeoutMs": 30_000, "idempotencyKey": format!("key{number}"),
        });
        if call.queued {
            params["queue"] = true.into();
            params["ttlMs"] = 86_400_000.into();
        }
        if let Some(mut peer) = self.operators[operator].take() {
            let id = self.send(&mut peer, "node.invoke", &params);
            self.requests.insert(id, number);
            self.operators[operator] = Some(peer);
        }
    }

    /// An operator asks for a call again, by its key.
    fn repeat(&mut self, operator: usize) {
        if self.calls.is_empty() {
            return;
        }
        let number = self.below(self.calls.len());
        let call = &self.calls[number];
        if call.queued || !call.is_forgotten {
            self.call_operator(operator);
            self.send_call(operator, number);
        }
    }

    /// A node answers one of its calls; now and then one that an older connection of it got.
    fn answer(&mut self, node: usize) {
        let late = self.stale.iter().position(|(own, ..)| *own == node);
        if let (Some(at), 0) = (late, self.below(3)) {
            let (_, id, number) = self.stale.remove(at);
            return self.send_result(node, &id, number, true);
        }
        if self.asked[node].is_empty() {
            return;
        }
        let at = self.below(self.asked[node].len());
        let (id, number) = self.asked[node].remove(at);
        self.calls[number].is_done = true;
        self.send_result(node, &id, number, false);
    }

    /// A node answers what another one was asked.
    fn forge(&mut self, node: usize) {
        let others = (0..NODES).filter(|other| *other != node);
        let asked = others.flat_map(|other| self.asked[other].clone()).next();
        if let Some((id, number)) = asked {
            self.send_result(node, &id, number, true);
        }
    }

    fn send_result(&mut self, node: usize, id: &str, number: usize, is_forged: bool) {
        let Some(mut peer) = self.nodes[node].take() else {
            return;
        };
        let payload = json!({"n": number, "node": node, "forged": is_forged});
        let params = json!({"id": id, "nodeId": self.devices[node].id, "ok": true,
            "payloadJSON": payload.to_string()});
        let request = self.send(&mut peer, "node.invoke.result", &params);
        if is_forged {
            self.forged.insert(request);
        }
        self.nodes[node] = Some(peer);
    }

    /// A node dies with whatever it was doing.
    fn die(&mut self, node: usize) {
        if let Some(peer) = &self.nodes[node] {
            let conn = peer.conn;
            self.driver().hang_up(conn);
        }
    }

    fn leave(&mut self, operator: usize) {
        if let Some(peer) = self.operators[operator].take() {
            self.driver().hang_up(peer.conn);
        }
    }

    fn forget_asked(&mut self, node: usize) {
        for (id, number) in std::mem::take(&mut self.asked[node]) {
            self.stale.push((node, id, number));
        }
    }

    fn crash(&mut self) {
        let driver = self.driver.take().expect("a driver");
        let committed = self.below(3);
        self.driver = Some(driver.crash(committed));
        self.nodes = [const { None }; NODES];
        self.operators = [const { None }; OPERATORS];
        (0..NODES).for_each(|node| self.forget_asked(node));
        self.calls
            .iter_mut()
            .for_each(|call| call.is_forgotten = true);
        self.transcript += "crash\n";
    }

    fn settle(&mut self) {
        self.driver().settle();
        for node in 0..NODES {
            let Some(mut peer) = self.nodes[node].take() else {
                continue;
            };
            for message in self.messages(&peer) {
                if message["event"] == "node.invoke.request" {
                    self.on_asked(node, &message["payload"]);
                } else {
                    let id = message["id"].as_str().unwrap_or("");
                    if self.forged.contains(id) {
                        assert_eq!(message["payload"]["ignored"], true, "{message}");
                    }
                    peer.takes(&message);
                }
            }
            match self.driver().is_open(peer.conn) {
                true => self.nodes[node] = Some(peer),
                false => self.forget_asked(node),
            }
        }
        for operator in 0..OPERATORS {
            let Some(mut peer) = self.operators[operator].take() else {
                continue;
            };
            for message in self.messages(&peer) {
                peer.takes(&message);
                let id = message["id"].as_str().unwrap_or("");
                if let Some(number) = self.requests.get(id) {
                    let number = *number;
                    self.on_answered(number, &message);
                }
            }
            if self.driver().is_open(peer.conn) {
                self.operators[operator] = Some(peer);
            }
        }
    }

    fn messages(&mut self, peer: &Peer) -> Vec<Value> {
        let conn = peer.conn;
        let messages = self.driver().messages(conn);
        for message in &messages {
            self.transcript += &format!("{conn} {message}\n");
        }
        messages
    }

    fn on_asked(&mut self, node: usize, asked: &Value) {
        let params = asked["paramsJSON"].as_str().unwrap_or("");
        let params: Value = serde_json::from_str(params).expect("parameters");
        let number = params["n"].as_u64().expect("a number") as usize;
        let call = &mut self.calls[number];
        assert_eq!(call.node, node, "asked of the wrong node: {asked}");
        assert_eq!(asked["nodeId"], self.devices[node].id.as_str());
        assert_eq!(asked["idempotencyKey"], format!("key{number}"));
        let has_journal = node == WITH_JOURNAL && call.queued;
        call.begun += 1;
        assert!(call.begun == 1 || has_journal, "begun again: {asked}");
        let id = asked["id"].as_str().expect("an id").to_owned();
        self.asked[node].push((id, number));
    }

    fn on_answered(&mut self, number: usize, message: &Value) {
        let call = &mut self.calls[number];
        if message["ok"] != true {
            let code = &message["error"]["details"]["nodeError"]["code"];
            let is_known = code != "UNKNOWN" || call.queued && call.node != WITH_JOURNAL;
            assert!(is_known, "{message}");
            return;
        }
        let payload = &message["payload"];
        if payload["queued"] == true {
            assert!(call.queued, "{message}");
            call.is_kept = true;
            return;
        }
        let said = json!({"n": number, "node": call.node, "forged": false});
        assert_eq!(payload["payload"], said, "{message}");
        assert!(call.is_done, "nobody said so: {message}");
    }
}
