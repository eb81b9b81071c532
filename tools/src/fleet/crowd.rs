//! All connections of a fleet to one gateway, and the loop that serves them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{node_params, operator_params};
use mio::{Events, Poll, Token};
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::link::{Link, Phase, find, number_behind, text_behind};
use crate::figures::party::unix_ms;
use crate::figures::start::device_token;

/// What every node says it can do, and is asked for.
const COMMANDS: [&str; 2] = ["system.run", "system.which"];
/// Handshakes under way at the same time.
const JOINING_MAX: usize = 64;
/// Addresses of this machine that the fleet comes from.
const SOURCES: usize = 8;
/// Bytes that one read takes.
const READ_BYTES: usize = 256 * 1024;
/// Who is not answered for so long is answered no more.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the fleet does for a while.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long.
    pub time: Duration,
    /// Calls of nodes a second.
    pub calls: u32,
    /// Nodes a second that go and come back.
    pub churn: u32,
}

/// A fleet: first its nodes, then its operators.
pub struct Crowd {
    poll: Poll,
    gateway: SocketAddr,
    secret: String,
    devices: Vec<Device>,
    links: Vec<Option<Link>>,
    /// How often each node has come.
    visits: Vec<u32>,
    joining: usize,
    /// Every call.
    pub ledger: Ledger,
    /// Bytes of events that operators were sent.
    pub event_bytes: u64,
    churned: usize,
    buffer: Vec<u8>,
}

impl Crowd {
    /// A fleet of `nodes` devices that [`crate::figures::start::seed_devices`] stored, none of
    /// them connected yet.
    ///
    /// # Errors
    ///
    /// When the system gives no poll.
    pub fn new(gateway: SocketAddr, secret: String, nodes: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            gateway,
            secret,
            devices: (0..nodes as u64).map(Device::new).collect(),
            links: (0..nodes).map(|_| None).collect(),
            visits: vec![0; nodes],
            joining: 0,
            ledger: Ledger::default(),
            event_bytes: 0,
            churned: 0,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Connects the nodes with these numbers, for those that are connected a newer connection
    /// in the place of the one that is closed now.
    ///
    /// # Errors
    ///
    /// When one of them is not let in.
    pub fn join(&mut self, nodes: impl IntoIterator<Item = usize>) -> io::Result<()> {
        let mut wanted = nodes.into_iter().peekable();
        let until = Instant::now() + PATIENCE * 4;
        while wanted.peek().is_some() || self.joining > 0 {
            while let Some(node) = wanted.next_if(|_| self.joining < JOINING_MAX) {
                self.open(node)?;
            }
            self.serve(Duration::from_millis(100))?;
            if Instant::now() > until {
                return Err(io::Error::other("the fleet is not let in in time"));
            }
        }
        Ok(())
    }

    /// Connects more operators.
    ///
    /// # Errors
    ///
    /// When one of them is not let in.
    pub fn join_operators(&mut self, count: usize) -> io::Result<()> {
        let first = self.links.len();
        self.links.extend((0..count).map(|_| None));
        self.join(first..first + count)
    }

    /// Calls and comes and goes as planned, and waits for all that was asked for.
    ///
    /// # Errors
    ///
    /// When a connection breaks that the fleet did not end, or answers do not come.
    pub fn run(&mut self, plan: Plan) -> io::Result<()> {
        let begun = Instant::now();
        let (mut called, mut churned) = (0u32, 0u32);
        loop {
            let elapsed = begun.elapsed().min(plan.time);
            while called < due(plan.calls, elapsed) {
                let at = begun + Duration::from_secs(1) * called / plan.calls;
                self.call(at)?;
                called += 1;
            }
            while churned < due(plan.churn, elapsed) {
                self.churn()?;
                churned += 1;
            }
            let is_over = elapsed >= plan.time;
            if is_over && self.joining == 0 && self.ledger.open() == 0 {
                return Ok(());
            }
            if begun.elapsed() > plan.time + PATIENCE {
                return Err(io::Error::other(format!(
                    "{} calls and {} handshakes are not answered",
                    self.ledger.open(),
                    self.joining
                )));
            }
            let is_idle = plan.calls + plan.churn == 0 || is_over;
            self.serve(Duration::from_millis(if is_idle { 50 } else { 1 }))?;
        }
    }

    /// Calls so many nodes, one after the other.
    ///
    /// # Errors
    ///
    /// As [`Crowd::run`].
    pub fn call_in_turn(&mut self, calls: usize) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        for _ in 0..calls {
            self.call(Instant::now())?;
            while self.ledger.open() > 0 {
                self.serve(Duration::from_millis(50))?;
                if Instant::now() > until {
                    return Err(io::Error::other("calls are not answered in time"));
                }
            }
        }
        Ok(())
    }

    /// A connection in place of the one that this party has.
    fn open(&mut self, party: usize) -> io::Result<()> {
        // The old one is closed by being dropped; the gateway sees a node that simply goes.
        self.links[party] = None;
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + (party % SOURCES) as u8));
        let link = Link::open(source, self.gateway, self.poll.registry(), Token(party))?;
        self.links[party] = Some(link);
        if let Some(visits) = self.visits.get_mut(party) {
            *visits += 1;
        }
        self.joining += 1;
        Ok(())
    }

    fn churn(&mut self) -> io::Result<()> {
        let nodes = self.devices.len();
        // One in a stride, so that neighbours in the gateway's tables do not go together.
        let party = self.churned * 7_919 % nodes;
        self.churned += 1;
        match self.is_live(party) {
            true => self.open(party),
            false => Ok(()),
        }
    }

    fn is_live(&self, party: usize) -> bool {
        let link = self.links[party].as_ref();
        link.is_some_and(|link| link.phase == Phase::Live)
    }

    /// The next operator calls some node.
    fn call(&mut self, due: Instant) -> io::Result<()> {
        let nodes = self.devices.len();
        let count = self.ledger.calls();
        let mut node = count * 104_729 % nodes;
        while !self.is_live(node) {
            node = (node + 1) % nodes;
        }
        let number = self.ledger.call(due, node, self.visits[node]);
        let operators = self.links.len() - nodes;
        let request = format!(
            "{{\"type\":\"req\",\"id\":\"{number}\",\"method\":\"node.invoke\",\"params\":\
             {{\"nodeId\":\"{}\",\"command\":\"{}\",\"params\":{{\"n\":{number}}},\
             \"timeoutMs\":20000,\"idempotencyKey\":\"fleet-{number}\"}}}}",
            self.devices[node].id, COMMANDS[1]
        );
        match &mut self.links[nodes + number % operators] {
            Some(operator) => operator.text(request.as_bytes()),
            None => Err(io::Error::other("an operator is not connected")),
        }
    }

    /// Waits for something to happen and deals with it.
    fn serve(&mut self, timeout: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        self.poll.poll(&mut events, Some(timeout))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        for event in &events {
            let party = event.token().0;
            // Taken out, so that the fleet can be changed by what it is told.
            let Some(mut link) = self.links[party].take() else {
                continue;
            };
            let served = link.flush().and_then(|()| {
                link.receive(&mut buffer, |link, text| self.on_text(party, link, text))
            });
            self.links[party] = Some(link);
            served.map_err(|error| {
                let who = match party < self.devices.len() {
                    true => "node",
                    false => "operator",
                };
                io::Error::new(error.kind(), format!("{who} {party}: {error}"))
            })?;
        }
        self.buffer = buffer;
        Ok(())
    }

    fn on_text(&mut self, party: usize, link: &mut Link, text: &[u8]) -> io::Result<()> {
        match link.phase {
            Phase::Upgrading => Ok(()),
            Phase::Challenged => {
                let nonce = text_behind(text, br#""nonce":""#).unwrap_or("");
                link.phase = Phase::Joining;
                link.text(self.connect(party, nonce).as_bytes())
            }
            Phase::Joining => {
                if find(text, br#""ok":true"#).is_none() {
                    let text = String::from_utf8_lossy(text);
                    return Err(io::Error::other(format!("not let in: {text}")));
                }
                link.phase = Phase::Live;
                self.joining -= 1;
                Ok(())
            }
            Phase::Live if party < self.devices.len() => self.on_node(party, link, text),
            Phase::Live => self.on_operator(link, text),
        }
    }

    fn connect(&self, party: usize, nonce: &str) -> String {
        let params = match self.devices.get(party) {
            None => {
                let mut params = operator_params();
                params["auth"]["token"] = self.secret.as_str().into();
                params
            }
            Some(device) => {
                let mut params: Value = node_params(&COMMANDS);
                params["auth"]["token"] = device_token(party).into();
                device.sign(&mut params, Proof::V2, nonce, unix_ms());
                params
            }
        };
        json!({"type":"req","id":"c","method":"connect","params":params}).to_string()
    }

    /// A node answers each call with the number that it was given.
    fn on_node(&mut self, party: usize, link: &mut Link, text: &[u8]) -> io::Result<()> {
        if !text.starts_with(br#"{"type":"event","event":"node.invoke.request""#) {
            self.check_seq(link, text);
            return Ok(());
        }
        let own = &self.devices[party].id;
        if text_behind(text, br#""nodeId":""#) != Some(own) {
            self.ledger.strayed();
        }
        let id = text_behind(text, br#""payload":{"id":""#).unwrap_or("");
        let number = number_behind(text, br#"\"n\":"#).unwrap_or(u64::MAX);
        link.text(
            format!(
                "{{\"type\":\"req\",\"id\":\"{number}\",\"method\":\"node.invoke.result\",\"params\":\
                 {{\"id\":\"{id}\",\"nodeId\":\"{own}\",\"ok\":true,\
                 \"payloadJSON\":\"{{\\\"n\\\":{number}}}\"}}}}"
            )
            .as_bytes(),
        )
    }

    fn on_operator(&mut self, link: &mut Link, text: &[u8]) -> io::Result<()> {
        if !text.starts_with(br#"{"type":"res""#) {
            self.event_bytes += text.len() as u64;
            self.check_seq(link, text);
            return Ok(());
        }
        let number = text_behind(text, br#""id":""#).and_then(|id| id.parse().ok());
        let is_ok = find(text, br#""ok":true"#).is_some();
        // What the node was given, and says again.
        let said = || number_behind(text, br#""payload":{"n":"#).or(Some(u64::MAX));
        let said = is_ok.then(said).flatten();
        let visits = &self.visits;
        let number = number.unwrap_or(usize::MAX);
        self.ledger.answer(number, said, |node| visits[node]);
        Ok(())
    }

    /// Events of one connection are numbered one by one.
    fn check_seq(&mut self, link: &mut Link, text: &[u8]) {
        // Behind the payload, which may be long.
        let tail = &text[text.len().saturating_sub(96)..];
        if let Some(seq) = number_behind(tail, br#""seq":"#) {
            self.ledger.number(link.seq, seq);
            link.seq = seq;
        }
    }
}

/// How many of something that happens so often a second are due after a while.
fn due(a_second: u32, elapsed: Duration) -> u32 {
    (f64::from(a_second) * elapsed.as_secs_f64()) as u32
}
