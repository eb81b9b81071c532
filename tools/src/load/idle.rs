//! Connections that say nothing: what each costs in memory.

use std::io;

use argh::FromArgs;

use super::clients::{Load, idle_bytes};
use super::echo::{addr, deadline};
use super::place::Place;
use crate::figures::memory::{Crowd, crowd};
use crate::figures::{Table, tls};

/// connections that say nothing: resident bytes of each, by the kernel's smaps_rollup
#[derive(FromArgs)]
#[argh(subcommand, name = "idle")]
pub struct Idle {
    /// connections (10000)
    #[argh(option, default = "10_000")]
    connections: usize,
    /// bytes of the message that each has echoed in between, on the wire layer (16384)
    #[argh(option, default = "16_384")]
    size: usize,
    /// nodes of a gateway with devices of their own, in place of connections of the wire layer
    #[argh(switch)]
    nodes: bool,
    /// operators of a gateway without devices
    #[argh(switch)]
    operators: bool,
    /// nodes or operators over TLS
    #[argh(switch)]
    tls: bool,
}

impl Idle {
    /// Opens them and looks.
    ///
    /// # Errors
    ///
    /// When somebody is not let in.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        if self.nodes || self.operators {
            let home = place.home(if self.tls { tls::ON } else { "{}" })?;
            let who = Crowd {
                nodes: self.nodes,
                count: self.connections,
                goal: None,
            };
            return crowd(table, &home, who);
        }
        let server = place.wire("echo")?;
        let pid = server
            .pid
            .ok_or_else(|| io::Error::other("the memory of a server that runs needs --pid"))?;
        let load = Load {
            addr: addr(server.port),
            connections: self.connections,
            in_flight: 1,
            payload_bytes: self.size,
            deadline: deadline(),
            events: false,
        };
        let (idle, after) = idle_bytes(load, pid)?;
        let count = self.connections;
        table.tell(format!("{count} idle: memory of each"), idle, "B");
        let what = format!("the same after an echo of {} B each", self.size);
        table.tell(what, after, "B");
        Ok(())
    }
}
