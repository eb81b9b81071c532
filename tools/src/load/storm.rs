//! Nodes that a restart has cut off and that all come back at once.

use std::io;

use argh::FromArgs;

use super::place::Place;
use crate::figures::{Table, tls};
use crate::gateway::Home;

/// nodes that a restart has cut off all come back at once, while somebody asks for health
#[derive(FromArgs)]
#[argh(subcommand, name = "storm")]
pub struct Storm {
    /// nodes (9000)
    #[argh(option, default = "9_000")]
    nodes: usize,
    /// without TLS
    #[argh(switch)]
    plain: bool,
}

impl Storm {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When somebody is not let in.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        let home = place.home(if self.plain { "{}" } else { tls::ON })?;
        tls::fleet(table, &home, Home::start_apart, self.nodes.max(1))
    }
}
