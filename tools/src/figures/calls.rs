//! What one call and one connection cost the gateway's process.

use std::io;

use clawdia::driver::device::Device;
use clawdia::wire::frame::Opcode;

use super::Table;
use super::party::{As, Party};
use crate::client::masked_frame;
use crate::gateway::Home;
use crate::process::process_cpu_us;

/// `health`, one at a time and 16 in flight.
///
/// # Errors
///
/// When a call is not answered.
pub fn health(table: &mut Table, home: &Home, calls: usize) -> io::Result<()> {
    let gateway = home.start()?;
    let (mut party, _) = Party::join(gateway.port, As::Operator, &home.token()?)?;
    let request = masked_frame(
        Opcode::Text,
        br#"{"type":"req","id":"0123","method":"health","params":{}}"#,
    );
    for (in_flight, calls, goal) in [(1, calls, 12.0), (16, calls * 4, 3.0)] {
        ask(&mut party, &request, in_flight, 1_000)?;
        let before = process_cpu_us(gateway.pid())?;
        ask(&mut party, &request, in_flight, calls)?;
        let cpu_us = (process_cpu_us(gateway.pid())? - before) as f64 / calls as f64;
        table.put(
            format!("health, {in_flight} in flight: CPU"),
            cpu_us,
            "us",
            goal,
        );
    }
    gateway.stop()?;
    Ok(())
}

fn ask(party: &mut Party, request: &[u8], in_flight: usize, calls: usize) -> io::Result<()> {
    let mut sent = in_flight.min(calls);
    party.send(&request.repeat(sent))?;
    let mut answered = 0;
    while answered < calls {
        answered += party.answers()?;
        let more = (answered + in_flight).min(calls) - sent;
        sent += more;
        party.send(&request.repeat(more))?;
    }
    Ok(())
}

/// A paired device comes in with its proof and its token, and goes, again and again.
///
/// # Errors
///
/// When it is not let in.
pub fn connects(table: &mut Table, home: &Home, times: usize) -> io::Result<()> {
    let gateway = home.start()?;
    let device = Device::new(u64::MAX);
    let (_, hello) = Party::join(gateway.port, As::Device(&device), &home.token()?)?;
    let token = hello["auth"]["deviceToken"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    let connect = |times: usize| -> io::Result<()> {
        for _ in 0..times {
            Party::join(gateway.port, As::Device(&device), &token)?;
        }
        Ok(())
    };
    connect(20)?;
    let before = process_cpu_us(gateway.pid())?;
    connect(times)?;
    let cpu_us = (process_cpu_us(gateway.pid())? - before) as f64 / times as f64;
    table.put(
        "connect with device proof, hello, close: CPU",
        cpu_us,
        "us",
        150.0,
    );
    gateway.stop()?;
    Ok(())
}
