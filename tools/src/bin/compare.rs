//! Compares servers that echo and broadcast: the same load on each in turn, round after round.

use std::io;
use std::process::{Command, ExitCode};

use argh::FromArgs;
use clawdia::io::sys::raise_descriptor_limit;
use clawdia_tools::compare::{ROWS, Row, Traffic, median};
use clawdia_tools::server::{Server, pin};
use serde_json::json;

/// Put the same load on several servers in turn and print what a message costs each of them, as
/// microseconds of its processor time and as a multiple of the first one's.
#[derive(FromArgs)]
struct Args {
    /// rounds, of which the medians are printed (10)
    #[argh(option, default = "10")]
    rounds: usize,
    /// only rows whose name holds this
    #[argh(option, default = "String::new()")]
    row: String,
    /// exit 1 where the second server costs more than the row allows as a multiple of the first
    #[argh(switch)]
    goals: bool,
    /// print JSON, a line a row
    #[argh(switch)]
    json: bool,
    /// servers as NAME=PROGRAM WORDS; each is started with `0 echo` or `0 broadcast` behind its
    /// words, and says `READY PORT`
    #[argh(positional)]
    servers: Vec<String>,
}

/// A server's name, and the words that start it.
struct Named<'a> {
    name: &'a str,
    words: Vec<&'a str>,
}

fn main() -> ExitCode {
    clawdia_tools::ended("compare", run(&argh::from_env()))
}

fn run(args: &Args) -> io::Result<bool> {
    raise_descriptor_limit();
    let servers: Vec<Named<'_>> = args
        .servers
        .iter()
        .map(|text| named(text))
        .collect::<Result<_, _>>()?;
    if servers.len() < 2 {
        return Err(io::Error::other("it takes two servers to compare"));
    }
    if !args.json {
        print!("{:<44}", "us of processor time a message or delivery");
        for server in &servers {
            print!(" {:>16}", server.name);
        }
        println!();
    }
    let mut is_good = true;
    for row in ROWS.iter().filter(|row| row.name.contains(&args.row)) {
        let (medians, ratios) = measure(row, &servers, args.rounds)?;
        is_good &= ratios[1] <= row.goal;
        tell(args, row, &servers, &medians, &ratios);
    }
    Ok(is_good || !args.goals)
}

fn named(text: &str) -> io::Result<Named<'_>> {
    let (name, command) = text
        .split_once('=')
        .ok_or_else(|| io::Error::other(format!("{text}: a server is NAME=PROGRAM [WORDS]")))?;
    Ok(Named {
        name,
        words: command.split_whitespace().collect(),
    })
}

/// Of each server the median, microseconds, and the median of its multiples of the first one: round by round, so that
/// what the machine does meanwhile meets both.
fn measure(row: &Row, servers: &[Named<'_>], rounds: usize) -> io::Result<(Vec<f64>, Vec<f64>)> {
    // Servers have the first core, this program has the second: a machine with one core shares it.
    pin(0)?;
    let running: Vec<Server> = servers
        .iter()
        .map(|server| start(server, row.traffic))
        .collect::<Result<_, _>>()?;
    pin(1)?;
    let mut figures = vec![Vec::with_capacity(rounds); servers.len()];
    for round in 0..rounds {
        for turn in 0..servers.len() {
            // Nobody is always the first of a round.
            let at = (round + turn) % servers.len();
            let us = row
                .round(&running[at])
                .map_err(|error| io::Error::other(format!("{}: {error}", servers[at].name)))?;
            figures[at].push(us);
        }
    }
    let mut ratios: Vec<Vec<f64>> = figures.clone();
    for own in &mut ratios {
        let pairs = own.iter_mut().zip(&figures[0]);
        pairs.for_each(|(us, first)| *us /= first);
    }
    let medians = |of: &mut Vec<Vec<f64>>| of.iter_mut().map(|own| median(own)).collect();
    Ok((medians(&mut figures), medians(&mut ratios)))
}

fn start(server: &Named<'_>, traffic: Traffic) -> io::Result<Server> {
    let (program, words) = server
        .words
        .split_first()
        .ok_or_else(|| io::Error::other(format!("{}: no program", server.name)))?;
    Server::start(
        Command::new(program)
            .args(words)
            .args(["0", traffic.word()]),
    )
}

fn tell(args: &Args, row: &Row, servers: &[Named<'_>], medians: &[f64], ratios: &[f64]) {
    let each = || servers.iter().zip(medians).zip(ratios);
    if args.json {
        let figures: Vec<_> = each()
            .map(
                |((server, us), ratio)| json!({"server": server.name, "cpuUs": us, "ratio": ratio}),
            )
            .collect();
        let line =
            json!({"row": row.name, "rounds": args.rounds, "goal": row.goal, "figures": figures});
        println!("{line}");
        return;
    }
    print!("{:<44}", row.name);
    for ((_, us), ratio) in each() {
        print!(" {us:>8.2} ({ratio:>4.2})");
    }
    println!();
}
