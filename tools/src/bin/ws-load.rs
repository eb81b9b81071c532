//! Load on a WebSocket echo or broadcast server of this machine, and what it cost the server.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use argh::FromArgs;
use clawdia::io::sys::raise_descriptor_limit;
use clawdia::wire::frame::Opcode;
use clawdia_tools::client::{connect, masked_frame};
use clawdia_tools::load::{Clients, Load, idle_bytes};
use clawdia_tools::process::cpu_us;

/// Send WebSocket messages to 127.0.0.1 and report what they cost the server.
#[derive(FromArgs)]
struct Args {
    /// echo, broadcast, events (broadcast with numbers), idle (memory of idle connections) or churn (connect and close)
    #[argh(positional)]
    mode: String,
    /// the server's port
    #[argh(positional)]
    port: u16,
    /// the server's process, for its processor time and memory
    #[argh(option)]
    pid: Option<u32>,
    /// connections (64)
    #[argh(option, default = "64")]
    connections: usize,
    /// messages under way on each connection, for broadcast in all (1)
    #[argh(option, default = "1")]
    in_flight: usize,
    /// bytes of a message (64)
    #[argh(option, default = "64")]
    size: usize,
    /// messages in all (100000)
    #[argh(option, default = "100_000")]
    messages: usize,
    /// give up after so many seconds (60)
    #[argh(option, default = "60")]
    seconds: u64,
}

fn main() -> ExitCode {
    clawdia_tools::ended("ws-load", run(&argh::from_env()).map(|()| true))
}

fn run(args: &Args) -> io::Result<()> {
    raise_descriptor_limit();
    let load = Load {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        connections: args.connections,
        in_flight: args.in_flight,
        payload_bytes: args.size,
        messages: args.messages,
        deadline: Instant::now() + Duration::from_secs(args.seconds),
        events: args.mode == "events",
    };
    match args.mode.as_str() {
        "echo" => measure(
            args,
            args.messages,
            &mut Clients::connect(load)?,
            Clients::echo,
        ),
        "broadcast" | "events" => {
            let deliveries = args.messages * args.connections;
            measure(
                args,
                deliveries,
                &mut Clients::connect(load)?,
                Clients::broadcast,
            )
        }
        "churn" => churn(args, &load),
        "idle" => idle(args, load),
        _ => Err(io::Error::other(
            "mode is echo, broadcast, events, idle or churn",
        )),
    }
}

fn measure(
    args: &Args,
    units: usize,
    clients: &mut Clients,
    f: impl FnOnce(&mut Clients) -> io::Result<()>,
) -> io::Result<()> {
    let cpu_before = args.pid.map(cpu_us).transpose()?;
    let begun = Instant::now();
    f(clients)?;
    report(args, units, begun, cpu_before)
}

fn churn(args: &Args, load: &Load) -> io::Result<()> {
    let close = masked_frame(Opcode::Close, &1000_u16.to_be_bytes());
    let cpu_before = args.pid.map(cpu_us).transpose()?;
    let begun = Instant::now();
    for _ in 0..load.messages {
        connect(load.addr)?.write_all(&close)?;
        if Instant::now() > load.deadline {
            return Err(io::Error::other("time is up"));
        }
    }
    report(args, load.messages, begun, cpu_before)
}

fn report(args: &Args, units: usize, begun: Instant, cpu_before: Option<u64>) -> io::Result<()> {
    let wall_us = begun.elapsed().as_micros() as f64;
    print!("{} wall {:.3} us", args.mode, wall_us / units as f64);
    if let (Some(pid), Some(before)) = (args.pid, cpu_before) {
        print!(
            " server-cpu {:.3} us",
            (cpu_us(pid)? - before) as f64 / units as f64
        );
    }
    println!(" each of {units}");
    Ok(())
}

fn idle(args: &Args, load: Load) -> io::Result<()> {
    let pid = args
        .pid
        .ok_or_else(|| io::Error::other("idle needs --pid"))?;
    let (idle, after) = idle_bytes(load, pid)?;
    println!(
        "idle {idle:.0} bytes a connection, {after:.0} after an echo of {} bytes each ({} connections)",
        load.payload_bytes, load.connections,
    );
    Ok(())
}
