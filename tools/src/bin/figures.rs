//! Measures a gateway on this machine and prints each figure with its goal.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use argh::FromArgs;
use clawdia::io::sys::raise_descriptor_limit;
use clawdia_tools::figures::memory::Crowd;
use clawdia_tools::figures::{Table, calls, memory, start, tls, wire};
use clawdia_tools::gateway::Home;

/// Devices that are stored where many are.
const DEVICES: usize = 10_000;
/// What a connected node may cost, in bytes.
const NODE_BYTES: f64 = 1_536.0;

/// Measure what a gateway costs: its start, memory, calls and connections. Ends with 1 where a size, or a
/// multiple of what the bare loop of wire-floor costs in the same run, is beyond the most it may be; times
/// are told and fail nobody.
#[derive(FromArgs)]
struct Args {
    /// fewer of everything, for a look in passing
    #[argh(switch)]
    quick: bool,
    /// the program (target/release/clawdia)
    #[argh(positional, default = "PathBuf::from(\"target/release/clawdia\")")]
    program: PathBuf,
}

fn main() -> ExitCode {
    clawdia_tools::ended("figures", run(&argh::from_env()))
}

fn run(args: &Args) -> io::Result<bool> {
    raise_descriptor_limit();
    let begun = Instant::now();
    let mut table = Table::default();
    let fresh = || Home::new(&args.program);
    let few = |quick: usize, all: usize| if args.quick { quick } else { all };

    let home = fresh()?;
    start::program_size(&mut table, &home, &args.program)?;
    start::starts(&mut table, &home, "first", 1, 15.0)?;
    start::starts(&mut table, &home, "empty", 7, 15.0)?;
    memory::idle(&mut table, &home)?;
    calls::health(&mut table, &home, few(5_000, 30_000))?;
    calls::invokes(&mut table, &home, few(2_000, 20_000))?;
    calls::connects(&mut table, &home, few(200, 2_000))?;
    start::command(&mut table, &home, few(20, 100) as u32)?;
    start::seed_devices(&home, DEVICES)?;
    let what = format!("{DEVICES} devices");
    start::starts(&mut table, &home, &what, few(2, 5) as u32, 100.0)?;

    let server = std::env::current_exe()?.with_file_name("wire-echo");
    wire::idle(&mut table, &server, few(1_000, 10_000))?;

    tls::wire(&mut table, &server, few(200, 2_000), few(1_000, 9_000))?;

    let operators = Crowd {
        nodes: false,
        count: few(200, 1_000),
        goal: None,
    };
    memory::crowd(&mut table, &fresh()?, operators)?;
    for count in [few(500, 1_000), few(1_000, 9_000)] {
        let nodes = Crowd {
            nodes: true,
            count,
            goal: Some(NODE_BYTES),
        };
        memory::crowd(&mut table, &fresh()?, nodes)?;
    }
    let nodes = Crowd {
        nodes: true,
        count: few(500, 1_000),
        goal: Some(tls::CONNECTION_BYTES),
    };
    let over_tls = fresh()?;
    over_tls.configure(tls::ON)?;
    memory::crowd(&mut table, &over_tls, nodes)?;
    tls::fleet(&mut table, &over_tls, Home::start, few(500, 9_000))?;
    table.write(&mut io::stdout())?;
    println!("measured in {} s", begun.elapsed().as_secs());
    Ok(table.is_within())
}
