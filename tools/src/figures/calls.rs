//! What one call and one connection cost the gateway's process.

use std::hint::black_box;
use std::io;

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::operator_params;
use clawdia::gateway::auth::ed25519::{Key, decode_signature};
use clawdia::wire::frame::Opcode;

use super::Table;
use super::party::{As, Party};
use crate::client::masked_frame;
use crate::fleet::link::text_behind;
use crate::gateway::Home;
use crate::process::{own_cpu_us, process_cpu_us};

/// Rounds of connections, with verifications in between.
const CONNECT_ROUNDS: usize = 10;

/// Rounds of calls of a node; the cheapest is told, as other work disturbed it least.
const INVOKE_ROUNDS: usize = 20;

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

/// `node.invoke`, both ways: an operator asks, the node answers, one call after the other.
///
/// # Errors
///
/// When a call is not answered.
pub fn invokes(table: &mut Table, home: &Home, calls: usize) -> io::Result<()> {
    let gateway = home.start()?;
    let token = home.token()?;
    let device = Device::new(u64::MAX - 1);
    let (mut node, _) = Party::join(gateway.port, As::Node(&device), &token)?;
    let (mut operator, _) = Party::join(gateway.port, As::Operator, &token)?;
    let mut call = |number: usize| -> io::Result<()> {
        operator.text(&format!(
            r#"{{"type":"req","id":"{number}","method":"node.invoke","params":{{"nodeId":"{}",
            "command":"system.which","params":{{"bins":["uptime"]}},"idempotencyKey":"{number}"}}}}"#,
            device.id
        ))?;
        let asked = loop {
            let text = node.next_payload()?;
            if let Some(id) = text_behind(text, br#"node.invoke.request","payload":{"id":""#) {
                break id.to_owned();
            }
        };
        node.text(&format!(
            r#"{{"type":"req","id":"{number}","method":"node.invoke.result","params":{{
            "id":"{asked}","nodeId":"{}","ok":true,"payloadJSON":"{{\"bins\":{{}}}}"}}}}"#,
            device.id
        ))?;
        match operator.answers()? {
            1 => Ok(()),
            _ => Err(io::Error::other("a call was answered more than once")),
        }
    };
    let each = calls / INVOKE_ROUNDS;
    let mut cpu_us = f64::MAX;
    for round in 0..INVOKE_ROUNDS {
        let before = process_cpu_us(gateway.pid())?;
        (0..each).try_for_each(|number| call(round * each + number))?;
        let spent_us = process_cpu_us(gateway.pid())? - before;
        cpu_us = cpu_us.min(spent_us as f64 / each as f64);
    }
    table.put("node.invoke, both ways: CPU", cpu_us, "us", 25.0);
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

/// A paired device comes in with its proof and its token, and goes, again and again. Between
/// the rounds the same proof is verified here, on the same machine under the same load: most of
/// what a connection costs is that.
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
    let (mut connect_us, mut verify_us) = (0, 0);
    for _ in 0..CONNECT_ROUNDS {
        let before = process_cpu_us(gateway.pid())?;
        connect(times / CONNECT_ROUNDS)?;
        connect_us += process_cpu_us(gateway.pid())? - before;
        verify_us += verify(&device, times / CONNECT_ROUNDS)?;
    }
    let each = |sum: u64| sum as f64 / (times / CONNECT_ROUNDS * CONNECT_ROUNDS) as f64;
    table.put(
        "connect with device proof, hello, close: CPU",
        each(connect_us),
        "us",
        150.0,
    );
    table.tell(
        "of which verifying its signature takes: CPU",
        each(verify_us),
        "us",
    );
    gateway.stop()?;
    Ok(())
}

/// Microseconds of processor time that verifying a signature takes, all times together.
fn verify(device: &Device, times: usize) -> io::Result<u64> {
    let mut params = operator_params();
    device.sign(&mut params, Proof::V2, "nonce", 0);
    let signature = params["device"]["signature"].as_str().unwrap_or("");
    let (Ok(key), Some(signature)) = (Key::decode(&device.public_key), decode_signature(signature))
    else {
        return Err(io::Error::other("a proof of our own cannot be read"));
    };
    let before = own_cpu_us()?;
    for _ in 0..times {
        // Of another text, which takes as long to find out.
        black_box(key.verifies(black_box(&[b'x'; 256]), &signature));
    }
    Ok(own_cpu_us()? - before)
}
