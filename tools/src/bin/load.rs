//! Makes one kind of load on a server of this machine and says what it cost.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;
use clawdia::io::sys::raise_descriptor_limit;
use clawdia_tools::figures::Table;
use clawdia_tools::load::place::Place;
use clawdia_tools::load::{broadcast, connect, echo, growth, idle, invoke, rpc, sessions, storm};

/// Make one kind of load on a server of this machine and say what it cost: the server's processor time, who of both
/// had time to sleep, waits, memory, system calls. The server is started for it on the first core, from the directory
/// of this program; the load is made on the second. Ends with 1 where a ratio is beyond the most it may be.
#[derive(FromArgs)]
#[argh(
    example = "What an echo costs beside a bare loop, and that this program keeps both busy:\n{command_name} echo --in-flight 16 --floor",
    example = "Connects over TLS with a device's proof, and the system calls of each:\n{command_name} --syscalls connect --tls --proof",
    example = "Any method, 16 calls under way:\n{command_name} rpc sessions.list --in-flight 16",
    example = "100 messages a second to 1,000 receivers:\n{command_name} broadcast --rate 100 --numbered",
    example = "Bytes of an idle node:\n{command_name} idle --nodes --connections 9000",
    example = "A hundred sessions at once, four steps at a time, and health meanwhile:\n{command_name} sessions",
    example = "All nodes at once, after a restart, over TLS:\n{command_name} --json storm",
    example = "A gateway that runs already:\n{command_name} --at 18789 --pid 4711 --token-file ~/.clawdia/gateway-token rpc health",
    note = "Options of all modes stand before the mode; `load MODE --help` tells those of one."
)]
struct Args {
    /// the port of a server that runs already
    #[argh(option)]
    at: Option<u16>,
    /// its process, for its processor time, memory and system calls
    #[argh(option)]
    pid: Option<u32>,
    /// the file with its secret, where it is a gateway
    #[argh(option)]
    token_file: Option<PathBuf>,
    /// the directory of clawdia, wire-echo and wire-floor (that of this program)
    #[argh(option)]
    programs: Option<PathBuf>,
    /// make the load once more under strace and count system calls
    #[argh(switch)]
    syscalls: bool,
    /// print JSON, a figure a line
    #[argh(switch)]
    json: bool,
    #[argh(subcommand)]
    mode: Mode,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Mode {
    Echo(echo::Echo),
    Connect(connect::Connect),
    Idle(idle::Idle),
    Rpc(rpc::Rpc),
    Broadcast(broadcast::Broadcast),
    Invoke(invoke::Invoke),
    Sessions(sessions::Sessions),
    Storm(storm::Storm),
    Growth(growth::Growth),
}

fn main() -> ExitCode {
    clawdia_tools::ended("load", run(argh::from_env()))
}

fn run(args: Args) -> io::Result<bool> {
    raise_descriptor_limit();
    let here = std::env::current_exe()?;
    let place = Place {
        at: args.at,
        pid: args.pid,
        token_file: args.token_file,
        programs: args
            .programs
            .or_else(|| here.parent().map(PathBuf::from))
            .unwrap_or_default(),
        syscalls: args.syscalls,
    };
    let mut table = Table::default();
    match args.mode {
        Mode::Echo(mode) => mode.run(&place, &mut table),
        Mode::Connect(mode) => mode.run(&place, &mut table),
        Mode::Idle(mode) => mode.run(&place, &mut table),
        Mode::Rpc(mode) => mode.run(&place, &mut table),
        Mode::Broadcast(mode) => mode.run(&place, &mut table),
        Mode::Invoke(mode) => mode.run(&place, &mut table),
        Mode::Sessions(mode) => mode.run(&place, &mut table),
        Mode::Storm(mode) => mode.run(&place, &mut table),
        Mode::Growth(mode) => mode.run(&place, &mut table),
    }?;
    let mut out = io::stdout().lock();
    match args.json {
        true => table.write_json(&mut out)?,
        false => table.write(&mut out)?,
    }
    Ok(table.is_within())
}
