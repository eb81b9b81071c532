//! The least that sending to and fro costs on this machine, now: what the gateway's processor time is held
//! against. A processor that sleeps between two messages, or has other work, makes both dearer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use clawdia::wire::frame::Opcode;

use crate::client::{connect, masked_frame, server_frame};
use crate::process::process_cpu_us;
use crate::server::Server;

/// `wire-floor`, which sends back what it reads, and a connection to it.
pub struct Floor {
    server: Server,
    stream: TcpStream,
}

impl Floor {
    /// Starts the program of that name beside this one.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn start() -> io::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("wire-floor");
        let server = Server::start(Command::new(program).args(["0", "echo"]))?;
        let stream = connect(server.addr())?;
        Ok(Self { server, stream })
    }

    /// Microseconds of processor time that it takes to send messages of these sizes back, one after the
    /// other; the mean of so many times.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub fn echo_us(&mut self, sizes: &[usize], times: usize) -> io::Result<f64> {
        self.cost_us(times, |floor| {
            sizes
                .iter()
                .try_for_each(|size| turn(&mut floor.stream, *size, 1))
        })
    }

    /// The same for one message of `count` that are sent at once.
    ///
    /// # Errors
    ///
    /// As [`Self::echo_us`].
    pub fn batch_us(&mut self, size: usize, count: usize, times: usize) -> io::Result<f64> {
        let us = self.cost_us(times, |floor| turn(&mut floor.stream, size, count))?;
        Ok(us / count as f64)
    }

    /// The same for a connection that is made, upgraded, has one message of this size sent back, and ends.
    ///
    /// # Errors
    ///
    /// As [`Self::echo_us`].
    pub fn connection_us(&mut self, size: usize, times: usize) -> io::Result<f64> {
        self.cost_us(times, |floor| {
            turn(&mut connect(floor.server.addr())?, size, 1)
        })
    }

    fn cost_us(
        &mut self,
        times: usize,
        mut f: impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<f64> {
        let before = process_cpu_us(self.server.pid())?;
        (0..times).try_for_each(|_| f(self))?;
        Ok((process_cpu_us(self.server.pid())? - before) as f64 / times as f64)
    }
}

fn turn(stream: &mut TcpStream, size: usize, count: usize) -> io::Result<()> {
    let payload = vec![b'a'; size];
    stream.write_all(&masked_frame(Opcode::Text, &payload).repeat(count))?;
    let mut reply = server_frame(Opcode::Text, &payload).repeat(count);
    stream.read_exact(&mut reply)
}
