//! Measures what a connection and a message cost at several counts of connections.

use std::io;
use std::process::ExitCode;

use argh::FromArgs;
use clawdia::io::sys::raise_descriptor_limit;
use clawdia_tools::figures::Table;
use clawdia_tools::growth;

/// Start `wire-echo` and `wire-floor`, which lie beside this program, on one core, open more and more connections
/// from the other, and print what each costs. Descriptors are two a connection and limit the count.
#[derive(FromArgs)]
struct Args {
    /// counts of connections, smallest first (1000 10000 19000)
    #[argh(positional)]
    counts: Vec<usize>,
    /// rounds, of which the medians are printed (3)
    #[argh(option, default = "3")]
    rounds: usize,
    /// print JSON, a line a figure
    #[argh(switch)]
    json: bool,
}

fn main() -> ExitCode {
    clawdia_tools::ended("growth", run(&argh::from_env()))
}

fn run(args: &Args) -> io::Result<bool> {
    raise_descriptor_limit();
    let counts = match &args.counts[..] {
        [] => &[1_000, 10_000, 19_000],
        counts => counts,
    };
    let here = std::env::current_exe()?;
    let programs = here
        .parent()
        .ok_or_else(|| io::Error::other("no directory of programs"))?;
    let mut table = Table::default();
    growth::measure(&mut table, programs, counts, args.rounds.max(1))?;
    let mut out = io::stdout().lock();
    match args.json {
        true => table.write_json(&mut out)?,
        false => table.write(&mut out)?,
    }
    Ok(table.is_within())
}
