//! What a connection and a message cost as there are more of them: nothing may grow with the crowd but what the
//! kernel itself does, which the floor shows at the same count in the same run.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use argh::FromArgs;

use super::clients::{Load, idle_bytes};
use super::place::Place;
use crate::compare::{Row, Traffic, median};
use crate::figures::Table;
use crate::server::{Server, pin};

/// Bytes at the largest count over those at the smallest: the goal, and the most that it may be.
const BYTES_RATIO: (f64, f64) = (1.05, 1.25);
/// The same of the processor time, ours over the floor's. A round on a busy machine differs by a tenth.
const CPU_RATIO: (f64, f64) = (1.1, 1.25);
/// Longest time for one load.
const DEADLINE: Duration = Duration::from_secs(300);

/// what a connection, an echo and a delivery cost at several counts of connections, beside the bare loop at the
/// same count; descriptors are two a connection and limit the count
#[derive(FromArgs)]
#[argh(subcommand, name = "growth")]
pub struct Growth {
    /// counts of connections, smallest first (1000 10000 19000)
    #[argh(positional)]
    counts: Vec<usize>,
    /// rounds, of which the medians are told (3)
    #[argh(option, default = "3")]
    rounds: usize,
}

impl Growth {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When a server cannot be started, refuses somebody or answers something else.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        place.is_own()?;
        let counts = match &self.counts[..] {
            [] => &[1_000, 10_000, 19_000],
            counts => counts,
        };
        measure(table, &place.programs, counts, self.rounds.max(1))
    }
}

/// What one count of connections costs.
struct Step {
    connections: usize,
    idle_bytes: f64,
    /// Ours and the floor's, microseconds of processor time: echo, delivery.
    echo_us: (f64, f64),
    delivery_us: (f64, f64),
}

/// Measures each count, smallest first, and puts it with the growth between the first and the last into the table.
/// `programs` is the directory of `wire-echo` and `wire-floor`.
fn measure(table: &mut Table, programs: &Path, counts: &[usize], rounds: usize) -> io::Result<()> {
    let steps: Vec<Step> = counts
        .iter()
        .map(|count| step(programs, *count, rounds))
        .collect::<Result<_, _>>()?;
    for step in &steps {
        let at = step.connections;
        table.tell(format!("{at} idle: memory of each"), step.idle_bytes, "B");
        table.tell(format!("{at}: echo 64 B"), step.echo_us.0, "us");
        table.tell(format!("{at}: the same, floor"), step.echo_us.1, "us");
        table.tell(format!("{at}: delivery of 256 B"), step.delivery_us.0, "us");
        table.tell(format!("{at}: the same, floor"), step.delivery_us.1, "us");
    }
    let [first, .., last] = &steps[..] else {
        return Ok(());
    };
    let grown = |of: fn(&Step) -> f64| of(last) / of(first);
    let over_floor = |of: fn(&Step) -> (f64, f64)| {
        let (ours, floor) = of(last);
        let (ours_first, floor_first) = of(first);
        (ours / ours_first) / (floor / floor_first)
    };
    let bytes = grown(|step| step.idle_bytes);
    table.put_within(
        "growth of memory of each",
        bytes,
        "x",
        BYTES_RATIO.0,
        BYTES_RATIO.1,
    );
    let echo = over_floor(|step| step.echo_us);
    let delivery = over_floor(|step| step.delivery_us);
    for (what, ratio) in [("an echo", echo), ("a delivery", delivery)] {
        let what = format!("growth of {what} over the floor's");
        table.put_within(what, ratio, "x", CPU_RATIO.0, CPU_RATIO.1);
    }
    Ok(())
}

fn step(programs: &Path, connections: usize, rounds: usize) -> io::Result<Step> {
    pin(0)?;
    let lone = start(programs, "wire-echo", Traffic::Echo)?;
    pin(1)?;
    let load = Load {
        addr: lone.addr(),
        connections,
        in_flight: 1,
        payload_bytes: 64,
        deadline: Instant::now() + DEADLINE,
        events: false,
    };
    let (idle_bytes, _) = idle_bytes(load, lone.pid())?;
    drop(lone);
    let row = |traffic, payload_bytes, messages| Row {
        name: "growth",
        traffic,
        connections,
        in_flight: 1,
        payload_bytes,
        messages,
        goal: CPU_RATIO.0,
    };
    // As many deliveries at every count, and enough of them to be counted well.
    let broadcasts = (200_000 / connections).max(4);
    let echoes = 100_000_usize.next_multiple_of(connections);
    Ok(Step {
        connections,
        idle_bytes,
        echo_us: both(programs, &row(Traffic::Echo, 64, echoes), rounds)?,
        delivery_us: both(programs, &row(Traffic::Broadcast, 256, broadcasts), rounds)?,
    })
}

/// Medians of ours and of the floor, one after the other.
fn both(programs: &Path, row: &Row, rounds: usize) -> io::Result<(f64, f64)> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (figures, name) in [(&mut ours, "wire-echo"), (&mut floor, "wire-floor")] {
            pin(0)?;
            let server = start(programs, name, row.traffic)?;
            pin(1)?;
            figures.push(row.round(&server)?);
        }
    }
    Ok((median(&mut ours), median(&mut floor)))
}

fn start(programs: &Path, name: &str, traffic: Traffic) -> io::Result<Server> {
    Server::start(Command::new(programs.join(name)).args(["0", traffic.word()]))
}
