//! Plays a fleet of nodes and operators against a gateway of its own, and says what it cost.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use argh::FromArgs;
use clawdia::io::sys::raise_descriptor_limit;
use clawdia_tools::figures::Table;
use clawdia_tools::fleet::measure::{Scale, fleet};

/// Fewer are no fleet.
const NODES_MIN: usize = 200;
/// Descriptors that each process needs besides those of the fleet's connections.
const DESCRIPTORS_SPARE: u64 = 2_000;

/// Connect a fleet of nodes to a gateway, call them, let them come and go, and measure. Ends
/// with 1 where a call was not answered exactly once, an operator missed an event, or a size or ratio
/// is beyond the most it may be; times are told and fail nobody.
#[derive(FromArgs)]
struct Args {
    /// nodes (10000)
    #[argh(option, default = "10_000")]
    nodes: usize,
    /// operators who call them (100)
    #[argh(option, default = "100")]
    operators: usize,
    /// seconds of calls and churn at once (60)
    #[argh(option, default = "60")]
    seconds: u64,
    /// calls a second (1000)
    #[argh(option, default = "1_000")]
    rate: u32,
    /// nodes a second that go and come back (100)
    #[argh(option, default = "100")]
    churn: u32,
    /// 2000 nodes and 4 seconds
    #[argh(switch)]
    quick: bool,
    /// print JSON, a figure a line
    #[argh(switch)]
    json: bool,
    /// the program (target/ci/clawdia)
    #[argh(positional, default = "PathBuf::from(\"target/ci/clawdia\")")]
    program: PathBuf,
}

fn main() -> ExitCode {
    clawdia_tools::ended("fleet", run(&argh::from_env()))
}

fn run(args: &Args) -> io::Result<bool> {
    let scale = Scale {
        nodes: if args.quick { 2_000 } else { args.nodes },
        operators: args.operators.max(1),
        seconds: if args.quick { 4 } else { args.seconds },
        calls: args.rate.max(1),
        churn: args.churn,
    };
    if scale.nodes < NODES_MIN {
        return Err(io::Error::other(format!("--nodes is at least {NODES_MIN}")));
    }
    let descriptors = raise_descriptor_limit();
    if (scale.nodes + scale.operators) as u64 + DESCRIPTORS_SPARE > descriptors {
        return Err(io::Error::other(format!(
            "a process may have {descriptors} descriptors here: fewer --nodes"
        )));
    }
    let begun = Instant::now();
    let mut table = Table::default();
    fleet(&mut table, &args.program, scale)?;
    let out = &mut io::stdout();
    if args.json {
        table.write_json(out)?;
    } else {
        table.write(out)?;
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load: Vec<&str> = load.split(' ').take(3).collect();
        println!(
            "measured in {} s; load of the machine {}",
            begun.elapsed().as_secs(),
            load.join(" ")
        );
    }
    Ok(table.is_within())
}
