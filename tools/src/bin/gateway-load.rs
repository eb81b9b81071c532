//! Asks a gateway of this machine for the same so often, for somebody who counts what it does meanwhile.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;
use clawdia_tools::figures::traffic::{Comer, Health, Invokes};

/// Ask a gateway on 127.0.0.1 for one thing again and again, one after the other.
#[derive(FromArgs)]
struct Args {
    /// health, invoke (a call of a node, and its result) or connect (with a device's proof, and close)
    #[argh(positional)]
    what: String,
    /// the gateway's port
    #[argh(positional)]
    port: u16,
    /// the file with the gateway's secret
    #[argh(positional)]
    token_file: PathBuf,
    /// how often
    #[argh(positional)]
    times: usize,
}

fn main() -> ExitCode {
    clawdia_tools::ended("gateway-load", run(&argh::from_env()).map(|()| true))
}

fn run(args: &Args) -> io::Result<()> {
    let token = fs::read_to_string(&args.token_file)?;
    let (port, token, times) = (args.port, token.trim(), args.times);
    match args.what.as_str() {
        "health" => Health::join(port, token)?.ask(1, times),
        "invoke" => Invokes::join(port, token)?.call(times),
        "connect" => Comer::pair(port, token)?.come(times),
        _ => Err(io::Error::other("it is health, invoke or connect")),
    }
}
