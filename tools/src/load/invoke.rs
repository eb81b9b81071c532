//! Operators who call the nodes of a fleet, so many calls a second.

use std::io;
use std::time::Duration;

use argh::FromArgs;

use super::place::Place;
use crate::figures::Table;
use crate::fleet::measure;

/// operators who call the nodes of a fleet: waits, and what both ways cost (`fleet` has churn besides)
#[derive(FromArgs)]
#[argh(subcommand, name = "invoke")]
pub struct Invoke {
    /// nodes (1000)
    #[argh(option, default = "1_000")]
    nodes: usize,
    /// operators (10)
    #[argh(option, default = "10")]
    operators: usize,
    /// calls a second (1000)
    #[argh(option, default = "1_000")]
    rate: u32,
    /// seconds (10)
    #[argh(option, default = "10")]
    seconds: u64,
}

impl Invoke {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When somebody is not let in, or a call is not answered exactly once.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        let home = place.home("{}")?;
        measure::invoke(
            table,
            home,
            (self.nodes.max(1), self.operators.max(1)),
            self.rate.max(1),
            Duration::from_secs(self.seconds.max(1)),
        )
    }
}
