//! What a fleet costs the gateway: memory, processor time, waits.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, Plan};
use super::ledger::percentile;
use crate::compare::median;
use crate::figures::calls::{INVOKE_MOST, Rounds};
use crate::figures::floor::Floor;
use crate::figures::party::{As, Party};
use crate::figures::start::seed_devices;
use crate::figures::traffic::Invokes;
use crate::figures::{Table, mb};
use crate::gateway::{Home, Running};
use crate::process::{own_bytes, process_cpu_us, resident_bytes};

/// What a connected node is to cost, in bytes: of a thousand, where what comes in large pieces
/// counts, and of more. Half as much again is too much.
const NODE_BYTES: (f64, f64) = (2_000.0, 1_536.0);
/// What a call of a node may cost the gateway, both ways, in microseconds of processor time.
const INVOKE_US: f64 = 25.0;
/// What all but one of a hundred calls may wait, in milliseconds.
const INVOKE_P99_MS: f64 = 5.0;
/// Rounds of calls that are made one after the other, and calls of each round. The cheapest round is
/// the one that other work disturbed least.
const IN_TURN: (usize, usize) = (20, 300);
/// How many times as much a connect is to cost with all of them connected, and the most it may.
const GROWTH: (f64, f64) = (1.1, 1.6);
/// Nodes that the cost of a connect with many is held against.
const FEW: usize = 1_000;
/// Rounds of connections, few and many in turn, and connections of each round.
const ROUNDS: (usize, usize) = (15, 100);

/// How large a fleet, and how long it is busy.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub nodes: usize,
    pub operators: usize,
    /// Seconds of calls and churn together.
    pub seconds: u64,
    /// Calls a second.
    pub calls: u32,
    /// Nodes that come back, a second.
    pub churn: u32,
}

/// A gateway and the fleet of it.
struct Played {
    // Dropped first, so that nobody is cut off by a gateway that ends.
    crowd: Crowd,
    gateway: Running,
    _home: Home,
    empty_bytes: u64,
}

impl Played {
    /// A gateway that knows `nodes` devices, and a fleet of them that is not connected yet.
    fn start(
        home: Home,
        start: fn(&Home) -> io::Result<Running>,
        nodes: usize,
    ) -> io::Result<Self> {
        // The first start makes the state directory and the secret.
        home.start()?.stop()?;
        seed_devices(&home, nodes)?;
        let gateway = start(&home)?;
        drop(Party::join(gateway.port, As::Operator, &home.token()?)?);
        thread::sleep(Duration::from_millis(200));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.port));
        Ok(Self {
            crowd: Crowd::new(address, home.token()?, nodes)?,
            empty_bytes: own_bytes(gateway.pid())?,
            gateway,
            _home: home,
        })
    }

    /// Microseconds of processor time that `f` costs the gateway.
    fn cost(&mut self, f: impl FnOnce(&mut Crowd) -> io::Result<()>) -> io::Result<f64> {
        let before = process_cpu_us(self.gateway.pid())?;
        f(&mut self.crowd)?;
        Ok((process_cpu_us(self.gateway.pid())? - before) as f64)
    }

    /// Processor time that a plan costs, in microseconds a second.
    fn rate(&mut self, plan: Plan) -> io::Result<f64> {
        let begun = Instant::now();
        let us = self.cost(|crowd| crowd.run(plan))?;
        Ok(us / begun.elapsed().as_secs_f64())
    }

    /// Whether every call was answered once, by its own node, and no event is missing.
    fn faultless(&self) -> io::Result<()> {
        match self.crowd.ledger.faults() {
            faults if faults == Default::default() => Ok(()),
            faults => Err(io::Error::other(format!("{faults:?}"))),
        }
    }

    /// What the connected ones have added to the memory of the gateway, in bytes.
    fn grown(&mut self) -> io::Result<f64> {
        // The last answers are on their way.
        self.crowd.run(quiet(Duration::from_millis(300)))?;
        Ok(own_bytes(self.gateway.pid())? as f64 - self.empty_bytes as f64)
    }
}

/// Measures all of it.
///
/// # Errors
///
/// When somebody is not let in, a connection breaks, or a call is not answered exactly once by
/// the node that it was for.
pub fn fleet(table: &mut Table, program: &Path, scale: Scale) -> io::Result<()> {
    let mut many = Played::start(Home::new(program)?, Home::start, scale.nodes)?;
    memory(table, &mut many, scale.nodes)?;
    connects(table, &mut many, program, scale.nodes)?;
    let idle = many.rate(quiet(Duration::from_secs(2)))?;
    table.tell(
        format!("{} silent nodes: CPU a second", scale.nodes),
        idle / 1e3,
        "ms",
    );
    let churn = Plan {
        churn: scale.churn,
        ..quiet(Duration::from_secs((scale.seconds / 6).max(2)))
    };
    let untold = many.rate(churn)?;
    table.tell(
        format!("{} nodes a second come back: CPU a second", scale.churn),
        untold / 1e3,
        "ms",
    );
    many.crowd.join_operators(scale.operators)?;
    apart(table, &mut many, scale)?;
    together(table, &mut many, scale)?;
    table.tell(
        "memory at the end, everybody connected",
        mb(resident_bytes(many.gateway.pid())? as f64),
        "MB",
    );
    many.faultless()
}

/// Operators who call the nodes of a fleet so often a second, the gateway on a core of its own.
///
/// # Errors
///
/// As [`fleet`].
pub fn invoke(
    table: &mut Table,
    home: Home,
    (nodes, operators): (usize, usize),
    calls: u32,
    time: Duration,
) -> io::Result<()> {
    let mut fleet = Played::start(home, Home::start_apart, nodes)?;
    fleet.crowd.join(0..nodes)?;
    fleet.crowd.join_operators(operators)?;
    let us = fleet.rate(Plan {
        calls,
        ..quiet(time)
    })?;
    let count = fleet.crowd.ledger.calls();
    table.tell("calls, each answered exactly once", count as f64, "");
    let what = format!("node.invoke, {calls} a second to {nodes} nodes: CPU, both ways");
    table.tell(what, us / f64::from(calls), "us");
    waits(table, &mut fleet, "alone", Some(INVOKE_P99_MS));
    fleet.faultless()
}

fn memory(table: &mut Table, many: &mut Played, nodes: usize) -> io::Result<()> {
    let few = FEW.min(nodes);
    for (from, until) in [(0, few), (few, nodes)] {
        if from == until {
            continue;
        }
        many.crowd.join(from..until)?;
        let grown = many.grown()?;
        let goal = match until {
            0..=FEW => NODE_BYTES.0,
            _ => NODE_BYTES.1,
        };
        let what = format!("memory that {until} known nodes add: each");
        table.put_within(what, grown / until as f64, "B", goal, goal * 1.5);
    }
    Ok(())
}

/// A connect where few are connected and where all are, in turn, so that whatever else the
/// machine does disturbs both alike.
fn connects(table: &mut Table, many: &mut Played, program: &Path, nodes: usize) -> io::Result<()> {
    let few_count = FEW.min(nodes / 2);
    let mut few = Played::start(Home::new(program)?, Home::start, nodes)?;
    few.crowd.join(0..few_count)?;
    let (rounds, each) = ROUNDS;
    let (mut with_few, mut with_many) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let again = |count: usize| {
            let stride = count / each;
            (0..each).map(move |n| (n * stride + round) % count)
        };
        with_few.push(few.cost(|crowd| crowd.join(again(few_count)))? / each as f64);
        with_many.push(many.cost(|crowd| crowd.join(again(nodes)))? / each as f64);
    }
    let (few_us, many_us) = (median(&mut with_few), median(&mut with_many));
    let what = |count| format!("a node comes back, {count} connected: CPU");
    table.tell(what(few_count), few_us, "us");
    table.tell(what(nodes), many_us, "us");
    let grows = many_us / few_us;
    table.put_within("that grows by the factor", grows, "", GROWTH.0, GROWTH.1);
    Ok(())
}

/// Calls alone, and churn alone.
fn apart(table: &mut Table, many: &mut Played, scale: Scale) -> io::Result<()> {
    let time = Duration::from_secs((scale.seconds / 6).max(2));
    let operators = scale.operators;
    let (rounds, each) = IN_TURN;
    let (mut floor, mut costs) = (Floor::start()?, Rounds::default());
    for _ in 0..rounds {
        let us = many.cost(|crowd| crowd.call_in_turn(each))? / each as f64;
        costs.add(us, floor.echo_us(&Invokes::BYTES, each)?);
    }
    let what = "node.invoke, one after the other";
    costs.tell(table, what, INVOKE_US, INVOKE_MOST);
    many.crowd.ledger.waits.clear();
    let calls = Plan {
        calls: scale.calls,
        ..quiet(time)
    };
    let us = many.rate(calls)? / f64::from(scale.calls);
    // A processor that sleeps between calls, or does other work, begins each of them cold.
    let what = format!("node.invoke, {} a second: CPU, both ways", scale.calls);
    table.tell(what, us, "us");
    waits(table, many, "alone", None);
    let churn = Plan {
        churn: scale.churn,
        ..quiet(time)
    };
    let before = many.crowd.event_bytes;
    let told = many.rate(churn)?;
    let bytes = (many.crowd.event_bytes - before) as f64 / time.as_secs_f64();
    table.tell(
        format!("the same, and {operators} operators hear of it: CPU a second"),
        told / 1e3,
        "ms",
    );
    table.tell("events that tell them: a second", mb(bytes), "MB");
    Ok(())
}

/// Calls and churn at once.
fn together(table: &mut Table, many: &mut Played, scale: Scale) -> io::Result<()> {
    let plan = Plan {
        time: Duration::from_secs(scale.seconds),
        calls: scale.calls,
        churn: scale.churn,
    };
    let before = many.crowd.ledger.calls();
    let both = many.rate(plan)?;
    let calls = many.crowd.ledger.calls() - before;
    table.tell(
        format!("both for {} s: CPU a second", scale.seconds),
        both / 1e3,
        "ms",
    );
    table.tell("calls, each answered exactly once", calls as f64, "");
    table.tell(
        "of them failed, their node having gone",
        many.crowd.ledger.lost as f64,
        "",
    );
    waits(table, many, "and churn", Some(INVOKE_P99_MS));
    Ok(())
}

fn waits(table: &mut Table, many: &mut Played, what: &str, goal: Option<f64>) {
    let waits = std::mem::take(&mut many.crowd.ledger.waits);
    let mut sent: Vec<u32> = waits.iter().map(|wait| wait.since_sent).collect();
    let mut due: Vec<u32> = waits.iter().map(|wait| wait.since_due).collect();
    let p50 = percentile(&mut sent, 50);
    table.tell(format!("answer to a call, calls {what}: p50"), p50, "ms");
    let p99 = percentile(&mut sent, 99);
    let name = format!("answer to a call, calls {what}: p99");
    match goal {
        Some(goal) => table.put(name, p99, "ms", goal),
        None => table.tell(name, p99, "ms"),
    }
    table.tell(
        "the same with the fleet's own delay: p99",
        percentile(&mut due, 99),
        "ms",
    );
}

/// Nobody does anything.
const fn quiet(time: Duration) -> Plan {
    Plan {
        time,
        calls: 0,
        churn: 0,
    }
}
