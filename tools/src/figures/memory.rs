//! Resident memory: idle, and with operators and nodes connected.

use std::io;
use std::thread;
use std::time::Duration;

use clawdia::driver::device::Device;

use super::party::{As, Party, join_all};
use super::{Table, mb};
use crate::gateway::{Home, Running};
use crate::process::{own_bytes, resting_bytes};

/// Who is connected while memory is looked at, and what they may cost.
#[derive(Clone, Copy)]
pub struct Crowd {
    /// Whether they are nodes with devices of their own; else operators without.
    pub nodes: bool,
    pub count: usize,
    /// Bytes that each that is known already may cost, if there is a goal.
    pub goal: Option<f64>,
}

/// Memory of a gateway that nobody uses.
///
/// # Errors
///
/// When it does not start.
pub fn idle(table: &mut Table, home: &Home) -> io::Result<()> {
    let gateway = home.start()?;
    settled(home, &gateway)?;
    let bytes = resting_bytes(gateway.pid())?;
    // How much of the program is mapped is up to the kernel.
    table.put_within("memory, idle", mb(bytes as f64), "MB", 7.5, 15.0);
    gateway.stop()?;
    Ok(())
}

/// Memory that a crowd costs. Nodes come twice: once to be paired, silently, and once more
/// after a restart, when their rows are in memory already.
///
/// # Errors
///
/// When one of them is not let in.
pub fn crowd(table: &mut Table, home: &Home, crowd: Crowd) -> io::Result<()> {
    let devices: Vec<Device> = match crowd.nodes {
        true => (0..crowd.count)
            .map(|n| Device::new(1 << 32 | n as u64))
            .collect(),
        false => Vec::new(),
    };
    let who: Vec<As<'_>> = match crowd.nodes {
        true => devices.iter().map(As::Node).collect(),
        false => vec![As::Operator; crowd.count],
    };
    let rounds: &[&str] = match crowd.nodes {
        true => &["nodes paired and connected", "known nodes connected"],
        false => &["operators connected"],
    };
    for what in rounds {
        let gateway = home.start()?;
        let before = settled(home, &gateway)?;
        let door = home.door(&gateway)?;
        let what = format!("{what}{}", door.suffix());
        let parties = join_all(door, &who, &home.token()?)?;
        thread::sleep(Duration::from_millis(200));
        let after = own_bytes(gateway.pid())?;
        let count = crowd.count;
        let each = (after as f64 - before as f64) / count as f64;
        let all = resting_bytes(gateway.pid())?;
        table.tell(format!("memory, {count} {what}"), mb(all as f64), "MB");
        let what = format!("memory, {count} {what}: each");
        match crowd.goal {
            // Who is paired leaves a row behind, which is memory of a device and of no connection.
            Some(goal) if what.contains("known") => {
                table.put_within(what, each, "B", goal, goal * 2.0);
            }
            _ => table.tell(what, each, "B"),
        }
        gateway.stop()?;
        drop(parties);
    }
    Ok(())
}

/// Its own memory once what is allocated with the first connection is there.
fn settled(home: &Home, gateway: &Running) -> io::Result<u64> {
    drop(Party::join(
        home.door(gateway)?,
        As::Operator,
        &home.token()?,
    )?);
    thread::sleep(Duration::from_millis(200));
    own_bytes(gateway.pid())
}
