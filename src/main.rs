//! The one program: gateway and command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    clawdia::cli::main(std::env::args_os().skip(1))
}
