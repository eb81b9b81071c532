//! The same load on several servers, one after the other and again, so that whatever else the
//! machine does meets all of them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clawdia::wire::frame::Opcode;

use crate::client::{connect, masked_frame};
use crate::load::{Clients, Load};
use crate::process::process_cpu_us;
use crate::server::Server;

/// A load, and what one unit of it is.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub traffic: Traffic,
    pub connections: usize,
    pub in_flight: usize,
    pub payload_bytes: usize,
    /// Messages of one round.
    pub messages: usize,
    /// The most that ours may cost, as a multiple of the floor.
    pub goal: f64,
}

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Back to whoever sent them.
    Echo,
    /// From one to all; what is counted is deliveries.
    Broadcast,
    /// None: one after the other connects, is upgraded and says goodbye. What is counted is connections.
    Upgrade,
}

impl Traffic {
    /// The word that servers know it by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Echo | Self::Upgrade => "echo",
            Self::Broadcast => "broadcast",
        }
    }
}

const fn echo(
    name: &'static str,
    connections: usize,
    in_flight: usize,
    payload_bytes: usize,
    messages: usize,
    goal: f64,
) -> Row {
    Row {
        name,
        traffic: Traffic::Echo,
        connections,
        in_flight,
        payload_bytes,
        messages,
        goal,
    }
}

const fn broadcast(
    name: &'static str,
    connections: usize,
    in_flight: usize,
    messages: usize,
) -> Row {
    Row {
        name,
        traffic: Traffic::Broadcast,
        connections,
        in_flight,
        payload_bytes: 256,
        messages,
        goal: 1.06,
    }
}

/// What is compared.
pub const ROWS: &[Row] = &[
    echo("echo 64 B, 64 connections", 64, 1, 64, 64_000, 1.06),
    echo(
        "echo 64 B, 64 connections, 16 in flight",
        64,
        16,
        64,
        256_000,
        1.06,
    ),
    echo(
        "echo 1 KiB, 64 connections, 16 in flight",
        64,
        16,
        1_024,
        128_000,
        1.2,
    ),
    echo("echo 64 B, 1,000 connections", 1_000, 1, 64, 60_000, 1.06),
    echo("echo 16 KiB, 64 connections", 64, 1, 16_384, 25_600, 1.2),
    broadcast("broadcast 256 B to 1,000", 1_000, 1, 60),
    broadcast("broadcast 256 B to 1,000, 16 in flight", 1_000, 16, 240),
    // Some servers notice who has gone at the next message only: twice as many still have a descriptor each.
    broadcast("broadcast 256 B to 9,000", 9_000, 1, 10),
    broadcast("broadcast 256 B to 9,000, 16 in flight", 9_000, 16, 32),
    Row {
        name: "accept, upgrade, close",
        traffic: Traffic::Upgrade,
        connections: 1,
        in_flight: 1,
        payload_bytes: 0,
        messages: 2_000,
        goal: 1.25,
    },
];

impl Row {
    /// What one message, delivery or connection cost the server: microseconds of processor time.
    ///
    /// # Errors
    ///
    /// When the server refuses somebody, answers something else or not in time.
    pub fn round(&self, server: &Server) -> io::Result<f64> {
        if self.traffic == Traffic::Upgrade {
            return self.connections(server);
        }
        let mut clients = Clients::connect(Load {
            addr: server.addr(),
            connections: self.connections,
            in_flight: self.in_flight,
            payload_bytes: self.payload_bytes,
            // Many connections take a while to open on a machine that has other things to do.
            deadline: Instant::now() + Duration::from_secs(300),
            events: false,
        })?;
        let echoes = self.traffic == Traffic::Echo;
        let mut send = |messages| match echoes {
            true => clients.echo(messages),
            false => clients.broadcast(messages, None),
        };
        // What a server does once for a new connection, and its kernel, is no part of a message.
        send(if echoes { self.connections } else { 1 })?;
        let before = process_cpu_us(server.pid())?;
        send(self.messages)?;
        let spent = process_cpu_us(server.pid())? - before;
        let units = self.messages * if echoes { 1 } else { self.connections };
        Ok(spent as f64 / units as f64)
    }

    fn connections(&self, server: &Server) -> io::Result<f64> {
        let close = masked_frame(Opcode::Close, &1000_u16.to_be_bytes());
        let before = process_cpu_us(server.pid())?;
        for _ in 0..self.messages {
            connect(server.addr())?.write_all(&close)?;
        }
        Ok((process_cpu_us(server.pid())? - before) as f64 / self.messages as f64)
    }
}

/// The middle of some figures; 0 of none.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        len if len % 2 == 1 => figures[len / 2],
        len => f64::midpoint(figures[len / 2 - 1], figures[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn a_median_is_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&mut []).abs() < f64::EPSILON);
    }
}
