//! Messages that everybody gets.

use std::io;

use argh::FromArgs;

use super::clients::{Clients, Load};
use super::echo::{addr, beside_floor, deadline};
use super::place::{Place, Target};
use crate::figures::Table;
use crate::fleet::ledger::percentile;

/// messages that everybody gets, on the wire layer alone; what is counted is deliveries
#[derive(FromArgs)]
#[argh(subcommand, name = "broadcast")]
pub struct Broadcast {
    /// receivers (1000)
    #[argh(option, default = "1_000")]
    connections: usize,
    /// messages published a second (as many as come back)
    #[argh(option)]
    rate: Option<u32>,
    /// messages under way where there is no --rate (1)
    #[argh(option, default = "1")]
    in_flight: usize,
    /// bytes of a message (256)
    #[argh(option, default = "256")]
    size: usize,
    /// messages in all (200)
    #[argh(option, default = "200")]
    messages: usize,
    /// inside an event with each receiver's own number, as the gateway sends it
    #[argh(switch)]
    numbered: bool,
    /// the same on the bare loop, in turn, which has no numbers
    #[argh(switch)]
    floor: bool,
    /// rounds with --floor, of which the medians are told (5)
    #[argh(option, default = "5")]
    rounds: usize,
}

impl Broadcast {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When the server refuses somebody or sends something else.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        let mode = match (self.numbered, self.floor) {
            (true, true) => {
                return Err(io::Error::other(
                    "the bare loop has no numbers: --floor or --numbered",
                ));
            }
            (true, false) => "events",
            (false, _) => "broadcast",
        };
        let server = place.wire(mode)?;
        let load = |target: &Target| Load {
            addr: addr(target.port),
            connections: self.connections,
            in_flight: self.in_flight,
            payload_bytes: self.size,
            deadline: deadline(),
            events: self.numbered,
        };
        let what = ("delivery", self.messages * self.connections);
        let mut ours = Clients::connect(load(&server))?;
        if self.floor {
            let floor = place.floor(mode)?;
            let mut floors = Clients::connect(load(&floor))?;
            beside_floor(table, what, self.rounds, |is_ours| match is_ours {
                true => server.cost(|| ours.broadcast(self.messages, self.rate)),
                false => floor.cost(|| floors.broadcast(self.messages, self.rate)),
            })?;
        } else {
            let cost = server.cost(|| ours.broadcast(self.messages, self.rate))?;
            cost.tell(table, what.0, what.1);
        }
        let mut waits = std::mem::take(&mut ours.waits);
        table.tell("publish to delivery: p50", percentile(&mut waits, 50), "ms");
        table.tell("publish to delivery: p99", percentile(&mut waits, 99), "ms");
        place.count(table, &server, what, || {
            ours.broadcast(self.messages, self.rate)
        })
    }
}
