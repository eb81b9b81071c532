//! Messages that come back to their sender.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use argh::FromArgs;

use super::clients::{Clients, Load};
use super::meter::Cost;
use super::place::{Place, Target};
use crate::compare::median;
use crate::figures::Table;

/// A load that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(300);
/// The most that the bare loop may sleep while it has this load, in percent: where it sleeps more, the
/// generator is the slower of both and no figure is the server's.
const FLOOR_ASLEEP_MOST: f64 = 10.0;

/// messages that come back to their sender, on the wire layer alone
#[derive(FromArgs)]
#[argh(subcommand, name = "echo")]
pub struct Echo {
    /// connections (64)
    #[argh(option, default = "64")]
    connections: usize,
    /// messages under way on each connection (1)
    #[argh(option, default = "1")]
    in_flight: usize,
    /// bytes of a message (64)
    #[argh(option, default = "64")]
    size: usize,
    /// messages in all (100000)
    #[argh(option, default = "100_000")]
    messages: usize,
    /// the same on the bare loop, in turn: multiples of what it costs there, and whether this program keeps it busy
    #[argh(switch)]
    floor: bool,
    /// rounds with --floor, of which the medians are told (5)
    #[argh(option, default = "5")]
    rounds: usize,
}

impl Echo {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When the server refuses somebody or answers something else.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        let server = place.wire("echo")?;
        let load = |target: &Target| Load {
            addr: addr(target.port),
            connections: self.connections,
            in_flight: self.in_flight,
            payload_bytes: self.size,
            deadline: deadline(),
            events: false,
        };
        let what = ("echo", self.messages);
        if !self.floor {
            let mut clients = Clients::connect(load(&server))?;
            return place.measure(table, &server, what, || clients.echo(self.messages));
        }
        let floor = place.floor("echo")?;
        let mut ours = Clients::connect(load(&server))?;
        let mut floors = Clients::connect(load(&floor))?;
        beside_floor(table, what, self.rounds, |is_ours| match is_ours {
            true => server.cost(|| ours.echo(self.messages)),
            false => floor.cost(|| floors.echo(self.messages)),
        })?;
        place.count(table, &server, what, || ours.echo(self.messages))
    }
}

/// Rounds on a server and on the bare loop in turn, which `round` is told: medians of both, the multiple, and whether
/// the bare loop had time to sleep.
///
/// # Errors
///
/// What `round` says.
pub(super) fn beside_floor(
    table: &mut Table,
    (what, units): (&str, usize),
    rounds: usize,
    mut round: impl FnMut(bool) -> io::Result<Cost>,
) -> io::Result<()> {
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        ours.push(round(true)?);
        floors.push(round(false)?);
    }
    let middle = |costs: &[Cost], of: fn(&Cost) -> f64| {
        median(&mut costs.iter().map(of).collect::<Vec<_>>())
    };
    let cpu = |cost: &Cost| cost.server_us.unwrap_or(f64::NAN);
    let server_asleep = |cost: &Cost| cost.server_asleep.unwrap_or(f64::NAN);
    let each = |costs: &[Cost]| middle(costs, cpu) / units as f64;
    table.tell(format!("{what}: CPU of the server"), each(&ours), "us");
    table.tell(format!("{what}: CPU of the bare loop"), each(&floors), "us");
    let ratios = ours
        .iter()
        .zip(&floors)
        .map(|(own, floor)| cpu(own) / cpu(floor));
    let ratio = median(&mut ratios.collect::<Vec<_>>());
    table.tell(format!("{what}: times the bare loop"), ratio, "");
    table.tell(
        "the server's loop was asleep",
        middle(&ours, server_asleep),
        "%",
    );
    let own = |cost: &Cost| cost.own_asleep;
    table.tell(
        "the generator was asleep meanwhile",
        middle(&ours, own),
        "%",
    );
    table.hold(
        "the bare loop was asleep",
        middle(&floors, server_asleep),
        "%",
        FLOOR_ASLEEP_MOST,
    );
    table.tell(
        "the generator was asleep meanwhile",
        middle(&floors, own),
        "%",
    );
    Ok(())
}

pub(super) fn addr(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

pub(super) fn deadline() -> Instant {
    Instant::now() + DEADLINE
}
