//! What one call and one connection cost the gateway's process, and how many times what the bare loop of
//! [`Floor`] takes to send as much to and fro.

use std::hint::black_box;
use std::io;

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::operator_params;
use clawdia::gateway::auth::ed25519::{Key, decode_signature};
use serde_json::json;

use super::Table;
use super::floor::Floor;
use super::traffic::{Asker, Comer, Invokes};
use crate::compare::median;
use crate::gateway::{Home, Running};
use crate::process::{own_cpu_us, process_cpu_us};

/// Rounds, the gateway and the floor in turn. The cheapest is told, as other work disturbed it least; of the
/// multiples the one in the middle.
const ROUNDS: usize = 20;
/// The most that a call may cost as a multiple of the floor, see `benches/README.md`: what a sleep and a
/// wake-up cost differs so much between machines that these only find what has become several times as
/// slow. `tools/instructions.sh` finds the rest.
const HEALTH_MOST: f64 = 25.0;
const HEALTH_BATCH_MOST: f64 = 60.0;
const CONNECT_MOST: f64 = 15.0;
/// The same for a call of a node and its result, against two messages.
pub const INVOKE_MOST: f64 = 25.0;

/// What something cost in each round: microseconds of processor time.
#[derive(Default)]
pub struct Rounds {
    own: Vec<f64>,
    ratios: Vec<f64>,
}

impl Rounds {
    /// Adds a round: what it cost the gateway, and the floor.
    pub fn add(&mut self, own_us: f64, floor_us: f64) {
        self.own.push(own_us);
        self.ratios.push(own_us / floor_us);
    }

    /// Adds what it cost, with its goal, and how many times the floor that is, with the most it may be.
    pub fn tell(mut self, table: &mut Table, what: &str, goal_us: f64, most: f64) {
        let least = self.own.iter().copied().fold(f64::MAX, f64::min);
        table.put(format!("{what}: CPU"), least, "us", goal_us);
        let ratio = median(&mut self.ratios);
        table.hold(format!("{what}: times the floor"), ratio, "", most);
    }
}

/// Microseconds of processor time of the gateway for each of `times`.
fn cost_us(gateway: &Running, times: usize, f: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = process_cpu_us(gateway.pid())?;
    f()?;
    Ok((process_cpu_us(gateway.pid())? - before) as f64 / times as f64)
}

/// `health`, one at a time and 16 in flight.
///
/// # Errors
///
/// When a call is not answered.
pub fn health(table: &mut Table, home: &Home, calls: usize) -> io::Result<()> {
    let gateway = home.start()?;
    let mut floor = Floor::start()?;
    let mut asker = Asker::join(gateway.port, &home.token()?, "health", &json!({}))?;
    let (each, size) = (calls / ROUNDS, asker.question_bytes());
    asker.ask(1, 1_000)?;
    let (mut alone, mut batch) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let own = cost_us(&gateway, each, || asker.ask(1, each))?;
        alone.add(own, floor.echo_us(&[size], each)?);
        let many = each * 4;
        let own = cost_us(&gateway, many, || asker.ask(16, many))?;
        batch.add(own, floor.batch_us(size, 16, many / 16)?);
    }
    alone.tell(table, "health, one at a time", 12.0, HEALTH_MOST);
    batch.tell(table, "health, 16 in flight", 3.0, HEALTH_BATCH_MOST);
    gateway.stop()?;
    Ok(())
}

/// `node.invoke`, both ways: an operator asks, the node answers, one call after the other.
///
/// # Errors
///
/// When a call is not answered.
pub fn invokes(table: &mut Table, home: &Home, calls: usize) -> io::Result<()> {
    let gateway = home.start()?;
    let mut floor = Floor::start()?;
    let mut invokes = Invokes::join(gateway.port, &home.token()?)?;
    let each = calls / ROUNDS;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let own = cost_us(&gateway, each, || invokes.call(each))?;
        rounds.add(own, floor.echo_us(&Invokes::BYTES, each)?);
    }
    rounds.tell(table, "node.invoke, both ways", 25.0, INVOKE_MOST);
    gateway.stop()?;
    Ok(())
}

/// A paired device comes in with its proof and its token, and goes, again and again. Between
/// the rounds the same proof is verified here, on the same machine under the same load, and the floor
/// has a connection: less a handshake cannot cost.
///
/// # Errors
///
/// When it is not let in.
pub fn connects(table: &mut Table, home: &Home, times: usize) -> io::Result<()> {
    let gateway = home.start()?;
    let mut floor = Floor::start()?;
    let comer = Comer::pair(gateway.port, &home.token()?)?;
    comer.come(20)?;
    let each = times / ROUNDS;
    let (mut rounds, mut verify_us) = (Rounds::default(), f64::MAX);
    for _ in 0..ROUNDS {
        let own = cost_us(&gateway, each, || comer.come(each))?;
        let proof = verify(&comer.device, each)?;
        verify_us = verify_us.min(proof);
        rounds.add(own, proof + floor.connection_us(Comer::BYTES, each)?);
    }
    let what = "connect with device proof, hello, close";
    rounds.tell(table, what, 150.0, CONNECT_MOST);
    let what = "of which verifying its signature takes: CPU";
    table.tell(what, verify_us, "us");
    gateway.stop()?;
    Ok(())
}

/// Microseconds of processor time that verifying a signature takes; the mean of so many times.
fn verify(device: &Device, times: usize) -> io::Result<f64> {
    let mut params = operator_params();
    device.sign(&mut params, Proof::V2, "nonce", 0);
    let signature = params["device"]["signature"].as_str().unwrap_or("");
    let (Ok(key), Some(signature)) = (Key::decode(&device.public_key), decode_signature(signature))
    else {
        return Err(io::Error::other("a proof of our own cannot be read"));
    };
    let before = own_cpu_us();
    for _ in 0..times {
        // Of another text, which takes as long to find out.
        black_box(key.verifies(black_box(&[b'x'; 256]), &signature));
    }
    Ok((own_cpu_us() - before) / times as f64)
}
